"""Purchases for the stock, under a standing approval of a budget, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from starship_core.buying.planning import Market, plan_standing
from starship_core.errors import Ambiguous, InvalidInput, WrongState
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.resolve_purchase import resolve_not_bought
from starship_core.model import Money, Refused
from starship_core.ship import Ship
from starship_core.store.approvals import Terms, insert_approval
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import Scripted, at_market, states
from tests.integration.ships import ANA, CARD, Dock


async def budget(ship: Ship, minor: int = 10_000, hours: int = 24) -> int:
    terms = Terms(
        vendors=("north",), ceiling=Money(minor, "EUR"), actor="policy:stock", reason="low",
        expires_at=ship.now() + timedelta(hours=hours),
    )  # fmt: skip
    approval = await ship.database.run(
        lambda tx: insert_approval(tx, terms, CARD, ship.now(), order=None)
    )
    return approval.id


async def plan(ship: Ship, approval: int, minor: int = 6_000, **more: Any) -> list[int]:
    what: dict[str, Any] = {"vendor": "north", "quantity": 2, "ceiling": Money(minor, "EUR")} | more
    return await ship.database.run(
        lambda tx: plan_standing(tx, approval, Market.of(ship), now=ship.now(), **what)
    )


async def spent(dock: Dock) -> int:
    return int((await dock.sql("SELECT planned FROM approvals"))[0][0])


async def test_bought_for_the_stock(dock: Dock) -> None:
    """Split by what the vendor sells at once; all of it is on sale, and belongs to no order."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    ids = await plan(ship, await budget(ship), quantity=12)
    assert len(ids) == 2
    assert await dock.sql("SELECT quantity, ceiling FROM purchases ORDER BY id") == [
        (10, 5_000), (2, 1_000),
    ]  # fmt: skip
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "BOUGHT")] * 2
    assert (len(await dock.on_sale()), await spent(dock)) == (12, 6_000)
    await dock.sound()


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ({"vendor": "south"}, InvalidInput),
        ({"ceiling": Money(5, "USD")}, InvalidInput),
        ({"quantity": 0}, InvalidInput),
        ({"ceiling": Money(0, "EUR")}, InvalidInput),
        ({"ceiling": Money(10_001, "EUR")}, WrongState),
    ],
)
async def test_what_a_budget_does_not_hold(
    dock: Dock, what: dict[str, Any], error: type[Exception]
) -> None:
    """Nothing is planned, and nothing taken from it."""
    ship = await at_market(dock, {"north": Scripted(), "south": Scripted()})
    approval = await budget(ship)
    with pytest.raises(error):
        await plan(ship, approval, **what)
    assert (await states(dock), await spent(dock)) == ([], 0)


async def test_a_budget_is_never_overspent(dock: Dock, clock: ManualClock) -> None:
    """Ten at once, of which it holds three; none after its time."""
    ship = await at_market(dock, {"north": Scripted()})
    approval = await budget(ship)
    done = await asyncio.gather(
        *(plan(ship, approval, 3_000) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(one, list) for one in done) == 3
    assert await spent(dock) == 9_000
    clock.advance(hours=25)
    with pytest.raises(WrongState):
        await plan(ship, approval, 1)
    await dock.sound()


async def unbought(dock: Dock, ship: Ship, north: Scripted) -> asyncio.Task[int]:
    """Its sender hangs, and an operator said that nothing was bought; 6000 are given back."""
    sending = asyncio.create_task(sweep_purchases(ship))
    await north.called.wait()
    clock = ship.now
    assert isinstance(clock, ManualClock)
    clock.advance(hours=1)
    await sweep_purchases(ship)
    await resolve_not_bought(1, "ticket 7", ANA, ship)
    assert (await states(dock), await spent(dock)) == ([("north", "NOT_BOUGHT")], 0)
    return sending


async def test_bought_after_all_takes_its_budget_back(dock: Dock) -> None:
    """A late answer: goods into the stock, and the budget knows."""
    north = Scripted(gate=asyncio.Event())
    ship = await at_market(dock, {"north": north})
    await plan(ship, await budget(ship))
    sending = await unbought(dock, ship, north)
    assert north.gate is not None
    north.gate.set()
    await sending
    assert (await states(dock), await spent(dock)) == ([("north", "BOUGHT")], 6_000)
    assert len(await dock.on_sale()) == 2
    await dock.sound()


async def test_bought_after_all_when_the_budget_was_planned_anew(dock: Dock) -> None:
    """Flagged as late; `verify` counts against the budget what was planned under it."""
    north = Scripted(gate=asyncio.Event())
    ship = await at_market(dock, {"north": north})
    approval = await budget(ship)
    await plan(ship, approval)
    sending = await unbought(dock, ship, north)
    await plan(ship, approval)
    assert north.gate is not None
    north.gate.set()
    await sending
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "BOUGHT")] * 2
    assert await dock.sql("SELECT is_late FROM purchases ORDER BY id") == [(1,), (0,)]
    assert await spent(dock) == 6_000
    assert await dock.sql("SELECT kind FROM notices") == [("purchase.late",)]
    await dock.sound()


async def test_a_refusal_gives_its_budget_back(dock: Dock) -> None:
    """And is never planned at another vendor by itself."""
    ship = await at_market(dock, {"north": Scripted([Refused(reason="no")])})
    await plan(ship, await budget(ship))
    await sweep_purchases(ship)
    assert (await states(dock), await spent(dock)) == ([("north", "REFUSED")], 0)
    await dock.sound()


async def test_one_in_doubt_keeps_its_budget(dock: Dock) -> None:
    """It may have been bought."""
    ship = await at_market(dock, {"north": Scripted([Ambiguous("?")])})
    await plan(ship, await budget(ship))
    await sweep_purchases(ship)
    assert (await states(dock), await spent(dock)) == ([("north", "UNKNOWN")], 6_000)
    await dock.sound()
