"""Rate limits per client and class of call: shared through Redis, per process without it.

A process draws permits in chunks of at most a twentieth of the limit and spends them locally, so
that a request hardly ever waits for Redis. The window slides: what was used in the minute before
counts for the part of it that is still within the last sixty seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from starship_core.access import Client

WHOLE: Final = 10
"""What a call costs, in tenths of a permit."""
CHEAP: Final = 1
"""What a replay, or reading one order, costs: polling is no abuse."""
_WINDOW: Final = 60
_KEPT: Final = 150
_CHUNKS: Final = 20
_ASK_AGAIN: Final = 1.0
"""Seconds that a refusal is repeated without asking Redis."""
_REMEMBERED: Final = 10_000

Kind = Literal["orders", "reads"]
Command = tuple[str | bytes | int, ...]
Ask = Callable[[list[Command]], Awaitable[list[Any] | None]]
"""One exchange with Redis under its short deadline; None: it is away (`Pool.attempt`)."""


class _Grant:
    """What this process may still spend of one limit, and what it has drawn itself."""

    __slots__ = (
        "ask_again_at", "current", "drawing", "free_at", "left", "previous", "until", "window",
    )  # fmt: skip

    def __init__(self) -> None:
        self.left = 0
        self.until = 0.0
        self.window = 0
        self.current = 0
        self.previous = 0
        self.ask_again_at = 0.0
        self.free_at = 0.0
        self.drawing = asyncio.Lock()

    def roll(self, window: int) -> None:
        if window != self.window:
            self.previous = self.current if window == self.window + 1 else 0
            self.current = 0
            self.left = 0
            self.window = window
            self.until = float((window + 1) * _WINDOW)

    def spend(self, cost: int, now: float) -> bool:
        if self.left < cost or now >= self.until:
            return False
        self.left -= cost
        return True


class Limits:
    """`ask` None: there is no Redis, and every process counts for itself."""

    def __init__(
        self,
        ask: Ask | None,
        *,
        prefix: str = "starship",
        seconds: Callable[[], float] = time.time,
    ) -> None:
        self._ask = ask
        self._prefix = prefix
        self._seconds = seconds
        self._grants: OrderedDict[str, _Grant] = OrderedDict()

    async def allow(self, key: str, limit_per_minute: int, *, cost: int = WHOLE) -> float | None:
        """Spend `cost` tenths of a permit; None, or the seconds to wait when none are left."""
        grant = self._grants.get(key)
        if grant is not None and grant.spend(cost, self._seconds()):
            return None
        if grant is None:
            grant = self._grants[key] = _Grant()
            while len(self._grants) > _REMEMBERED:
                self._grants.popitem(last=False)
        async with grant.drawing:  # one draw for all who wait, not one each
            return await self._draw(key, grant, limit=limit_per_minute * WHOLE, cost=cost)

    def refund(self, client: Client, kind: Kind) -> None:
        """It turned out to be cheap (a replay): give back all but a tenth of what was spent."""
        grant = self._grants.get(limit_key(client, kind))
        if grant is not None:
            grant.left += WHOLE - CHEAP

    async def _draw(self, key: str, grant: _Grant, *, limit: int, cost: int) -> float | None:
        now = self._seconds()
        if grant.spend(cost, now):
            return None
        if now < grant.ask_again_at:
            return grant.free_at - now
        window, elapsed = divmod(now, _WINDOW)
        grant.roll(int(window))
        chunk = max(cost, limit // _CHUNKS)
        previous, current = await self._count(key, grant, chunk)
        previous = min(previous, limit)  # more was asked for, never granted
        granted = min(chunk, int(limit - previous * (1 - elapsed / _WINDOW) - current))
        if granted < cost:
            granted = 0
            wait = _wait(limit - cost, previous, current, elapsed)
            grant.free_at = now + wait
            grant.ask_again_at = now + min(wait, _ASK_AGAIN)
        if granted < chunk:
            await self._give_back(key, grant, chunk - granted)
        grant.left += granted
        return None if grant.spend(cost, now) else grant.free_at - now

    async def _count(self, key: str, grant: _Grant, chunk: int) -> tuple[int, int]:
        """Draw the chunk; what had been drawn before in the previous and in this window."""
        here = grant.previous, grant.current
        grant.current += chunk
        if self._ask is None:
            return here
        name = self._name(key, grant.window)
        replies = await self._ask(
            [
                ("INCRBY", name, chunk),
                ("EXPIRE", name, _KEPT),
                ("GET", self._name(key, grant.window - 1)),
            ]
        )
        match replies:
            case [int(current), _, bytes() | None as previous]:
                return int(previous or 0), current - chunk
        return here

    async def _give_back(self, key: str, grant: _Grant, unused: int) -> None:
        grant.current -= unused
        if self._ask is not None:
            await self._ask([("DECRBY", self._name(key, grant.window), unused)])

    def _name(self, key: str, window: int) -> str:
        return f"{self._prefix}:limit:{key}:{window}"


def limit_key(client: Client, kind: Kind) -> str:
    """The name under which a client's calls of one class are counted."""
    return f"{client.id}:{kind}"


def _wait(room: int, previous: int, current: int, elapsed: float) -> float:
    """Seconds until what is counted has sunk to `room`."""
    if current <= room and previous:
        return max(_WINDOW * (1 - (room - current) / previous) - elapsed, 0.05)
    still = _WINDOW - elapsed
    if current <= room or not current:
        return still
    return still + _WINDOW * max(1 - max(room, 0) / current, 0)
