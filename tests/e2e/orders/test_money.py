"""Orders and the wallet's transactions agree: every window opens, moves and closes as told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.move_money import reverse_credit, set_limit
from starship_core.flows.refund_order import refund_order
from starship_core.model import Money
from tests.e2e.servers import ANA, Caller, Shop


async def test_a_debit_in_full(shop: Shop, acme: Caller) -> None:
    """The order names its transaction, the transaction its order; with a rate when it was used."""
    order = await acme.order("key-00001", wallet_id=acme.wallets["EUR"])
    assert await acme.get(f"/transactions/{order['transaction_id']}") == {
        "id": order["transaction_id"], "wallet_id": 2, "currency_id": 4, "amount": "23.00",
        "transaction_type": "DEBIT", "status": "COMPLETED", "order_id": 1,
        "source_currency": "GBP", "destination_currency": "EUR", "forex_rate": "1.17342199",
        "conversion_charges": "0.00", "balance_after": "4977.00",
        "remarks": "", "created_at": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    plain = await acme.order("key-00002")
    debit = await acme.get(f"/transactions/{plain['transaction_id']}")
    told = ("source_currency", "destination_currency", "forex_rate", "conversion_charges")
    assert [debit[name] for name in told] == [None, None, None, None]


async def test_opening_and_lines_are_closing(shop: Shop, acme: Caller) -> None:
    """For every window of a wallet's history, whatever happened in it."""
    wallet = acme.wallets["GBP"]
    await shop.stock(1, "20.00", 2)
    await acme.order("key-00001", quantity=2)
    await acme.order("key-00002", quantity=3)
    await shop.credit(wallet, Money.of("5.05", "GBP"), "top-up")
    await cancel_order(2, ANA, shop.ship)
    await refund_order(1, ANA, shop.ship, items=[2])
    await shop.credit(wallet, Money.of("7.00", "GBP"), "mistake")
    await reverse_credit(shop.ship, "mistake", by=ANA)
    await acme.order("key-00003", wallet_id=acme.wallets["EUR"])
    lines = await acme.get(
        f'/transactions?wallet_id={wallet}&sort={{"field":"id","direction":"ASC"}}'
    )
    assert [
        (each["transaction_type"], each["amount"], each["balance_after"]) for each in lines
    ] == [
        ("CREDIT", "1000.00", "1000.00"),
        ("DEBIT", "39.20", "960.80"),
        ("DEBIT", "58.80", "902.00"),
        ("CREDIT", "5.05", "907.05"),
        ("CREDIT", "58.80", "965.85"),
        ("CREDIT", "19.60", "985.45"),
        ("CREDIT", "7.00", "992.45"),
        ("DEBIT", "7.00", "985.45"),
    ]
    for first in range(len(lines)):
        for last in range(first, len(lines)):
            window = lines[first : last + 1]
            opening = Decimal(lines[first - 1]["balance_after"]) if first else Decimal(0)
            assert opening + sum(map(signed, window)) == Decimal(window[-1]["balance_after"])
    assert (await acme.get(f"/wallets/{wallet}"))["amount"] == lines[-1]["balance_after"]
    assert [each["order_id"] for each in lines] == [None, 1, 2, None, 2, 1, None, None]


def signed(line: dict[str, Any]) -> Decimal:
    amount = Decimal(line["amount"])
    assert amount > 0
    return amount if line["transaction_type"] == "CREDIT" else -amount


async def test_a_credit_limit_is_spendable(shop: Shop) -> None:
    """A wallet may go down to its floor and no minor unit further, over HTTP as by hand."""
    later = await shop.client("later", {"GBP": "0"})
    await later.order("key-00001", 402)
    await set_limit(shop.ship, later.wallets["GBP"], Money.of("39.20", "GBP"), by=ANA)
    await shop.seen()
    for key in ("key-00001", "key-00002"):
        await later.order(key)
    refused = await later.order("key-00003", 402)
    assert refused["error"]["code"] == "INSUFFICIENT_BALANCE"
    (wallet,) = await later.get("/wallets")
    assert (wallet["amount"], wallet["credit_limit"]) == ("-39.20", "39.20")
