"""The log of deliveries ends where the configuration says; what is due, never."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from starship_core.access import Client
from starship_core.flows import forget_deliveries
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.forget_deliveries import sweep_retention
from starship_core.flows.manage_webhooks import Changes, change_webhook
from starship_core.flows.redeliver_events import redeliver
from starship_core.flows.relay_events import sweep_relay
from starship_core.metrics import exposition_of_work
from starship_core.ship import Ship
from starship_core.store.delivery_counts import Tally, tally_of_all
from starship_core.store.feed import read_events
from starship_core.sweeps import look
from starship_core.testing.clock import ManualClock
from starship_core.web.status import _figures
from tests.integration.receivers import Recorder, hook, recorded
from tests.integration.ships import ANA, Dock

UP, DOWN = "https://up.example/hook", "https://down.example/hook"


@pytest.fixture
async def told(dock: Dock, acme: Client, clock: ManualClock) -> Dock:
    """An order of one event each that was taken, that failed, and that goes on being tried."""
    told = recorded(dock, Recorder(down={DOWN}))
    await hook(told, acme, UP, "order.pending")
    await hook(told, acme, DOWN, "order.pending")
    await told.place(acme, "key-old")
    await sweep_relay(told.ship)
    for _ in range(8):
        await sweep_deliveries(told.ship)
        clock.advance(hours=7)
    return told


async def deliveries(dock: Dock) -> list[tuple[str, str]]:
    rows = await dock.sql("SELECT event_id, status FROM deliveries ORDER BY event_id, status")
    return [tuple(row) for row in rows]


async def tally(ship: Ship) -> Tally:
    return await ship.database.read(tally_of_all, round(ship.now().timestamp() * 1_000_000))


OLD = "evt_1_1_order.pending"
YOUNG = "evt_2_1_order.pending"


async def test_what_is_old_is_removed(told: Dock, acme: Client, clock: ManualClock) -> None:
    """With its attempts, after thirty days and no sooner; the feed has the event all the same, and
    nothing is broken. Counters go on.
    """
    assert await deliveries(told) == [(OLD, "DELIVERED"), (OLD, "FAILED")]
    assert await tally(told.ship) == Tally(due=0, delivered=1, failed=1)
    clock.advance(hours=24 * 30 - 8 * 7 - 1)
    assert await sweep_retention(told.ship) == 0
    await told.place(acme, "key-young")
    await sweep_relay(told.ship)
    clock.advance(hours=8 * 7 + 2)
    assert await sweep_retention(told.ship) == 2
    assert await deliveries(told) == [(YOUNG, "PENDING"), (YOUNG, "PENDING")]
    assert await told.sql("SELECT count(*) FROM delivery_attempts") == [(0,)]
    assert await sweep_retention(told.ship) == 0
    feed = await told.ship.database.read(lambda tx: read_events(tx, acme.id, after=0, limit=10))
    assert [each.event_id for each in feed if each.event_type == "order.pending"] == [OLD, YOUNG]
    assert await tally(told.ship) == Tally(due=2, delivered=1, failed=1)
    await told.sound()


async def test_what_is_due_is_never_removed(told: Dock, clock: ManualClock) -> None:
    """A year old, brought back by an operator: it is due, so it stays; attempted, it is young."""
    clock.advance(hours=24 * 365)
    await redeliver(1, ANA, told.ship, client_id=None)
    assert await tally(told.ship) == Tally(due=1, delivered=1, failed=1)
    assert await sweep_retention(told.ship) == 1
    assert await deliveries(told) == [(OLD, "PENDING")]
    answering = recorded(told, Recorder())
    await sweep_deliveries(answering.ship)
    assert await sweep_retention(told.ship) == 0
    assert await deliveries(told) == [(OLD, "DELIVERED")]
    assert await tally(told.ship) == Tally(due=0, delivered=2, failed=1)
    clock.advance(hours=24 * 30 + 1)
    assert await sweep_retention(told.ship) == 1
    await told.sound()


async def test_the_configuration_says_how_long(told: Dock, clock: ManualClock) -> None:
    """A day, when it says so."""
    config = msgspec.structs.replace(
        told.ship.config, webhooks=msgspec.structs.replace(told.ship.config.webhooks, keep_days=1)
    )
    clock.advance(hours=25)
    assert await sweep_retention(replace(told.ship, config=config)) == 2


async def test_many_are_removed_in_parts_by_several(
    told: Dock, acme: Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three sweeps at once, in parts of two: each delivery is removed once; young ones are behind
    old ones that are kept.
    """
    monkeypatch.setattr(forget_deliveries, "BATCH", 2)
    for n in range(5):
        await told.place(acme, f"key-more-{n}")
    await sweep_relay(told.ship)
    while await sweep_deliveries(told.ship):
        clock.advance(hours=7)
    clock.advance(hours=24 * 31)
    await redeliver(
        (await told.sql("SELECT min(id) FROM deliveries"))[0][0], ANA, told.ship, client_id=None
    )
    assert await sweep_deliveries(told.ship) == 1
    swept = await asyncio.gather(*(sweep_retention(told.ship) for _ in range(3)))
    left = await sweep_retention(told.ship)
    assert sum(swept) + left == 11
    assert len(await deliveries(told)) == 1
    await told.sound()


async def test_what_was_given_up_with_its_endpoint_counts(dock: Dock, acme: Client) -> None:
    """Its waiting deliveries fail at once, all of them are counted; `/metrics` has the figures."""
    ship = dock.ship
    webhook = (await hook(dock, acme, UP, "order.pending")).webhook
    for n in range(3):
        await dock.place(acme, f"key-gone-{n}")
    await sweep_relay(ship)
    assert (await look(ship)).deliveries == Tally(due=3, delivered=0, failed=0)
    await change_webhook(webhook.id, Changes(is_active=False), ANA, ship, client_id=None)
    assert (await look(ship)).deliveries == Tally(due=0, delivered=0, failed=3)
    text = exposition_of_work(_figures(await look(ship))).decode()
    assert 'starship_deliveries_total{outcome="failed"} 3.0' in text
    assert "starship_deliveries_due 0.0" in text
