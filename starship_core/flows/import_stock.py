"""A file of vouchers brought by hand: the same source plugin, opened on this file for one pump."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from starship_core.errors import ConfigError, InvalidInput
from starship_core.plugins import Instance, open_instance
from starship_core.ports import InventorySource
from starship_core.ship import Ship, toolbox_for

READER: Final = "source-csv"
"""The registration that reads files; its section says `folder`."""
INSTANCE: Final = "import"
"""In the origin of every voucher that was brought by hand."""


@asynccontextmanager
async def by_hand(ship: Ship, path: Path) -> AsyncIterator[Mapping[str, InventorySource]]:
    """The file, or folder of files, as the one source of a pump.

    Raises InvalidInput (not there, or read by a configured source), ConfigError (no plugin for it).
    """
    registration = ship.plugins.registrations["source"].get(READER)
    if registration is None:
        raise ConfigError(
            f"{ship.config.path}: [plugins] enabled: importing a file needs {READER} among them"
        )
    if INSTANCE in ship.sources:
        raise ConfigError(
            f"{ship.config.path}: [sources.{INSTANCE}]: this name belongs to imports by hand; "
            "give the section another"
        )
    place = _checked(ship, path)
    instance = Instance(
        kind="source",
        instance_name=INSTANCE,
        plugin=READER,
        registration=registration,
        config_object=msgspec.convert({"folder": str(place)}, registration.config),
    )
    toolbox = toolbox_for(
        INSTANCE, ship.config, database=ship.database, now=ship.now, vault=ship.vault
    )
    async with open_instance(instance, toolbox) as source:
        yield {INSTANCE: source}


def _checked(ship: Ship, path: Path) -> Path:
    """One unit under two origins would be a duplicate, and both would be taken out of sale."""
    place = path.resolve()
    if not place.exists():
        raise InvalidInput(f"there is no file {path}")
    for instance in ship.plugins.of_kind("source"):
        folder: Any = getattr(instance.config_object, "folder", None)
        if instance.registration.name != READER or not isinstance(folder, str):
            continue
        read = (ship.config.folder / folder).resolve()
        if place.is_relative_to(read) or read.is_relative_to(place):
            name = instance.instance_name
            raise InvalidInput(
                f"{path} is read by the source {name}: `starship pump --source {name}`"
            )
    return place
