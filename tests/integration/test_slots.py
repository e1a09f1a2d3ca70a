"""Cron slots: one row a slot, claimed once by the database's clock, and fenced by a token."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from starship_core.clock import micros, utc_now
from starship_core.database import Database, Tx, opened
from starship_core.errors import Unavailable
from starship_core.ship import Ship
from starship_core.store.labour import runs
from starship_core.store.slots import SECOND, Claim, claim, database_time, end, hold, oldest_unrun
from starship_core.sweeping import Sweeper
from starship_core.sweeps import Sweep
from starship_core.testing.clock import START, ManualClock
from tests.integration.ships import Dock

NOW = micros(START)
HALF_HOUR = 30 * 60
SLOT = NOW


def claimed(tx: Tx, name: str, *, now: int = NOW, slot: int = SLOT) -> int:
    return claim(tx, "pump", slot, holder=(f"token-{name}", name), now=now)


def of(name: str) -> Claim:
    return Claim(kind="pump", slot=SLOT, token=f"token-{name}", claims=1)


async def slots(database: Database) -> list[tuple[Any, ...]]:
    text = "SELECT slot, worker, claims, ended_at FROM cron_slots ORDER BY slot"
    return [tuple(row) for row in await database.read(lambda tx: tx.execute(text))]


async def test_twenty_claim_and_one_has_it(database_url: str, tmp_path: Path) -> None:
    """Twenty workers, each with connections of its own, at the same moment."""
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(opened(database_url, folder=tmp_path, connections=1))
            for _ in range(20)
        ]
        got = await asyncio.gather(
            *(each.run(lambda tx, n=n: claimed(tx, f"w{n}")) for n, each in enumerate(workers))
        )
        assert sorted(got) == [0] * 19 + [1]
        assert await slots(workers[0]) == [(SLOT, f"w{got.index(1)}", 1, None)]


async def test_a_slot_ahead_of_the_database_is_not_to_be_had(database: Database) -> None:
    """A worker 40 minutes ahead asks for a slot that is not due for anybody else."""
    late = SLOT + 40 * 60 * SECOND
    assert await database.run(lambda tx: claimed(tx, "ahead", slot=late)) == 0
    assert await database.run(lambda tx: claimed(tx, "ahead", slot=NOW + 60 * SECOND + 1)) == 0
    assert await slots(database) == []
    assert await database.run(lambda tx: claimed(tx, "near", slot=NOW + 60 * SECOND)) == 1


async def test_a_lease_that_ended_is_taken_over_and_fenced(database: Database) -> None:
    """Until it ends nobody else has it; then the first one's writes meet no row."""
    later = NOW + 60 * SECOND
    assert await database.run(lambda tx: claimed(tx, "first")) == 1
    assert await database.run(lambda tx: claimed(tx, "second", now=later - 1)) == 0
    assert await database.run(lambda tx: claimed(tx, "second", now=later)) == 2
    assert not await database.run(lambda tx: hold(tx, of("first"), later + 60 * SECOND))
    assert not await database.run(lambda tx: end(tx, of("first"), later))
    assert await database.run(lambda tx: end(tx, of("second"), later + 5))
    assert await slots(database) == [(SLOT, "second", 2, later + 5)]
    assert await database.run(lambda tx: claimed(tx, "third", now=later + 90 * SECOND)) == 0


async def test_a_later_slot_waits_for_the_one_that_is_being_run(database: Database) -> None:
    """A pump that takes longer than half an hour is not overtaken by the next one."""
    following = SLOT + HALF_HOUR * SECOND
    await database.run(lambda tx: claimed(tx, "long"))
    await database.run(lambda tx: hold(tx, of("long"), following + 10 * SECOND))
    assert await database.run(lambda tx: claimed(tx, "next", slot=following, now=following)) == 0
    await database.run(lambda tx: end(tx, of("long"), following + 1))
    assert await database.run(lambda tx: claimed(tx, "next", slot=following, now=following)) == 1


async def test_missed_slots_are_due_once(database: Database) -> None:
    """After a night without workers the age tells of the first slot missed."""

    def due(now: int) -> Any:
        return database.read(lambda tx: oldest_unrun(tx, "pump", HALF_HOUR, now))

    assert await due(NOW + 7) == NOW + 7  # never run: from now on
    await database.run(lambda tx: claimed(tx, "one"))
    assert await due(NOW + 7) is None  # somebody is at it
    assert await due(NOW + 60 * SECOND) == SLOT  # and died
    await database.run(lambda tx: end(tx, of("one"), NOW))
    assert await due(NOW + 1799 * SECOND) is None
    assert await due(NOW + 8 * 3600 * SECOND) == SLOT + 1800 * SECOND


async def test_the_database_tells_the_time(database: Database, clock: ManualClock) -> None:
    """Its clock is near this machine's, whatever an injected one says."""
    before = micros(utc_now())
    found = await database.read(database_time)
    assert before - 5 * SECOND <= found <= micros(utc_now()) + 5 * SECOND


# --- a sweep in its slot ---------------------------------------------------------------------


def sweep(run: Any, every: int = HALF_HOUR) -> Sweep:
    return Sweep(kind="test", about="", run=run, every=every)


async def three(_ship: Ship) -> int:
    return 3


async def test_one_run_a_slot_also_with_a_clock_ahead(dock: Dock, clock: ManualClock) -> None:
    """The slot is the database's: a worker 40 minutes ahead finds the same one, and it is done."""
    ahead = ManualClock(clock())
    ahead.advance(minutes=40)
    fast = replace(dock.ship, now=ahead)
    assert await Sweeper(fast, "fast").on_time(sweep(three)) == 3
    assert await Sweeper(dock.ship, "right").on_time(sweep(three)) is None
    assert await Sweeper(fast, "fast").on_time(sweep(three)) is None
    assert [row[0] for row in await slots(dock.ship.database)] == [SLOT]
    clock.advance(minutes=30)
    assert await Sweeper(dock.ship, "right").on_time(sweep(three)) == 3
    found = (await dock.ship.database.read(runs))["test"]
    assert (found.runs, found.failures, found.done, found.worker) == (2, 0, 3, "right")


async def test_who_was_stopped_cannot_write_late(dock: Dock, clock: ManualClock) -> None:
    """A worker sleeps in its sweep until its lease has ended; another ran the slot meanwhile."""
    began, go = asyncio.Event(), asyncio.Event()

    async def sleepy(_ship: Ship) -> int:
        began.set()
        await go.wait()
        return 99

    first = asyncio.create_task(Sweeper(dock.ship, "stopped").on_time(sweep(sleepy)))
    await began.wait()
    clock.advance(seconds=60)
    assert await Sweeper(dock.ship, "other").on_time(sweep(three)) == 3
    go.set()
    await first
    found = (await dock.ship.database.read(runs))["test"]
    assert (found.runs, found.done, found.worker) == (1, 3, "other")
    assert await slots(dock.ship.database) == [(SLOT, "other", 2, micros(clock()))]


async def test_a_sweep_whose_lease_is_lost_is_cut_off(
    dock: Dock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learns of it at its next renewal, and does not go on beside the one who took over."""
    monkeypatch.setattr("starship_core.sweeping.RENEW_EVERY", 0.02)
    began, cut = asyncio.Event(), asyncio.Event()

    async def endless(_ship: Ship) -> int:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            cut.set()
        return 1

    first = asyncio.create_task(Sweeper(dock.ship, "slow").on_time(sweep(endless)))
    await began.wait()
    await dock.change("UPDATE cron_slots SET token = 'another', worker = 'other'")
    assert await first == 0
    assert cut.is_set()
    assert await dock.ship.database.read(runs) == {}


async def test_what_failed_is_tried_again_a_minute_later(dock: Dock, clock: ManualClock) -> None:
    """Five times in a slot; then the next slot's turn."""
    tries = 0

    async def broken(_ship: Ship) -> int:
        nonlocal tries
        tries += 1
        raise Unavailable("down", retry_after=1) if tries % 2 else RuntimeError("CODE-1")

    sweeper = Sweeper(dock.ship, "w")
    for _ in range(10):
        await sweeper.on_time(sweep(broken))
        assert await sweeper.on_time(sweep(broken)) is None
        clock.advance(seconds=60)
    assert tries == 5
    found = (await dock.ship.database.read(runs))["test"]
    assert (found.runs, found.failures, found.result) == (5, 5, "Unavailable")
    clock.advance(minutes=20)
    await sweeper.on_time(sweep(broken))
    assert tries == 6
