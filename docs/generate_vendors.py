# ruff: noqa: INP001  # docs is no package
"""The page of vendors: what each adapter declares, what proves it, and how it reads the vendor."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

from generate import table
from generate_matrix import ENDS
from source import ROOT

from starship_core.cli.plugins import capabilities
from starship_core.plugins import GROUP, take
from starship_core.registration import ABILITIES, Saying, VendorRegistration
from starship_core.testing.cassettes import facts_of
from starship_core.testing.vendors import VendorConformance

_PROOFS: Final = {
    "same reference twice": "the_same_reference_twice",
    "looks up": "find_tells_what_buy_bought",
    "codes": "delayed_codes",
    "sells in parts": "a_part",
    "units at once": "too_many_units_are_not_sent",
    "currencies": "currencies",
    "answers within": "the_adapter_gives_up_before_the_core_does",
    "rate limits": "limits_are_of_known_operations",
    "balance": "the_balance",
    "callbacks": "a_callback_names_our_reference",
    "orders": "orders_are_listed",
    "reversal": "a_reversal_is_looked_up",
}
"""The check that an adapter fails whose declaration is not true."""
_TOLD: Final = {
    "balance": "tells our balance",
    "callbacks": "calls us back",
    "orders": "lists our orders",
    "reversal": "takes an order back",
}


def declared() -> str:
    """A row for a capability with the check that proves it, a column for an adapter."""
    found = {name: _capabilities(one) for name, one in _adapters().items()}
    rows = []
    for capability, check in _PROOFS.items():
        if not hasattr(VendorConformance, f"test_{check}"):
            raise LookupError(f"there is no check {check}")
        cells = [_dated(name, one[capability], check) for name, one in found.items()]
        rows.append((_TOLD.get(capability, capability), *cells, f"`{check}`"))
    return table(("", *(f"`{name}`" for name in found), "proved by"), rows)


def cassettes() -> str:
    """From what each adapter's cassettes were recorded, and when."""
    rows = []
    for name in _adapters():
        told = [facts_of(file) for file in _files(name)]
        sources = ", ".join(sorted({source for source, _ in told}))
        days = sorted(facts.now[:10] for _, facts in told)
        rows.append((f"`{name}`", str(len(told)), days[0], days[-1], sources))
    return table(("adapter", "cassettes", "the oldest is of", "the newest", "recorded at"), rows)


def ends() -> str:
    """How many of the seventeen faults end how."""
    words = ("delivered", "pending", "review")
    rows = []
    for name, row in ENDS.items():
        count = Counter(cell["end"] for cell in row.values())
        rows.append((f"`{name}`", *(str(count[word]) for word in words)))
    return table(("adapter", *words), rows)


def limits(name: str) -> str:
    """What the core keeps to, over all processes."""
    found = _adapters()[name].traits.rate_limits
    if not found:
        return "None is known, and none is kept.\n"
    rows = [(f"`{one}`", f"{rate.calls} in {rate.seconds:g} s") for one, rate in found.items()]
    return table(("operation", "calls"), rows)


def statuses(name: str) -> str:
    return _sayings("how the order stands", _adapters()[name].statuses)


def errors(name: str) -> str:
    return _sayings("what is said", _adapters()[name].errors)


def _sayings(column: str, sayings: Any) -> str:
    """With whether money was taken, as it follows from what the adapter makes of it."""
    rows = [(f"`{one.word}`", one.meaning, f"`{one.becomes}`", _money(one), one.then)
            for one in sayings]  # fmt: skip
    return table((column, "what it means", "becomes", "money was taken", "then"), rows)


def _money(one: Saying) -> str:
    known = {"Bought": "yes", "Accepted": "perhaps", "Ambiguous": "perhaps"}
    return known.get(one.becomes, "no")


def _capabilities(one: VendorRegistration[Any]) -> dict[str, str]:
    able = {name: "yes" if name in one.traits.abilities else "no" for name in ABILITIES}
    return capabilities(one.traits) | able


def _dated(name: str, told: str, check: str) -> str:
    """What is declared, and of when the recording is that proves it."""
    file = next((one for one in _files(name) if one.stem == check), None)
    return told if file is None else f"{told} ({facts_of(file)[1].now[:10]})"


@cache
def _files(name: str) -> list[Any]:
    return sorted(ROOT.glob(f"adapters/*/tests/cassettes/{name}/*.yaml"))


@cache
def _adapters() -> dict[str, VendorRegistration[Any]]:
    """Of this repository, in the order of the matrix."""
    names = [one.name for one in entry_points(group=GROUP)]
    found = {
        one.name: one
        for plugin in take([name for name in names if name in ENDS]).installed
        for one in plugin.registrations
        if isinstance(one, VendorRegistration)
    }
    return {use: found[use] for use in ENDS}
