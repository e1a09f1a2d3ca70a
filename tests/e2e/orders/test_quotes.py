"""Charges, quotes, and orders charged exactly what was quoted (client API, sections 5 and 6)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from starship_core.flows.change_product import ProductChange, change_product
from tests.e2e.servers import ANA, PRICING, Caller, Shop

ASKED: dict[str, Any] = {"denomination": "20.00", "quantity": 3}


@pytest.fixture
def pricing() -> dict[str, str]:
    """Fees of every kind."""
    return PRICING


async def charges(caller: Caller, product: int = 1, **asked: Any) -> Any:
    return await caller.post(f"/products/{product}/charges", ASKED | asked)


async def test_an_order_is_charged_what_was_quoted(shop: Shop, acme: Caller) -> None:
    """In another currency, with every fee: after a discount changed, still to the penny."""
    euros = acme.wallets["EUR"]
    quoted = await charges(acme, wallet_id=euros)
    assert quoted["quote"].count(".") == 2
    assert {name: value for name, value in quoted.items() if name != "quote"} == {
        "non_discounted_total": "70.41", "discount": "2.0", "discount_amount": "1.41",
        "total_amount": "69.00", "net_amount": "71.58", "handling_fee_amount": "1.03",
        "convenience_fee_amount": "0.17", "gst_amount": "0.47", "total_payable": "72.05",
        "max_quantity": 10000, "delivery_time": "DELAYED", "expires_at": "2027-01-01T00:05:00Z",
        "charges_details": {
            "source_currency": "GBP", "destination_currency": "EUR", "forex_rate": "1.17342199",
            "forex_source": "fx-fixed", "forex_as_of": "2027-01-01T00:00:00Z",
            "conversion_fee": "1.38",
        },
    }  # fmt: skip
    await change_product("card", ProductChange(discount="50"), ANA, shop.ship)
    await shop.seen()
    order = await acme.order("key-00001", quantity=3, wallet_id=euros, quote=quoted["quote"])
    assert (order["amount"], order["amount_currency"], order["discount"]) == (
        "72.05",
        "EUR",
        "1.41",
    )
    debit = await acme.get(f"/transactions/{order['transaction_id']}")
    assert (debit["amount"], debit["conversion_charges"], debit["forex_rate"]) == (
        "72.05", "1.38", "1.17342199",
    )  # fmt: skip
    assert (await acme.get(f"/wallets/{euros}"))["amount"] == "4927.95"
    unquoted = await acme.order("key-00002", quantity=3, wallet_id=euros)
    assert Decimal(unquoted["amount"]) < Decimal(40)


async def test_an_order_without_a_quote_costs_what_charges_say(acme: Caller) -> None:
    """One cascade for both; without conversion there is no rate, and the lines add up."""
    cases: list[tuple[int, dict[str, Any]]] = [
        (1, {}),
        (1, {"denomination": "50.00", "quantity": 7}),
        (2, {"denomination": "7.77"}),
        (3, {"denomination": "500"}),
        (4, {"denomination": "1.25", "quantity": 2}),
    ]
    for number, (product, asked) in enumerate(cases):
        told = await charges(acme, product, **asked)
        order = await acme.order(f"key-{number:05}", **{**ASKED, "product_id": product, **asked})
        assert (order["amount"], order["discount"]) == (
            told["total_payable"], told["discount_amount"],
        )  # fmt: skip
        lines = {name: Decimal(text) for name, text in told.items() if name.endswith(
            ("_total", "_amount", "_payable"))}  # fmt: skip
        fee = Decimal(told["charges_details"]["conversion_fee"] or 0)
        assert lines["non_discounted_total"] - lines["discount_amount"] == lines["total_amount"]
        assert lines["net_amount"] == (
            lines["total_amount"] + lines["handling_fee_amount"]
            + lines["convenience_fee_amount"] + fee
        )  # fmt: skip
        assert lines["net_amount"] + lines["gst_amount"] == lines["total_payable"]
        if order["currency"] == order["amount_currency"]:
            details = told["charges_details"]
            assert [details["forex_rate"], details["conversion_fee"]] == [None, None]
            assert [details["forex_source"], details["forex_as_of"]] == [None, None]


async def test_delivery_time_is_what_the_order_does(shop: Shop, acme: Caller) -> None:
    """INSTANT while the pool holds enough for at most 50; the POST then does just that."""
    await shop.stock(1, "20.00", 51)
    for quantity, said, status in (
        (51, "DELAYED", "PENDING"),
        (50, "INSTANT", "DELIVERED"),
        (2, "DELAYED", "PENDING"),
        (1, "INSTANT", "DELIVERED"),
    ):
        asked: dict[str, Any] = {"denomination": "20.00", "quantity": quantity}
        euros = acme.wallets["EUR"]
        assert (await charges(acme, **asked, wallet_id=euros))["delivery_time"] == said
        available = await acme.post("/products/1/availability", asked)
        assert available == {"is_available": True, "delivery_time": said, "max_quantity": 10000}
        order = await acme.order(f"key-{quantity:05}", quantity=quantity, wallet_id=euros)
        assert (order["delivery_time"], order["status"]) == (said, status)


async def refused(caller: Caller, quote: str, **body: Any) -> tuple[str, str, str]:
    answer = await caller.order("key-00001", 400, **{"quantity": 3, "quote": quote, **body})
    error = answer["error"]
    return error["code"], error["details"]["field"], error["details"]["reason"]


async def test_a_quote_expires_to_the_microsecond(shop: Shop, acme: Caller) -> None:
    """Good before `expires_at`, refused from that very moment, never silently priced anew."""
    quoted = await charges(acme)
    shop.clock.advance(minutes=5)
    assert await refused(acme, quoted["quote"]) == ("INVALID_INPUT", "quote", "quote_expired")
    shop.clock.advance(microseconds=-1)
    assert (await acme.order("key-00001", quantity=3, quote=quoted["quote"]))["status"] == "PENDING"


async def test_a_quote_is_for_one_order(shop: Shop, acme: Caller, bolt: Caller) -> None:
    """Another client, product, denomination, quantity or wallet, or a token that is not ours."""
    quote = (await charges(acme))["quote"]
    mismatch = ("INVALID_INPUT", "quote", "quote_mismatch")
    assert await refused(acme, quote, quantity=2) == mismatch
    assert await refused(acme, quote, denomination="50.00") == mismatch
    assert await refused(acme, quote, product_id=2) == mismatch
    assert await refused(acme, quote, wallet_id=acme.wallets["EUR"]) == mismatch
    theirs = (await charges(bolt))["quote"]
    assert await refused(acme, theirs) == mismatch
    payload, key, signature = quote.split(".")
    for token in (
        "x", ".", "..", "...", payload, f"{payload}.{key}", f"{payload}.{key}.", f"{quote}x",
        f"{payload}A.{key}.{signature}", f"{payload}.k9.{signature}", f".{key}.{signature}",
        quote[:-1], quote + "." + signature, "é" * 20, "x" * 4096, "a.b.c\x7f",
    ):  # fmt: skip
        assert await refused(acme, token) == mismatch, token
    assert (await acme.order("key-00001", quantity=3, quote=quote))["status"] == "PENDING"


async def test_a_quote_is_a_price_and_no_reservation(shop: Shop, acme: Caller) -> None:
    """Stock that went meanwhile is gone: the order waits, at the price that was promised."""
    await shop.stock(1, "20.00", 3)
    quoted = await charges(acme)
    assert quoted["delivery_time"] == "INSTANT"
    await acme.order("key-00002", quantity=1)
    order = await acme.order("key-00001", quantity=3, quote=quoted["quote"])
    assert (order["status"], order["amount"]) == ("PENDING", quoted["total_payable"])


async def test_a_quote_may_be_used_by_any_key(acme: Caller) -> None:
    """Two orders at one price are two orders; money is the limit, not the token."""
    quoted = await charges(acme)
    for key in ("key-00001", "key-00002"):
        order = await acme.order(key, quantity=3, quote=quoted["quote"])
        assert order["amount"] == quoted["total_payable"]
    assert len(await acme.get("/orders")) == 2
