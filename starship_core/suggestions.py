"""Voucher ids that Redis suggests to a transaction, and their way back when they are not used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starship_core.model import Sku
from starship_core.pool import Pool


class Hints:
    """What was popped; until `keep` says otherwise all of it goes back."""

    def __init__(self, pool: Pool, wanted: Mapping[Sku, int]) -> None:
        self._popped: dict[int, tuple[Sku, int, int]] = {}
        self.popped = asyncio.ensure_future(self._pop(pool, wanted))
        """The ids, once they are there; it raises nothing."""

    async def _pop(self, pool: Pool, wanted: Mapping[Sku, int]) -> frozenset[int]:
        if wanted:
            self._popped = {entry[1]: entry for entry in await pool.suggest(list(wanted.items()))}
        return frozenset(self._popped)

    def keep(self, used: frozenset[int], stale: frozenset[int]) -> None:
        """Call once it is true: assigned ids stay out, and so do stale ones; nobody is offered them
        again.
        """
        gone = used | stale
        self._popped = {i: entry for i, entry in self._popped.items() if i not in gone}

    @property
    def unused(self) -> Sequence[tuple[Sku, int, int]]:
        """(sku, voucher id, expiry) each."""
        return list(self._popped.values())


@asynccontextmanager
async def suggestions(pool: Pool, wanted: Mapping[Sku, int]) -> AsyncIterator[Hints]:
    """Begin to pop up to that many ids a sku; put back what is not kept, on every way out."""
    hints = Hints(pool, wanted)
    try:
        yield hints
    finally:
        await asyncio.shield(hints.popped)
        if hints.unused:
            await pool.put_back(hints.unused)
