"""Values that options of `starship client` take."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import rich_click as click

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """`90m`, `24h`, `7d` or `0`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number, unit = value[:-1], value[-1:]
        if value == "0":
            return timedelta()
        if unit not in _UNITS or not (number.isascii() and number.isdigit() and len(number) < 6):
            self.fail("write 90m, 24h, 7d or 0", param, ctx)
        return timedelta(**{_UNITS[unit]: int(number)})


class Bound(click.ParamType[int]):
    """A number, or `default` for the deployment's; kept as -1."""

    name = "number|default"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        if value == "default":
            return -1
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            self.fail("write a number, or default", param, ctx)
        return int(value)


class DiscountOption(click.ParamType["tuple[int, Decimal | None]"]):
    """`310=2.5`, or `310=none`."""

    name = "product=percent"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, Decimal | None]:
        if isinstance(value, tuple):
            return value
        product, _, percent = value.partition("=")
        try:
            return int(product), None if percent == "none" else Decimal(percent)
        except (ValueError, InvalidOperation):
            self.fail("write 310=2.5, or 310=none", param, ctx)
