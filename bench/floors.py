"""What the figures are held against, and how they are shown."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.table import Table


class Floor(NamedTuple):
    """A bound on a figure."""

    fits: Callable[[float, float], bool]
    bound: float
    text: str


def at_least(bound: float) -> Floor:
    return Floor(operator.ge, bound, f"≥ {bound:g}")


def at_most(bound: float) -> Floor:
    return Floor(operator.le, bound, f"≤ {bound:g}")


FLOORS = {
    "pg16": at_least(0.8),
    "pg64": at_least(1.2),
    "sqlite16": at_least(0.5),
    "sqlite64": at_least(0.8),
    **{
        f"{database}_p99_half{size}": at_most(20)
        for database in ("pg", "sqlite")
        for size in (16, 64)
    },
    "hot": at_least(0.9),
    "million": at_most(1.1),
    "memory": at_most(150),
    "help": at_most(300),
    "up": at_most(2000),
    "webhooks": at_least(0.3),
    **{f"import_{adapter}": at_most(50) for adapter in ("bamboo", "pinelabs", "voucherkart")},
    **{f"buy_{adapter}": at_most(1) for adapter in ("bamboo", "pinelabs", "voucherkart")},
    "arrival_p99": at_most(1),
    "pump": at_least(0.3),
    "pump_memory": at_most(32),
}


class Line(NamedTuple):
    """One measured figure: `value` is compared, `text` and `detail` are shown."""

    key: str
    name: str
    value: float
    text: str
    detail: str = ""


def broken(lines: Sequence[Line]) -> list[Line]:
    """Lines that miss their floor."""
    return [
        line
        for line in lines
        if line.key in FLOORS and not FLOORS[line.key].fits(line.value, FLOORS[line.key].bound)
    ]


def _rows(lines: Sequence[Line]) -> list[tuple[str, str, str, str]]:
    return [
        (line.name, line.text, FLOORS[line.key].text if line.key in FLOORS else "", line.detail)
        for line in lines
    ]


def table(lines: Sequence[Line]) -> Table:
    """For the terminal."""
    shown = Table("what", "figure", "floor", "detail", title="make bench")
    for row in _rows(lines):
        shown.add_row(*row)
    return shown


def page(text: str, lines: Sequence[Line], machine: str) -> str:
    """The docs page with the table between its marks replaced."""
    rows = "\n".join(f"| {' | '.join(row)} |" for row in _rows(lines))
    measured = (
        f"<!-- bench -->\nMeasured on {datetime.now(UTC):%Y-%m-%d}: {machine}.\n\n"
        f"| what | figure | floor | detail |\n| --- | --- | --- | --- |\n{rows}\n<!-- /bench -->"
    )
    return re.sub(r"<!-- bench -->.*<!-- /bench -->", lambda _: measured, text, flags=re.DOTALL)
