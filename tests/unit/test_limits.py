"""Rate limits: the window, chunks, refunds, and what happens when Redis is slow or away."""

import asyncio
from typing import Any

import pytest

from starship_core.access import Client
from starship_core.limits import CHEAP, WHOLE, Limits, limit_key

START = 1_767_225_600.0  # the start of a minute
CLIENT = Client(
    id=7, name="acme", credential_id=1, bulk_limit=1, min_validity_days=0, default_wallet_id=None,
    wallets=(), orders_per_minute=None, reads_per_minute=None, environment="test",
)  # fmt: skip


class Seconds:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class FakeRedis:
    """INCRBY, DECRBY, EXPIRE and GET of one server, as `Pool.attempt` answers."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.expiries: dict[str, int] = {}
        self.calls = 0
        self.away = False

    async def attempt(self, commands: Any) -> Any:
        self.calls += 1
        await asyncio.sleep(0)
        return None if self.away else [self._one(*command) for command in commands]

    def _one(self, name: Any, key: Any, *arguments: Any) -> Any:
        if name == "EXPIRE":
            self.expiries[key] = arguments[0]
            return 1
        if name == "GET":
            return str(self.counters[key]).encode() if key in self.counters else None
        step = arguments[0] if name == "INCRBY" else -arguments[0]
        self.counters[key] = self.counters.get(key, 0) + step
        return self.counters[key]


@pytest.fixture
def seconds() -> Any:
    return Seconds()


@pytest.fixture
def redis() -> Any:
    return FakeRedis()


async def taken(limits: Limits, limit: int, *, tries: int, key: str = "k") -> int:
    """How many of so many calls were let through."""
    return sum([await limits.allow(key, limit) is None for _ in range(tries)])


@pytest.mark.parametrize("limit", [0, 1, 7, 20, 333])
@pytest.mark.parametrize("shared", [True, False])
async def test_exactly_the_limit_passes_in_a_minute(
    seconds: Seconds, redis: FakeRedis, limit: int, shared: Any
) -> None:
    """One process alone may use all of a limit and nothing more, with Redis and without."""
    limits = Limits(redis.attempt if shared else None, seconds=seconds)
    assert await taken(limits, limit, tries=limit + 50) == limit


async def test_processes_share_a_limit(seconds: Seconds, redis: FakeRedis) -> None:
    """Four processes together get the limit, not four times the limit."""
    processes = [Limits(redis.attempt, seconds=seconds) for _ in range(4)]
    passed = 0
    for _ in range(100):
        for limits in processes:
            passed += await limits.allow("k", 100) is None
    assert passed == 100


async def test_redis_is_asked_once_a_chunk(seconds: Seconds, redis: FakeRedis) -> None:
    """A request hardly ever waits: 6,000 calls draw twenty chunks of 300."""
    limits = Limits(redis.attempt, seconds=seconds)
    assert await taken(limits, 6000, tries=6000) == 6000
    assert redis.calls == 20


async def test_concurrent_calls_draw_one_chunk(seconds: Seconds, redis: FakeRedis) -> None:
    """Calls that arrive together share a draw instead of drawing a chunk each."""
    limits = Limits(redis.attempt, seconds=seconds)
    answers = await asyncio.gather(*(limits.allow("k", 2000) for _ in range(100)))
    assert answers == [None] * 100
    assert redis.calls == 1


async def test_window_slides(seconds: Seconds, redis: FakeRedis) -> None:
    """Half a minute into the next window half of the last one's calls still count."""
    limits = Limits(redis.attempt, seconds=seconds)
    assert await taken(limits, 100, tries=150) == 100
    seconds.now = START + 90
    assert await taken(limits, 100, tries=150) == 50
    seconds.now = START + 180
    assert await taken(limits, 100, tries=150) == 100


@pytest.mark.parametrize("limit", [1, 10, 100])
async def test_the_wait_is_true(seconds: Seconds, redis: FakeRedis, limit: int) -> None:
    """Whoever waits as long as it was told to is let through."""
    limits = Limits(redis.attempt, seconds=seconds)
    seconds.now += 15
    await taken(limits, limit, tries=limit)
    wait = await limits.allow("k", limit)
    assert wait is not None
    assert 0 < wait <= 105
    seconds.now += wait + 0.1
    assert await limits.allow("k", limit) is None


async def test_a_refusal_is_not_asked_again_within_a_second(
    seconds: Seconds, redis: FakeRedis
) -> None:
    """Whoever hammers costs Redis one question a second."""
    limits = Limits(redis.attempt, seconds=seconds)
    await taken(limits, 20, tries=20)
    await limits.allow("k", 20)
    before = redis.calls
    assert await taken(limits, 20, tries=500) == 0
    assert redis.calls == before


async def test_hammering_does_not_lengthen_the_wait(seconds: Seconds, redis: FakeRedis) -> None:
    """Refused calls do not count: after a minute of them the limit is as free as without."""
    limits = Limits(redis.attempt, seconds=seconds)
    await taken(limits, 60, tries=60)
    for _ in range(50):
        seconds.now += 1
        await limits.allow("k", 60)
    seconds.now = START + 120
    assert await taken(limits, 60, tries=100) == 60


async def test_without_redis_each_process_counts(seconds: Seconds, redis: FakeRedis) -> None:
    """Redis going away neither refuses everybody nor lets everybody through."""
    limits = Limits(redis.attempt, seconds=seconds)
    await taken(limits, 100, tries=50)
    redis.away = True
    assert await taken(limits, 100, tries=100) == 50


async def test_keys_are_apart(seconds: Seconds, redis: FakeRedis) -> None:
    """One client's calls, or another class of its calls, take nothing from the other's."""
    limits = Limits(redis.attempt, seconds=seconds)
    await taken(limits, 10, tries=10, key="a")
    assert await taken(limits, 10, tries=20, key="b") == 10


async def test_replay_costs_a_tenth(seconds: Seconds, redis: FakeRedis) -> None:
    """A limit of 10 orders is 100 replays: each gives back what it did not use."""
    limits = Limits(redis.attempt, seconds=seconds)
    key = limit_key(CLIENT, "orders")
    replays = 0
    while await limits.allow(key, 10) is None and replays < 1000:
        limits.refund(CLIENT, "orders")
        replays += 1
    assert replays == (10 * WHOLE - WHOLE) // CHEAP + 1


async def test_cheap_calls_cost_a_tenth(seconds: Seconds, redis: FakeRedis) -> None:
    """Ten readings of one order are one reading of a list."""
    limits = Limits(redis.attempt, seconds=seconds)
    passed = sum([await limits.allow("k", 10, cost=CHEAP) is None for _ in range(200)])
    assert passed == 100


async def test_counters_expire(seconds: Seconds, redis: FakeRedis) -> None:
    """Nothing stays in Redis: every counter is given an end that outlives its use."""
    await taken(Limits(redis.attempt, seconds=seconds), 10, tries=20)
    assert set(redis.expiries) == set(redis.counters)
    assert set(redis.expiries.values()) == {150}


async def test_many_keys_do_not_fill_memory(seconds: Seconds) -> None:
    """Addresses can be made up by the million; what is remembered of them is bounded."""
    limits = Limits(None, seconds=seconds)
    for number in range(12_000):
        await limits.allow(f"auth:{number}", 30)
    assert len(limits._grants) == 10_000
