"""Items that purchases were planned for, on an open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starship_core.database import json_rows
from starship_core.ports import Transaction

_HELD: Final = "SELECT count(*) FROM purchase_items WHERE order_id = $1 AND is_open = 1"
_ASKED: Final = """
SELECT DISTINCT p.vendor FROM purchases p JOIN purchase_items i ON i.purchase_id = p.id
WHERE p.approval_id = $1 AND p.sent_at IS NOT NULL
  AND i.ordinal IN (SELECT cast(value->>0 AS bigint) FROM json_each($2))
"""


def held_items(tx: Transaction, order_id: int) -> int:
    """How many of the order's items belong to purchases."""
    return int(tx.execute(_HELD, order_id)[0][0])


def asked_vendors(tx: Transaction, approval_id: int, ordinals: Sequence[int]) -> frozenset[str]:
    """Who was sent a purchase for any of these items under this approval."""
    rows = tx.execute(_ASKED, approval_id, json_rows((n,) for n in ordinals))
    return frozenset(row[0] for row in rows)
