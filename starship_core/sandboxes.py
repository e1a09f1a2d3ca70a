"""Vendors' APIs on this machine, as the installed adapters bring them.

An adapter names its sandbox in the entry-point group `starship.sandboxes`: a function that is given
the address at which it will be found, and gives an ASGI application and lines that tell a visitor
how to be let in and what is sold. The adapter itself never imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final, Protocol

from starship_core.errors import PluginError

GROUP: Final = "starship.sandboxes"
"""The entry-point group."""


class EntryPoint(Protocol):
    """What is needed of `importlib.metadata.EntryPoint`; a test may offer its own."""

    @property
    def name(self) -> str: ...
    @property
    def dist(self) -> Any: ...
    def load(self) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Offered:
    """One sandbox that is there; it has not been imported."""

    name: str
    distribution: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Started:
    """What an adapter's function gave."""

    app: Any
    """ASGI."""
    about: Sequence[str]


def installed(entry_points: Iterable[EntryPoint] | None = None) -> list[Offered]:
    """Every sandbox, in order of name."""
    return [
        Offered(
            name=one.name,
            distribution=one.dist.name if one.dist else "an unknown distribution",
            version=one.dist.version if one.dist else "0",
        )
        for one in _found(entry_points)
    ]


def start(name: str, url: str, entry_points: Iterable[EntryPoint] | None = None) -> Started:
    """The application that is to be served at `url`. Raises PluginError, naming the sandbox."""
    found = _found(entry_points)
    here = [one for one in found if one.name == name]
    if not here:
        names = ", ".join(dict.fromkeys(one.name for one in found)) or "none"
        raise PluginError(f"there is no sandbox {name}; installed are: {names}")
    if len(here) > 1:
        both = " and ".join(one.dist.name for one in here)
        raise PluginError(f"sandbox {name}: {both} both offer it; uninstall one of them")
    try:
        app, about = here[0].load()(url)
        return Started(app=app, about=[str(line) for line in about])
    except (Exception, SystemExit) as error:  # an adapter's import may do anything
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        hint = f"; try pip install '{here[0].dist.name}[sandbox]'" if _lacks(error) else ""
        raise PluginError(f"sandbox {name}: cannot be started: {told}{hint}") from error


def _lacks(error: BaseException) -> bool:
    return isinstance(error, ModuleNotFoundError)


def _found(entry_points: Iterable[EntryPoint] | None) -> list[EntryPoint]:
    offers = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    return sorted(offers, key=lambda offer: offer.name)
