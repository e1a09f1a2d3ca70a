"""What VoucherKart's answers mean: pure translation, both ways, under the documented names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

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
from starship_voucherkart.answers import Answer, Told, asked, let_in, read, told, unclear
from starship_voucherkart.dialect import Call, Dialect

CURRENCY: Final = "INR"
"""Of every amount: none is named."""
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{1,50}")
_INDIA: Final = timezone(timedelta(hours=5, minutes=30))
_DATE: Final = re.compile(r"(\d{1,2}) ([A-Za-z]{3}) (\d{4})")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov",
                  "dec")  # fmt: skip
"""English whatever the machine's language is, which `strptime` is not."""


class Wire(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Numbers and truths are text; what is not read is not described."""


class Unit(Wire, frozen=True, kw_only=True):
    value: str
    voucher_no: str | None = None
    voucherpin: str | None = None
    gc_code: str | None = msgspec.field(name="VoucherGCcode", default=None)
    voucher_guid: str | None = None
    end_date: str | None = None


class Pulled(Wire, frozen=True, kw_only=True):
    vouchers: tuple[Unit, ...]


class Order(Wire, frozen=True, kw_only=True):
    """The answer to a pull, and to a question after it."""

    result_type: str
    external_order_id_out: str
    brand_product_code: str
    pull_vouchers: tuple[Pulled, ...]


class Brand(Wire, frozen=True, kw_only=True):
    brand_product_code: str
    brand_name: str
    denom_type: str
    denominations: str = msgspec.field(name="denominationList", default="")
    min_value: str = ""
    max_value: str = ""
    stock_available: str = msgspec.field(name="stockAvailable", default="")
    service_type: str = "V"


class Stock(Wire, frozen=True, kw_only=True):
    available_quantity: str


class Wallet(Wire, frozen=True, kw_only=True):
    balance: str


def unsendable(purchase: Purchase, *, most: int) -> str | None:
    """Why a purchase cannot be put into a request at all; None: it can."""
    if not _REFERENCE.fullmatch(purchase.reference):
        return "the reference is not of 1 to 50 letters, digits, _ and -"
    if purchase.sku.currency != CURRENCY:
        return f"VoucherKart sells in {CURRENCY} only, not in {purchase.sku.currency}"
    if not 1 <= purchase.quantity <= most:
        return f"one order is of 1 to {most} units"
    return None


def pull(purchase: Purchase) -> dict[str, str]:
    return stock(purchase.vendor_product, purchase.sku.face) | {
        "Quantity": str(purchase.quantity),
        "ExternalOrderId": purchase.reference,
    }


def status(purchase: Purchase) -> dict[str, str]:
    return {"sv_ex_order_id": purchase.reference}


def brands() -> dict[str, str]:
    return {"BrandProductCode": ""}  # all


def stock(vendor_product: str, face: Money) -> dict[str, str]:
    return {"BrandProductCode": vendor_product, "Denomination": _number(face.amount)}


def pulled(answer: Answer, purchase: Purchase, dialect: Dialect) -> VendorReply:
    """What a pull was answered. Raises Unavailable or Ambiguous.

    An order id that was used, answered with what was bought under it, is a replay.
    """
    envelope = let_in(told(answer, dialect))
    if envelope.ok or (envelope.says == "used" and envelope.data):
        return _bought(envelope, "pull", purchase, dialect)
    if envelope.says != "no":
        unclear(f"an order was answered with {envelope.meaning}", answer)
    return Refused(reason=envelope.meaning)


def looked_up(answer: Answer, purchase: Purchase, dialect: Dialect) -> VendorReply | None:
    """What is known of an order. Raises Unavailable or Ambiguous."""
    envelope = asked(answer, dialect)
    if envelope.ok:
        return _bought(envelope, "status", purchase, dialect)
    if envelope.says == "open":
        return Accepted(vendor_reference=None)
    if envelope.says != "absent":
        unclear(f"a question for an order was answered with {envelope.meaning}", answer)
    return None


def products(answer: Answer, dialect: Dialect) -> list[VendorProduct]:
    """Brands of vouchers that have a price. Raises Unavailable or Ambiguous."""
    envelope = _good(answer, dialect)
    try:
        return list(_products(read(envelope, "brands", tuple[Brand, ...], dialect)))
    except (ValueError, ArithmeticError):
        unclear("a price that is no number", answer)


def in_stock(answer: Answer, dialect: Dialect) -> int:
    """How many vouchers there are at this moment. Raises Unavailable or Ambiguous."""
    found = read(_good(answer, dialect), "stock", Stock, dialect).available_quantity
    return int(found) if re.fullmatch(r"[0-9]{1,9}", found) else unclear("no number", answer)


def balance(answer: Answer, dialect: Dialect) -> Money:
    """What is in our wallet, rounded down. Raises Unavailable or Ambiguous."""
    found = read(_good(answer, dialect), "balance", Wallet, dialect).balance
    try:
        return Money(int(_decimal(found) * 100 // 1), CURRENCY)
    except (ValueError, ArithmeticError):
        unclear("a balance that is no number", answer)


def token(answer: Answer, dialect: Dialect) -> str:
    """Raises Unavailable or Ambiguous."""
    found = read(_good(answer, dialect), "token", str, dialect).strip().strip('"')
    if not found or not found.isascii() or not found.isprintable():
        unclear("a token that is no text", answer)
    return found


def _good(answer: Answer, dialect: Dialect) -> Told:
    envelope = asked(answer, dialect)
    if not envelope.ok:
        unclear(f"a question was answered with {envelope.meaning}", answer)
    return envelope


def _bought(envelope: Told, call: Call, purchase: Purchase, dialect: Dialect) -> Bought:
    """The vouchers of our order, all or some; a unit that shows no code yet may still come."""
    found = read(envelope, call, Order, dialect)
    opened = msgspec.to_builtins(found)
    if found.external_order_id_out != purchase.reference:
        unclear("asked for one order, told of another", envelope.answer, opened)
    if found.brand_product_code != purchase.vendor_product:
        unclear("asked for one product, told of another", envelope.answer, opened)
    units = [unit for group in found.pull_vouchers for unit in group.vouchers]
    if found.result_type.upper() != "SUCCESS" or not units:
        unclear("an order without vouchers", envelope.answer, opened)
    try:
        vouchers = tuple(_vouchers(units, purchase))
    except (ValueError, ArithmeticError):
        unclear("a date or an amount that cannot be read", envelope.answer, opened)
    return Bought(vouchers=vouchers, charged=None, final=len(vouchers) == len(units))


def _vouchers(units: list[Unit], purchase: Purchase) -> Iterator[Voucher]:
    """Which field holds the code depends on the brand: the first that is filled is the number,
    the next the PIN; an address is where the voucher is claimed.
    """
    for ordinal, unit in enumerate(units, 1):
        held = [part for part in (unit.voucher_no, unit.voucherpin, unit.gc_code) if part]
        if not held:
            continue
        links = [part for part in held if part.startswith("https://")]
        codes = [part for part in dict.fromkeys(held) if part not in links]
        face = Money.of(_decimal(unit.value), CURRENCY)
        yield Voucher(
            sku=Sku(purchase.sku.product_id, face.minor, face.currency),
            reference=unit.voucher_guid or f"{purchase.reference}:{ordinal}",
            card_number=Secret(codes[0]) if codes else None,
            pin_code=Secret(codes[1]) if len(codes) > 1 else None,
            claim_url=Secret(links[0]) if links else None,
            expires_at=_last_moment(unit.end_date),
        )


def _products(found: tuple[Brand, ...]) -> Iterator[VendorProduct]:
    for brand in found:
        fixed = brand.denom_type.upper() == "F"
        listed = brand.denominations.split(",") if fixed else [brand.min_value, brand.max_value]
        values = [_decimal(value) for value in listed if value.strip()]
        if brand.service_type.upper() != "V" or not values or not (fixed or len(values) == 2):
            continue
        yield VendorProduct(
            vendor_product=brand.brand_product_code,
            name=brand.brand_name,
            currency=CURRENCY,
            minimum=min(values),
            maximum=max(values),
            stock=0 if brand.stock_available.lower() == "false" else None,
        )


def _last_moment(text: str | None) -> datetime:
    """`31 Dec 2025`: until that day ends in India."""
    if not text or not text.strip():
        return NO_EXPIRY
    found = _DATE.fullmatch(text.strip())
    if found is None or found[2].lower() not in _MONTHS:
        raise ValueError("a date in another form")
    month = _MONTHS.index(found[2].lower()) + 1
    day = datetime(int(found[3]), month, int(found[1]), 23, 59, 59, tzinfo=_INDIA)
    return day.astimezone(UTC)


def _decimal(text: str) -> Decimal:
    """Digits and a point only: no exponent, no infinity."""
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text.strip()):
        raise ValueError("no amount")
    return Decimal(text.strip())


def _number(amount: Decimal) -> str:
    """`100`, `12.5`: without a digit too many."""
    return f"{amount:f}".rstrip("0").rstrip(".") if "." in f"{amount:f}" else f"{amount:f}"
