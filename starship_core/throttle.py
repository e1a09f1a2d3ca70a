"""Vendors' rate limits, kept before a byte is sent: shared through Redis, per process without it.

At most so many calls in *any* window, which vendors count and a fixed minute would break at its
edge: every call is a member of a sorted set, and whoever finds more than are allowed takes his own
out again and waits. A flushed Redis restarts a window and permits nothing that a vendor would not
refuse by itself.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from starship_core.errors import Unavailable
from starship_core.registration import Rate

Command = tuple[str | bytes | int, ...]
Ask = Callable[[list[Command]], Awaitable[list[Any] | None]]
"""One exchange with Redis under its short deadline; None: it is away (`Pool.attempt`)."""
_MICROS: Final = 1_000_000
_SHORTEST: Final = 0.01


class Throttle:
    """`ask` None: there is no Redis, and every process counts for itself."""

    def __init__(
        self,
        ask: Ask | None,
        *,
        prefix: str = "starship",
        seconds: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ask = ask
        self._prefix = prefix
        self._seconds = seconds
        self._sleep = sleep
        self._made: dict[str, deque[int]] = defaultdict(deque)
        self._members: Iterator[str] = (
            f"{os.getpid()}-{os.urandom(4).hex()}-{n}" for n in itertools.count()
        )

    async def turn(self, key: str, rate: Rate, *, patience: float) -> None:
        """Wait for a turn, `patience` seconds at most. Raises Unavailable with the rest of it.

        Returned: the call counts, whatever becomes of it.
        """
        give_up = self._seconds() + patience
        while wait := await self._asked(key, rate):
            if self._seconds() + wait > give_up:
                raise Unavailable("the vendor's rate limit is reached", retry_after=wait)
            await self._sleep(wait)

    async def _asked(self, key: str, rate: Rate) -> float:
        """0: the call counts from now on; else the seconds until it is worth asking again."""
        now = int(self._seconds() * _MICROS)
        window = int(rate.seconds * _MICROS)
        made = self._made[key]  # this process's own, in case Redis is away next time
        while made and made[0] <= now - window:
            made.popleft()
        if len(made) >= rate.calls:
            return _until(made[-rate.calls], window, now)
        made.append(now)  # before asking: another task of this process must see it
        oldest = await self._shared(key, rate, now=now, window=window)
        if oldest is None:
            return 0
        if now in made:  # unless Redis took so long that its window is over
            made.remove(now)
        return _until(oldest, window, now)

    async def _shared(self, key: str, rate: Rate, *, now: int, window: int) -> int | None:
        """None: the call is counted, or Redis is away; else when the oldest of the others was."""
        if self._ask is None:
            return None
        name, member = f"{self._prefix}:vendor:{key}", next(self._members)
        replies = await self._ask(
            [
                ("ZREMRANGEBYSCORE", name, "-inf", now - window),
                ("ZADD", name, now, member),
                ("ZCARD", name),
                ("ZRANGE", name, 0, 0, "WITHSCORES"),
                ("PEXPIRE", name, window // 1000 + 1000),
            ]
        )
        match replies:
            case [_, _, int(count), [_, oldest], _] if count > rate.calls:
                await self._ask([("ZREM", name, member)])
                return int(float(oldest))
        return None


def _until(oldest: int, window: int, now: int) -> float:
    """Seconds until that call has left the window."""
    return max((oldest + window - now) / _MICROS, _SHORTEST)
