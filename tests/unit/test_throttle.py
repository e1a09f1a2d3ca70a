"""Vendors' rate limits: at most so many calls in any window, over all processes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from starship_core.errors import Unavailable
from starship_core.registration import Rate
from starship_core.throttle import Throttle

START = 1_767_225_600.0
RATE = Rate(3, 10)


class Time:
    """Goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class FakeRedis:
    """Sorted sets of one server, as `Pool.attempt` answers."""

    def __init__(self) -> None:
        self.sets: dict[str, dict[str, float]] = {}
        self.counted: dict[str, float] = {}
        """When every call was that had its turn, those that have left the window too."""
        self.away = False

    async def attempt(self, commands: Any) -> Any:
        await asyncio.sleep(0)
        return None if self.away else [self._one(*command) for command in commands]

    def _one(self, name: str, key: str, *rest: Any) -> Any:
        held = self.sets.setdefault(key, {})
        if name == "ZREMRANGEBYSCORE":
            gone = [member for member, score in held.items() if score <= rest[1]]
            return len([held.pop(member) for member in gone])
        if name == "ZADD":
            held[rest[1]] = self.counted[rest[1]] = float(rest[0])
            return 1
        if name == "ZCARD":
            return len(held)
        if name == "ZRANGE":
            member, score = min(held.items(), key=lambda pair: pair[1])
            return [member.encode(), str(score).encode()]
        if name == "ZREM":
            self.counted.pop(rest[0])
            return int(held.pop(rest[0], None) is not None)
        assert name == "PEXPIRE"
        return 1


def worst(moments: list[float], rate: Rate = RATE) -> int:
    """The most calls in any window."""
    return max(sum(a <= b < a + rate.seconds for b in moments) for a in moments)


@pytest.mark.parametrize("shared", [True, False])
async def test_no_window_ever_holds_more_than_the_rate(shared: Any) -> None:
    """Twelve calls one after the other: each waits for its turn, and not a moment longer."""
    time, redis = Time(), FakeRedis()
    throttle = Throttle(redis.attempt if shared else None, seconds=time, sleep=time.sleep)
    made = []
    for _ in range(12):
        await throttle.turn("bamboo:buy", RATE, patience=60)
        made.append(time.now)
    assert worst(made) == RATE.calls
    assert made[-1] - START == pytest.approx(30, abs=0.001)


async def test_processes_share_the_rate() -> None:
    """Two workers that call together get one rate, not two."""
    time, redis = Time(), FakeRedis()
    workers = [Throttle(redis.attempt, seconds=time, sleep=time.sleep) for _ in range(2)]
    turns = [workers[n % 2].turn("bamboo:buy", RATE, patience=1000) for n in range(10)]
    await asyncio.gather(*turns)
    made = [micros / 1_000_000 for micros in redis.counted.values()]
    assert (len(made), worst(made)) == (10, RATE.calls)


async def test_who_has_no_patience_is_told_when_to_come_back() -> None:
    """Unavailable before a byte is sent, with the seconds until a turn is free."""
    time = Time()
    throttle = Throttle(FakeRedis().attempt, seconds=time, sleep=time.sleep)
    for _ in range(3):
        await throttle.turn("bamboo:buy", RATE, patience=0)
    time.now += 4
    with pytest.raises(Unavailable) as refused:
        await throttle.turn("bamboo:buy", RATE, patience=5.5)
    assert refused.value.retry_after == pytest.approx(6)


async def test_operations_do_not_wait_for_each_other() -> None:
    """A `find` passes while the purchases of the same vendor wait."""
    time = Time()
    throttle = Throttle(FakeRedis().attempt, seconds=time, sleep=time.sleep)
    for _ in range(3):
        await throttle.turn("bamboo:buy", RATE, patience=0)
    await throttle.turn("bamboo:find", RATE, patience=0)
    assert time.now == START


async def test_without_redis_a_process_goes_on_counting_what_it_did_before() -> None:
    """Redis dies after three calls: the fourth waits as if it lived."""
    time, redis = Time(), FakeRedis()
    throttle = Throttle(redis.attempt, seconds=time, sleep=time.sleep)
    for _ in range(3):
        await throttle.turn("bamboo:buy", RATE, patience=0)
    redis.away = True
    with pytest.raises(Unavailable, match="rate limit"):
        await throttle.turn("bamboo:buy", RATE, patience=0)


async def test_who_gives_up_takes_no_place() -> None:
    """Refused calls are not counted against those after them."""
    time, redis = Time(), FakeRedis()
    one, two = (Throttle(redis.attempt, seconds=time, sleep=time.sleep) for _ in range(2))
    for _ in range(3):
        await one.turn("bamboo:buy", RATE, patience=0)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await two.turn("bamboo:buy", RATE, patience=0)
    assert [len(held) for held in redis.sets.values()] == [3]
