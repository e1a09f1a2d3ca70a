"""What vendors called us back about, until somebody has looked it up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from starship_core.database import json_rows
from starship_core.ports import Transaction

KEPT: Final = 24 * 3600 * 1_000_000
"""Microseconds after which a reference that nobody knows is forgotten."""

_REMEMBER: Final = """
INSERT INTO vendor_callbacks (vendor, reference, heard_at) VALUES ($1, $2, $3)
ON CONFLICT (vendor, reference) DO UPDATE SET heard_at = $3
"""
_FORGET: Final = "DELETE FROM vendor_callbacks WHERE heard_at < $1"
_LIST: Final = "SELECT vendor, reference, heard_at FROM vendor_callbacks ORDER BY heard_at LIMIT $1"
_DONE: Final = """
DELETE FROM vendor_callbacks WHERE EXISTS (
    SELECT 1 FROM json_each($1) WHERE value->>0 = vendor AND value->>1 = reference
        AND cast(value->>2 AS bigint) = heard_at
)
"""
Heard = tuple[str, str, int]
"""Vendor, our reference, and when (microseconds)."""


def remember(tx: Transaction, vendor: str, reference: str, at: int) -> None:
    """The purchase of that reference is to be looked up, if it is ours and still open."""
    tx.execute(_FORGET, at - KEPT)
    tx.execute(_REMEMBER, vendor, reference, at)


def list_heard(tx: Transaction, limit: int = 500) -> Sequence[Heard]:
    """The oldest first; `settle` those whose purchase was made due, or is closed."""
    return [(vendor, reference, at) for vendor, reference, at in tx.execute(_LIST, limit)]


def settle(tx: Transaction, heard: Iterable[Heard]) -> None:
    """They were looked up; one that was heard of again meanwhile stays."""
    rows = list(heard)
    if rows:
        tx.execute(_DONE, json_rows(rows))
