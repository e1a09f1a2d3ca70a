"""One at a time, across processes: a row in `counters` says until when somebody is at work.

The lease is held open by renewing it, outside any transaction, so the work may take long; whoever
is killed blocks the next for a few seconds only. What is done under it must be right without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from starship_core.clock import Clock, micros
from starship_core.database import Database
from starship_core.errors import StarshipError, Unavailable, WrongState
from starship_core.ports import Transaction

SECONDS: Final = 15
"""How long a lease lasts when it is not renewed."""
RENEW_EVERY: Final = 5.0
PATIENCE: Final = SECONDS + 5.0
"""Seconds to wait for another's lease: enough to outlive one whose holder was killed."""
_POLL: Final = 0.25

_TAKE: Final = """
INSERT INTO counters (name, value) VALUES ($1, $3)
ON CONFLICT (name) DO UPDATE SET value = $3 WHERE counters.value <= $2
RETURNING value
"""
_RENEW: Final = "UPDATE counters SET value = $3 WHERE name = $1 AND value = $2 RETURNING value"
_END: Final = "UPDATE counters SET value = 0 WHERE name = $1 AND value = $2"
_log = structlog.get_logger("starship.lease")


class Lease:
    """Held until `lost`."""

    def __init__(self, name: str, until: int) -> None:
        self.name = f"lease:{name}"
        self.until = until
        self.lost = False

    def check(self) -> None:
        """Raises WrongState once another process has taken over: stop between two steps."""
        if self.lost:
            raise WrongState("another process has taken this work over", found="taken over")


@asynccontextmanager
async def leased(
    name: str, database: Database, now: Clock, *, patience: float | None = None
) -> AsyncIterator[Lease]:
    """Hold the lease while the block runs. Raises WrongState when another keeps holding it."""
    lease = await _take(name, database, now, PATIENCE if patience is None else patience)
    done = asyncio.Event()
    renewing = asyncio.create_task(_keep(lease, database, now, done))
    try:
        yield lease
    finally:
        done.set()
        await renewing
        with suppress(Unavailable):  # it ends by itself
            await database.run(_end, lease)


async def _take(name: str, database: Database, now: Clock, patience: float) -> Lease:
    give_up = time.monotonic() + patience
    while True:
        lease = Lease(name, _until(now))
        if await database.run(_taken, lease, micros(now())):
            return lease
        if time.monotonic() >= give_up:
            raise WrongState(
                f"another {name} is running; try again when it is done", found="running"
            )
        await asyncio.sleep(_POLL)


async def _keep(lease: Lease, database: Database, now: Clock, done: asyncio.Event) -> None:
    while not lease.lost:
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), RENEW_EVERY)
            return
        try:
            until = _until(now)
            lease.lost = not await database.run(_renewed, lease, until)
            lease.until = until
        except StarshipError as error:
            _log.warning("lease.not_renewed", lease=lease.name, error=type(error).__name__)


def _until(now: Clock) -> int:
    return micros(now()) + SECONDS * 1_000_000


def _taken(tx: Transaction, lease: Lease, at: int) -> bool:
    return bool(tx.execute(_TAKE, lease.name, at, lease.until))


def _renewed(tx: Transaction, lease: Lease, until: int) -> bool:
    return bool(tx.execute(_RENEW, lease.name, lease.until, until))


def _end(tx: Transaction, lease: Lease) -> None:
    tx.execute(_END, lease.name, lease.until)
