"""What a key stands for, read once and remembered for a moment: so that a busy caller hardly ever
waits for the database, and what is taken back stops soon in every process.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from random import uniform
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
_REMEMBERED: Final = 4096


class _Entry(Generic[T]):
    """What was found, or the knowledge that there is nothing, and until when that is good."""

    __slots__ = ("found", "good_until", "refresh_at")

    def __init__(self, found: T | None, read_at: float, ttl: float) -> None:
        self.found = found
        # not all at once: what was first asked for together would be read together for ever
        self.refresh_at = read_at + ttl * uniform(0.5, 0.7)  # noqa: S311  # no secret
        self.good_until = read_at + ttl


class Recent(Generic[T]):
    """`read` is asked at most about twice in `ttl` seconds of each key; None is remembered, too."""

    def __init__(
        self,
        read: Callable[[str], Coroutine[Any, Any, T | None]],
        *,
        ttl: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._read = read
        self._ttl = ttl
        self._monotonic = monotonic
        self.known: OrderedDict[str, _Entry[T]] = OrderedDict()
        self.reading: dict[str, asyncio.Task[T | None]] = {}

    async def get(self, key: str) -> T | None:
        """What was true at most `ttl` seconds ago. Raises what `read` raises when nothing is."""
        moment = self._monotonic()
        entry = self.known.get(key)
        if entry is not None and moment < entry.good_until:
            if moment >= entry.refresh_at:
                self._read_soon(key)  # so that no request of a busy caller waits for it
            return entry.found
        return await asyncio.shield(self._read_soon(key))

    def forget(self) -> None:
        """Drop everything remembered; the next call of each key reads again."""
        self.known.clear()

    def _read_soon(self, key: str) -> asyncio.Task[T | None]:
        reading = self.reading.get(key)
        if reading is None:
            reading = asyncio.create_task(self._remember(key))
            self.reading[key] = reading
            reading.add_done_callback(lambda done: self._done(key, done))
        return reading

    def _done(self, key: str, task: asyncio.Task[T | None]) -> None:
        self.reading.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; a failed refresh is tried by the next request

    async def _remember(self, key: str) -> T | None:
        asked_at = self._monotonic()
        found = await self._read(key)
        self.known[key] = _Entry(found, asked_at, self._ttl)
        self.known.move_to_end(key)
        while len(self.known) > _REMEMBERED:
            self.known.popitem(last=False)
        return found
