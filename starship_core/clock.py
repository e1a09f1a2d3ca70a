"""Time: aware UTC from one injectable clock, stored as whole microseconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

Clock = Callable[[], datetime]

TOLERATED: Final = timedelta(seconds=2)
"""A clock off by more than this from the database's is told of, and set right."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Steered:
    """A clock that is set right: a worker whose machine is 40 minutes ahead of the database must
    not take 40 minutes of other people's dates away.
    """

    def __init__(self, base: Clock) -> None:
        self._base = base
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return self._base() + self.offset

    def set_right(self, skew: timedelta) -> None:
        """`skew` is what the right time is ahead of the base clock; a little is left alone."""
        self.offset = skew if abs(skew) > TOLERATED else timedelta()


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


def micros(moment: datetime) -> int:
    """As the tables store it. Raises TypeError for a naive datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(stored: int) -> datetime:
    """Back from the tables."""
    return _EPOCH + timedelta(microseconds=stored)


def rfc3339(instant: datetime) -> str:
    """`2027-06-30T23:59:59Z`, with microseconds when there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
