"""Kill switches and breakers in SQL, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from starship_core.audit import By
from starship_core.errors import InvalidInput, NotFound, Unavailable
from starship_core.flows.switch_buying import close_breaker, list_stops, switch_off, switch_on
from starship_core.registration import Rate, VendorTraits
from starship_core.ship import Ship, Vendor
from starship_core.store.breakers import admitted, find_breaker
from starship_core.store.notices import list_notices
from starship_core.store.switches import blocking
from starship_core.testing.clock import ManualClock
from starship_core.vendor_guard import NotAsked, guarded, guarded_buy
from tests.integration.ships import ANA, Dock
from tests.integration.vendors import RULE, Counter, with_vendors


async def blocked(ship: Ship, vendor: str = "north", product_id: int = 1) -> str | None:
    """As a purchase asks on its way to SENT."""
    return await ship.database.run(lambda tx: blocking(tx, vendor=vendor, product_id=product_id))


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        ("global", {("north", 1), ("north", 2), ("south", 1), ("south", 2)}),
        ("vendor:north", {("north", 1), ("north", 2)}),
        ("product:card", {("north", 1), ("south", 1)}),
        ("product:2", {("north", 2), ("south", 2)}),
    ],
)
async def test_a_switch_stops_its_scope_and_no_other(
    dock: Dock, scope: str, stopped: set[tuple[str, int]]
) -> None:
    """Off: a reason for every purchase it reaches; on again: none."""
    ship = with_vendors(dock.ship)
    pairs = [(vendor, product) for vendor in ("north", "south") for product in (1, 2)]
    done = await switch_off(scope, ANA, ship)
    found = {pair for pair in pairs if await blocked(ship, *pair) is not None}
    assert found == stopped
    vendor, product = min(stopped)
    assert await blocked(ship, vendor, product) == (
        f"buying is switched off ({done.scope}): a test"
    )
    await switch_on(scope, ANA, ship)
    assert [await blocked(ship, *pair) for pair in pairs] == [None] * 4


async def test_losing_redis_switches_nothing_on(dock: Dock) -> None:
    """FLUSHALL: the switch is off as before."""
    ship = with_vendors(dock.ship)
    await switch_off("global", ANA, ship)
    await ship.pool.attempt([("FLUSHALL",)])
    assert await blocked(ship) == "buying is switched off (global): a test"


async def test_who_and_why_is_listed_and_audited(dock: Dock, clock: ManualClock) -> None:
    """Both ways; the list has the last of each scope."""
    ship = with_vendors(dock.ship)
    await switch_off("vendor:north", ANA, ship)
    clock.advance(seconds=60)
    await switch_on("vendor:north", By(actor="operator:ben", reason="well again"), ship)
    (switch,) = (await list_stops(ship)).switches
    assert (switch.scope, switch.off, switch.reason, switch.actor, switch.at) == (
        "vendor:north", False, "well again", "operator:ben", clock(),
    )  # fmt: skip
    rows = await dock.sql("SELECT action, actor, subject FROM audit WHERE action LIKE 'switch.%'")
    assert sorted(rows) == [
        ("switch.off", "operator:ana", "switch:vendor:north"),
        ("switch.on", "operator:ben", "switch:vendor:north"),
    ]


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ("everything", InvalidInput), ("vendor:", InvalidInput), ("client:1", InvalidInput),
        ("vendor:west", NotFound), ("product:none", NotFound), ("product:99", NotFound),
    ],
)  # fmt: skip
async def test_a_scope_that_is_none_is_refused(
    dock: Dock, scope: str, error: type[Exception]
) -> None:
    """A misspelt switch must not look as if it had stopped something."""
    with pytest.raises(error):
        await switch_off(scope, ANA, with_vendors(dock.ship))


async def test_a_switch_wants_a_reason(dock: Dock) -> None:
    """Whoever finds it off must learn why."""
    with pytest.raises(InvalidInput, match="say why"):
        await switch_off("global", By(actor="operator:ana", reason=" "), dock.ship)


async def test_failures_open_the_breaker_and_operators_are_told_once(
    dock: Dock, clock: ManualClock
) -> None:
    """The fifth failure within a minute: the next call is not made, and one notice is written."""
    ship = with_vendors(dock.ship)
    vendor, calls = ship.vendors["north"], Counter(Unavailable())
    for _ in range(RULE.failures):
        with pytest.raises(Unavailable, match="temporarily"):
            await guarded(vendor, "catalogue", calls, ship)
    with pytest.raises(Unavailable, match="breaker of north catalogue is open") as refused:
        await guarded(vendor, "catalogue", calls, ship)
    assert (calls.made, refused.value.retry_after) == (RULE.failures, 120)
    notices = await ship.database.read(lambda tx: list_notices(tx, limit=10))
    assert [(one.kind, one.subject) for one in notices] == [("breaker.opened", "vendor:north")]


async def test_an_operation_does_not_stop_another(dock: Dock) -> None:
    """`find` passes while `buy` is open, and so does the other vendor's `buy`."""
    ship = with_vendors(dock.ship)
    await failing_buys(ship)
    assert await ship.database.run(lambda tx: admitted(tx, "north", "buy", rule=RULE, at=0)) > 0
    assert await guarded(ship.vendors["north"], "find", Counter(None), ship) == 1
    assert await ship.database.run(lambda tx: admitted(tx, "south", "buy", rule=RULE, at=0)) == 0


async def test_after_its_rest_one_call_tries_and_closes_it(dock: Dock, clock: ManualClock) -> None:
    """The second one waits for the trial's end; then all pass."""
    ship = with_vendors(dock.ship)
    await failing_buys(ship)
    clock.advance(seconds=120)
    first, second = [await entered(ship) for _ in range(2)]
    assert (first, second) == (0, 2_000_000)
    assert await guarded_buy(ship.vendors["north"], Counter(None), ship) == 1
    assert [await entered(ship) for _ in range(3)] == [0, 0, 0]
    assert (await list_stops(ship)).breakers == []


async def test_a_trial_that_the_rate_limit_held_up_says_nothing(
    dock: Dock, clock: ManualClock
) -> None:
    """It was not made: the next one is the trial, and no failure was counted."""
    limits = {"buy": Rate(1, 3600)}
    ship = with_vendors(dock.ship, VendorTraits(rate_limits=limits), patience=0)
    vendor, calls = ship.vendors["north"], Counter(None)
    await guarded_buy(vendor, calls, ship)
    await failing_buys(ship, with_vendors(dock.ship).vendors["north"])
    clock.advance(seconds=120)
    assert await entered(ship) == 0
    with pytest.raises(Unavailable, match="rate limit"):
        await guarded_buy(vendor, calls, ship)
    assert (calls.made, await entered(ship)) == (1, 0)


async def test_an_operator_closes_a_breaker(dock: Dock) -> None:
    """At once; the audit has what it was."""
    ship = with_vendors(dock.ship)
    await failing_buys(ship)
    await close_breaker("north", "buy", ANA, ship)
    assert await entered(ship) == 0
    rows = await dock.sql("SELECT subject FROM audit WHERE action = 'breaker.close'")
    assert rows == [("breaker:north:buy",)]
    with pytest.raises(NotFound):
        await close_breaker("north", "find", ANA, ship)


async def test_a_success_is_not_written_down(dock: Dock) -> None:
    """The ordinary call costs a read and no row."""
    ship = with_vendors(dock.ship)
    await guarded(ship.vendors["north"], "find", Counter(None), ship)
    assert await ship.database.read(lambda tx: find_breaker(tx, "north", "find")) is None


async def entered(ship: Ship) -> int:
    """As a purchase asks on its way to SENT."""
    at = int(ship.now().timestamp() * 1_000_000)
    return await ship.database.run(lambda tx: admitted(tx, "north", "buy", rule=RULE, at=at))


async def failing_buys(ship: Ship, vendor: Vendor | None = None) -> None:
    """As many as it takes."""
    calls: Any = Counter(Unavailable())
    for _ in range(RULE.failures):
        with pytest.raises(Unavailable):
            await guarded_buy(vendor or ship.vendors["north"], calls, ship)


async def test_a_trial_that_was_not_sent_says_nothing(dock: Dock, clock: ManualClock) -> None:
    """The sender's lease was over: the vendor was not asked, and the next one is the trial."""
    ship = with_vendors(dock.ship)
    await failing_buys(ship)
    clock.advance(seconds=120)
    assert await entered(ship) == 0
    with pytest.raises(NotAsked):
        await guarded_buy(ship.vendors["north"], Counter(NotAsked()), ship)
    assert await entered(ship) == 0


async def test_of_many_at_once_one_tries(dock: Dock, clock: ManualClock) -> None:
    """Half open, five workers in one moment: one is let through, four wait for it."""
    ship = with_vendors(dock.ship)
    await failing_buys(ship)
    clock.advance(seconds=120)
    waits = await asyncio.gather(*(entered(ship) for _ in range(5)))
    assert sorted(waits) == [0, *[2_000_000] * 4]
