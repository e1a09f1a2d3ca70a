"""Standing approvals: an operator's yes to buying for the stock, within budget and time."""

from __future__ import annotations

from typing import Final

from starship_core.model import Sku
from starship_core.ports import Transaction
from starship_core.store.approvals import COLUMNS, Approval, approval_of

_OF_SKU: Final = f"""
SELECT {COLUMNS} FROM approvals
WHERE product_id = $1 AND denomination = $2 AND currency = $3 AND state = 'STANDING'
  AND expires_at > $4
ORDER BY expires_at, id
"""  # our own words
_ALL: Final = f"""
SELECT {COLUMNS} FROM approvals WHERE state = 'STANDING' AND expires_at > $1 ORDER BY expires_at, id
"""
_END: Final = """
UPDATE approvals SET state = 'ENDED', updated_at = $2 WHERE id = $1 AND state = 'STANDING'
RETURNING id
"""
_END_ALL: Final = """
UPDATE approvals SET state = 'ENDED', updated_at = $4
WHERE product_id = $1 AND denomination = $2 AND currency = $3 AND state = 'STANDING' RETURNING id
"""
_OVERCHARGED: Final = """
SELECT min(id) FROM purchases WHERE approval_id = $1 AND price_flag = 1
"""
_REFUSED: Final = """
SELECT DISTINCT vendor FROM purchases
WHERE approval_id = $1 AND state = 'REFUSED' AND closed_at >= $2
"""


def standing(tx: Transaction, sku: Sku, at: int, lock: str = "") -> list[Approval]:
    """Those that hold, the one first that ends first."""
    key = (sku.product_id, sku.denomination, sku.currency)
    return [approval_of(row) for row in tx.execute(f"{_OF_SKU} {lock}", *key, at)]


def all_standing(tx: Transaction, at: int) -> list[Approval]:
    """Of every sku, those that hold."""
    return [approval_of(row) for row in tx.execute(_ALL, at)]


def end_standing(tx: Transaction, approval_id: int, at: int) -> bool:
    """Nothing more is planned or sent under it. False: it is none, or was ended before."""
    return bool(tx.execute(_END, approval_id, at))


def end_all_standing(tx: Transaction, sku: Sku, at: int) -> list[int]:
    """The same for all of a sku: their ids."""
    key = (sku.product_id, sku.denomination, sku.currency)
    return sorted(row[0] for row in tx.execute(_END_ALL, *key, at))


def overcharged(tx: Transaction, approval_id: int) -> int | None:
    """The first purchase under it that was charged at more than its ceiling."""
    found: int | None = tx.execute(_OVERCHARGED, approval_id)[0][0]
    return found


def refused_by(tx: Transaction, approval_id: int, since: int) -> set[str]:
    """Vendors that refused a purchase under it since then."""
    return {row[0] for row in tx.execute(_REFUSED, approval_id, since)}
