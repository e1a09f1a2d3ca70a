# ruff: noqa: INP001  # docs is no package
"""The page of checks: each kit's, in the order in which they are written, with their advice."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from generate import fields_of, table
from source import ROOT, module

from starship_core.testing.case import VendorCase
from starship_core.testing.kit import Conformance, advice
from starship_core.testing.notifiers import NotifierCase, NotifierConformance
from starship_core.testing.player import Fault
from starship_core.testing.plug_case import PlugCase
from starship_core.testing.plug_facts import PlugChecks
from starship_core.testing.policies import PolicyCase, PolicyConformance
from starship_core.testing.rates import FxCase, FxConformance
from starship_core.testing.sources import SourceCase, SourceConformance
from starship_core.testing.vendors import VendorConformance
from starship_core.testing.wallets import WalletCase, WalletConformance

KITS: Final[dict[str, tuple[type[Conformance], type[Any]]]] = {
    "an inventory source": (SourceConformance, SourceCase),
    "a vendor": (VendorConformance, VendorCase),
    "exchange rates": (FxConformance, FxCase),
    "a wallet backend": (WalletConformance, WalletCase),
    "a notifier": (NotifierConformance, NotifierCase),
    "a policy": (PolicyConformance, PolicyCase),
}
"""By what the plugin is: its kit, and the case of its kit."""


def kits() -> str:
    """A line for each kit: where it is, and how many checks it has, the shared ones included."""
    rows = [
        (plugin, f"`{kit.__name__}`", f"`{case.__name__}`", f"`{kit.__module__}`", str(_count(kit)))
        for plugin, (kit, case) in KITS.items()
    ]
    return table(("a plugin that is", "inherits", "and gives", "both from", "checks"), rows)


def example(path: str) -> str:
    """A plugin's whole test of its port, as it stands."""
    code = (ROOT / path).read_text(encoding="utf-8")
    if code.startswith('"""'):
        _, _, code = code.partition("\n\n")
    return f"```python\n{code}```\n"


def cases() -> str:
    """What each case holds; what all have in common first."""
    given: list[type[Any]] = [PlugCase, *(case for _, case in KITS.values())]
    return "\n".join(map(_fields, given))


def shared_checks() -> str:
    """What every kit has."""
    return _table(PlugChecks)


def checks(plugin: str) -> str:
    """A table for each part of a kit, without what every kit has."""
    kit, _ = KITS[plugin]
    return "\n".join(_part(part) for part in kit.__bases__ if part is not PlugChecks)


def _fields(case: type[Any]) -> str:
    """The fields that an author gives."""
    file = case.__module__.replace(".", "/") + ".py"
    (described,) = [one for one in module(file)[0] if one.name == case.__name__]
    told_already = (
        {"registration"} if case is not PlugCase and issubclass(case, PlugCase) else set()
    )
    own = [
        field
        for field in described.fields
        if field.name not in told_already and not field.annotation.startswith("ClassVar")
    ]
    return fields_of(described._replace(fields=tuple(own)))


def _names(part: type[Conformance]) -> list[str]:
    return [name for name in vars(part) if name.startswith("test_")]


def _count(kit: type[Conformance]) -> int:
    return sum(len(_names(part)) for part in kit.__bases__)


def _part(part: type[Conformance]) -> str:
    about = " ".join((inspect.getdoc(part) or "").split())
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part.__name__.removesuffix("Checks")).capitalize()
    return f"### {title}\n\n{about}\n\n{_table(part)}"


def _table(part: type[Conformance]) -> str:
    rows = []
    for name in _names(part):
        check = getattr(part, name)
        rows.append((f"`{name.removeprefix('test_')}`", _about(check), advice(check)))
    return table(("check", "what it holds", "if it fails"), rows)


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
