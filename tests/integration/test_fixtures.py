from datetime import UTC, datetime

import pytest
import redis

from starship_core.database import PostgreSQL, SQLite
from starship_core.testing.clock import ManualClock


@pytest.mark.parametrize("attempt", [1, 2])
async def test_each_test_has_an_empty_database_of_its_own(
    database: PostgreSQL | SQLite, database_kind: str, attempt: int
) -> None:
    """A row written by one test is not seen by the next."""
    before = await database.read(lambda tx: tx.execute("SELECT count(*) FROM counters"))
    await database.run(
        lambda tx: tx.execute("INSERT INTO counters (name, value) VALUES ($1, $2)", "x", attempt)
    )
    after = await database.read(lambda tx: tx.execute("SELECT value FROM counters"))
    assert (database.dialect, before[0][0], after[0][0]) == (database_kind, 0, attempt)


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_postgresql_is_recent_and_durable(database: PostgreSQL) -> None:
    """What is measured and tested is what production runs: every commit on disk."""
    found = {
        name: (await database.read(lambda tx, name=name: tx.execute(f"SHOW {name}")))[0][0]
        for name in ("fsync", "full_page_writes", "synchronous_commit")
    }
    assert found == {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@pytest.mark.parametrize("attempt", [1, 2])
def test_redis_is_real_and_empty(redis_url: str, attempt: int) -> None:
    """A key written by one test is not seen by the next."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("key", attempt)
        assert client.get("key") == str(attempt).encode()


def test_the_clock_stands_still_until_it_is_moved(clock: ManualClock) -> None:
    """Time in tests is what the test says."""
    assert clock() == clock() == datetime(2027, 1, 1, tzinfo=UTC)
    assert clock.advance(seconds=1.5, days=1) == datetime(2027, 1, 2, 0, 0, 1, 500_000, tzinfo=UTC)
    with pytest.raises(TypeError):
        clock.set(datetime(2027, 1, 1))  # noqa: DTZ001  # naive on purpose
