"""The common step of retry, approval and purchase: claim for waiting items, assign, count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import Order
from starship_core.store.change import floor_now, settle_items
from starship_core.store.claim import Lot, OpenCode, claim
from starship_core.store.write import assign


class Allocated(NamedTuple):
    """What the claim gave: the order as it then stands, not written yet."""

    order: Order
    used: frozenset[int]
    """Ids of the vouchers that are assigned now."""
    stale: frozenset[int]
    contended: bool
    """Short only because others held the rows too long: ask again."""


def allocate(
    tx: Tx,
    order: Order,
    waiting: Sequence[int],
    hints: frozenset[int],
    context: tuple[OpenCode, datetime],
) -> Allocated:
    """As many of the `waiting` items as there are vouchers, the first ordinals first; the order's
    row is locked by this transaction.
    """
    reveal, now = context
    lot = Lot(order.sku, micros(floor_now(order, now)))
    claimed = claim(tx, {lot: len(waiting)}, hints, now=micros(now), open_code=reveal)
    units = claimed.units.get(order.sku, [])[: len(waiting)]
    served = waiting[: len(units)]
    if units:
        pairs = zip(units, served, strict=True)
        assign(tx, [(unit.id, order.id, ordinal, micros(now)) for unit, ordinal in pairs])
        settle_items(tx, order.id, served, now)
    contended = len(units) < len(waiting) and lot in claimed.timed_out
    used = frozenset(unit.id for unit in units)
    return Allocated(_counted(order, len(units), now), used, claimed.stale, contended)


def _counted(order: Order, served: int, now: datetime) -> Order:
    order = replace(
        order, delivered_quantity=order.delivered_quantity + served,
        pending_items=order.pending_items - served, from_cache=order.from_cache + served,
    )  # fmt: skip
    if order.pending_items == 0 and order.delivered_quantity == order.quantity:
        return replace(order, status="DELIVERED", sub_status="COMPLETED", delivered_at=now)
    if served:
        return replace(order, status="PARTIALLY_DELIVERED", sub_status="VENDOR_ORDER_PENDING")
    return order
