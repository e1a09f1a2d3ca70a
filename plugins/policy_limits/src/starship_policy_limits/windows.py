"""Hours of the week, in UTC: `08:00-18:00`, `mon-fri 08:00-18:00`, `sat 22:00-02:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY: Final = "|".join(DAYS)
_TIME: Final = r"([01][0-9]|2[0-4]):([0-5][0-9])"
_WINDOW: Final = re.compile(rf"(?:({_DAY})(?:-({_DAY}))? )?{_TIME}-{_TIME}")
_MIDNIGHT: Final = 24 * 60


class Window(NamedTuple):
    """Minutes of these days (Monday is 0): from `start`, and no longer at `end`."""

    days: frozenset[int]
    start: int
    end: int
    """At or before `start`: on the day after."""

    def holds(self, at: datetime) -> bool:
        """Whether the moment lies in the window. One across midnight belongs to its first day."""
        moment = at.astimezone(UTC)
        minute, day = moment.hour * 60 + moment.minute, moment.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        yesterday = (day - 1) % 7
        return (day in self.days and minute >= self.start) or (
            yesterday in self.days and minute < self.end
        )


def window(text: str) -> Window:
    """Raises ValueError for what is not written as above."""
    found = _WINDOW.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no window such as '08:00-18:00' or 'mon-fri 08:00-18:00'")
    start = int(found[3]) * 60 + int(found[4])
    end = int(found[5]) * 60 + int(found[6])
    if start == end or start >= _MIDNIGHT or end > _MIDNIGHT:
        raise ValueError(f"{text!r} has no length, or goes past 24:00; all day is '00:00-24:00'")
    return Window(_days(found[1], found[2]), start, end)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    """From the first to the last, round the week's end if need be; none named: every day."""
    if first is None:
        return frozenset(range(7))
    begin = DAYS.index(first)
    length = (DAYS.index(last or first) - begin) % 7 + 1
    return frozenset((begin + i) % 7 for i in range(length))
