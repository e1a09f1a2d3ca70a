"""Each of the six hooks: what it hands over ends up under its kind and opens as a port."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from starship_core import hookspecs
from starship_core.plugins import HOOKS, find, manager, open_instance
from starship_core.registration import Registration
from starship_core.testing.plugs import (
    Nothing,
    config,
    offer,
    plugin,
    registration,
    required,
    toolbox,
)

SECTIONS = {
    "source": "[sources.mine]",
    "vendor": "[vendors.mine]",
    "notifier": "[notifiers.mine]",
    "policy": "[policies.mine]",
    "wallet": '[wallet]\nuse = "mine"',
    "fx": '[fx]\nuse = "mine"',
}


async def plugged(folder: Path, hook: str, kind: str) -> None:
    """A plugin with this hook alone is found under the kind and can be opened from its section."""
    cls: type[Registration[Any, Any]] = HOOKS[hook]
    mine = registration(cls, "mine")
    found = find(
        config(folder, SECTIONS[kind], "required", "mine"),
        [offer("mine", plugin(**{hook: lambda: [mine]})), required()],
    )
    (instance,) = [one for one in found.instances if one.registration is mine]
    tools = toolbox(folder)

    assert cls.kind == kind
    assert found.registrations[kind]["mine"] is mine
    assert instance.kind == kind
    async with open_instance(instance, tools) as port:
        assert port == (Nothing(), tools)


async def test_hook_register_inventory_sources(tmp_path: Path) -> None:
    """A source is found and opened."""
    await plugged(tmp_path, "register_inventory_sources", "source")


async def test_hook_register_vendor_fulfillers(tmp_path: Path) -> None:
    """A vendor is found and opened."""
    await plugged(tmp_path, "register_vendor_fulfillers", "vendor")


async def test_hook_register_fx_providers(tmp_path: Path) -> None:
    """An exchange-rate provider is found and opened."""
    await plugged(tmp_path, "register_fx_providers", "fx")


async def test_hook_register_wallet_backends(tmp_path: Path) -> None:
    """A wallet backend is found and opened."""
    await plugged(tmp_path, "register_wallet_backends", "wallet")


async def test_hook_register_notifiers(tmp_path: Path) -> None:
    """A notifier is found and opened."""
    await plugged(tmp_path, "register_notifiers", "notifier")


async def test_hook_register_fulfil_policies(tmp_path: Path) -> None:
    """A policy is found and opened."""
    await plugged(tmp_path, "register_fulfil_policies", "policy")


def hooks() -> list[str]:
    return sorted(name for name in vars(manager().hook) if not name.startswith("_"))


def test_every_hook_has_a_test() -> None:
    """A seventh hook fails here until `test_hook_<its name>` exists."""
    tests = {name for name in vars(sys.modules[__name__]) if name.startswith("test_hook_")}

    assert tests == {f"test_hook_{name}" for name in hooks()}


def test_every_hook_is_known_to_the_loader() -> None:
    """A hook without an entry in `HOOKS` would be called and its answer not understood."""
    assert sorted(HOOKS) == hooks()
    assert len({cls.kind for cls in HOOKS.values()}) == 6


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_promises_what_the_loader_demands(hook: str) -> None:
    """The annotation an author reads names the class the loader insists on."""
    promised = str(vars(hookspecs)[hook].__annotations__["return"])

    assert re.findall(r"\w+Registration", promised) == [HOOKS[hook].__name__]
    assert vars(hookspecs)[hook]() == ()
