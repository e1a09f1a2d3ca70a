"""Sections of the configuration → instances of what plugins registered, and the way to open one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import structlog

from starship_core.config import NAMED, SINGLE, Config
from starship_core.config_file import Place, suggestion
from starship_core.errors import PluginError, StarshipError
from starship_core.registration import Registration, Toolbox

OPEN_SECONDS: Final = 10.0
"""`open` touches no network; what takes longer hangs, and is not waited for at start-up."""
_KINDS: Final = dict(zip(NAMED, ("source", "vendor", "notifier", "policy"), strict=True))
_ROLES: Final = {"wallet": "a wallet backend", "fx": "an exchange-rate provider"}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_log = structlog.get_logger("starship.plugins")


class Offered(NamedTuple):
    """A registration, and the plugin it came from."""

    plugin: str
    registration: Registration[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One section of the file, fitted into its registration's own config type; not open yet."""

    kind: str
    instance_name: str
    """Ours: `bamboo-eu` of `[vendors.bamboo-eu]`; `wallet` and `fx` for those sections."""
    plugin: str
    """The entry point that registered it."""
    registration: Registration[Any, Any]
    config_object: Any


class _Wanted(NamedTuple):
    section: str
    kind: str
    name: str
    raw: Mapping[str, Any]


def assembled(
    config: Config,
    offered: Mapping[str, Mapping[str, Offered]],
    *,
    idle: Sequence[str],
    faults: Collection[str],
) -> tuple[list[Instance], list[str]]:
    """An instance for every section that names one, and what is wrong with the others.

    While some plugin is at fault nobody knows what it would have registered, so a section whose
    registration is not found is then no problem of its own. `idle`: installed but not enabled.
    """
    instances: list[Instance] = []
    problems: list[str] = []
    for wanted in _wanted(config):
        place = Place(file=config.path, section=wanted.section, live=config.live)
        found, problem = _chosen(wanted, offered[wanted.kind], place, idle)
        if found is None:
            problems += [problem] if not faults else []
            continue
        fields = {key: value for key, value in wanted.raw.items() if key != "use"}
        config_object, wrong = place.fit(fields, found.registration.config)
        problems += wrong
        instances.append(
            Instance(
                kind=wanted.kind,
                instance_name=wanted.name,
                plugin=found.plugin,
                registration=found.registration,
                config_object=config_object,
            )
        )
    return instances, problems


def _wanted(config: Config) -> list[_Wanted]:
    single = [_Wanted(name, name, name, getattr(config, name)) for name in SINGLE]
    return single + [
        _Wanted(f"{section}.{name}", _KINDS[section], name, raw)
        for section in NAMED
        for name, raw in getattr(config, section).items()
    ]


def _chosen(
    wanted: _Wanted, offered: Mapping[str, Offered], place: Place, idle: Sequence[str]
) -> tuple[Offered | None, str]:
    """The registration a section means, or the problem."""
    single = wanted.section in SINGLE
    if not single and not _NAME.fullmatch(wanted.name):
        text = "a name is at most 64 letters, digits, dots, hyphens and underscores"
        return None, f"{place.of()}: {text}"
    if single and "use" not in wanted.raw:
        return _only(wanted, offered, place, idle)
    use = wanted.raw.get("use", wanted.name)
    if not isinstance(use, str):
        return None, f"{place.of('use')}: must be the name of a registered {wanted.kind}"
    if use in offered:
        return offered[use], ""
    known = suggestion(use, offered)
    return None, f"{place.of('use')}: no enabled plugin registers a {wanted.kind} {use}{known}"


def _only(
    wanted: _Wanted, offered: Mapping[str, Offered], place: Place, idle: Sequence[str]
) -> tuple[Offered | None, str]:
    """`[wallet]` and `[fx]` may leave `use` out when there is no choice."""
    if len(offered) == 1:
        return next(iter(offered.values())), ""
    role = _ROLES[wanted.kind]
    if offered:
        names = " or ".join(f'use = "{name}"' for name in offered)
        return None, f"{place.of('use')}: is missing, and there are several; write {names}"
    waiting = f" (installed, but not enabled: {', '.join(idle)})" if idle else ""
    return None, (
        f"{place.of()}: no enabled plugin is {role}{waiting}; add one to [plugins] enabled "
        f'and write [{wanted.section}] use = "its name"'
    )


@asynccontextmanager
async def open_instance(instance: Instance, toolbox: Toolbox) -> AsyncIterator[Any]:
    """The port, open until the block ends. Raises PluginError when it does not open.

    What a plugin meant to be read (a StarshipError) passes; of anything else only the class is
    told, here and in the log, because its text may hold what it was opened with. It is closed the
    same way whatever ended the block, and a fault while closing is logged and ends there.
    """
    log = _log.bind(plugin=instance.plugin, instance=instance.instance_name, kind=instance.kind)
    try:
        context: AbstractAsyncContextManager[Any] = instance.registration.open(
            instance.config_object, toolbox
        )
        async with asyncio.timeout(OPEN_SECONDS):
            port = await context.__aenter__()
    except StarshipError as error:
        log.error("plugin.not_opened", error=type(error).__name__)  # noqa: TRY400  # no text
        raise
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        name = type(error).__name__
        log.error("plugin.not_opened", error=name)  # noqa: TRY400  # no text
        raise PluginError(
            f"plugin {instance.plugin}: {instance.kind} {instance.instance_name} could not be "
            f"opened: {name} (its text is not shown, as it may hold a secret)"
        ) from None
    try:
        yield port
    finally:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await context.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001  # the others still have to be closed
            log.error("plugin.not_closed", error=type(error).__name__)  # noqa: TRY400  # no text
