"""What `run` does with a transaction that lost a race, and with one that simply failed."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.util import await_only

from starship_core import Unavailable
from starship_core.database import ATTEMPTS, Database, Tx
from starship_core.faults import RaceLost

COUNT = "SELECT count(*) FROM clients"
RAISE_LIMIT = "UPDATE clients SET bulk_limit = bulk_limit + 1 WHERE name = $1"
ADD = "INSERT INTO clients (name, created_at) VALUES ($1, $2)"


class Losing:
    """Work that writes, and then loses a race the first few times."""

    def __init__(self, losses: int) -> None:
        self.losses, self.runs = losses, 0

    def __call__(self, tx: Tx, name: str) -> int:
        self.runs += 1
        tx.execute(ADD, name, 0)
        if self.runs <= self.losses:
            raise RaceLost
        return self.runs


async def clients(database: Database) -> Any:
    return (await database.read(lambda tx: tx.execute(COUNT)))[0][0]


async def test_who_lost_a_race_is_run_again_whole(database: Database) -> None:
    """Up to three times in all; what an earlier attempt wrote is gone."""
    work = Losing(ATTEMPTS - 1)
    assert await database.run(work, "acme") == 3
    assert await clients(database) == 1


async def test_who_loses_every_time_is_told_to_come_back(database: Database) -> None:
    """After the third time, and nothing stays."""
    work = Losing(ATTEMPTS)
    with pytest.raises(Unavailable, match="the same key is being used by another request"):
        await database.run(work, "acme")
    assert work.runs == 3
    assert await clients(database) == 0


async def test_a_fault_is_not_run_again(database: Database) -> None:
    """It is raised as it is, once, and nothing stays."""
    runs = []

    def broken(tx: Tx) -> None:
        runs.append(tx.execute(ADD, "acme", 0))
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        await database.run(broken)
    assert len(runs) == 1
    assert await clients(database) == 0


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_a_deadlock_ends_with_both_done(database: Database) -> None:
    """Two that lock the same rows in opposite orders: the one that is picked has its turn again.

    SQLite has one writer at a time, so that nobody there holds what another waits for.
    """
    await database.run(lambda tx: [tx.execute(ADD, name, 0) for name in ("acme", "zenith")])
    both_hold_one, runs = asyncio.Barrier(2), []

    def work(tx: Tx, first: str, second: str) -> None:
        runs.append(first)
        tx.execute(RAISE_LIMIT, first)
        if runs.count(first) == 1:
            await_only(both_hold_one.wait())
        tx.execute(RAISE_LIMIT, second)

    await asyncio.gather(database.run(work, "acme", "zenith"), database.run(work, "zenith", "acme"))
    assert len(runs) == 3
    limits = await database.read(lambda tx: tx.execute("SELECT bulk_limit FROM clients"))
    assert [row[0] for row in limits] == [10_002, 10_002]
