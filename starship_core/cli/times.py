"""Times as operators type them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import rich_click as click


class Time(click.ParamType[datetime]):
    """`2027-01-01T09:30:00Z`, or a day, in UTC."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail("write 2027-01-01T09:30:00Z, or 2027-01-01", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
