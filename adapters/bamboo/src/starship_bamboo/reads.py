"""What Bamboo's other answers mean: catalogue, accounts, rates, reports, callbacks. All reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from starship_bamboo.answers import (
    Answer,
    Folded,
    down,
    folded,
    guid,
    instant,
    money,
    read,
    turned_away,
    unclear,
    up,
)
from starship_bamboo.wire import FINAL
from starship_core import FxTable, Money, Secret, Unavailable, VendorOrder, VendorProduct

_NOWHERE: Final = "GLC"
"""Bamboo's "global", which is no country."""


class Price(Folded, frozen=True, kw_only=True):
    min: Decimal
    max: Decimal
    currency_code: str


class Product(Folded, frozen=True, kw_only=True):
    id: int
    name: str
    min_face_value: Decimal
    max_face_value: Decimal
    count: int | None = None
    price: Price | None = None
    is_deleted: bool = False


class Brand(Folded, frozen=True, kw_only=True):
    currency_code: str
    country_code: str | None = None
    products: tuple[Product, ...] | None = None


class Page(Folded, frozen=True, kw_only=True):
    """One page of the catalogue, v2."""

    count: int
    """Of brands on all pages."""
    items: tuple[Brand, ...] = ()


class Account(Folded, frozen=True, kw_only=True):
    id: int
    currency: str
    balance: Decimal
    is_active: bool = False
    sandbox_mode: bool = False


class Accounts(Folded, frozen=True, kw_only=True):
    accounts: tuple[Account, ...]


class Quoted(Folded, frozen=True, kw_only=True):
    currency_code: str
    value: Decimal


class Quotation(Folded, frozen=True, kw_only=True):
    base_currency_code: str
    rates: tuple[Quoted, ...]


class OrderLine(Folded, frozen=True, kw_only=True):
    """One line of the list of orders, to reconcile with: a product of one order."""

    client_reference_number: str
    """Our reference."""
    order_number: str
    status: str
    quantity: int
    total: Decimal
    account_currency: str


class Amount(Folded, frozen=True, kw_only=True):
    value: Decimal
    currency_code: str


class Booking(Folded, frozen=True, kw_only=True):
    """One movement on the account, to reconcile with; any but its id and its type may be null."""

    transaction_id: str
    transaction_type: str
    request_id: str | None = None
    order_id: int | None = None
    transaction_amount: Amount | None = None
    available_balance: Amount | None = None
    transaction_date: str | None = None

    @property
    def at(self) -> datetime | None:
        return instant(self.transaction_date)


class ClientBookings(Folded, frozen=True, kw_only=True):
    transactions: tuple[Booking, ...] | None = None


class Bookings(Folded, frozen=True, kw_only=True):
    clients: tuple[ClientBookings, ...] = ()


class Callback(Folded, frozen=True, kw_only=True):
    request_id: str
    secret_key: str


def page(answer: Answer) -> Page:
    """Raises Unavailable or Ambiguous."""
    return read(_answered(answer), Page)


def products(brands: tuple[Brand, ...]) -> Iterator[VendorProduct]:
    """What is on offer; tombstones are left out, and so is what no amount can be made of."""
    for brand in brands:
        country = None if brand.country_code == _NOWHERE else brand.country_code
        for product in brand.products or ():
            if product.is_deleted:
                continue
            yield VendorProduct(
                vendor_product=str(product.id),
                name=product.name,
                currency=brand.currency_code,
                country=country,
                minimum=product.min_face_value,
                maximum=product.max_face_value,
                cost=_cost(product),
                stock=product.count,
            )


def balance(answer: Answer, account: int) -> Money:
    """What the account that pays holds. Raises Unavailable or Ambiguous."""
    for one in read(_answered(answer), Accounts).accounts:
        if one.id == account and one.is_active:
            try:
                return money(one.balance, one.currency, rounding=down)
            except ValueError:
                unclear("a balance that is no amount", answer)
    raise Unavailable(f"account {account} is not ours, or not active", retry_after=300)


def rates(answer: Answer, base: str, now: datetime) -> FxTable:
    """Bamboo says no time; its table is made anew every hour. Raises Unavailable or Ambiguous."""
    table = read(_answered(answer), Quotation)
    if table.base_currency_code != base:
        raise Unavailable(f"bamboo gave no rates for {base}", retry_after=300)
    return FxTable(
        base=base,
        rates={one.currency_code: one.value for one in table.rates if one.value > 0},
        source="bamboo",
        as_of=now,
    )


def order_lines(answer: Answer) -> tuple[OrderLine, ...]:
    """Raises Unavailable or Ambiguous."""
    return read(_answered(answer), tuple[OrderLine, ...])


def orders(answer: Answer) -> list[VendorOrder]:
    """Bamboo's list as the core reads it: the lines of one order are one. Raises as `order_lines`
    does.
    """
    by_reference: dict[str, list[OrderLine]] = {}
    for line in order_lines(answer):
        reference = guid(line.client_reference_number) or line.client_reference_number
        by_reference.setdefault(reference, []).append(line)
    return [_order(reference, lines, answer) for reference, lines in by_reference.items()]


def _order(reference: str, lines: list[OrderLine], answer: Answer) -> VendorOrder:
    states = {line.status.casefold() for line in lines}
    charged = None
    if states.issubset(FINAL):  # until then the total is of what was ordered, not of what was sold
        try:
            total = sum((line.total for line in lines), Decimal(0))
            charged = money(total, lines[0].account_currency, rounding=up)
        except ValueError:
            unclear("an order's total that is no amount", answer)
    return VendorOrder(
        reference=reference,
        quantity=sum(line.quantity for line in lines),
        charged=charged,
        failed=states == {"failed"},
    )


def bookings(answer: Answer) -> tuple[Booking, ...]:
    """Of all clients of the answer; ids come with blanks around them. Raises as the others do."""
    report = read(_answered(answer), Bookings)
    return tuple(
        msgspec.structs.replace(booking, transaction_id=booking.transaction_id.strip())
        for client in report.clients
        for booking in client.transactions or ()
    )


def reference(body: bytes, secret: Secret | None) -> str | None:
    """Which of our references a callback is about, if it knows the secret that we gave Bamboo."""
    if secret is None:
        return None
    try:
        callback = msgspec.convert(folded(body), Callback)
    except ValueError:
        return None
    return guid(callback.request_id) if Secret(callback.secret_key) == secret else None


def _answered(answer: Answer) -> Answer:
    """The answer of a read that went well. Raises Unavailable or Ambiguous."""
    turned_away(answer)
    if answer.status >= 500:
        raise Unavailable(f"bamboo answered with HTTP {answer.status}", retry_after=5)
    if answer.status != 200:
        unclear(f"bamboo answered with HTTP {answer.status}", answer)
    return answer


def _cost(product: Product) -> Money | None:
    """Of a product with one face value; that of a range is known when the value is."""
    if product.price is None or product.min_face_value != product.max_face_value:
        return None
    try:
        return money(product.price.min, product.price.currency_code, rounding=up)
    except ValueError:
        return None
