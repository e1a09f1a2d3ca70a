"""A database that cannot be written or reached: 503 for the caller, the reason in the log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from asyncpg import InternalClientError
from structlog.testing import capture_logs

from starship_core.database import PostgreSQL, SQLite, Tx, opened
from starship_core.errors import Unavailable
from starship_core.faults import raised_by_driver, translate
from starship_core.transaction import DRIVER_ERRORS

_WRITE = "INSERT INTO counters (name, value) VALUES ($1, 1)"


def _fill(tx: Tx) -> None:
    """Make the database as large as its disk."""
    pages = int(tx.execute("PRAGMA page_count")[0][0])
    tx.execute(f"PRAGMA max_page_count = {pages}")


def _big(tx: Tx) -> None:
    tx.execute(_WRITE, "x" * 100_000)


def _on_a_standby(tx: Tx) -> None:
    tx.execute("SET TRANSACTION READ ONLY")
    tx.execute(_WRITE, "x")


async def test_it_cannot_be_written(database: PostgreSQL | SQLite, database_kind: str) -> None:
    """A full disk, a read-only standby: try again later; said once in ten seconds, by its name."""
    on_sqlite = database_kind == "sqlite"
    if on_sqlite:
        await database.run(_fill)

    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Unavailable, match="the database is away or busy") as caught:
                await database.run(_big if on_sqlite else _on_a_standby)

    assert caught.value.retry_after == 2
    assert logs == [
        {"event": "database.unavailable", "log_level": "info",
         "reason": "SQLITE_FULL" if on_sqlite else "25006"}
    ]  # fmt: skip
    assert await database.read(lambda tx: tx.execute("SELECT count(*) FROM clients")) == [(0,)]


async def test_it_cannot_be_reached(tmp_path: Path) -> None:
    """Nobody listens there."""
    url = "postgresql://nobody@127.0.0.1:9/none"
    async with opened(url, folder=tmp_path, connections=1) as database:
        with capture_logs() as logs, pytest.raises(Unavailable):
            await database.read(lambda tx: tx.execute("SELECT 1"))
    assert [each["reason"] for each in logs] == ["ConnectionRefusedError"]


async def test_what_is_no_outage_is_not_told_as_one(database: Any) -> None:
    """A refusal and a fault of ours go through as they are."""

    def refused(_tx: Tx) -> None:
        raise Unavailable("somebody else is away", retry_after=7)

    with capture_logs() as logs:
        with pytest.raises(Unavailable, match="somebody else is away"):
            await database.run(refused)
        with pytest.raises(Exception, match="counters_of_nothing"):
            await database.run(lambda tx: tx.execute("SELECT * FROM counters_of_nothing"))
    assert logs == []


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_a_caller_that_goes_away_leaves_nothing(database: PostgreSQL) -> None:
    """In the middle of a statement: nothing of it is kept, and all connections are good again."""

    def work(tx: Tx) -> None:
        tx.execute(_WRITE, "x")
        tx.execute("SELECT pg_sleep(60)")

    leaving = [asyncio.create_task(database.run(work)) for _ in range(2)]
    await asyncio.sleep(0.2)
    for task in leaving:
        task.cancel()
    assert [type(each) for each in await asyncio.gather(*leaving, return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 2
    read = "SELECT value FROM counters WHERE name = 'x'"
    found = await asyncio.gather(*(database.run(lambda tx: tx.execute(read)) for _ in range(4)))
    assert found == [[]] * 4


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_a_connection_that_was_cut_is_not_begun_with(
    database: PostgreSQL, database_url: str
) -> None:
    """The server cut them while nobody asked anything: the next caller does not notice."""
    read = "SELECT count(*) FROM counters"
    await asyncio.gather(*(database.run(lambda tx: tx.execute(read)) for _ in range(4)))
    cutter = await asyncpg.connect(database_url)
    await cutter.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'starship' AND datname = current_database()"
    )
    await cutter.close()
    await asyncio.sleep(0.2)
    assert await database.run(lambda tx: tx.execute(read)) == [(0,)]


def test_a_driver_at_a_loss_is_an_outage() -> None:
    """What asyncpg raises for a connection that is being cut says that the database is away."""
    assert InternalClientError in DRIVER_ERRORS
    told = translate(raised_by_driver("BEGIN", InternalClientError("another operation")))
    assert isinstance(told, Unavailable)
