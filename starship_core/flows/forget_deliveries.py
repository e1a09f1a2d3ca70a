"""Retention: what became of a delivery is kept for `[webhooks] keep_days`, then it is removed.

Never what is still due, nor what was attempted of late. Events stay in the clients' feeds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from starship_core.clock import micros
from starship_core.database import Tx, json_rows
from starship_core.ship import Ship
from starship_core.store.delivery_counts import keep_since

BATCH: Final = 1000
"""Deliveries that one transaction looks at."""
_OLDEST: Final = """
SELECT id, created_at FROM deliveries WHERE status <> 'PENDING' AND id > $1
ORDER BY id LIMIT $2 {skip_locked}
"""
_IDLE: Final = """
SELECT cast(value->>0 AS bigint) FROM json_each($1) WHERE NOT EXISTS (
  SELECT 1 FROM delivery_attempts
  WHERE delivery_id = cast(value->>0 AS bigint) AND at >= $2
)
"""
_GIVEN: Final = "(SELECT cast(value->>0 AS bigint) FROM json_each($1))"
_FORGET_ATTEMPTS: Final = f"DELETE FROM delivery_attempts WHERE delivery_id IN {_GIVEN}"
_FORGET: Final = f"DELETE FROM deliveries WHERE id IN {_GIVEN} AND status <> 'PENDING'"


class _Chunk(NamedTuple):
    forgotten: int
    after: int | None
    """To go on from; None: what follows is young."""


async def sweep_retention(ship: Ship) -> int:
    """Remove what is old enough: how many deliveries. Safe at any time, and twice at once."""
    before = ship.now() - timedelta(days=ship.config.webhooks.keep_days)
    forgotten, after = 0, 0
    while True:
        chunk = await ship.database.run(_forget, after, micros(before))
        forgotten += chunk.forgotten
        if chunk.after is None:
            return forgotten
        after = chunk.after


def _forget(tx: Tx, after: int, before: int) -> _Chunk:
    """Ids grow with time, so the first that is young ends it."""
    found = tx.execute(_OLDEST.format(skip_locked=tx.skip_locked), after, BATCH)
    old = [(row[0],) for row in found if row[1] < before]
    idle = tx.execute(_IDLE, json_rows(old), before) if old else []
    if idle:
        given = json_rows((row[0],) for row in idle)
        tx.execute(_FORGET_ATTEMPTS, given)
        tx.execute(_FORGET, given)
        keep_since(tx, before)
    ended = len(found) < BATCH or len(old) < len(found)
    return _Chunk(len(idle), None if ended else int(found[-1][0]))
