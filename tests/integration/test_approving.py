"""Whom an approval asks: those that are preferred, those that stand still, and what is advised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from starship_core.access import Client
from starship_core.breaker import Rule
from starship_core.clock import micros
from starship_core.errors import Ambiguous, InvalidInput, Unavailable
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.explain_order import explain_order
from starship_core.flows.switch_buying import switch_off, switch_on
from starship_core.model import Money, Refused
from starship_core.ship import Ship
from starship_core.store.breakers import ended, find_breaker
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import Scripted, at_market, goods, states
from tests.integration.ships import ANA, CARD, Dock

EUROS = Money(10_000, "EUR")


async def parked(dock: Dock, acme: Client, quantity: int = 2) -> int:
    return (await dock.place(acme, "key-parked", quantity=quantity)).order.id


async def breaks(ship: Ship, vendor: str) -> None:
    """Its breaker of `buy` is open from now on."""
    rule, at = Rule.of(ship.config.buying), micros(ship.now())
    for _ in range(rule.failures):
        await ship.database.run(
            lambda tx: ended(tx, vendor, "buy", rule=rule, cause="Ambiguous", at=at)
        )


async def priced(ship: Ship, vendor: str, cost: Money) -> None:
    offer = VendorOffer(
        product_id=1, code="card", currency="EUR", vendor=vendor,
        vendor_product=f"{vendor}-card", cost=cost, cost_face=CARD.denomination, priority=5,
    )  # fmt: skip
    await ship.database.run(write_offer, offer, 1)


async def test_nobody_named_means_those_that_are_preferred(dock: Dock, acme: Client) -> None:
    """South has the lower number; north, the next, is asked after its refusal."""
    north, south = Scripted(), Scripted([Refused(reason="no")])
    ship = await at_market(dock, {"north": north, "south": south})
    await priced(ship, "south", Money(2_300, "EUR"))
    order_id = await parked(dock, acme)
    await approve_fallback(order_id, ANA, ship, ceiling=EUROS)
    assert await dock.sql("SELECT vendors FROM approvals") == [('["south","north"]',)]
    await sweep_purchases(ship)
    await sweep_purchases(ship)
    assert await states(dock) == [("south", "REFUSED"), ("north", "BOUGHT")]
    await dock.sound()


async def test_nobody_named_and_nobody_sells(dock: Dock, acme: Client) -> None:
    """It is said where to look; nothing is written."""
    order_id = await parked(dock, acme)
    with pytest.raises(InvalidInput, match="nobody sells"):
        await approve_fallback(order_id, ANA, dock.ship, ceiling=EUROS)
    assert await dock.sql("SELECT count(*) FROM approvals") == [(0,)]


@pytest.mark.parametrize("how", ["breaker", "switch"])
async def test_who_stands_still_is_passed_over(dock: Dock, acme: Client, how: str) -> None:
    """South is next in the approval; when it refuses, north, which was not asked, has its turn."""
    north, south = Scripted(), Scripted([Refused(reason="no")])
    ship = await at_market(dock, {"north": north, "south": south})
    order_id = await parked(dock, acme)
    if how == "breaker":
        await breaks(ship, "north")
    else:
        await switch_off("vendor:north", ANA, ship)
    await approve_fallback(order_id, ANA, ship, vendors=["north", "south"], ceiling=EUROS)
    assert await states(dock) == [("south", "PLANNED")]
    await sweep_purchases(ship)
    assert await states(dock) == [("south", "REFUSED"), ("north", "PLANNED")]
    await sweep_purchases(ship)
    assert north.asked == []  # it stands still, and its purchase waits
    await dock.sound()


async def test_all_stand_still(dock: Dock, acme: Client) -> None:
    """The first of them keeps the purchase, until it may be sent."""
    ship = await at_market(dock, {"north": Scripted(), "south": Scripted()})
    order_id = await parked(dock, acme)
    for vendor in ("north", "south"):
        await breaks(ship, vendor)
    await approve_fallback(order_id, ANA, ship, vendors=["north", "south"], ceiling=EUROS)
    assert await states(dock) == [("north", "PLANNED")]


async def test_an_outage_is_bought_elsewhere(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """North accepts nothing, over and over, under one reference: when its breaker opens, the
    approval's next vendor is asked, once; who sweeps at the same moment changes nothing.
    """
    north, south = Scripted([Unavailable("away")] * 9), Scripted()
    ship = await at_market(dock, {"north": north, "south": south})
    order_id = await parked(dock, acme)
    await approve_fallback(order_id, ANA, ship, vendors=["north", "south"], ceiling=EUROS)
    for _ in range(40):
        await asyncio.gather(*(sweep_purchases(ship) for _ in range(3)))
        clock.advance(seconds=2)
    assert await states(dock) == [("north", "NOT_BOUGHT"), ("south", "BOUGHT")]
    assert (len(north.asked), len(set(north.asked)), len(south.asked)) == (5, 1, 1)
    assert (await dock.order(order_id)).status == "DELIVERED"
    ((evidence,),) = await dock.sql("SELECT evidence FROM purchases WHERE vendor = 'north'")
    assert evidence.splitlines()[-1].endswith(
        "north stands still and has accepted nothing; the next vendor is asked"
    )
    assert await dock.sql("SELECT ceiling FROM purchases") == [(10_000,), (10_000,)]
    await dock.sound()


async def test_switched_off_after_it_was_planned(dock: Dock, acme: Client) -> None:
    """South is asked instead; it refuses, and north, which is on again and was never sent
    anything, has its turn.
    """
    north, south = Scripted(), Scripted([Refused(reason="no")])
    ship = await at_market(dock, {"north": north, "south": south})
    order_id = await parked(dock, acme)
    await approve_fallback(order_id, ANA, ship, vendors=["north", "south"], ceiling=EUROS)
    await switch_off("vendor:north", ANA, ship)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "NOT_BOUGHT"), ("south", "PLANNED")]
    await switch_on("vendor:north", ANA, ship)
    for _ in range(2):
        await sweep_purchases(ship)
    assert await states(dock) == [
        ("north", "NOT_BOUGHT"), ("south", "REFUSED"), ("north", "BOUGHT"),
    ]  # fmt: skip
    await dock.sound()


async def test_what_is_in_doubt_stays_where_it_is(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """North's breaker is open and south is awake, but nobody knows whether north sold it."""
    north, south = Scripted([Ambiguous("?")], [Unavailable("away")] * 99), Scripted()
    ship = await at_market(dock, {"north": north, "south": south})
    order_id = await parked(dock, acme)
    await approve_fallback(order_id, ANA, ship, vendors=["north", "south"], ceiling=EUROS)
    await sweep_purchases(ship)
    await breaks(ship, "north")
    for _ in range(30):
        clock.advance(hours=1)
        await sweep_purchases(ship)
    assert await states(dock) == [("north", "NEEDS_REVIEW")]
    assert south.asked == []
    await dock.sound()


@pytest.mark.parametrize("scope", ["global", "product:card", "breakers", "alone"])
async def test_it_waits_where_nobody_else_can_be_asked(
    dock: Dock, acme: Client, clock: ManualClock, scope: str
) -> None:
    """All are switched off, stand still, or no other is named: the purchase keeps its reference."""
    market = {"north": Scripted(), "south": Scripted()}
    ship = await at_market(dock, market)
    order_id = await parked(dock, acme)
    vendors = ["north"] if scope == "alone" else ["north", "south"]
    await approve_fallback(order_id, ANA, ship, vendors=vendors, ceiling=EUROS)
    if scope in ("breakers", "alone"):
        for vendor in vendors:
            await breaks(ship, vendor)
    else:
        await switch_off(scope, ANA, ship)
    for _ in range(3):
        await sweep_purchases(ship)
        clock.advance(seconds=20)
    assert await states(dock) == [("north", "PLANNED")]
    assert [port.asked for port in market.values()] == [[], []]


async def advised(order_id: int, ship: Ship) -> list[str]:
    return [one.command for one in (await explain_order(order_id, ship)).next]


async def test_explain_advises_to_approve(dock: Dock, acme: Client) -> None:
    """The preferred vendor, and what two of them cost when it was last looked at."""
    ship = await at_market(dock, {"north": Scripted(), "south": Scripted()})
    order_id = await parked(dock, acme)
    face = f'starship order approve {order_id} --vendor north --ceiling 50.00 --reason "…"'
    assert face in await advised(order_id, ship)
    await priced(ship, "south", Money(2_301, "EUR"))
    known = f'starship order approve {order_id} --vendor south --ceiling 46.02 --reason "…"'
    assert known in await advised(order_id, ship)


async def test_explain_advises_to_settle(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """What is being bought is neither approved again nor cancelled; one in review is settled."""
    ship = await at_market(dock, {"north": Scripted([Ambiguous("?")], [Ambiguous("?")] * 9)})
    order_id = await parked(dock, acme)
    done = await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    (one,) = done.purchases
    cancel = f'starship order cancel {order_id} --reason "…"'
    refuse = f'starship order refuse {order_id} --reason "…"'
    assert await advised(order_id, ship) == [f"starship purchase show {one}", cancel, refuse]
    await sweep_purchases(ship)
    assert await advised(order_id, ship) == [f"starship purchase show {one}"]
    for _ in range(30):
        clock.advance(hours=1)
        await sweep_purchases(ship)
    assert await advised(order_id, ship) == [
        f"starship purchase show {one}",
        f'starship purchase resolve {one} --not-bought --evidence "…"',
    ]


async def test_a_lease_that_was_over_is_no_failure_of_the_vendor(
    dock: Dock, acme: Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its breaker counts nothing: it was not even asked."""
    north = Scripted([goods])
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)

    async def slept(*_: Any) -> None:
        clock.advance(hours=1)

    monkeypatch.setattr("starship_core.vendor_guard._turn", slept)
    await sweep_purchases(ship)
    assert north.asked == []
    assert await ship.database.read(find_breaker, "north", "buy") is None
