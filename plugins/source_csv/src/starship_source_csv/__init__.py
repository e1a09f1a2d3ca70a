"""source-csv: vouchers from a folder of CSV files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from starship_core import SourceRegistration, Toolbox, hookimpl
from starship_source_csv.source import CsvSource

__all__ = ["CsvConfig", "CsvSource", "register_inventory_sources"]


class CsvConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`[sources.NAME] use = "source-csv"`"""

    folder: str
    """Where the `*.csv` files are, or one such file; relative to the configuration's folder."""

    def __post_init__(self) -> None:
        if not self.folder.strip():
            raise ValueError("name the folder that the CSV files are put into")


@asynccontextmanager
async def _open(config: CsvConfig, toolbox: Toolbox) -> AsyncIterator[CsvSource]:
    yield CsvSource(toolbox.folder / config.folder, toolbox)


@hookimpl
def register_inventory_sources() -> Iterable[SourceRegistration[Any]]:
    return [SourceRegistration(name="source-csv", api=1, config=CsvConfig, open=_open)]
