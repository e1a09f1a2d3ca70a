"""Time: aware UTC from one injectable clock, stored as whole microseconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

Clock = Callable[[], datetime]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


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
