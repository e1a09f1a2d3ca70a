"""Four server processes on PostgreSQL or one on SQLite, and a Redis that a test may maltreat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from starship_core.testing.servers import RedisServer, redis_server
from tests.race.fleet import Fleet, launched, processes


@pytest.fixture
def own_redis(run_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """Never a chosen one: it is stopped and flushed."""
    with redis_server(run_folder / f"race-{abs(hash(tmp_path)) % 10**8}") as server:
        yield server


@pytest.fixture
async def unserved(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Fleet]:
    """The deployment, before any server runs."""
    async with launched(tmp_path, database_url, own_redis) as fleet:
        yield fleet


@pytest.fixture
async def fleet(unserved: Fleet, database_kind: str) -> AsyncIterator[Fleet]:
    """Served."""
    serving = processes(unserved.folder, 4 if database_kind == "postgresql" else 1)
    unserved.ports = await asyncio.to_thread(serving.__enter__)
    try:
        yield unserved
    finally:
        await asyncio.to_thread(serving.__exit__, None, None, None)
