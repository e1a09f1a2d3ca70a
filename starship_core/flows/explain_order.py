"""What happened to an order, why, and what is next: for its client, and with more of it for an
operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.access import Client
from starship_core.clock import moment, rfc3339
from starship_core.database import Tx
from starship_core.errors import NotFound
from starship_core.model import Order, minor_text
from starship_core.ship import Ship
from starship_core.store.orders import find_order

_EVENTS: Final = """
SELECT created_at, event_type, revision, data FROM outbox WHERE order_id = $1
ORDER BY created_at, revision, event_type
"""
_MONEY: Final = """
SELECT created_at, transaction_type, amount, currency, remarks FROM transactions
WHERE order_id = $1 ORDER BY id
"""
_AUDIT: Final = """
SELECT at, actor, action, reason, before, after, request_id FROM audit
WHERE subject = $1 ORDER BY id
"""
_POOLED: Final = """
SELECT count(*) FROM vouchers
WHERE product_id = $1 AND denomination = $2 AND currency = $3 AND state = 'pooled'
  AND expires_at > $4
"""

_WHY: Final = {
    "order.created": "accepted; the wallet was debited",
    "order.delivered": "every unit was allocated from the pool",
    "order.pending": "the pool did not hold all of it; no vendor was called",
    "order.partially_delivered": "the pool held some of what was missing",
    "order.cancelled": "cancelled by an operator; what was not delivered was refunded",
    "order.refunded": "an operator refunded delivered units",
    "order.replaced": "a bad voucher was replaced by another",
}
_NEXT: Final = {
    "PENDING": "waits for stock and a retry, for an approved vendor purchase, or for a cancel",
    "PARTIALLY_DELIVERED": "the rest waits for stock and a retry, for an approved vendor purchase, "
    "or for a cancel",
    "DELIVERED": "nothing; it is complete",
    "CANCELLED": "nothing; it is closed",
}


class Step(Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    at: str
    what: str
    why: str
    revision: int | None = None


class Timeline(Struct, frozen=True, kw_only=True):
    """All of it, and what comes next."""

    order_id: int
    reference_code: str
    status: str
    sub_status: str | None
    steps: Sequence[Step]
    next: str


async def order_timeline(order_id: int, client: Client, ship: Ship) -> Timeline:
    """The client's own order. Raises NotFound."""
    order, steps = await ship.database.read(_happened, order_id)
    if order.client_id != client.id:
        raise NotFound("order", order_id)
    return _timeline(order, steps)


def _timeline(order: Order, steps: Sequence[Step]) -> Timeline:
    return Timeline(
        order_id=order.id,
        reference_code=order.ref,
        status=order.status,
        sub_status=order.sub_status,
        steps=steps,
        next=_NEXT.get(order.status, ""),
    )


def _happened(tx: Tx, order_id: int) -> tuple[Order, list[Step]]:
    order = find_order(tx, order_id)
    if order is None:
        raise NotFound("order", order_id)
    steps = [
        Step(at=rfc3339(moment(at)), what=kind, why=_WHY.get(kind, ""), revision=revision)
        for at, kind, revision, _data in tx.execute(_EVENTS, order_id)
    ]
    return order, steps


async def explain_order(order_id: int, ship: Ship) -> dict[str, Any]:
    """For operators: the timeline with postings, every hand that touched it, and the stock there is
    now.
    """
    return await ship.database.read(_explained, order_id)


def _explained(tx: Tx, order_id: int) -> dict[str, Any]:
    order, steps = _happened(tx, order_id)
    sku = order.sku
    pooled = tx.execute(
        _POOLED, sku.product_id, sku.denomination, sku.currency, 0
    )[0][0]  # fmt: skip
    return {
        **msgspec.to_builtins(_timeline(order, steps)),
        "client_id": order.client_id,
        "sku": str(sku),
        "quantity": order.quantity,
        "delivered": order.delivered_quantity,
        "pending": order.pending_items,
        "charged": str(order.charged),
        "refunded": minor_text(order.refunded, order.price.currency),
        "pooled_now": int(pooled),
        "money": [
            {
                "at": rfc3339(moment(at)),
                "type": kind,
                "amount": f"{minor_text(amount, currency)} {currency}",
                "remarks": remarks,
            }
            for at, kind, amount, currency, remarks in tx.execute(_MONEY, order_id)
        ],
        "hands": [
            {
                "at": rfc3339(moment(at)),
                "actor": actor,
                "action": action,
                "reason": reason,
                "request_id": request_id,
            }
            for at, actor, action, reason, _b, _a, request_id in tx.execute(
                _AUDIT, f"order:{order_id}"
            )
        ],
    }
