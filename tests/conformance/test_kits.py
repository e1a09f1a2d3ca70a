"""All six kits: none without a bad plugin, without advice, or without a plugin of ours under it."""

import inspect
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from starship_core.testing.kit import Conformance, advice
from starship_core.testing.notifiers import NotifierConformance
from starship_core.testing.plug_facts import PlugChecks
from starship_core.testing.policies import PolicyConformance
from starship_core.testing.rates import FxConformance
from starship_core.testing.sources import SourceConformance
from starship_core.testing.vendors import VendorConformance
from starship_core.testing.wallets import WalletConformance
from tests.conformance import bad_notifiers, bad_policies, bad_rates, bad_sources, bad_wallets
from tests.conformance.failing import checks_of

KITS: dict[str, type[Conformance]] = {
    "source": SourceConformance,
    "vendor": VendorConformance,
    "fx": FxConformance,
    "wallet": WalletConformance,
    "notifier": NotifierConformance,
    "policy": PolicyConformance,
}
BAD: dict[str, set[str]] = {
    "source": {*bad_sources.BAD},
    "fx": {*bad_rates.BAD},
    "wallet": {*bad_wallets.BAD, *bad_wallets.ON_POSTGRESQL},
    "notifier": {*bad_notifiers.BAD},
    "policy": {*bad_policies.BAD},
}
"""Those of vendors, and those that all kits share, are counted in the test of the vendor kit."""
SHARED = [name for name in vars(PlugChecks) if name.startswith("test_")]
EVERY = [(PlugChecks, name) for name in SHARED] + [
    (kit, name) for kit in KITS.values() for name in checks_of(kit)
]


def test_how_many_checks_there_are() -> None:
    """So that one that is lost, by a slip in a name or an import, is missed."""
    counts = {kind: len(checks_of(kit)) for kind, kit in KITS.items()} | {"shared": len(SHARED)}
    assert counts == {
        "source": 16, "vendor": 46, "fx": 16, "wallet": 32, "notifier": 16, "policy": 10,
        "shared": 8,
    }  # fmt: skip
    assert sum(counts.values()) == len(EVERY) == 144


@pytest.mark.parametrize("kind", KITS)
def test_every_kit_has_the_shared_checks(kind: str) -> None:
    """And all of its own are on the class that is inherited."""
    kit = KITS[kind]
    assert issubclass(kit, PlugChecks)
    assert [name for name in checks_of(kit) if not callable(getattr(kit, name, None))] == []


@pytest.mark.parametrize("kind", BAD)
def test_every_check_has_its_bad_plugin(kind: str) -> None:
    """A check that nobody can fail holds nothing."""
    assert {f"test_{name.partition(' ')[0]}" for name in BAD[kind]} == set(checks_of(KITS[kind]))


@pytest.mark.parametrize(("kit", "name"), EVERY)
def test_every_check_gives_advice(kit: type[Conformance], name: str) -> None:
    """What it is for in the first sentence, what to do in the last."""
    check = getattr(kit, name)
    about, _, told = (inspect.getdoc(check) or "").partition("\n\nIf this fails: ")
    assert about
    assert told
    assert advice(check) == " ".join(told.split())


def _registrations() -> list[tuple[Any, Any]]:
    """Of every plugin that is installed, with its module."""
    return [
        (registration, module)
        for entry in sorted(entry_points(group="starship"), key=lambda entry: entry.name)
        for module in [entry.load()]
        for hook in dir(module)
        if hook.startswith("register_")
        for registration in getattr(module, hook)()
    ]


@pytest.mark.parametrize(
    ("registration", "module"), _registrations(), ids=lambda given: getattr(given, "name", "")
)
def test_every_plugin_of_ours_is_under_its_kit(registration: Any, module: Any) -> None:
    """A class of the kit, in a test file of the package that names the plugin."""
    tests = Path(inspect.getfile(module)).parents[2] / "tests"
    texts = [file.read_text() for file in tests.glob("test_*conformance.py")]
    kit = KITS[registration.kind].__name__
    assert [text for text in texts if f"({kit}):" in text and registration.name in text]
