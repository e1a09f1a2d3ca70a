"""Several servers on one database, everything at the same moment: SQL alone keeps it right."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from starship_core.access import Client
from starship_core.errors import Unavailable, WrongState
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.place_order import Replayed
from starship_core.flows.refund_order import refund_order
from starship_core.flows.replace_voucher import replace_voucher
from starship_core.flows.retry_order import retry_order
from starship_core.flows.verify import verify
from starship_core.store.write import Placed
from starship_core.testing.clock import ManualClock
from tests.integration.ships import ANA, CARD, SMALL, Dock, add_products, docked, written

SERVERS = {"postgresql": 3, "sqlite": 1}
AT_ONCE = 64


@pytest.fixture
async def docks(
    database_kind: str,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[list[Dock]]:
    """Deployments on one database and one Redis, each with a till and connections of its own."""
    monkeypatch.setattr("starship_core.pool.DEADLINE", 30)
    file = written(tmp_path, database_url, redis_url)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(docked(file, ManualClock()))
            for _ in range(SERVERS[database_kind])
        ]
        await add_products(opened[0])
        yield opened


async def at_once(work: list[Awaitable[object]]) -> list[object]:
    """All of them, 64 at a time; exceptions are values."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(each: Awaitable[object]) -> object:
        async with turns:
            return await each

    return await asyncio.gather(*map(in_turn, work), return_exceptions=True)


@pytest.mark.parametrize("redis", ["full", "empty"])
async def test_stock_to_the_last_unit(docks: list[Dock], redis: str) -> None:
    """Exactly what is wanted is there: nobody is left pending, with hints and without."""
    chance = random.Random(1)
    first = docks[0]
    clients = [await first.client(f"c{n}", {"EUR": "90000.00"}) for n in range(6)]
    plan = [
        (chance.choice(clients), chance.randint(1, 5), chance.choice((CARD, SMALL)))
        for _ in range(250)
    ]
    for sku in (CARD, SMALL):
        ids = await first.stock(sum(quantity for _, quantity, each in plan if each == sku), sku)
        if redis == "empty":
            await first.ship.pool.drop(sku, ids)
    outcomes = await at_once(
        [
            docks[n % len(docks)].place(client, f"key-{n:04}", sku, quantity)
            for n, (client, quantity, sku) in enumerate(plan)
        ]
    )
    placed = [outcome for outcome in outcomes if isinstance(outcome, Placed)]
    assert len(placed) == len(plan), [o for o in outcomes if not isinstance(o, Placed)]
    assert Counter(each.order.status for each in placed) == {"DELIVERED": len(plan)}
    given = Counter(unit.id for each in placed for unit in each.units)
    assert set(given.values()) == {1}
    assert sum(given.values()) == sum(quantity for _, quantity, _ in plan)
    await first.sound()


async def test_every_flow_against_every_other(docks: list[Dock]) -> None:
    """Retries, orders, cancels, refunds and replacements of the same orders: each whole."""
    chance = random.Random(2)
    first = docks[0]
    client = await first.client("rich", {"EUR": "900000.00"})
    waiting = [
        (await first.place(client, f"old-{n:04}", CARD, chance.choice((1, 2, 5, 60)))).order
        for n in range(40)
    ]
    new = [chance.randint(1, 5) for _ in range(80)]
    await first.stock(sum(order.quantity for order in waiting) + sum(new) + 40)

    def any_of_them() -> Dock:
        return chance.choice(docks)

    work: list[Awaitable[object]] = [
        any_of_them().place(client, f"new-{n:04}", CARD, quantity) for n, quantity in enumerate(new)
    ]
    for order in waiting:
        work += [retry_order(order.id, ANA, any_of_them().ship) for _ in range(3)]
    for order in waiting[:8]:
        work.append(cancel_order(order.id, ANA, any_of_them().ship))
    for order in waiting[8:20]:
        for _ in range(3):
            work.append(replace_voucher(order.id, 1, ANA, any_of_them().ship))
            work.append(refund_order(order.id, ANA, any_of_them().ship, items=[1]))
    chance.shuffle(work)
    outcomes = await at_once(work)
    faults = [o for o in outcomes if isinstance(o, Exception) and not isinstance(o, WrongState)]
    assert faults == []
    statuses = dict(await first.sql("SELECT status, count(*) FROM orders GROUP BY status"))
    assert set(statuses) <= {"DELIVERED", "CANCELLED"}
    assert sum(statuses.values()) == 120
    refunded, charged = (
        await first.sql("SELECT CAST(sum(refunded) AS bigint), CAST(sum(charged) AS bigint)"
                        " FROM orders")
    )[0]  # fmt: skip
    assert await first.balance(client) == 90_000_000 - charged + refunded
    await first.sound()


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_connections_that_die(docks: list[Dock], database_url: str) -> None:
    """The server cuts all connections, again and again: 503, and the same key gets the truth."""
    chance = random.Random(3)
    first = docks[0]
    clients = [await first.client(f"c{n}", {"EUR": "90000.00"}) for n in range(4)]
    plan = [(chance.choice(clients), chance.randint(1, 5)) for _ in range(150)]
    await first.stock(sum(quantity for _, quantity in plan))
    unavailable = Counter[str]()

    async def insisting(number: int, client: Client, quantity: int) -> Placed | Replayed:
        for attempt in range(1000):
            dock = docks[(number + attempt) % len(docks)]
            try:
                return await dock.ask(client, f"key-{number:04}", CARD, quantity)
            except Unavailable:
                unavailable["answers"] += 1
                await asyncio.sleep(0.02)
        raise AssertionError("a thousand times unavailable")

    cutting = asyncio.create_task(cut_connections(database_url, times=4))
    outcomes = await at_once([insisting(n, *each) for n, each in enumerate(plan)])
    await cutting
    assert [o for o in outcomes if not isinstance(o, (Placed, Replayed))] == []
    assert unavailable["answers"] > 0
    for dock in docks:
        await answers_again(dock)
    assert await first.sql("SELECT status, count(*) FROM orders GROUP BY status") == [
        ("DELIVERED", len(plan))
    ]
    assert await first.on_sale() == set()
    await first.sound()


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("flow", ["place", "retry", "replace"])
async def test_what_another_holds_is_waited_for(
    docks: list[Dock], database_url: str, flow: str
) -> None:
    """The last voucher is locked elsewhere and let go: it is delivered, not called a miss."""
    first = docks[0]
    client = await first.client("acme")
    waiting = (await first.place(client, "waiting-1")).order.id
    await first.stock(2 if flow == "replace" else 1)
    if flow == "replace":
        waiting = (await first.place(client, "delivered-1")).order.id
    holding = asyncio.create_task(hold_vouchers(database_url, seconds=0.6))
    await asyncio.sleep(0.1)
    if flow == "place":
        assert (await first.place(client, "key-0001")).order.status == "DELIVERED"
    elif flow == "retry":
        assert (await retry_order(waiting, ANA, first.ship)).status == "DELIVERED"
    else:
        with pytest.raises(Unavailable, match="busy"):
            await replace_voucher(waiting, 1, ANA, first.ship)
    await holding
    assert len(await first.on_sale()) == (1 if flow == "replace" else 0)
    await first.sound()


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_what_another_keeps_is_not_waited_for_long(
    docks: list[Dock], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked for good: 503 in the end, never parked; orders for other goods go on meanwhile."""
    monkeypatch.setattr("starship_core.till.PATIENCE_SECONDS", 0.5)
    first = docks[0]
    client = await first.client("acme")
    await first.stock(1)
    holding = asyncio.create_task(hold_vouchers(database_url, seconds=30))
    await asyncio.sleep(0.1)
    contended = asyncio.create_task(first.place(client, "key-0001"))
    await asyncio.sleep(0.05)
    assert (await first.place(client, "key-0002", SMALL)).order.status == "PENDING"
    assert not contended.done()
    with pytest.raises(Unavailable):
        await contended
    holding.cancel()
    with suppress(asyncio.CancelledError):
        await holding
    assert await first.sql("SELECT idempotency_key FROM orders") == [("key-0002",)]
    assert await verify(first.ship) == []


async def hold_vouchers(url: str, *, seconds: float) -> None:
    """Another transaction has them, and gives them up unchanged."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.fetch(
                "SELECT id FROM vouchers WHERE state = 'pooled' FOR NO KEY UPDATE"
            )
            await asyncio.sleep(seconds)
    finally:
        await connection.close()


async def cut_connections(url: str, *, times: int) -> None:
    """Every so often, all of that database."""
    database = make_url(url)
    server = database.set(database="postgres").render_as_string(hide_password=False)
    connection = await asyncpg.connect(server)
    for cut in range(times):
        await asyncio.sleep(0.15 if cut else 0.02)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
            database.database,
        )
    await connection.close()


async def answers_again(dock: Dock) -> None:
    """Each dead connection of a pool is one failed call; then it is as before."""
    for _ in range(20):
        try:
            await dock.sql("SELECT 1")
        except Unavailable:
            continue
