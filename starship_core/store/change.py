"""Changing an order that exists: its row first, by one conditional update; then everything else.

The lock order everywhere: a client's limit row (only who writes a policies' decision) → order →
purchase → vouchers (skipping those that others hold) → wallets, by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from starship_core.clock import micros
from starship_core.database import json_rows
from starship_core.errors import NotFound, WrongState
from starship_core.model import Entry, Order, Status, share
from starship_core.ports import Transaction, WalletBackend
from starship_core.store.orders import COLUMNS, debit_key, order_of
from starship_core.store.write import insert_items, insert_transactions, transaction_row

WAITING: Final[tuple[Status, ...]] = ("PENDING", "PARTIALLY_DELIVERED")
HOLDING: Final[tuple[Status, ...]] = ("DELIVERED", "PARTIALLY_DELIVERED", "CANCELLED")

_TAKE: Final = f"""
UPDATE orders SET revision = revision + 1
WHERE id = $1 AND status IN (SELECT value->>0 FROM json_each($2))
RETURNING {COLUMNS}
"""
_FOUND: Final = "SELECT status FROM orders WHERE id = $1"
_SAVE: Final = """
UPDATE orders SET status = $2, sub_status = $3, delivered_quantity = $4, pending_items = $5,
  from_cache = $6, refunded = $7, delivered_at = $8, updated_at = $9
WHERE id = $1
"""
_SETTLE_ITEMS: Final = """
UPDATE items SET status = 'DELIVERED', settled_at = cast(value->>2 AS bigint)
FROM json_each($1)
WHERE order_id = cast(value->>0 AS bigint) AND ordinal = cast(value->>1 AS bigint)
"""


def take(tx: Transaction, order_id: int, statuses: Collection[Status], what: str) -> Order:
    """Lock the order in one of `statuses`, under its next revision. Raises NotFound, WrongState."""
    rows = tx.execute(_TAKE, order_id, json_rows((status,) for status in statuses))
    if rows:
        return order_of(rows[0])
    found = tx.execute(_FOUND, order_id)
    if not found:
        raise NotFound("order", order_id)
    status = str(found[0][0])
    raise WrongState(f"order {order_id} is {status} and cannot be {what}", found=status)


def save(tx: Transaction, order: Order, at: datetime) -> None:
    """Write what a flow changed of the order that it took."""
    delivered_at = None if order.delivered_at is None else micros(order.delivered_at)
    tx.execute(
        _SAVE, order.id, order.status, order.sub_status, order.delivered_quantity,
        order.pending_items, order.from_cache, order.refunded, delivered_at, micros(at),
    )  # fmt: skip


def create_items(tx: Transaction, order: Order) -> Order:
    """All items of a bulk order at once, in the transaction that takes it out of INITIAL."""
    total, count = order.price.total_payable, order.quantity
    insert_items(
        tx, ((order.id, n, "PENDING", share(total, n, count), None) for n in range(1, count + 1))
    )
    return msgspec.structs.replace(order, pending_items=count, sub_status="VENDOR_ORDER_PENDING")


def settle_items(tx: Transaction, order_id: int, ordinals: Iterable[int], at: datetime) -> None:
    """These items are delivered now."""
    tx.execute(_SETTLE_ITEMS, json_rows((order_id, n, micros(at)) for n in ordinals))


def refund(  # noqa: PLR0913  # what a refund is made of
    tx: Transaction, order: Order, minor: int, wallet: WalletBackend, *, key: str, at: datetime
) -> Order:
    """Give `minor` units back to the wallet that paid, under `key`; never converted again. Raises
    WrongState.

    A refund is never refused because a wallet is inactive.
    """
    if minor <= 0:
        return order
    wallet.lock(tx, [order.account])
    entry = Entry(
        key=key, account=order.account, minor=minor, currency=order.price.currency, kind="refund",
        of=debit_key(order.id), at=at,
    )  # fmt: skip
    balance = wallet.post(tx, [entry])[0]
    row = transaction_row(
        order, key=key, kind="CREDIT", minor=minor, balance_after=balance, at=micros(at),
        remarks=f"refund of order {order.id}",
    )  # fmt: skip
    insert_transactions(tx, [row])
    return msgspec.structs.replace(order, refunded=order.refunded + minor)


def floor_now(order: Order, now: datetime) -> datetime:
    """The order's minimum validity counted from now instead of from its placement."""
    return now + max(order.min_expiry - order.placed_at, timedelta())


def facts_of(order: Order) -> dict[str, Any]:
    """What an audit row keeps of an order before and after a change."""
    return {
        "status": order.status,
        "sub_status": order.sub_status,
        "delivered": order.delivered_quantity,
        "pending": order.pending_items,
        "refunded": order.refunded,
        "revision": order.revision,
    }


def ordinals(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """The first column, as item ordinals."""
    return [int(row[0]) for row in rows]
