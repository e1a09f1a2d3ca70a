"""What Acme means: its JSON as Structs, translated both ways without asking anybody."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final, NamedTuple, NoReturn, TypeVar

import msgspec
from msgspec import Struct
from starship_core import (
    Ambiguous,
    Bought,
    Money,
    Purchase,
    Refused,
    Secret,
    Sku,
    Unavailable,
    VendorProduct,
    VendorReply,
    Voucher,
)

T = TypeVar("T")

REFUSALS: Final = {
    "UNKNOWN_PRODUCT": "acme does not know the product",
    "BAD_VALUE": "acme does not sell the product at this value",
    "OUT_OF_STOCK": "acme has too few of the product",
    "LOW_BALANCE": "our balance at acme is too low",
}
"""Acme's words, with status 422, after which nothing was bought."""


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes


class Card(Struct, frozen=True):
    id: str
    code: str
    pin: str
    expires: date
    """Its last day."""


class Order(Struct, frozen=True):
    reference: str
    value: str
    currency: str
    charged: str
    cards: list[Card]


class Product(Struct, frozen=True):
    id: str
    name: str
    currency: str
    least: Decimal
    most: Decimal


class Page(Struct, frozen=True):
    products: list[Product]
    pages: int


class Problem(Struct, frozen=True):
    error: str


def order(purchase: Purchase) -> bytes:
    """The body that buys."""
    return msgspec.json.encode(
        {
            "reference": purchase.reference,
            "product": purchase.vendor_product,
            "value": purchase.sku.face.text,
            "currency": purchase.sku.currency,
            "quantity": purchase.quantity,
        }
    )


def ordered(answer: Answer, purchase: Purchase) -> VendorReply:
    """What came of an order; what is not listed here is Ambiguous."""
    turned_away(answer)
    if answer.status == 422 and (reason := REFUSALS.get(problem(answer))):
        return Refused(reason=reason)
    if answer.status in (200, 201):
        return bought(answer, purchase)
    unclear(f"acme answered an order with HTTP {answer.status}", answer)


def found(answer: Answer, purchase: Purchase) -> VendorReply | None:
    """The order under our reference; None is Acme's own word, and no other 404."""
    turned_away(answer)
    if answer.status == 404 and problem(answer) == "UNKNOWN_REFERENCE":
        return None
    if answer.status == 200:
        return bought(answer, purchase)
    unclear(f"acme answered a look-up with HTTP {answer.status}", answer)


def bought(answer: Answer, purchase: Purchase) -> Bought:
    """Every card of an order. Raises Ambiguous for another order than ours."""
    sold = read(answer, Order)
    try:
        face = Money.of(sold.value, sold.currency)
        charged = Money.of(sold.charged, sold.currency)
    except ValueError:
        unclear("acme wrote an amount that is none", answer)
    if sold.reference != purchase.reference or len(sold.cards) != purchase.quantity:
        unclear("acme answered with another order", answer)
    sku = Sku(purchase.sku.product_id, face.minor, face.currency)
    return Bought(vouchers=tuple(voucher(card, sku) for card in sold.cards), charged=charged)


def voucher(card: Card, sku: Sku) -> Voucher:
    return Voucher(
        sku=sku,
        reference=card.id,
        card_number=Secret(card.code),
        pin_code=Secret(card.pin),
        expires_at=datetime.combine(card.expires, time(23, 59, 59), UTC),
    )


def page(answer: Answer) -> Page:
    """One page of the catalogue."""
    turned_away(answer)
    if answer.status != 200:
        unclear(f"acme answered with HTTP {answer.status} instead of its catalogue", answer)
    return read(answer, Page)


def listed(product: Product) -> VendorProduct:
    return VendorProduct(
        vendor_product=product.id,
        name=product.name,
        currency=product.currency,
        minimum=product.least,
        maximum=product.most,
    )


def turned_away(answer: Answer) -> None:
    """Raises Unavailable for an answer given before anything was processed."""
    if answer.status == 429:
        raise Unavailable("acme's rate limit is reached", retry_after=60)
    if answer.status in (401, 403):
        told = f"acme does not let us in ({answer.status})"
        raise Unavailable(told, retry_after=300)


def problem(answer: Answer) -> str:
    """The word in `error`; empty when there is none."""
    try:
        return msgspec.json.decode(answer.body, type=Problem).error
    except ValueError:  # msgspec's errors are ones
        return ""


def read(answer: Answer, shape: type[T]) -> T:
    """The body in the shape it must have. Raises Ambiguous."""
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except ValueError:
        unclear("an answer that is not in the documented shape", answer)


def unclear(what: str, answer: Answer) -> NoReturn:
    """Raises Ambiguous, which keeps the answer, and tells nothing of it."""
    raise Ambiguous(what, Secret(answer.body.decode(errors="replace"))) from None
