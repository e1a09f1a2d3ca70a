"""Retry: the pool again, never a vendor.

Partial is allowed; bulk goes in chunks that can be stopped between any two. The worker's
sweeps stand beside it: orders that wait while there is stock (only when `[retry] auto` is on), and
bulk orders whose retry died between two chunks.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import Unavailable, WrongState
from starship_core.model import Order, Sku, SubStatus
from starship_core.ports import Transaction
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

AUTO_BATCH: Final = 200
"""Orders that one run of the auto-retry looks at; the next run goes on behind them."""
LEFT_AFTER: Final = timedelta(seconds=30)
"""A bulk order that stands between two chunks this long was left there."""

# after $1, so that one that cannot be served now keeps nobody waiting behind it
_NEXT_WAITING: Final = """
SELECT id FROM orders
WHERE status IN ('PENDING', 'PARTIALLY_DELIVERED')
  AND (placed_at, id) > (coalesce((SELECT placed_at FROM orders WHERE id = $1), 0), $1)
  AND EXISTS (
    SELECT 1 FROM vouchers
    WHERE vouchers.product_id = orders.product_id AND vouchers.state = 'pooled'
      AND vouchers.denomination = orders.denomination AND vouchers.currency = orders.currency
      AND vouchers.expires_at > $2
        + CASE WHEN min_expiry > placed_at THEN min_expiry - placed_at ELSE 0 END
  )
ORDER BY placed_at, id LIMIT 1
"""
_PLACE: Final = "SELECT value FROM counters WHERE name = 'retry:after'"
_MARK: Final = """
INSERT INTO counters (name, value) VALUES ('retry:after', $1)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_LEFT: Final = """
SELECT id FROM orders
WHERE status = 'PARTIALLY_DELIVERED' AND sub_status = 'VENDOR_ORDER_PENDING' AND quantity > 50
  AND updated_at <= $1
  AND NOT EXISTS (SELECT 1 FROM purchase_items p WHERE p.order_id = orders.id AND p.is_open = 1)
ORDER BY placed_at, id LIMIT 20
"""
_OLDEST_LEFT: Final = """
SELECT min(updated_at) FROM orders
WHERE status = 'PARTIALLY_DELIVERED' AND sub_status = 'VENDOR_ORDER_PENDING' AND quantity > 50
  AND updated_at <= $1
  AND NOT EXISTS (SELECT 1 FROM purchase_items p WHERE p.order_id = orders.id AND p.is_open = 1)
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
                await hints.popped,
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


async def sweep_retry(ship: Ship) -> int:
    """Look in the pool again for orders that wait, the oldest first: how many vouchers they got.

    Does nothing unless `[retry] auto` is on. Never a vendor.
    """
    if not ship.config.retry.auto:
        return 0
    served, after = 0, await ship.database.read(_place)
    for _ in range(AUTO_BATCH):
        found = await ship.database.read(_next_waiting, after, ship.now())
        if found is None:
            after = 0  # the next run begins with the oldest again
            break
        after = found
        served += await _again(found, ship, By(actor="retry"))
    await ship.database.run(_mark, after)
    return served


async def sweep_bulk(ship: Ship) -> int:
    """Go on with bulk orders that were left half allocated: how many there were.

    Also without auto-retry: an operator began, and this is the rest of it.
    """
    left = await ship.database.read(_left, ship.now())
    for order_id in left:
        await _again(order_id, ship, By(actor="bulk"))
    return len(left)


def oldest_left(tx: Transaction, now: int) -> int | None:
    """When the bulk order became due that has been left longest between two chunks."""
    patience = LEFT_AFTER // timedelta(microseconds=1)
    found: int | None = tx.execute(_OLDEST_LEFT, now - patience)[0][0]
    return None if found is None else found + patience


async def _again(order_id: int, ship: Ship, by: By) -> int:
    """Retry it, unless somebody has settled it meanwhile; how many vouchers it got."""
    before = await ship.database.read(find_order, order_id)
    try:
        after = await retry_order(order_id, by, ship)
    except WrongState:
        return 0
    return after.delivered_quantity - (before.delivered_quantity if before else 0)


def _place(tx: Tx) -> int:
    rows = tx.execute(_PLACE)
    return int(rows[0][0]) if rows else 0


def _mark(tx: Tx, order_id: int) -> None:
    tx.execute(_MARK, order_id)


def _next_waiting(tx: Tx, after: int, now: datetime) -> int | None:
    rows = tx.execute(_NEXT_WAITING, after, micros(now))
    return int(rows[0][0]) if rows else None


def _left(tx: Tx, now: datetime) -> list[int]:
    return [row[0] for row in tx.execute(_LEFT, micros(now - LEFT_AFTER))]


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
