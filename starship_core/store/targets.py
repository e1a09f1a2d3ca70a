"""How much of a sku there should be on sale, and how much there is, on an open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.database import Tx
from starship_core.model import Money, Sku
from starship_core.ports import Transaction

_COLUMNS: Final = (
    "t.product_id, t.denomination, t.currency, t.minimum, t.maximum, t.budget, t.budget_currency, "
    "t.vendors"
)
_ONE: Final = "t.product_id = $1 AND t.denomination = $2 AND t.currency = $3"
_FIND: Final = f"SELECT {_COLUMNS} FROM targets t WHERE {_ONE}"  # our own words
_SET: Final = """
INSERT INTO targets (product_id, denomination, currency, minimum, maximum, budget, budget_currency,
  vendors, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
ON CONFLICT (product_id, denomination, currency) DO UPDATE SET minimum = $4, maximum = $5,
  budget = $6, budget_currency = $7, vendors = $8, updated_at = $9
"""
_REMOVE: Final = """
DELETE FROM targets WHERE product_id = $1 AND denomination = $2 AND currency = $3 RETURNING minimum
"""
_OF_SKU: Final = (
    "product_id = t.product_id AND denomination = t.denomination AND currency = t.currency"
)
_UNBOUGHT: Final = "('REFUSED', 'NOT_BOUGHT', 'VOIDED')"
# one statement, so that what lands meanwhile is counted once: as under way, or as on sale
_LEVELS: Final = f"""
SELECT {_COLUMNS}, p.code, p.is_active,
  (SELECT count(*) FROM vouchers
    WHERE {_OF_SKU} AND state = 'pooled' AND expires_at > $4),
  (SELECT count(*) FROM vouchers
    WHERE {_OF_SKU} AND state = 'received' AND expires_at > $4),
  (SELECT cast(coalesce(sum(quantity - received), 0) AS bigint) FROM purchases
    WHERE {_OF_SKU} AND order_id IS NULL AND closed_at IS NULL AND received < quantity),
  (SELECT cast(coalesce(sum(ceiling), 0) AS bigint) FROM purchases
    WHERE {_OF_SKU} AND order_id IS NULL AND planned_at >= $5 AND state NOT IN {_UNBOUGHT}
      AND ceiling_currency = t.budget_currency)
FROM targets t JOIN products p ON p.id = t.product_id
WHERE ({_ONE}) OR $1 = 0
ORDER BY p.code, t.denomination
"""  # our own words


class StockTarget(Struct, frozen=True, kw_only=True):
    """What an operator wants on sale of a sku."""

    sku: Sku
    minimum: int
    """Below it the pump fills up, and at it or above it does nothing."""
    maximum: int
    """To which it fills up."""
    budget: Money | None = None
    """At most this is planned in one run; None: what the standing approvals hold."""
    vendors: tuple[str, ...] = ()
    """Instances that may be bought from ahead of orders; none: sources only."""

    def missing(self, there: int) -> int:
        """To the maximum, once less than the minimum is there; else nothing."""
        return self.maximum - there if there < self.minimum else 0


class Level(Struct, frozen=True, kw_only=True):
    """A target, and how it stands."""

    target: StockTarget
    code: str
    """Of the product."""
    is_active: bool
    """Whether the product is sold."""
    on_sale: int
    """In the pool, and those of ours that the next pump puts there; not what has expired."""
    under_way: int
    """Bought ahead, or about to be, and not here yet; what is in doubt, too: it may come."""
    spent: int
    """Planned for it in this run already, in the budget's minor units."""


def set_target(tx: Transaction, target: StockTarget, at: int) -> None:
    """Whatever it was before."""
    budget = target.budget
    tx.execute(
        _SET, *_key(target.sku), target.minimum, target.maximum, budget and budget.minor,
        budget and budget.currency, msgspec.json.encode(target.vendors).decode(), at,
    )  # fmt: skip


def find_target(tx: Transaction, sku: Sku) -> StockTarget | None:
    """None: the pump takes all there is of it, and buys none."""
    rows = tx.execute(_FIND, *_key(sku))
    return _target(rows[0]) if rows else None


def lock_target(tx: Tx, sku: Sku) -> bool:
    """Nobody else plans for the sku until this transaction ends. False: it has no target."""
    return bool(tx.execute(f"{_FIND} {tx.for_update}", *_key(sku)))


def remove_target(tx: Transaction, sku: Sku) -> bool:
    """Whether there was one."""
    return bool(tx.execute(_REMOVE, *_key(sku)))


def levels(tx: Transaction, now: int, run: int, sku: Sku | None = None) -> list[Level]:
    """How every target stands, or that of `sku`; `run`: since when plans belong to this run."""
    key = _key(sku) if sku else (0, 0, "")
    return [_level(row) for row in tx.execute(_LEVELS, *key, now, run)]


def _key(sku: Sku) -> tuple[int, int, str]:
    return (sku.product_id, sku.denomination, sku.currency)


def _target(row: Sequence[Any]) -> StockTarget:
    product_id, denomination, currency, minimum, maximum, budget, budget_currency, vendors = row
    return StockTarget(
        sku=Sku(product_id, denomination, currency),
        minimum=minimum,
        maximum=maximum,
        budget=None if budget is None else Money(budget, budget_currency),
        vendors=msgspec.json.decode(vendors, type=tuple[str, ...]),
    )


def _level(row: Sequence[Any]) -> Level:
    code, is_active, pooled, received, under_way, spent = row[8:]
    return Level(
        target=_target(row[:8]),
        code=code,
        is_active=bool(is_active),
        on_sale=pooled + received,
        under_way=under_way,
        spent=spent,
    )
