"""What Pine Labs' answers mean: pure translation, both ways. PROCESSING means debited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from starship_core import (
    NO_EXPIRY,
    Accepted,
    Bought,
    Money,
    Purchase,
    Refused,
    Secret,
    Sku,
    VendorProduct,
    VendorReply,
    Voucher,
)
from starship_pinelabs.answers import Answer, Wire, answered, error_code, read, turned_away, unclear
from starship_pinelabs.codes import ABSENT, CODES, NO_CARD, STAYS
from starship_pinelabs.config import PineLabsConfig

NUMERIC: Final = {
    "AED": 784, "BHD": 48, "EUR": 978, "GBP": 826, "INR": 356, "KWD": 414, "OMR": 512, "PHP": 608,
    "QAR": 634, "SAR": 682, "SGD": 702, "USD": 840,
}  # fmt: skip
"""ISO 4217's numbers: an order names its currency by number."""
_REFERENCE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class Currency(Wire, frozen=True, kw_only=True):
    code: str


class Card(Wire, frozen=True, kw_only=True):
    sku: str
    amount: str
    card_id: int | str | None = None
    card_number: str | None = None
    card_pin: str | None = None
    activation_code: str | None = None
    activation_url: str | None = None
    validity: str | None = None
    sequence_number: str | int | None = None


class Order(Wire, frozen=True, kw_only=True):
    """An order, or its status."""

    status: str
    order_id: str
    refno: str
    currency: Currency | None = None
    cards: tuple[Card, ...] | None = None


class Reversed(Wire, frozen=True, kw_only=True):
    order_id: str


class Reversal(Wire, frozen=True, kw_only=True):
    order: Reversed


class Cards(Wire, frozen=True, kw_only=True):
    currency: Currency
    cards: tuple[Card, ...]
    total: int = msgspec.field(name="total_cards")


class Balance(Wire, frozen=True, kw_only=True):
    """Of a card; our own wallet's has no call."""

    card_number: str
    balance: str
    currency: Currency


class Product(Wire, frozen=True, kw_only=True):
    sku: str
    name: str
    currency: Currency
    min_price: str
    max_price: str


class Page(Wire, frozen=True, kw_only=True):
    products_count: int | str
    products: tuple[Product, ...] = ()


def unsendable(purchase: Purchase, *, most: int) -> str | None:
    """Why a purchase cannot be put into a request at all; None: it can."""
    if not 1 <= len(purchase.reference) <= 55 or not set(purchase.reference) <= _REFERENCE:
        return "the reference is not of 1 to 55 letters, digits, _ and -"
    if purchase.sku.currency not in NUMERIC:
        return f"the number of the currency {purchase.sku.currency} is not known"
    if not 1 <= purchase.quantity <= most:
        return f"one order is of 1 to {most} units"
    return None


def order(purchase: Purchase, config: PineLabsConfig) -> dict[str, Any]:
    """The body of an order, and of its reversal: amounts and the currency are numbers."""
    price = _number(purchase.sku.face.amount)
    person = {
        "firstname": config.firstname, "lastname": config.lastname, "email": config.email,
        "telephone": config.telephone, "country": config.country,
    }  # fmt: skip
    line = {
        "sku": purchase.vendor_product, "price": price, "qty": purchase.quantity,
        "currency": NUMERIC[purchase.sku.currency],
    }  # fmt: skip
    paid = _number(purchase.sku.face.amount * purchase.quantity)
    return {
        "address": person | {"billToThis": True}, "billing": person,
        "payments": [{"code": "svc", "amount": paid}], "refno": purchase.reference,
        "products": [line], "syncOnly": purchase.quantity <= config.sync_units,
        "deliveryMode": "API",
    }  # fmt: skip


def ordered(answer: Answer, purchase: Purchase) -> VendorReply:
    """What an order was answered. Raises Unavailable or Ambiguous."""
    turned_away(answer)
    if answer.status in (200, 201, 202):
        return _status(_own(answer, purchase), purchase, answer)
    code = error_code(answer)
    known = CODES.get(code) if answer.status == 400 and code is not None else None
    if known is None:
        unclear(f"an order was answered with HTTP {answer.status}", answer)
    if known.money != "no":
        unclear(f"{code}: {known.meaning}", answer)
    return Refused(reason=f"{code}: {known.meaning}")


def looked_up(answer: Answer, purchase: Purchase) -> VendorReply | Order | None:
    """What the status of an order says; an Order that is complete has its cards elsewhere."""
    if answer.status == 400 and error_code(answer) == ABSENT:
        return None
    found = _own(answered(answer), purchase)
    if found.status.upper() == "COMPLETE":
        return found
    return _status(found, purchase, answer)


def cards(answer: Answer, order_id: str) -> Cards | VendorReply:
    """A page of cards; 409: not ready; 410: cancelled. Raises Unavailable or Ambiguous."""
    if answer.status in (409, 410):
        try:
            state = msgspec.json.decode(answer.body).get("state")
        except (msgspec.DecodeError, AttributeError):
            state = None
        if (answer.status, state) == (410, "CANCELED"):
            return Refused(reason="CANCELED: the money was returned")
        if (answer.status, state) == (409, "PROCESSING"):
            return Accepted(vendor_reference=order_id)
    return read(answered(answer), Cards)


def bought(
    found: Sequence[Card], currency: str, purchase: Purchase, *, order_id: str, answer: Answer
) -> Bought:
    """The cards of a complete order. Raises Ambiguous."""
    try:
        vouchers = tuple(_vouchers(found, currency, purchase, order_id))
    except (ValueError, ArithmeticError):
        unclear("a card, a date or an amount that cannot be read", answer)
    return Bought(
        vouchers=vouchers,
        charged=None,
        final=len(vouchers) == len(found),
        vendor_reference=order_id,
    )


def reversed_(answer: Answer) -> VendorReply:
    """What a reversal was answered; Accepted: it is under way, or was done before."""
    turned_away(answer)
    code = error_code(answer)
    if answer.status == 400 and code in STAYS:
        return Refused(reason=f"{code}: it stays bought")
    if answer.status not in (200, 202) or code != 0:
        unclear(f"a reversal was answered with HTTP {answer.status}", answer)
    return Accepted(vendor_reference=read(answer, Reversal).order.order_id)


def held(number: str, pin: str | None) -> dict[str, str]:
    """The body of a question for a card's balance."""
    return {"cardNumber": number} | ({"pin": pin} if pin else {})


def balance(answer: Answer, number: str) -> Money | None:
    """What is left on a card; None: it is not known. Raises Unavailable or Ambiguous."""
    turned_away(answer)
    if answer.status == 400 and error_code(answer) in NO_CARD:
        return None
    if answer.status != 201:
        unclear(f"a card's balance was answered with HTTP {answer.status}", answer)
    found = read(answer, Balance)
    if found.card_number != number:
        unclear("asked for one card, told of another", answer)
    try:
        return Money.of(Decimal(found.balance), found.currency.code)
    except (ValueError, ArithmeticError):
        unclear("a balance that is no amount", answer)


def page(answer: Answer) -> tuple[int, list[VendorProduct]]:
    """How many products there are, and those of this page. Raises Unavailable or Ambiguous."""
    found = read(answered(answer), Page)
    try:
        return int(found.products_count), [
            VendorProduct(
                vendor_product=one.sku,
                name=one.name,
                currency=one.currency.code,
                minimum=Decimal(one.min_price),
                maximum=Decimal(one.max_price),
            )
            for one in found.products
        ]
    except (ValueError, ArithmeticError):
        unclear("a price that is no number", answer)


def _own(answer: Answer, purchase: Purchase) -> Order:
    found = read(answer, Order)
    if found.refno != purchase.reference:
        unclear("asked for one order, told of another", answer)
    return found


def _status(found: Order, purchase: Purchase, answer: Answer) -> VendorReply:
    """A word that is not known is an open order."""
    status = found.status.upper()
    if status == "CANCELED":
        return Refused(reason="CANCELED: the money was returned")
    if status == "COMPLETE" and found.cards:
        if found.currency is None:
            unclear("cards without a currency", answer)
        code = found.currency.code
        return bought(found.cards, code, purchase, order_id=found.order_id, answer=answer)
    return Accepted(vendor_reference=found.order_id)


def _vouchers(
    found: Sequence[Card], currency: str, purchase: Purchase, order_id: str
) -> Iterator[Voucher]:
    """Of the value that Pine Labs says. Which field holds the code depends on the product: a card
    without a number has its code in the PIN, or in the activation code.
    """
    for ordinal, card in enumerate(found, 1):
        if card.sku != purchase.vendor_product:
            raise ValueError("a card of another product")
        held = [one for one in (card.card_number, card.card_pin, card.activation_code) if one]
        if not held and not card.activation_url:
            continue
        face = Money.of(Decimal(card.amount), currency)
        name = f"{order_id}:{ordinal}" if card.card_id is None else str(card.card_id)
        yield Voucher(
            sku=Sku(purchase.sku.product_id, face.minor, face.currency),
            reference=name,
            card_number=Secret(held[0]) if held else None,
            pin_code=Secret(held[1]) if len(held) > 1 else None,
            claim_url=Secret(card.activation_url) if card.activation_url else None,
            voucher_reference_number=None
            if card.sequence_number is None
            else str(card.sequence_number),
            expires_at=_instant(card.validity),
        )


def _instant(text: str | None) -> datetime:
    """Pine Labs writes an offset; a date without one is refused rather than guessed."""
    if not text:
        return NO_EXPIRY
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a date without an offset")
    return moment.astimezone(UTC)


def _number(amount: Decimal) -> int | Decimal:
    """Without a digit too many: the signature is over what is written."""
    return int(amount) if amount == amount.to_integral_value() else amount.normalize()
