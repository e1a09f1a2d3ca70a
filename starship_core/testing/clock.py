"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2027, 1, 1, tzinfo=UTC)


class ManualClock:
    """`clock()` is the time, as `starship_core.clock.utc_now` would tell it."""

    def __init__(self, start: datetime = START) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def advance(self, *, seconds: float = 0, **others: float) -> datetime:
        """Move on by `seconds`, `minutes`, `hours`, `days`, …; returns the new time."""
        self.time += timedelta(seconds=seconds, **others)
        return self.time

    def set(self, time: datetime) -> None:
        """Jump. Raises TypeError for a naive datetime."""
        self.time + (time - self.time)  # naive minus aware raises
        self.time = time
