"""Outbox rows: an event exists exactly when its state change committed (I6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from starship_core.clock import micros
from starship_core.database import json_rows
from starship_core.model import Order, minor_text
from starship_core.ports import Query, Transaction

_INSERT: Final = """
INSERT INTO outbox (event_id, order_id, client_id, event_type, revision, data, created_at)
SELECT value->>0, cast(value->>1 AS bigint), cast(value->>2 AS bigint), value->>3,
  cast(value->>4 AS bigint), value->>5, cast(value->>6 AS bigint)
FROM json_each($1)
"""


def announce(tx: Transaction, events: Iterable[tuple[str, Order, int]]) -> None:
    """Queue (event type, order as it now stands, micros) for relay, in the transaction of the
    change itself.
    """
    text, parameters = announcing(events)
    tx.execute(text, *parameters)


def announcing(events: Iterable[tuple[str, Order, int]]) -> Query:
    """What `announce` executes."""
    return _INSERT, (json_rows([_row(*event) for event in events]),)


def _row(event_type: str, order: Order, at: int) -> Sequence[Any]:
    # the id is derived from the order, so that a transaction run twice queues the same event
    event_id = f"evt_{order.id}_{order.revision}_{event_type}"
    return (event_id, order.id, order.client_id, event_type, order.revision, event_data(order), at)


def event_data(order: Order) -> dict[str, Any]:
    """What clients are told of an order: never a code (client API, section 8)."""
    currency = order.price.currency
    return {
        "id": order.id,
        "reference_code": order.ref,
        "status": order.status,
        "sub_status": order.sub_status,
        "product_id": order.sku.product_id,
        "denomination": order.sku.face.text,
        "quantity": order.quantity,
        "amount": minor_text(order.price.total_payable, currency),
        "amount_currency": currency,
        "refunded_amount": minor_text(order.refunded, currency),
        "delivered_quantity": order.delivered_quantity,
        "pendingItems": order.pending_items,
        "fulfilledFromCache": order.from_cache,
        "revision": order.revision,
    }


def placed_events(order: Order) -> list[tuple[str, Order, int]]:
    """The two events of a placement."""
    outcome = "order.delivered" if order.status == "DELIVERED" else "order.pending"
    at = micros(order.placed_at)
    return [("order.created", order, at), (outcome, order, at)]
