"""What is sold, in one frozen snapshot per process: the hot path reads no catalogue rows.

Every change bumps one counter in its own transaction (`touch`); a process looks at that counter at
most once a second and reads the tables again only when it moved.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from starship_core.clock import Clock
from starship_core.database import Database
from starship_core.errors import Unavailable
from starship_core.ports import Transaction
from starship_core.snapshot import (
    Category,
    Country,
    Currency,
    Denomination,
    Product,
    Snapshot,
    build,
    read_rows,
    version,
)

__all__ = [
    "Catalogue",
    "Category",
    "Country",
    "Currency",
    "Denomination",
    "Product",
    "Snapshot",
    "touch",
]

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the counter: a change is seen by every process at most this late."""
WAIT_FOR_LOOK: Final = 1.0
"""Whoever needs a newer look than the last waits this long for it before the old one must do."""
KEEP_FOR: Final = 30.0
"""Seconds that a snapshot serves after the last look that succeeded."""

_log = structlog.get_logger()

_TOUCH: Final = """
INSERT INTO counters (name, value) VALUES ('catalogue', 1)
ON CONFLICT (name) DO UPDATE SET value = counters.value + 1
"""


def touch(tx: Transaction) -> None:
    """Tell every process that the catalogue changed, in the transaction of the change itself.

    Call it for every change to products, offers, discounts, categories, countries, currencies.
    """
    tx.execute(_TOUCH)


class Catalogue:
    """The current snapshot. One look at the counter is shared by all who wait for it."""

    def __init__(
        self, database: Database, now: Clock, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._now = now
        self._monotonic = monotonic
        self._snapshot: Snapshot | None = None
        self._confirmed = 0.0
        self._next_look = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def current(self) -> Snapshot:
        """The catalogue as of two seconds ago at most; up to 30 s while the database is away.

        Raises Unavailable when it was away for longer than that.
        """
        snapshot, now = self._snapshot, self._monotonic()
        if snapshot is not None and now - self._confirmed < LOOK_EVERY:
            return snapshot
        if self._looking is None and now >= self._next_look:
            self._looking = asyncio.create_task(self._look())
        if snapshot is not None and now - self._confirmed < 2 * LOOK_EVERY:
            return snapshot  # busy: the look is under way, and nobody needs to stand still for it
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=WAIT_FOR_LOOK if snapshot else None)
        return self._usable()

    def _usable(self) -> Snapshot:
        if self._snapshot is None or self._monotonic() - self._confirmed >= KEEP_FOR:
            raise Unavailable("the catalogue cannot be read", retry_after=2)
        return self._snapshot

    async def _look(self) -> None:
        began = self._monotonic()
        try:
            known = self._snapshot.version if self._snapshot else None
            if known is None or known != await self._database.read(version):
                rows = await self._database.read(read_rows)
                self._snapshot = await asyncio.to_thread(build, rows, self._now())
            self._confirmed = began
        except Exception as error:  # noqa: BLE001  # the old snapshot serves on; `current` judges its age
            _log.warning("catalogue.unreadable", error=type(error).__name__)
        finally:
            self._next_look = began + LOOK_EVERY
            self._looking = None
