"""Find the enabled plugins, refuse what is wrong with any of them, and say what they registered.

The only one who asks for them. Entry points are walked one by one, and each implementation of a
hook is called separately: `load_setuptools_entrypoints` skips a taken name in silence, and one call
to all would lose every result with the first fault. So every fault names its plugin, and one report
has them all.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from typing import Any, Final, Protocol

import pluggy
from msgspec import Struct, structs

from starship_core import hookspecs
from starship_core.config import Config
from starship_core.config_file import suggestion
from starship_core.errors import ConfigError, PluginError
from starship_core.instances import Instance, Offered, assembled, open_instance
from starship_core.registration import (
    PLUGIN_API,
    FxRegistration,
    NotifierRegistration,
    PolicyRegistration,
    Registration,
    SourceRegistration,
    VendorRegistration,
    WalletRegistration,
)

__all__ = [
    "HOOKS",
    "EntryPoint",
    "Installed",
    "Instance",
    "Plugins",
    "Survey",
    "core_version",
    "find",
    "manager",
    "open_instance",
    "take",
]

GROUP: Final = "starship"
"""The entry-point group."""
HOOKS: Final[Mapping[str, type[Registration[Any, Any]]]] = {
    "register_inventory_sources": SourceRegistration,
    "register_vendor_fulfillers": VendorRegistration,
    "register_fx_providers": FxRegistration,
    "register_wallet_backends": WalletRegistration,
    "register_notifiers": NotifierRegistration,
    "register_fulfil_policies": PolicyRegistration,
}
"""What each hook hands over."""


class EntryPoint(Protocol):
    """What is needed of `importlib.metadata.EntryPoint`; a test may offer its own."""

    def load(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def dist(self) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Installed:
    """One plugin that is there, enabled or not; only an enabled one has been imported."""

    name: str
    """The entry point's: what stands in `[plugins] enabled`."""
    distribution: str
    version: str
    enabled: bool
    registrations: tuple[Registration[Any, Any], ...] = ()

    def __str__(self) -> str:
        return f"plugin {self.name} ({self.distribution} {self.version})"


@dataclass(frozen=True, kw_only=True)
class Plugins:
    """What is plugged in, checked; nothing is open yet."""

    installed: tuple[Installed, ...]
    registrations: Mapping[str, Mapping[str, Registration[Any, Any]]]
    """By kind, then by name; of enabled plugins, in use or not."""
    instances: tuple[Instance, ...]

    def of_kind(self, kind: str) -> tuple[Instance, ...]:
        """In the order of the file."""
        return tuple(instance for instance in self.instances if instance.kind == kind)

    def migrations(self) -> Sequence[str]:
        """`package:folder` of every wallet backend in use that has tables."""
        wallets = (instance.registration for instance in self.of_kind("wallet"))
        return [
            wallet.migrations
            for wallet in wallets
            if isinstance(wallet, WalletRegistration) and wallet.migrations is not None
        ]


def core_version() -> str:
    """Of this release, as it is installed."""
    return metadata.version("starship-core")


def find(config: Config, entry_points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Import what is enabled and fit the configuration's sections into what it registered.

    Raises with every problem: PluginError when a package or the allow-list has to be changed,
    ConfigError when only sections do. `entry_points` are those of the environment when left out.
    """
    survey = take(config.plugins.enabled, entry_points, place=f"{config.path}: [plugins] enabled")
    idle = [one.name for one in survey.installed if not one.enabled]
    instances, problems = assembled(config, survey.offered, idle=idle, faults=survey.problems)
    if survey.problems:
        raise PluginError([*survey.problems, *problems])
    if problems:
        raise ConfigError(problems)
    registrations = {
        kind: {name: offered.registration for name, offered in by_name.items()}
        for kind, by_name in survey.offered.items()
    }
    return Plugins(
        installed=tuple(survey.installed),
        registrations=registrations,
        instances=tuple(instances),
    )


@dataclass(kw_only=True)
class Survey:
    """What is installed, what the enabled ones registered by kind and name, and what is wrong."""

    installed: list[Installed] = field(default_factory=list)
    offered: dict[str, dict[str, Offered]] = field(
        default_factory=lambda: {registration.kind: {} for registration in HOOKS.values()}
    )
    problems: list[str] = field(default_factory=list)


def take(
    enabled: Sequence[str],
    entry_points: Iterable[EntryPoint] | None = None,
    *,
    place: str = "[plugins] enabled",
) -> Survey:
    """Import the plugins named, ask each for its registrations, and keep what is well formed."""
    survey, plugged = Survey(), manager()
    offers = _by_name(_environment() if entry_points is None else entry_points)
    survey.problems += [
        f"{place}: {name} is not installed; installed are: {', '.join(offers) or 'none'}"
        for name in dict.fromkeys(enabled)
        if name not in offers
    ]
    for name, rivals in offers.items():
        distribution, offer = next(iter(rivals.items()))
        one = Installed(
            name=name,
            distribution=distribution,
            version=offer.dist.version if offer.dist else "0",
            enabled=name in enabled,
        )
        if one.enabled and len(rivals) > 1:
            both = " and ".join(rivals)
            survey.problems.append(f"plugin {name}: {both} both offer it; uninstall one of them")
        elif one.enabled:
            registrations, problems = _registered(plugged, one, offer)
            survey.problems += problems
            one = replace(one, registrations=tuple(_kept(survey, one, registrations)))
        survey.installed.append(one)
    return survey


@cache  # it does not change while a process runs
def _environment() -> metadata.EntryPoints:
    return metadata.entry_points(group=GROUP)


def manager() -> pluggy.PluginManager:
    """A pluggy manager that knows the six hooks and has no plugins."""
    plugged = pluggy.PluginManager("starship")
    plugged.add_hookspecs(hookspecs)
    return plugged


def _by_name(entry_points: Iterable[EntryPoint]) -> dict[str, dict[str, EntryPoint]]:
    """Entry-point name → distribution name → entry point, in order of name."""
    offers: dict[str, dict[str, EntryPoint]] = {}
    for offer in sorted(entry_points, key=lambda offer: offer.name):
        distribution = offer.dist.name if offer.dist else "an unknown distribution"
        offers.setdefault(offer.name, {}).setdefault(distribution, offer)
    return offers


def _registered(
    plugged: pluggy.PluginManager, one: Installed, offer: EntryPoint
) -> tuple[list[tuple[str, Any]], list[str]]:
    """What each of the plugin's hooks handed over, with the hook's name; and what went wrong."""
    try:
        plugin = offer.load()
        plugged.register(plugin, name=one.name)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's import may do anything
        return [], [f"{one}: cannot be loaded: {_told(error)}"]
    handed: list[tuple[str, Any]] = []
    problems: list[str] = []
    callers = plugged.get_hookcallers(plugin) or []
    if not callers:
        problems.append(f"{one}: has no function marked @hookimpl, so it registers nothing")
    for caller in callers:
        if not caller.has_spec():
            unknown = suggestion(caller.name, HOOKS)
            problems.append(f"{one}: there is no hook {caller.name}{unknown}")
            continue
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin:
                items, wrong = _called(implementation, caller.name)
                handed += [(caller.name, item) for item in items]
                problems += [f"{one}: {caller.name} {text}" for text in wrong]
    return handed, problems


def _called(implementation: pluggy.HookImpl, hook: str) -> tuple[list[Any], list[str]]:
    if implementation.wrapper or implementation.hookwrapper:
        return [], ["is a wrapper; a hook hands over its own registrations and nothing else"]
    try:
        result = implementation.function()
        if inspect.iscoroutine(result):
            result.close()  # or Python warns that nobody awaited it
        if inspect.isawaitable(result) or inspect.isasyncgen(result):
            return [], ["is async; make it a plain function, and do what awaits in `open`"]
        if not isinstance(result, Iterable) or isinstance(result, (str, bytes)):
            wanted = f"it must return a list of {HOOKS[hook].__name__}"
            return [], [f"returned {_article(result)}; {wanted}"]
        return list(result), []
    except Exception as error:  # noqa: BLE001  # whatever it is, it names its plugin
        return [], [f"raised {_told(error)}"]


def _kept(
    survey: Survey, one: Installed, handed: Iterable[tuple[str, Any]]
) -> Iterable[Registration[Any, Any]]:
    """Those that can be used; each other one is a problem in the survey."""
    for hook, item in handed:
        if problem := _misfit(item, HOOKS[hook]):
            survey.problems.append(f"{one}: {hook} handed over {problem}")
            continue
        taken = survey.offered[item.kind]
        if item.name in taken:
            survey.problems.append(
                f"{one}: the {item.kind} {item.name} is already registered by plugin "
                f"{taken[item.name].plugin}; disable or uninstall one of them"
            )
            continue
        taken[item.name] = Offered(one.name, item)
        yield item


def _misfit(item: Any, wanted: type[Registration[Any, Any]]) -> str | None:
    """What is wrong with a thing that a hook handed over."""
    if not isinstance(item, wanted):
        return f"{_article(item)}, which is no {wanted.__name__}"
    if type(item.api) is not int or item.api != PLUGIN_API:
        newer = type(item.api) is int and item.api > PLUGIN_API
        what = f"{item.name!r}, written for plugin API {item.api!r}; this core speaks plugin API"
        return f"{what} {PLUGIN_API}: upgrade {'starship-core' if newer else 'the plugin'}"
    if not isinstance(item.name, str) or not item.name.replace("-", "").isalnum():
        return f"a registration named {item.name!r}; a name is letters, digits and hyphens"
    if not callable(item.open):
        return f"{item.name!r}, whose `open` cannot be called"
    return f"{item.name!r}, whose config {wrong}" if (wrong := _unreadable(item.config)) else None


def _unreadable(config: Any) -> str | None:
    if not isinstance(config, type) or not issubclass(config, Struct):
        return "is no msgspec Struct"
    try:
        structs.fields(config)
    except Exception as error:  # noqa: BLE001  # an annotation that names nothing, for one
        return f"cannot be read: {_told(error)}"
    return None


def _article(item: Any) -> str:
    return "None" if item is None else f"an object of type {type(item).__name__}"


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
