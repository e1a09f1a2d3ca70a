"""An order as the client API writes it (client API, section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Raw, Struct

from starship_core.clock import moment, rfc3339
from starship_core.model import (
    NO_EXPIRY,
    DeliveryTime,
    Order,
    Secret,
    Status,
    SubStatus,
    minor_text,
)
from starship_core.store.claim import Unit
from starship_core.store.contents import Item


class ItemAnswer(Struct, frozen=True):
    """One unit; its id is its ordinal within the order."""

    id: int
    status: str
    denomination: str


class VoucherAnswer(Struct, frozen=True, kw_only=True):
    """A delivered voucher, codes in plain: only the POST answer and `GET /orders/{id}` carry it."""

    item_id: int
    card_number: str | None
    pin_code: str | None
    claim_url: str | None
    voucher_reference_number: str | None
    expires_at: str | None
    """Null: it never expires."""


class OrderSummary(Struct, frozen=True, kw_only=True):
    """A list's item: everything but items and vouchers."""

    id: int
    ref: str
    reference_code: str
    transaction_id: int
    product_id: int
    product_name: str
    currency: str
    denomination: str
    quantity: int
    amount: str
    amount_currency: str
    discount: str
    refunded_amount: str
    wallet_id: int
    status: Status
    sub_status: SubStatus | None
    delivery_time: DeliveryTime
    pendingItems: int  # noqa: N815  # the specification's names stay at the API
    fulfilledFromCache: int  # noqa: N815
    delivered_quantity: int
    revision: int
    email: str | None
    mobile: str | None
    customer_info: Raw | None
    metadata: Raw
    placed_at: str
    delivered_at: str | None


class OrderAnswer(OrderSummary, frozen=True, kw_only=True):
    """One order, whole."""

    items: Sequence[ItemAnswer]
    vouchers: Sequence[VoucherAnswer]


def summary(order: Order) -> OrderSummary:
    """Without items and vouchers."""
    return OrderSummary(**_facts(order))


def whole_order(
    order: Order, items: Iterable[Item], units: Iterable[tuple[int, Unit]]
) -> OrderAnswer:
    """With its items and its vouchers in plain."""
    facts = _facts(order)
    face = facts["denomination"]
    return OrderAnswer(
        **facts,
        items=[ItemAnswer(item.ordinal, item.status, face) for item in items],
        vouchers=[_voucher(ordinal, unit) for ordinal, unit in units],
    )


def just_placed(order: Order, units: Sequence[Unit]) -> OrderAnswer:
    """The POST's answer, made from what was decided; nothing is read again."""
    facts = _facts(order)
    face = facts["denomination"]
    status = "DELIVERED" if units else "PENDING"
    count = 0 if order.bulk else order.quantity
    return OrderAnswer(
        **facts,
        items=[ItemAnswer(n, status, face) for n in range(1, count + 1)],
        vouchers=[_voucher(ordinal, unit) for ordinal, unit in enumerate(units, 1)],
    )


def _voucher(ordinal: int, unit: Unit) -> VoucherAnswer:
    code, expires_at = unit.code, moment(unit.expires_at)
    return VoucherAnswer(
        item_id=ordinal,
        card_number=_plain(code.card_number),
        pin_code=_plain(code.pin_code),
        claim_url=_plain(code.claim_url),
        voucher_reference_number=unit.voucher_reference_number,
        expires_at=None if expires_at >= NO_EXPIRY else rfc3339(expires_at),
    )


def _plain(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _facts(order: Order) -> dict[str, Any]:
    price, sku = order.price, order.sku
    return {
        "id": order.id,
        "ref": order.ref,
        "reference_code": order.ref,
        "transaction_id": order.transaction_id,
        "product_id": sku.product_id,
        "product_name": order.product_name,
        "currency": sku.currency,
        "denomination": sku.face.text,
        "quantity": order.quantity,
        "amount": minor_text(price.total_payable, price.currency),
        "amount_currency": price.currency,
        "discount": minor_text(price.discount_amount, price.currency),
        "refunded_amount": minor_text(order.refunded, price.currency),
        "wallet_id": order.wallet_id,
        "status": order.status,
        "sub_status": order.sub_status,
        "delivery_time": order.delivery_time,
        "pendingItems": order.pending_items,
        "fulfilledFromCache": order.from_cache,
        "delivered_quantity": order.delivered_quantity,
        "revision": order.revision,
        "email": order.email,
        "mobile": order.mobile,
        "customer_info": None if order.customer_info is None else Raw(order.customer_info.encode()),
        "metadata": Raw(order.metadata.encode()),
        "placed_at": rfc3339(order.placed_at),
        "delivered_at": None if order.delivered_at is None else rfc3339(order.delivered_at),
    }
