"""An order as the operators' API shows it: no code is among it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from starship_core.clock import rfc3339
from starship_core.flows.approve_fallback import Approved
from starship_core.flows.list_waiting import Waiting
from starship_core.flows.show_order import ItemFacts
from starship_core.model import Order, Status, SubStatus, minor_text
from starship_core.store.events import event_data


class OrderAnswer(Struct, frozen=True, kw_only=True):
    """What `starship order show` prints."""

    id: int
    reference_code: str
    client_id: int
    wallet_id: int
    status: Status
    sub_status: SubStatus | None
    product_id: int
    product_name: str
    sku: str
    """Product, face value and currency: `310/20.00/GBP`."""
    denomination: str
    quantity: int
    amount: str
    amount_currency: str
    refunded_amount: str
    delivered_quantity: int
    pendingItems: int  # noqa: N815  # the specification's names stay at the API
    fulfilledFromCache: int  # noqa: N815
    revision: int
    placed_at: str
    delivered_at: str | None


class ItemAnswer(Struct, frozen=True, kw_only=True):
    """One unit; its id is its ordinal within the order."""

    id: int
    status: str
    share: str
    """Its part of the amount."""
    refunded: str


class WholeOrder(OrderAnswer, frozen=True, kw_only=True):
    """With its items; a bulk order has none before its first retry or approval."""

    items: Sequence[ItemAnswer]


class WaitingOrder(OrderAnswer, frozen=True, kw_only=True):
    """One of the queue."""

    missing: int
    """Units that are not delivered."""
    pool_holds: int
    """How many of them the pool could give it now; each order is looked at for itself."""
    refused_by: str | None
    """Who does not want it bought; null: nobody said so."""
    refused_because: str | None


class ApprovedOrder(OrderAnswer, frozen=True, kw_only=True):
    """After an approval."""

    approval_id: int | None
    """Null: the pool held all that was missing, and nothing has to be bought."""
    purchases: Sequence[int]


def shown(order: Order) -> OrderAnswer:
    """Without items."""
    return OrderAnswer(**_facts(order))


def whole(order: Order, items: Iterable[ItemFacts]) -> WholeOrder:
    """With them."""
    currency = order.price.currency
    return WholeOrder(
        **_facts(order),
        items=[
            ItemAnswer(
                id=item.ordinal,
                status=item.status,
                share=minor_text(item.share, currency),
                refunded=minor_text(item.refunded, currency),
            )
            for item in items
        ],
    )


def queued(waiting: Waiting) -> WaitingOrder:
    """With what the pool holds for it."""
    refusal = waiting.refusal
    return WaitingOrder(
        **_facts(waiting.order), missing=waiting.missing, pool_holds=waiting.pool_holds,
        refused_by=refusal.actor if refusal else None,
        refused_because=refusal.reason if refusal else None,
    )  # fmt: skip


def approved(done: Approved) -> ApprovedOrder:
    """With what was planned."""
    return ApprovedOrder(
        **_facts(done.order), approval_id=done.approval_id, purchases=done.purchases
    )


def _facts(order: Order) -> dict[str, Any]:
    return event_data(order) | {
        "client_id": order.client_id,
        "wallet_id": order.wallet_id,
        "product_name": order.product_name,
        "sku": str(order.sku),
        "placed_at": rfc3339(order.placed_at),
        "delivered_at": order.delivered_at and rfc3339(order.delivered_at),
    }
