"""What Bamboo's answers to a purchase mean: pure translation, both ways.

Where money may have moved the default is `Ambiguous`: only an answer listed here, by status *and*
word, is a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import msgspec

from starship_bamboo.answers import (
    Answer,
    Folded,
    folded,
    guid,
    instant,
    money,
    possible,
    read,
    reason,
    turned_away,
    unclear,
    up,
)
from starship_core import (
    NO_EXPIRY,
    Accepted,
    Bought,
    Money,
    Purchase,
    Refused,
    Saying,
    Secret,
    Sku,
    Unavailable,
    VendorReply,
    Voucher,
)


class Word(NamedTuple):
    """What one word in `message` means."""

    meaning: str
    money: Literal["no", "unknown"]
    """Whether it was taken. `unknown`: it belongs to an earlier send, which has to be looked up."""
    retry: str
    """When the same purchase may succeed later, and after what; empty: not by trying again."""


WORDS: Final = {
    "OrderAlreadyExists": Word("the reference was used before", "unknown", "look it up"),
    "InsufficientBalance": Word("the account is short", "no", "after a top-up"),
    "WrongAccount": Word("not our account, of the other mode, or inactive", "no", ""),
    "UserNotEnabled": Word("the API user is switched off", "no", ""),
    "ClientCatalogNotExist": Word("no catalogue is assigned to us", "no", ""),
    "InvalidProductIds": Word("a product that is not in our catalogue", "no", ""),
    "InvalidProduct": Word("a product that is not in our catalogue", "no", ""),
    "InvalidDenomination": Word("a face value that is not sold", "no", ""),
    "NoProducts": Word("an order without products", "no", ""),
    "CardsLimitExceeded": Word("more than 500 cards in one order", "no", "in parts"),
    "ProductIsOutOfStock": Word("out of stock", "no", "when there is stock again"),
    "ClientPriceInvalid": Word("our price is not set, or has moved", "no", ""),
}
"""The words of HTTP 400 on a checkout. One that is not here is not known to be a refusal."""

ERRORS: Final = tuple(
    Saying(word, one.meaning, "Refused" if one.money == "no" else "Ambiguous", one.retry)
    for word, one in WORDS.items()
)
STATUSES: Final = (
    Saying("Succeeded", "every card was sold", "Bought"),
    Saying("PartialFailed", "some cards were sold, and only they are charged", "Bought"),
    Saying("Failed", "no card was sold, and nothing is charged", "Refused"),
)
OPEN: Final = Saying("Created, Processing, and any other", "the order is open", "Accepted")
FINAL: Final = frozenset(one.word.casefold() for one in STATUSES)
"""Statuses that end an order. Any other word, known or not, is an open order."""

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Card(Folded, frozen=True, kw_only=True):
    id: int | None = None
    status: str | None = None
    card_code: str | None = None
    pin: str | None = None
    serial_number: str | None = None
    expiration_date: str | None = None


class Item(Folded, frozen=True, kw_only=True):
    product_id: int
    product_face_value: Decimal
    currency_code: str
    cards: tuple[Card, ...] | None = None


class Order(Folded, frozen=True, kw_only=True):
    request_id: str
    status: str
    order_id: int | None = None
    items: tuple[Item, ...] | None = None
    total: Decimal | None = None
    currency: str | None = None


def unsendable(purchase: Purchase, *, most: int) -> str | None:
    """Why a purchase cannot be put into a request at all; None: it can."""
    if guid(purchase.reference) is None:
        return "the reference is no GUID, and Bamboo takes no other"
    if not purchase.vendor_product.isascii() or not purchase.vendor_product.isdigit():
        return "a product of Bamboo is a number"
    if not 1 <= purchase.quantity <= most:
        return f"one order is of 1 to {most} cards"
    return None


def checkout(purchase: Purchase, account: int) -> bytes:
    """The body of a checkout: PascalCase, and the face value, not the cost, as an exact number."""
    face = purchase.sku.face.amount
    product = {
        "ProductId": int(purchase.vendor_product),
        "Quantity": purchase.quantity,
        "Value": int(face) if face == face.to_integral_value() else face.normalize(),
    }
    return _encode({"RequestId": purchase.reference, "AccountId": account, "Products": [product]})


def checked_out(answer: Answer, purchase: Purchase) -> VendorReply:
    """What a checkout was answered. Raises Unavailable or Ambiguous."""
    if answer.status == 200:
        given = _reference(answer)
        if given is None or given != guid(purchase.reference):
            unclear("a checkout was answered with something else than its reference", answer)
        return Accepted(vendor_reference=None)
    turned_away(answer)
    word = reason(answer)
    known = WORDS.get(word) if answer.status == 400 else None
    if known is None:
        unclear(f"a checkout was answered with HTTP {answer.status}", answer)
    if known.money != "no":
        unclear(f"{word}: {known.meaning}", answer)
    return Refused(reason=f"{word}: {known.meaning}")


def found(answer: Answer, purchase: Purchase) -> VendorReply | None:
    """What Get Order says of a purchase. Raises Unavailable or Ambiguous."""
    turned_away(answer)
    if answer.status in (400, 404) and reason(answer) == "OrderNotFound":
        return None
    if answer.status >= 500:
        raise Unavailable(f"bamboo answered with HTTP {answer.status}", retry_after=5)
    if answer.status != 200:
        unclear(f"an order was answered with HTTP {answer.status}", answer)
    order = read(answer, Order)
    if guid(order.request_id) != guid(purchase.reference):
        unclear("asked for one order, told of another", answer)
    status = order.status.casefold()
    if status not in FINAL:
        return Accepted(vendor_reference=_id(order))
    sold = list(_sold(order, purchase, answer))
    if status == "failed" and not sold:
        return Refused(reason="Failed: the order ended without a card, and is not charged")
    if status == "failed" or not sold:
        unclear(f"the order's status and its {len(sold)} sold cards contradict each other", answer)
    return _bought(order, sold, purchase, answer)


def _reference(answer: Answer) -> str | None:
    """The reference that a checkout echoes, as a bare JSON string or in an object."""
    try:
        body = folded(answer.body)
    except ValueError:
        return None
    given = body.get("requestid") if isinstance(body, dict) else body
    return guid(given) if isinstance(given, str) else None


def _id(order: Order) -> str | None:
    return None if order.order_id is None else str(order.order_id)


def _sold(order: Order, purchase: Purchase, answer: Answer) -> Iterator[tuple[Item, Card]]:
    """The cards that were sold; all others were not charged. Raises Ambiguous."""
    for item in order.items or ():
        for card in item.cards or ():
            if (card.status or "").casefold() != "sold":
                continue
            if str(item.product_id) != purchase.vendor_product:
                unclear("a card of a product that was not ordered", answer)
            yield item, card


def _bought(
    order: Order, sold: Sequence[tuple[Item, Card]], purchase: Purchase, answer: Answer
) -> Bought:
    """Final once every sold card shows its code. Raises Ambiguous."""
    try:
        vouchers = tuple(
            _voucher(item, card, purchase, f"{guid(order.request_id)}:{ordinal}")
            for ordinal, (item, card) in enumerate(sold, 1)
            if card.card_code or card.pin
        )
        charged = (
            money(order.total, order.currency, rounding=up)
            if order.total is not None and order.currency
            else None
        )
    except ValueError:
        unclear("a card, a date or an amount that cannot be read", answer)
    return Bought(
        vouchers=vouchers,
        charged=charged,
        final=len(vouchers) == len(sold),
        vendor_reference=_id(order),
    )


def _voucher(item: Item, card: Card, purchase: Purchase, unnumbered: str) -> Voucher:
    """One card, of the value that Bamboo says it has: the core compares it with what was asked."""
    face = Money.of(possible(item.product_face_value), item.currency_code)
    code = card.card_code or None
    link = code is not None and code.startswith(("https://", "http://"))
    return Voucher(
        sku=Sku(purchase.sku.product_id, face.minor, face.currency),
        reference=unnumbered if card.id is None else str(card.id),
        card_number=Secret(code) if code and not link else None,
        claim_url=Secret(code) if code and link else None,
        pin_code=Secret(card.pin) if card.pin else None,
        voucher_reference_number=card.serial_number or None,
        expires_at=instant(card.expiration_date) or NO_EXPIRY,
    )
