"""What every author of a plugin gives a kit, and the stage that each of its checks plays on."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

from starship_core import Database, Registration, Secret, Toolbox
from starship_core.config_file import Place
from starship_core.testing.clock import START, ManualClock
from starship_core.testing.plugs import NoDatabase, toolbox

ENOUGH: Final = 20.0
"""Seconds after which a check gives up on a call."""
CaseT = TypeVar("CaseT", bound="PlugCase")


@dataclass(frozen=True, kw_only=True)
class PlugCase:
    """A plugin and its section; cases of kits add what their checks need. A vendor's is its own."""

    registers: ClassVar[type[Registration[Any, Any]]]
    port: ClassVar[type[Any]]

    registration: Registration[Any, Any]
    """What the plugin's hook hands over."""
    section: Mapping[str, Any] = field(default_factory=dict)
    """As in `starship.toml`. Its secrets are fakes."""
    now: datetime = START
    """The clock's time."""
    database: Database = field(default_factory=NoDatabase)
    """For a plugin that reads or writes one."""

    def config(self, **changed: Any) -> Any:
        """The section in its own type, as the core makes it."""
        return fitted(self.registration, {**self.section, **changed})

    def secrets(self) -> dict[str, str]:
        """Fields of the section that are secrets, with their values."""
        return secrets_of(self.config(), self.section)


def fitted(registration: Registration[Any, Any], fields: Mapping[str, Any]) -> Any:
    """A section in its registration's type; a section that does not fit fails the check."""
    place = Place(file=Path("starship.toml"), section=f"{registration.kind}.{registration.name}")
    config, problems = place.fit(fields, registration.config)
    assert config is not None, f"the case's section does not fit: {problems}"
    return config


def secrets_of(config: Any, names: Mapping[str, Any]) -> dict[str, str]:
    """Those of the fields that are secrets."""
    return {
        name: value.reveal() for name in names if isinstance(value := getattr(config, name), Secret)
    }


@dataclass
class PlugStage(Generic[CaseT]):
    """One check's own: a folder, a clock, a log; the plugin may be opened on it again and again, as
    a deployment does when it is started again.
    """

    case: CaseT
    folder: Path
    logged: list[str] = field(default_factory=list)
    """What the plugin said to `toolbox.log`."""
    clock: ManualClock = field(default_factory=ManualClock)
    database: Database = field(default_factory=NoDatabase)

    def __post_init__(self) -> None:
        self.clock.set(self.case.now)
        if isinstance(self.database, NoDatabase):
            self.database = self.case.database

    @property
    def tools(self) -> Toolbox:
        """What the plugin is opened with."""
        return replace(
            toolbox(self.folder, self.case.registration.name),
            now=self.clock,
            log=lambda *said, **ids: self.logged.append(f"{said} {ids}"),
            database=self.database,
        )

    @asynccontextmanager
    async def opened(self, **changed: Any) -> AsyncIterator[Any]:
        """The plugin, open; `changed` are fields of its section."""
        config = self.case.config(**changed)
        async with self.case.registration.open(config, self.tools) as port:
            yield port

    @asynccontextmanager
    async def opened_anywhere(self) -> AsyncIterator[Any]:
        """The plugin, open, by its section as it stands."""
        async with self.opened() as port:
            yield port

    async def call(self, asked: Any) -> Any:
        """Its result, or what it raises; TimeoutError after a while, which no check expects."""
        return await called(asked)


async def called(asked: Any) -> Any:
    """The result of a port's method, or what it raises; TimeoutError after a while."""
    assert inspect.isawaitable(asked), "a method of the port is not async"
    async with asyncio.timeout(ENOUGH):
        return await asked


async def raised(asked: Any) -> BaseException | None:
    """What a call raises; None for one that answers."""
    try:
        await called(asked)
    except Exception as error:  # noqa: BLE001  # whatever it is, a check looks at it
        return error
    return None
