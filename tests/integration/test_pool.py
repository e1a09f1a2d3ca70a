"""The pool against a real server: suggestions, deadlines, and a Redis that hangs."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis

from starship_core.errors import ConfigError, Unavailable
from starship_core.model import Sku
from starship_core.pool import DEADLINE, FAILURES, SKIP_SECONDS, Pool
from starship_core.testing.servers import RedisServer, redis_server

CARD = Sku(1, 2500, "EUR")
OTHER = Sku(2, 1000, "JPY")
FOREVER = 253_402_300_799_000_000  # 9999-12-31T23:59:59Z


HANGING = 8.0
"""Far above any wait that is meant to be short, far below one for each of 200 calls."""


async def timed(work: Awaitable[object]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def ids(pool: Pool, *wants: tuple[Sku, int]) -> list[int]:
    """What is suggested, without the rest of it."""
    return [voucher_id for _, voucher_id, _ in await pool.suggest(wants)]


class Seconds:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the hot path's deadline: a laden machine must not look like a hung Redis."""
    return lambda seconds: monkeypatch.setattr("starship_core.pool.DEADLINE", seconds)


@pytest.fixture(autouse=True)
def no_hurry(patient: Callable[[float], None]) -> None:
    """Only the tests about hanging have the real deadline, while it hangs."""
    patient(30)


@pytest.fixture
async def pool(redis_url: str) -> AsyncIterator[Pool]:
    pool = Pool(redis_url, prefix="test")
    yield pool
    await pool.close()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be stopped and killed."""
    with tempfile.TemporaryDirectory(prefix="pool-") as folder, redis_server(Path(folder)) as own:
        yield own


async def test_suggests_the_first_expired_and_takes_it_out(pool: Pool) -> None:
    """First expired, first out; what was suggested once is not suggested again."""
    await pool.load(CARD, [(7, 3_000_000), (8, 1_000_000), (9, FOREVER), (10, 2_000_000)])
    await pool.load(OTHER, [(20, FOREVER)])

    first = await pool.suggest([(CARD, 2), (OTHER, 5), (CARD, 1)])
    second = await pool.suggest([(CARD, 2), (OTHER, 1)])

    assert first == [
        (CARD, 8, 1_000_000), (CARD, 10, 2_000_000), (OTHER, 20, FOREVER), (CARD, 7, 3_000_000),
    ]  # fmt: skip
    assert second == [(CARD, 9, FOREVER)]


async def test_put_back_is_suggested_again_in_its_place(pool: Pool) -> None:
    """An unused suggestion comes back before what expires later."""
    await pool.load(CARD, [(1, 5_000_000), (2, 9_000_000)])
    unused = await pool.suggest([(CARD, 1)])
    await pool.put_back([*unused, (OTHER, 30, FOREVER)])
    assert await ids(pool, (CARD, 5), (OTHER, 5)) == [1, 2, 30]


async def test_wants_of_nothing_get_nothing(pool: Pool) -> None:
    """A zero want costs no command, and takes nothing."""
    await pool.load(CARD, [(1, FOREVER)])
    await pool.load(OTHER, [(2, FOREVER)])
    assert await ids(pool, (CARD, 0), (OTHER, 1), (CARD, -1)) == [2]
    assert await ids(pool) == []
    assert await pool.members(CARD) == {1}


async def test_the_end_of_time_is_kept_exactly(pool: Pool, redis_url: str) -> None:
    """Scores are doubles: whole seconds of the year 9999 fit, microseconds would not."""
    await pool.load(CARD, [(1, FOREVER)])
    with redis.Redis.from_url(redis_url) as client:
        assert client.zscore("test:pool:1:2500:EUR", 1) == 253_402_300_799.0


async def test_members_drop_and_skus_over_many_chunks(pool: Pool) -> None:
    """2,500 ids, more than two chunks, come and go whole."""
    everything = set(range(1, 2501))
    await pool.load(CARD, [(id_, FOREVER) for id_ in everything])
    await pool.load(OTHER, [(9999, FOREVER)])
    assert await pool.members(CARD) == everything
    assert await pool.skus() == {CARD, OTHER}

    await pool.drop(CARD, [*range(1, 2000), 77777])
    await pool.drop(OTHER, [9999])

    assert await pool.members(CARD) == set(range(2000, 2501))
    assert await pool.skus() == {CARD}


async def test_replace_repairs_members_and_scores(pool: Pool) -> None:
    """What is missing, surplus or wrongly scored is put right."""
    await pool.load(CARD, [(1, 9_000_000), (2, 1_000_000), (3, 1_000_000)])
    await pool.replace(CARD, [(1, 1_000_000), (2, 5_000_000), (4, 3_000_000)])
    assert await ids(pool, (CARD, 9)) == [1, 4, 2]


async def test_what_is_not_an_id_is_not_suggested(pool: Pool, redis_url: str) -> None:
    """Something else in our set, or another type under our key, is no reason to fail."""
    with redis.Redis.from_url(redis_url) as client:
        client.zadd("test:pool:1:2500:EUR", {"gremlin": 1, "41": 2, "42": float("inf")})
        client.set("test:pool:2:1000:JPY", "not a set")
    assert await ids(pool, (OTHER, 1), (CARD, 3)) == [41]
    assert not pool.degraded


async def test_without_redis_it_is_degraded_and_silent() -> None:
    """No URL: no suggestion and no error on the hot path; reads of the whole set say so."""
    pool = Pool(None, prefix="test")
    await pool.put_back([(CARD, 1, FOREVER)])
    assert (await ids(pool, (CARD, 2)), await pool.ping(), pool.degraded) == ([], False, True)
    with pytest.raises(Unavailable):
        await pool.members(CARD)
    await pool.close()


def test_a_url_that_is_none_is_refused() -> None:
    """A typing error in the configuration is named before anything starts."""
    with pytest.raises(ConfigError, match="redis"):
        Pool("http://localhost", prefix="test")


async def test_a_hung_redis_costs_three_deadlines_and_then_nothing(
    server: RedisServer, patient: Callable[[float], None]
) -> None:
    """SIGSTOP: three calls wait for the deadline, further ones not at all, one probes after 5 s."""
    clock = Seconds()
    pool = Pool(server.url, prefix="test", monotonic=clock)
    await pool.load(CARD, [(id_, FOREVER) for id_ in range(1, 100)])
    os.kill(server.process.pid, signal.SIGSTOP)

    patient(DEADLINE)
    waits = [await timed(pool.suggest([(CARD, 1)])) for _ in range(FAILURES)]
    assert pool.degraded
    assert all(DEADLINE * 0.9 < wait < HANGING for wait in waits), waits

    patient(HANGING)  # whoever asks now waits long enough to be noticed
    skipped = await timed(asyncio.gather(*(pool.suggest([(CARD, 1)]) for _ in range(200))))
    assert skipped < HANGING

    patient(DEADLINE)
    clock.now += SKIP_SECONDS
    probe = asyncio.create_task(timed(pool.suggest([(CARD, 1)])))
    await asyncio.sleep(0)
    patient(HANGING)
    others = await timed(asyncio.gather(*(pool.suggest([(CARD, 1)]) for _ in range(50))))
    assert others < HANGING
    assert DEADLINE * 0.9 < await probe < HANGING

    patient(30)
    os.kill(server.process.pid, signal.SIGCONT)
    assert await ids(pool, (CARD, 1)) == [], "still skipped"
    clock.now += SKIP_SECONDS
    assert len(await ids(pool, (CARD, 2))) == 2
    assert not pool.degraded
    await pool.close()


async def test_a_late_reply_is_never_the_answer_to_another_call(
    server: RedisServer, patient: Callable[[float], None]
) -> None:
    """What was asked of a hung Redis and answered after it woke is not read as something else."""
    pool = Pool(server.url, prefix="test")
    await pool.load(CARD, [(id_, id_ * 1_000_000) for id_ in range(1, 20)])
    await pool.load(OTHER, [(id_, id_ * 1_000_000) for id_ in range(101, 120)])
    for _ in range(FAILURES - 1):
        patient(DEADLINE)
        os.kill(server.process.pid, signal.SIGSTOP)
        assert await ids(pool, (OTHER, 2)) == []
        os.kill(server.process.pid, signal.SIGCONT)
        with server.client() as client:
            client.ping()  # it is awake, and has answered the abandoned call
    patient(30)
    answers = await asyncio.gather(*(pool.suggest([(CARD, 1), (OTHER, 1)]) for _ in range(5)))
    taken = [(sku, id_) for answer in answers for sku, id_, _ in answer]
    assert sorted(id_ for sku, id_ in taken if sku == CARD) == [1, 2, 3, 4, 5]
    assert all(id_ > 100 for sku, id_ in taken if sku == OTHER), taken
    await pool.close()


async def test_a_cancelled_call_spoils_no_connection(server: RedisServer) -> None:
    """A request that goes away while Redis is answering leaves nothing behind for the next."""
    pool = Pool(server.url, prefix="test")
    await pool.load(CARD, [(id_, id_ * 1_000_000) for id_ in range(1, 20)])
    await pool.load(OTHER, [(500, FOREVER)])
    os.kill(server.process.pid, signal.SIGSTOP)
    call = asyncio.create_task(pool.suggest([(CARD, 3)]))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    os.kill(server.process.pid, signal.SIGCONT)
    assert await ids(pool, (OTHER, 9)) == [500]
    await pool.close()


async def test_a_restarted_redis_is_used_at_once(server: RedisServer) -> None:
    """Connections that the server closed while idle do not count as failures."""
    pool = Pool(server.url, prefix="test")
    await pool.load(CARD, [(1, FOREVER)])
    await asyncio.gather(*(pool.ping() for _ in range(5)))
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert await ids(pool, (CARD, 1)) == [1]
    assert not pool.degraded
    await pool.close()


async def test_a_dead_redis_is_noticed_and_pinged_again(server: RedisServer) -> None:
    """Killed: bulk work says Unavailable, a ping is False, the hot path goes on."""
    pool = Pool(server.url, prefix="test")
    assert await pool.ping()
    server.process.kill()
    server.process.wait()
    with pytest.raises(Unavailable):
        await pool.load(CARD, [(1, FOREVER)])
    assert not await pool.ping()
    assert await ids(pool, (CARD, 1)) == []
    assert pool.degraded
    await pool.close()


async def test_a_refusing_redis_counts_as_a_failure(server: RedisServer) -> None:
    """A replica answers every write with a refusal: after three it is skipped like a dead one."""
    pool = Pool(server.url, prefix="test")
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
    for _ in range(FAILURES):
        assert await ids(pool, (CARD, 1)) == []
    assert pool.degraded
    await pool.close()


async def test_many_callers_share_few_connections(pool: Pool, redis_url: str) -> None:
    """Eighty callers, every id suggested to exactly one of them."""
    await pool.load(CARD, [(id_, FOREVER) for id_ in range(1, 101)])
    rounds = await asyncio.gather(*(ids(pool, (CARD, 1)) for _ in range(80)))
    taken = [id_ for found in rounds for id_ in found]
    assert len(taken) == len(set(taken))
    assert set(taken) | await pool.members(CARD) == set(range(1, 101))
