"""Vouchers that another transaction holds are neither sold nor given up: the order waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.race.fleet import Fleet, processes
from tests.race.wire import Answer, Line, signed

LOCKED = "SELECT id FROM vouchers WHERE state = 'pooled' FOR UPDATE"
BLOCKED = "UPDATE vouchers SET state = 'blocked', state_reason = 'a test' WHERE state = 'pooled'"


@pytest.fixture
def database_kind() -> str:
    """SQLite has one writer: nothing is ever held by another."""
    return "postgresql"


@asynccontextmanager
async def ordering(fleet: Fleet, holder: asyncpg.Connection) -> AsyncIterator[asyncio.Task[Answer]]:
    """An order for both vouchers while somebody holds them; not answered in half a second."""
    buyer = await fleet.buyer("acme", "100.00")
    await fleet.stock(1, 2)
    body = {"product_id": 1, "denomination": "20.00", "quantity": 2}
    request = signed(buyer.credential, "POST", "/orders", body, key="key-00001")
    with processes(fleet.folder, 1) as ports:
        line = Line(ports[0])
        assert len(await holder.fetch(LOCKED)) == 2
        asked = asyncio.create_task(line.call(request))
        done, _ = await asyncio.wait([asked], timeout=0.5)
        assert not done, asked.result()
        yield asked
        line.close()
    assert await fleet.faults() == []


@pytest.fixture
async def holder(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_held_and_given_back(unserved: Fleet, holder: asyncpg.Connection) -> None:
    """Who held them lets go: the order is a hit, not parked while stock remains."""
    holding = holder.transaction()
    await holding.start()
    async with ordering(unserved, holder) as asked:
        await holding.rollback()
        answer = await asked
        assert (answer.status, answer.json["status"]) == (200, "DELIVERED")


async def test_held_and_taken(unserved: Fleet, holder: asyncpg.Connection) -> None:
    """Who held them takes them: only now it is a miss."""
    holding = holder.transaction()
    await holding.start()
    async with ordering(unserved, holder) as asked:
        await holder.execute(BLOCKED)
        await holding.commit()
        answer = await asked
        assert (answer.status, answer.json["status"]) == (200, "PENDING")
