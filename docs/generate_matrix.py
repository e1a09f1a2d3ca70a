# ruff: noqa: INP001  # docs is no package
"""The page of the fault matrix, from the table that the tests of `tests/matrix` hold cells to."""

from __future__ import annotations

import json
from typing import Any, Final

from generate import table
from source import ROOT

from tests.matrix.faults import FAULTS

ENDS: Final[dict[str, dict[str, dict[str, Any]]]] = json.loads(
    (ROOT / "tests/matrix/ends.json").read_text(encoding="utf-8")
)


def faults() -> str:
    """What goes wrong, by the number that the matrix has for it."""
    rows = [
        (str(number), name, fault.about) for number, (name, fault) in enumerate(FAULTS.items(), 1)
    ]
    return table(("", "fault", "what happens"), rows)


def matrix() -> str:
    """A row for each adapter, a column for each fault."""
    columns = ("", *(str(number) for number, _ in enumerate(FAULTS, 1)))
    rows = [(f"`{use}`", *(_letter(row[name]) for name in FAULTS)) for use, row in ENDS.items()]
    return table(columns, rows)


def count() -> str:
    """How many end how."""
    ends = [cell["end"] for row in ENDS.values() for cell in row.values()]
    parts = ", ".join(
        f"{ends.count(end)} {words}"
        for end, words in (("delivered", "delivered"), ("pending", "pending"), ("review", "review"))
    )
    return f"{len(ends)} cells: {parts}.\n"


def not_delivered() -> str:
    """All that a cell's test knows of those that are not delivered."""
    rows = [
        (f"`{use}`", name, cell["end"], ", ".join(cell["purchases"]), str(cell["sold"]),
         str(cell["delivered"]))
        for use, row in ENDS.items()
        for name, cell in row.items()
        if cell["end"] != "delivered"
    ]  # fmt: skip
    columns = ("adapter", "fault", "end", "the purchase", "sold, of 2", "delivered")
    return table(columns, rows)


def _letter(cell: dict[str, Any]) -> str:
    return {"delivered": "D", "pending": "**P**", "review": "**R**"}[cell["end"]]
