"""Plugins made on the spot: modules of hooks, offered by entry points that no package declares.

`find(config, [offer("mine", registering(my_registration)), required()])` loads them without an
installation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec import Struct

from starship_core import (
    FxRegistration,
    Registration,
    Toolbox,
    VendorRegistration,
    WalletRegistration,
    hookimpl,
)
from starship_core.config import Config, load
from starship_core.plugins import HOOKS


@dataclass(frozen=True)
class Distribution:
    name: str
    version: str = "1.2.3"


@dataclass(frozen=True)
class Offer:
    """An entry point that loads what it was given, or raises it."""

    name: str
    plugin: Any
    dist: Any = None
    loads: list[str] = field(default_factory=list)

    def load(self) -> Any:
        self.loads.append(self.name)
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A section with no fields."""


@asynccontextmanager
async def opened(config: Any, toolbox: Toolbox) -> AsyncIterator[Any]:
    """A port that only remembers what it was opened with."""
    yield (config, toolbox)


def registration(
    cls: type[Registration[Any, Any]] = VendorRegistration, name: str = "bamboo", **changed: Any
) -> Any:
    """Well formed but for what is `changed`."""
    values: dict[str, Any] = {"name": name, "api": 1, "config": Nothing, "open": opened} | changed
    return cls(**values)


def plugin(**hooks: Callable[..., Any]) -> ModuleType:
    """A module whose functions are hook implementations."""
    module = ModuleType("a_plugin")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return module


def registering(*registrations: Registration[Any, Any]) -> ModuleType:
    """A module whose hooks hand these over, each in the hook of its kind."""
    hook_of = {cls: hook for hook, cls in HOOKS.items()}
    by_hook: dict[str, list[Registration[Any, Any]]] = {}
    for one in registrations:
        by_hook.setdefault(hook_of[type(one)], []).append(one)

    def handing(handed: list[Registration[Any, Any]]) -> Callable[[], Iterable[Any]]:
        return lambda: handed

    return plugin(**{hook: handing(handed) for hook, handed in by_hook.items()})


def offer(name: str, plugged: Any, distribution: str | None = None) -> Offer:
    """Entry point of `starship-<name>` or another distribution: loads `plugged`, or raises it."""
    return Offer(name, plugged, Distribution(distribution or f"starship-{name}"))


def required() -> Offer:
    """A plugin with what every deployment must have: one wallet backend, one FX provider."""
    return offer(
        "required",
        registering(registration(WalletRegistration, "w"), registration(FxRegistration, "f")),
    )


def config(folder: Path, text: str, *enabled: str) -> Config:
    """A configuration read from a file in `folder` that enables these."""
    file = folder / "starship.toml"
    names = ", ".join(f'"{name}"' for name in enabled)
    file.write_text(f"[plugins]\nenabled = [{names}]\n{text}", encoding="utf-8")
    return load(file, {})


class NoDatabase:
    """For a plugin that has no tables."""

    async def run(self, work: Callable[..., Any]) -> Any:
        raise AssertionError(work)

    async def read(self, work: Callable[..., Any]) -> Any:
        raise AssertionError(work)


def toolbox(folder: Path, instance: str = "bamboo-eu") -> Toolbox:
    """What a plugin is opened with, with a clock that stands still."""
    return Toolbox(
        instance=instance,
        environment="test",
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        log=lambda *_args, **_ids: None,
        database=NoDatabase(),
        data_dir=folder / "data",
        folder=folder,
    )
