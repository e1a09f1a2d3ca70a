"""How many deliveries ended, and since when their log is kept: rows of `counters`, so that they
outlive processes and what is removed.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from starship_core.database import json_rows
from starship_core.ports import Transaction

KEPT_SINCE: Final = "deliveries:kept-since"
_ADD: Final = """
INSERT INTO counters (name, value)
SELECT value->>0, cast(value->>1 AS bigint) FROM json_each($1) WHERE true
ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
"""
_KEPT: Final = """
INSERT INTO counters (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE counters.value < excluded.value
"""
_READ: Final = """
SELECT name, value FROM counters WHERE name IN ('deliveries:delivered', 'deliveries:failed')
"""
_DUE: Final = "SELECT count(*) FROM deliveries WHERE status = 'PENDING' AND due_at <= $1"


class Tally(Struct, frozen=True, kw_only=True):
    """Deliveries of all endpoints."""

    due: int
    """Whose time has come, and that nobody is at."""
    delivered: int
    failed: int


def count_ended(tx: Transaction, *, delivered: int = 0, failed: int = 0) -> None:
    """Last in a transaction: all who count share these rows, and take them in one order."""
    found = (("deliveries:delivered", delivered), ("deliveries:failed", failed))
    if rows := [row for row in found if row[1]]:
        tx.execute(_ADD, json_rows(rows))


def keep_since(tx: Transaction, at: int) -> None:
    """What was made before that may be gone; it never goes back."""
    tx.execute(_KEPT, KEPT_SINCE, at)


def tally_of_all(tx: Transaction, now: int) -> Tally:
    """As it stands."""
    ended = dict(tx.execute(_READ))
    return Tally(
        due=int(tx.execute(_DUE, now)[0][0]),
        delivered=ended.get("deliveries:delivered", 0),
        failed=ended.get("deliveries:failed", 0),
    )
