# ruff: noqa: INP001  # docs is no package
"""The page of the fault matrix, from the table that the tests of `tests/matrix` hold cells to."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from typing import Any, Final

from generate import table
from source import ROOT

from starship_core.cli.plugins import capabilities
from starship_core.plugins import GROUP, take
from starship_core.registration import VendorRegistration
from starship_core.testing.cassettes import facts_of
from tests.matrix.faults import FAULTS

_ENDS: Final[dict[str, dict[str, dict[str, Any]]]] = json.loads(
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
    rows = [(f"`{use}`", *(_letter(row[name]) for name in FAULTS)) for use, row in _ENDS.items()]
    return table(columns, rows)


def count() -> str:
    """How many end how."""
    ends = [cell["end"] for row in _ENDS.values() for cell in row.values()]
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
        for use, row in _ENDS.items()
        for name, cell in row.items()
        if cell["end"] != "delivered"
    ]  # fmt: skip
    columns = ("adapter", "fault", "end", "the purchase", "sold, of 2", "delivered")
    return table(columns, rows)


def declared() -> str:
    """What each adapter declares: a row for a capability, a column for an adapter."""
    found = {one.name: capabilities(one.traits) for one in _adapters()}
    names = next(iter(found.values()))
    rows = [(name, *(one[name] for one in found.values())) for name in names]
    return table(("", *(f"`{name}`" for name in found)), rows)


def cassettes() -> str:
    """From what each adapter's cassettes were recorded, and when the oldest of them was."""
    rows = []
    for one in _adapters():
        files = sorted(ROOT.glob(f"adapters/*/tests/cassettes/{one.name}/*.yaml"))
        told = [facts_of(file) for file in files]
        sources = ", ".join(sorted({source for source, _ in told}))
        oldest = min(facts.now for _, facts in told)
        rows.append((f"`{one.name}`", str(len(files)), oldest[:10], sources))
    return table(("adapter", "cassettes", "the oldest is of", "recorded against"), rows)


def _adapters() -> list[VendorRegistration[Any]]:
    """Of this repository, in the order of the matrix."""
    names = [one.name for one in entry_points(group=GROUP)]
    vendors = {
        one.name: one
        for plugin in take([name for name in names if name in _ENDS]).installed
        for one in plugin.registrations
        if isinstance(one, VendorRegistration)
    }
    return [vendors[use] for use in _ENDS]


def _letter(cell: dict[str, Any]) -> str:
    return {"delivered": "D", "pending": "**P**", "review": "**R**"}[cell["end"]]
