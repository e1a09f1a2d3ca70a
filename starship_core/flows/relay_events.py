"""Relay: events that committed get their place in the feed, and a delivery for every endpoint."""

from __future__ import annotations

import time
from typing import Final

from starship_core.clock import micros
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.store.feed import oldest_unrelayed, relay_batch

BATCH: Final = 500
"""Events in one transaction."""
SWEEP_SECONDS: Final = 30.0
"""A sweep ends, so that whoever runs it can stop; the next one goes on."""


async def sweep_relay(ship: Ship) -> int:
    """Relay everything that is committed; how many events. Right however often it runs at once.

    Every batch is one transaction that first takes the relay's row, so there is one relay at a
    time, and one that was killed or paused has written all of its batch or none of it.
    """
    relayed = 0
    ends = time.monotonic() + SWEEP_SECONDS
    while await ship.database.read(oldest_unrelayed) is not None:
        relayed += await ship.database.run(relay_batch, micros(ship.now()), BATCH)
        if time.monotonic() > ends:
            break
    return relayed


def oldest_due(tx: Transaction, now: int) -> int | None:  # noqa: ARG001  # every sweep has one
    """When the event was queued that has waited longest for its place; None: none waits."""
    return oldest_unrelayed(tx)
