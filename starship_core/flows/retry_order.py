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
from starship_core.model import Order, Sku, SubStatus
from starship_core.ship import Ship
from starship_core.store.allocate import allocate
from starship_core.store.change import WAITING, create_items, facts_of, save, take
from starship_core.store.claim import OpenCode
from starship_core.store.events import announce
from starship_core.store.orders import find_order
from starship_core.store.purchases import free_items, has_open
from starship_core.suggestions import suggestions

CHUNK: Final = 500
PATIENCE_SECONDS: Final = 5.0


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
    waiting = free_items(tx, order_id, CHUNK)  # those under an open purchase are not ours to give
    before = order.delivered_quantity
    given = allocate(tx, order, waiting, hints, (reveal, now))
    served = given.order.delivered_quantity - before
    short = served < len(waiting) or not waiting
    order, ended = given.order, short or given.order.pending_items == 0
    contended = given.contended
    ended = ended and not contended
    bought_for = has_open(tx, order_id)
    if bought_for and order.status in WAITING:
        order = _beside_purchases(tx, taken, order, now)
    elif ended:
        order = _announce_end(tx, order, now)
    save(tx, order, now)
    if by is not None:
        record(
            tx, by, "order.retry", f"order:{order_id}", at=now, before=facts_of(taken),
            after=facts_of(order),
        )  # fmt: skip
    return _Chunk(order, given.used, given.stale, ended, contended)


def _beside_purchases(tx: Tx, taken: Order, order: Order, now: datetime) -> Order:
    """While others of its items are bought, the sub-status is the purchases', and each chunk tells
    what it delivered.
    """
    if order.delivered_quantity > taken.delivered_quantity:
        order = replace(order, sub_status=_kept(taken))
        announce(tx, [("order.partially_delivered", order, micros(now))])
    return order


def _kept(taken: Order) -> SubStatus:
    return "NEEDS_REVIEW" if taken.sub_status == "NEEDS_REVIEW" else "VENDOR_ORDER_PENDING"


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
