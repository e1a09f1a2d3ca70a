"""What a pump would do with what a source hands over: counted, and everything left as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starship_core.database import Database
from starship_core.model import Voucher
from starship_core.ports import InventorySource
from starship_core.stock.intake import Judge, compare
from starship_core.stock.rations import Rations
from starship_core.stock.receiving import Prepared, Written, look_up
from starship_core.stock.report import Tally


class Rehearsal:
    """Takes the place of a pump's run."""

    def __init__(self, database: Database, rations: Rations) -> None:
        self.tally = Tally()
        self.rations = rations
        self._database = database

    async def recall(self, origins: Sequence[str], reason: str) -> None:
        """Would block what is undelivered."""

    async def prepare(self, judge: Judge, chunk: Sequence[Voucher]) -> Prepared:
        return Prepared(await asyncio.to_thread(judge.all, chunk))

    async def store(self, ready: Prepared) -> Written:
        units = ready.units
        told = self.rations.cut(compare(units, await self._database.read(look_up, units)))
        self.rations.count(told)
        return Written(told)

    async def tell(self, written: Written) -> None:
        """Nobody is told."""

    async def confirm(self, name: str, source: InventorySource, references: list[str]) -> None:
        """Tells the source nothing."""
