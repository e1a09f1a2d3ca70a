"""The queue of operators: orders that wait, oldest first, and what the pool could give each now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from starship_core.clock import micros, moment
from starship_core.database import Tx, json_rows
from starship_core.model import Order
from starship_core.ship import Ship
from starship_core.store.change import WAITING, floor_now
from starship_core.store.orders import COLUMNS, order_of
from starship_core.store.refusals import Refusal

_FITS: Final = """
FROM orders WHERE status IN (SELECT value->>0 FROM json_each($1))
  AND (client_id = $2 OR $2 = 0) AND (product_id = $3 OR $3 = 0)
"""
_COUNT: Final = f"SELECT count(*) {_FITS}"
_PAGE: Final = f"SELECT {COLUMNS} {_FITS} ORDER BY placed_at, id LIMIT $4 OFFSET $5"
# counts no further than the page's largest want, however much there is
_HELD: Final = """
SELECT cast(value->>0 AS bigint), (SELECT count(*) FROM (
  SELECT 1 FROM vouchers
  WHERE state = 'pooled' AND product_id = cast(value->>1 AS bigint)
    AND denomination = cast(value->>2 AS bigint) AND currency = value->>3
    AND expires_at > cast(value->>4 AS bigint)
  LIMIT $2
) AS held)
FROM json_each($1)
"""
_REFUSED: Final = """
SELECT order_id, actor, reason, created_at FROM refusals
WHERE is_open = 1 AND order_id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
"""


class Waiting(Struct, frozen=True):
    """An order that waits."""

    order: Order
    missing: int
    """Units that are not delivered; a bulk order's, too, that has no items yet."""
    pool_holds: int
    """How many of them the pool could give it now; each order is looked at for itself."""
    refusal: Refusal | None
    """An operator does not want it bought."""


async def list_waiting(  # what may be asked
    ship: Ship, *, client_id: int | None, product_id: int | None, offset: int, limit: int
) -> tuple[list[Waiting], int]:
    """A part of the queue, and how many wait in all."""
    filters = (client_id or 0, product_id or 0)
    return await ship.database.read(_list, filters, (limit, offset), ship.now())


def _list(
    tx: Tx, filters: tuple[int, int], part: tuple[int, int], now: datetime
) -> tuple[list[Waiting], int]:
    statuses = json_rows((status,) for status in WAITING)
    total = int(tx.execute(_COUNT, statuses, *filters)[0][0])
    orders = [order_of(row) for row in tx.execute(_PAGE, statuses, *filters, *part)]
    missing = [order.quantity - order.delivered_quantity for order in orders]
    held = _held(tx, orders, max(missing, default=0), now)
    refused = _refused(tx, orders)
    return [
        Waiting(order, lacks, min(lacks, held[order.id]), refused.get(order.id))
        for order, lacks in zip(orders, missing, strict=True)
    ], total


def _held(tx: Tx, orders: Sequence[Order], most: int, now: datetime) -> dict[int, int]:
    lots = [
        (each.id, each.sku.product_id, each.sku.denomination, each.sku.currency,
         micros(floor_now(each, now)))
        for each in orders
    ]  # fmt: skip
    return {
        int(order_id): int(count) for order_id, count in tx.execute(_HELD, json_rows(lots), most)
    }


def _refused(tx: Tx, orders: Sequence[Order]) -> dict[int, Refusal]:
    rows = tx.execute(_REFUSED, json_rows((each.id,) for each in orders))
    return {
        int(order_id): Refusal(actor=actor, reason=reason, at=moment(at))
        for order_id, actor, reason, at in rows
    }
