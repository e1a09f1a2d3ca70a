"""What a vendor hands over and was not asked for: an operator is told just what is odd about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from starship_core.access import Client
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.resolve_purchase import resolve_bought
from starship_core.model import Accepted, Bought, Money, Purchase, Secret, Sku, Voucher
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import CAREFUL, Scripted, at_market, goods
from tests.integration.ships import ANA, CARD, SMALL, Dock, Shelf

EUROS = Money(10_000, "EUR")
WHOLE = replace(CAREFUL, partial=False)


def unit(code: str, number: int, sku: Sku = CARD) -> Voucher:
    return Voucher(sku=sku, reference=str(number), card_number=Secret(f"ODD-CODE-{code}"))


def repeated(_purchase: Purchase) -> Bought:
    return Bought(vouchers=(unit("A", 1), unit("A", 2)), charged=None, final=True)


def thrice(_purchase: Purchase) -> Bought:
    return Bought(
        vouchers=(unit("A", 1), unit("A", 2), unit("B", 3), unit("C", 4)), charged=None, final=True
    )


def other_face(purchase: Purchase) -> Bought:
    return goods(purchase, sku=SMALL)


def other_reference(_purchase: Purchase) -> Bought:
    return Bought(vouchers=(unit("A", 1), unit("B", 1)), charged=None, final=True)


def nothing_at_all(purchase: Purchase) -> Bought:
    return goods(purchase, count=0)


def short(purchase: Purchase) -> Bought:
    return goods(purchase, count=1)


DUPLICATE = "a unit is duplicate: the same code as purchase:1:1"
CASES: dict[str, tuple[Any, int, int, list[str]]] = {
    "repeated code": (repeated, 0, 0, [DUPLICATE, "0 of 2 came, and no more will"]),
    "other face": (
        other_face, 0, 0,
        ["a unit is quarantined: 1/10.00/EUR came, 1/25.00/EUR was bought"] * 2
        + ["0 of 2 came, and no more will"],
    ),
    "one reference twice": (
        other_reference, 1, 1,
        ["a unit was refused: this reference came before, with another code; nothing was taken",
         "1 of 2 came, and no more will"],
    ),
    "nothing": (nothing_at_all, 0, 0, ["0 of 2 came, and no more will"]),
    "too few": (short, 1, 1, ["1 of 2 came, and no more will"]),
}  # fmt: skip
"""What comes for two cards, how many count, how many are delivered, and what is said of it."""


async def said(dock: Dock) -> list[str]:
    """The purchase's evidence, without times."""
    ((evidence,),) = await dock.sql("SELECT evidence FROM purchases")
    return [line.partition(" ")[2] for line in evidence.splitlines()]


@pytest.mark.parametrize("case", CASES)
async def test_evidence_and_notice_name_what_is_odd(dock: Dock, acme: Client, case: str) -> None:
    """Without a code; what is fit is delivered, what is not counts for nothing."""
    sells, received, delivered, odd = CASES[case]
    ship = await at_market(dock, {"north": Scripted([sells])}, WHOLE)
    order_id = (await dock.place(acme, "key-odd", quantity=2)).order.id
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    await sweep_purchases(ship)
    assert await dock.sql("SELECT state, received FROM purchases") == [("NEEDS_REVIEW", received)]
    assert await said(dock) == [f"north: sold {received} of 2", *odd]
    ((text,),) = await dock.sql("SELECT text FROM notices WHERE kind = 'purchase.review'")
    assert text.startswith("; ".join(odd) + ". Nothing is bought for its items")
    order = await dock.order(order_id)
    assert (order.sub_status, order.delivered_quantity) == ("NEEDS_REVIEW", delivered)
    rows = await dock.sql("SELECT reason, after FROM audit")
    assert "ODD-CODE" not in str([*rows, text, await said(dock)])
    await dock.sound()


async def test_a_repeated_code_does_not_make_a_purchase_whole(dock: Dock, acme: Client) -> None:
    """Of four units two have one code: the other two are what was bought, and are delivered."""
    ship = await at_market(dock, {"north": Scripted([thrice])}, WHOLE)
    order_id = (await dock.place(acme, "key-odd", quantity=2)).order.id
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    await sweep_purchases(ship)
    assert await dock.sql("SELECT state, received FROM purchases") == [("BOUGHT", 2)]
    assert await said(dock) == ["north: sold 2 of 2", DUPLICATE]
    assert (await dock.order(order_id)).status == "DELIVERED"
    assert await dock.sql("SELECT state, count(*) FROM vouchers GROUP BY state ORDER BY state") == [
        ("assigned", 2), ("blocked", 1),
    ]  # fmt: skip
    await dock.sound()


async def test_one_unit_under_two_references_is_not_one_unit(dock: Dock, acme: Client) -> None:
    """For a single card: nothing is sold of it, the order waits, and the vendor's word on it, in a
    file with the code that is right, is delivered.
    """
    ship = await at_market(dock, {"north": Scripted([repeated])}, WHOLE)
    order_id = (await dock.place(acme, "key-odd")).order.id
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    await sweep_purchases(ship)
    assert await dock.sql("SELECT state, received FROM purchases") == [("NEEDS_REVIEW", 0)]
    right = Shelf(waiting={"9": unit("B", 9)})
    assert (await resolve_bought(1, {"file": right}, ANA, ship)).state == "BOUGHT"
    assert (await dock.order(order_id)).status == "DELIVERED"
    await dock.sound()


async def test_what_never_came_says_so(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """One card of two came, the other never did: asked for the last time, it is an operator's."""
    north = Scripted([Accepted(vendor_reference="V-1")], [goods_part] * 14)
    ship = await at_market(dock, {"north": north}, CAREFUL)
    order_id = (await dock.place(acme, "key-odd", quantity=2)).order.id
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    for _ in range(14):
        await sweep_purchases(ship)
        clock.advance(hours=25)
    assert await dock.sql("SELECT state, received FROM purchases") == [("NEEDS_REVIEW", 1)]
    assert (await said(dock))[-1] == "1 of 2 came, and the vendor was asked for the last time"
    await dock.sound()


def goods_part(purchase: Purchase) -> Bought:
    """The first unit, each time, and not the last word."""
    return goods(purchase, count=1, final=False)
