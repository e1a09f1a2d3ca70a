"""Retry: the pool again, never a vendor.

Partial is allowed; bulk goes in chunks that can be stopped between any two.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import Unavailable
from starship_core.model import Order, Sku
from starship_core.ship import Ship
from starship_core.store.change import (
    WAITING,
    create_items,
    facts_of,
    floor_now,
    ordinals,
    save,
    settle_items,
    take,
)
from starship_core.store.claim import Lot, OpenCode, claim
from starship_core.store.events import announce
from starship_core.store.orders import find_order
from starship_core.store.write import assign
from starship_core.suggestions import suggestions

CHUNK: Final = 500
PATIENCE_SECONDS: Final = 5.0

_PENDING: Final = """
SELECT ordinal FROM items WHERE order_id = $1 AND status = 'PENDING' ORDER BY ordinal LIMIT $2
"""


class _Chunk(NamedTuple):
    order: Order
    used: frozenset[int]
    stale: frozenset[int]
    ended: bool
    contended: bool


async def retry_order(order_id: int, by: By, ship: Ship) -> Order:
    """Allocate what the pool has now; run it again after any crash.

    Raises NotFound, WrongState, Unavailable.
    """
    before = await ship.database.read(find_order, order_id)
    wanted: dict[Sku, int] = {}
    if before is not None:
        wanted = {before.sku: min(before.quantity - before.delivered_quantity, CHUNK)}
    patience = time.monotonic() + PATIENCE_SECONDS
    first = True
    while True:
        async with suggestions(ship.pool, wanted) as hints:
            chunk = await ship.database.run(
                _allocate,
                order_id,
                hints.ids,
                ship.vault.reveal,
                (by if first else None, ship.now()),
            )
            hints.keep(chunk.used, chunk.stale)
        first = False
        if chunk.ended:
            return chunk.order
        if not chunk.contended:
            patience = time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > patience:
            raise Unavailable("the stock is busy; retry again", retry_after=2)
        wanted = {chunk.order.sku: min(chunk.order.pending_items, CHUNK)}


def _allocate(
    tx: Tx,
    order_id: int,
    hints: frozenset[int],
    reveal: OpenCode,
    context: tuple[By | None, datetime],
) -> _Chunk:
    by, now = context
    taken = order = take(tx, order_id, WAITING, "retried")
    if order.bulk and order.sub_status == "INITIAL":
        order = create_items(tx, order)
    waiting = ordinals(tx.execute(_PENDING, order_id, CHUNK))
    lot = Lot(order.sku, micros(floor_now(order, now)))
    claimed = claim(tx, {lot: len(waiting)}, hints, now=micros(now), open_code=reveal)
    units = claimed.units.get(order.sku, [])[: len(waiting)]
    served = waiting[: len(units)]
    if units:
        pairs = zip(units, served, strict=True)
        assign(tx, [(unit.id, order_id, ordinal, micros(now)) for unit, ordinal in pairs])
        settle_items(tx, order_id, served, now)
    contended = len(units) < len(waiting) and lot in claimed.timed_out
    order, ended = _next(order, len(units), short=len(units) < len(waiting), now=now)
    ended = ended and not contended
    if ended:
        order = _announce_end(tx, order, now)
    save(tx, order, now)
    if by is not None:
        record(
            tx, by, "order.retry", f"order:{order_id}", at=now, before=facts_of(taken),
            after=facts_of(order),
        )  # fmt: skip
    return _Chunk(order, frozenset(unit.id for unit in units), claimed.stale, ended, contended)


def _next(order: Order, served: int, *, short: bool, now: datetime) -> tuple[Order, bool]:
    """The order after `served` more items, and whether nothing is left to do for now."""
    delivered = order.delivered_quantity + served
    pending = order.pending_items - served
    order = replace(
        order, delivered_quantity=delivered, pending_items=pending,
        from_cache=order.from_cache + served,
    )  # fmt: skip
    if pending == 0:
        return replace(order, status="DELIVERED", sub_status="COMPLETED", delivered_at=now), True
    if delivered and served:
        order = replace(order, status="PARTIALLY_DELIVERED", sub_status="VENDOR_ORDER_PENDING")
    return order, short


def _announce_end(tx: Tx, order: Order, now: datetime) -> Order:
    """One event when it ends: delivered, or short of it.

    The sub-status remembers what was announced.
    """
    if order.status == "DELIVERED":
        announce(tx, [("order.delivered", order, micros(now))])
    elif order.status == "PARTIALLY_DELIVERED" and order.sub_status == "VENDOR_ORDER_PENDING":
        order = replace(order, sub_status="PARTIAL")
        announce(tx, [("order.partially_delivered", order, micros(now))])
    return order
