"""The relay: every event has its place in its client's feed, and a delivery for who asked."""

from __future__ import annotations

import asyncio

import pytest

from starship_core.access import Client
from starship_core.database import Tx
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.refund_order import refund_order
from starship_core.flows.relay_events import oldest_due, sweep_relay
from starship_core.store import feed
from starship_core.store.feed import read_events, relay_batch
from starship_core.store.webhooks import EVENTS
from starship_core.web.webhook_description import Event
from tests.integration.receivers import hook
from tests.integration.ships import ANA, Dock

WRITERS, EACH = 10, 1_000
_QUEUE = """
INSERT INTO outbox (event_id, order_id, client_id, event_type, revision, data, created_at)
VALUES ($1, $2, $3, 'order.refunded', $4, '{}', $5)
"""


async def feed_of(dock: Dock, client: Client, after: int = 0) -> list[tuple[int, str]]:
    found = await dock.ship.database.read(
        lambda tx: read_events(tx, client.id, after=after, limit=10_000)
    )
    return [(each.position, each.event_type) for each in found]


async def deliveries(dock: Dock) -> list[tuple[int, str, str]]:
    rows = await dock.sql("SELECT webhook_id, event_type, status FROM deliveries ORDER BY id")
    return [tuple(row) for row in rows]


async def test_a_client_reads_its_own_feed_in_order(dock: Dock) -> None:
    """Positions count from 1 for each client, whoever else has events."""
    acme, bolt = await dock.client("acme"), await dock.client("bolt")
    await dock.stock(1)
    await dock.place(acme, "acme-hit")
    await dock.place(bolt, "bolt-miss")
    order = (await dock.place(acme, "acme-miss")).order
    await cancel_order(order.id, ANA, dock.ship)
    assert await feed_of(dock, acme) == []
    queued = await dock.ship.database.read(oldest_due, 0)

    assert await sweep_relay(dock.ship) == 7
    assert await sweep_relay(dock.ship) == 0

    assert queued is not None
    assert await dock.ship.database.read(oldest_due, 0) is None
    assert await feed_of(dock, acme) == [
        (1, "order.created"), (2, "order.delivered"), (3, "order.created"), (4, "order.pending"),
        (5, "order.cancelled"),
    ]  # fmt: skip
    assert await feed_of(dock, bolt) == [(1, "order.created"), (2, "order.pending")]
    assert await feed_of(dock, acme, after=4) == [(5, "order.cancelled")]
    await dock.sound()


async def test_an_endpoint_gets_what_it_asked_for(dock: Dock, acme: Client) -> None:
    """Named events, or all; a refund only who names it or takes all; nothing of others' orders."""
    bolt = await dock.client("bolt")
    everything = (await hook(dock, acme, "https://a.example/1")).webhook.id
    created = (await hook(dock, acme, "https://a.example/2", "order.created")).webhook.id
    refunds = (await hook(dock, acme, "https://a.example/3", "order.refunded")).webhook.id
    await hook(dock, bolt, "https://b.example/1")
    await dock.stock(1)
    order = (await dock.place(acme, "acme-hit")).order
    await refund_order(order.id, ANA, dock.ship)

    await sweep_relay(dock.ship)

    assert sorted(await deliveries(dock)) == sorted([
        (everything, "order.created", "PENDING"), (everything, "order.delivered", "PENDING"),
        (everything, "order.refunded", "PENDING"), (created, "order.created", "PENDING"),
        (refunds, "order.refunded", "PENDING"),
    ])  # fmt: skip


def test_the_description_names_every_event() -> None:
    """What a client may ask for is what the core knows."""
    assert Event.__args__ == EVENTS  # type: ignore[attr-defined]  # of a Literal


async def test_a_reader_who_follows_misses_nothing(
    dock: Dock, acme: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten writers, two relays and a reader at once: 10,000 events, each once, in order."""
    order = (await dock.place(acme, "order-1")).order
    database = dock.ship.database
    done = asyncio.Event()

    def queue(tx: Tx, writer: int, first: int) -> None:
        for number in range(first, first + 10):
            tx.execute(_QUEUE, f"e-{writer}-{number}", order.id, acme.id, number, number)

    async def write(writer: int) -> None:
        for first in range(0, EACH, 10):
            await database.run(queue, writer, first)

    async def relay() -> None:
        while not done.is_set():
            await sweep_relay(dock.ship)
            await asyncio.sleep(0.001)

    seen: list[str] = []

    async def follow() -> None:
        last = 0
        while len(seen) < WRITERS * EACH + 2:
            found = await database.read(
                lambda tx: read_events(tx, acme.id, after=last, limit=500)  # noqa: B023  # at once
            )
            assert [each.position for each in found] == [last + n + 1 for n in range(len(found))]
            seen.extend(each.event_id for each in found)
            last += len(found)
            await asyncio.sleep(0.001)

    relays = [asyncio.create_task(relay()) for _ in range(2)]
    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    await following
    done.set()
    await asyncio.gather(*relays)

    wanted = {f"e-{writer}-{number}" for writer in range(WRITERS) for number in range(EACH)}
    assert wanted <= set(seen)
    assert len(seen) == len(set(seen)) == WRITERS * EACH + 2


async def test_a_paused_relay_writes_nothing_late(
    dock: Dock, acme: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still before its transaction, another relays everything, it wakes up: no event has
    two places, none a second delivery.
    """
    await hook(dock, acme)
    await dock.place(acme, "order-1")
    database = dock.ship.database
    run = database.run
    other = False

    async def late(work: object, *arguments: object) -> object:
        nonlocal other
        if work is relay_batch and not other:
            other = True
            assert await sweep_relay(dock.ship) == 2
        return await run(work, *arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(database, "run", late)
    assert await sweep_relay(dock.ship) == 0
    assert [position for position, _ in await feed_of(dock, acme)] == [1, 2]
    assert len(await deliveries(dock)) == 2


async def test_a_relay_that_was_overtaken_inside_waits_for_the_row(
    dock: Dock, acme: Client
) -> None:
    """Batches at the same moment come one after the other, each seeing what was done before."""
    for number in range(4):
        await dock.place(acme, f"order-{number}")
    batches = await asyncio.gather(
        *(dock.ship.database.run(feed.relay_batch, 1, 5) for _ in range(3))
    )
    assert sorted(batches) == [0, 3, 5]
    assert [position for position, _ in await feed_of(dock, acme)] == list(range(1, 9))
