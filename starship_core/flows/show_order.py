"""An order with its items, as operators look at it: no code is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from starship_core.database import Tx
from starship_core.errors import NotFound
from starship_core.model import Order
from starship_core.ship import Ship
from starship_core.store.orders import find_order

_ITEMS: Final = """
SELECT ordinal, status, share, refunded FROM items WHERE order_id = $1 ORDER BY ordinal
"""


class ItemFacts(Struct, frozen=True):
    """One unit; money in minor units of what was charged."""

    ordinal: int
    status: str
    share: int
    refunded: int


async def show_order(order_id: int, ship: Ship) -> tuple[Order, Sequence[ItemFacts]]:
    """As both stand in one snapshot. Raises NotFound."""
    return await ship.database.read(_show, order_id)


def _show(tx: Tx, order_id: int) -> tuple[Order, Sequence[ItemFacts]]:
    order = find_order(tx, order_id)
    if order is None:
        raise NotFound("order", order_id)
    return order, [ItemFacts(*row) for row in tx.execute(_ITEMS, order_id)]
