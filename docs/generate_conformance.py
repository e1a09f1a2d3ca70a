# ruff: noqa: INP001  # docs is no package
"""The page of checks: each kit's, in the order in which they are written, with their advice."""

from __future__ import annotations

import inspect

from generate import table
from source import ROOT

from starship_core.testing.kit import Conformance, advice
from starship_core.testing.player import Fault
from starship_core.testing.vendors import VendorConformance


def example() -> str:
    """The whole test of Bamboo's adapter, as it stands."""
    file = ROOT / "adapters" / "bamboo" / "tests" / "test_conformance.py"
    _, _, code = file.read_text(encoding="utf-8").partition("\n\n")
    return f"```python\n{code}```\n"


def vendor_checks() -> str:
    """A table for each part of the vendor kit."""
    return "\n".join(_part(part) for part in VendorConformance.__bases__)


def _part(part: type[Conformance]) -> str:
    checks = [(name, check) for name, check in vars(part).items() if name.startswith("test_")]
    rows = [
        (f"`{name.removeprefix('test_')}`", _about(check), advice(check)) for name, check in checks
    ]
    title = f"### {part.__name__.removesuffix('Checks')}\n\n{inspect.getdoc(part)}\n"
    return f"{title}\n{table(('check', 'what it holds', 'if it fails'), rows)}"


def _about(check: object) -> str:
    about = (inspect.getdoc(check) or "").partition("If this fails:")[0]
    return " ".join(about.split()) + _faults(check)


def _faults(check: object) -> str:
    """The faults that a check is run with."""
    for mark in getattr(check, "pytestmark", ()):
        if mark.name == "parametrize":
            names = [one.name for one in mark.args[1] if isinstance(one, Fault)]
            return f" ({', '.join(dict.fromkeys(names))})"
    return ""
