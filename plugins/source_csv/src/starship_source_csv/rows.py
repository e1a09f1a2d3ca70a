"""One line of a file ↔ one voucher. Whatever is wrong is told by column, never by content.

A line is a record: a quoted field may not span lines. So one bad line never swallows its
neighbours, and every complaint has the right line number.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Final

from msgspec import Struct

from starship_core import NO_EXPIRY, Money, Secret, Sku

REQUIRED: Final = ("product", "denomination", "currency")
CODES: Final = ("card_number", "pin_code", "claim_url")
COLUMNS: Final = (*REQUIRED, *CODES, "reference", "expires_at", "voucher_reference_number")

_AMOUNT: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,3})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LAST_SECOND: Final = time(23, 59, 59, tzinfo=UTC)


class Malformed(Exception):
    """The line cannot be read. The text names columns and holds nothing of the line."""


class Row(Struct, frozen=True, kw_only=True, gc=False):
    """A line, read."""

    sku: Sku
    card_number: Secret | None
    pin_code: Secret | None
    claim_url: Secret | None
    reference: str | None
    """The row's own name, unique in its file."""
    voucher_reference_number: str | None
    expires_at: datetime


def header(line: bytes) -> tuple[str, ...]:
    """The columns of a file, from its first line. Raises Malformed."""
    names = tuple(name.strip().lower() for name in _fields(line))
    missing = [f"`{name}`" for name in REQUIRED if name not in names]
    if missing:  # perhaps a line of vouchers: nothing of it is told
        raise Malformed(f"is no header: it lacks {' and '.join(missing)}")
    unknown = [number for number, name in enumerate(names, 1) if name not in COLUMNS]
    if unknown:
        raise Malformed(f"has a column that is not known, the {unknown[0]}. from the left")
    if len(set(names)) != len(names):
        raise Malformed("names a column twice")
    if not set(names) & set(CODES):
        raise Malformed("has no column for a code: `card_number`, `pin_code` or `claim_url`")
    return names


def read(line: bytes, columns: Sequence[str], products: Mapping[str, int]) -> Row | None:
    """The line as a voucher; None for an empty line. Raises Malformed."""
    if not line.strip():
        return None
    fields = _fields(line)
    if len(fields) != len(columns):
        raise Malformed(f"has {len(fields)} fields, the header {len(columns)}")
    values = dict(zip(columns, map(str.strip, fields), strict=True))
    if not "".join(fields).strip().isprintable():
        _blame(values)
    value = values.get
    card_number, pin_code, claim_url = value("card_number"), value("pin_code"), value("claim_url")
    if not (card_number or pin_code or claim_url):
        raise Malformed("holds no code")
    return Row(
        sku=_sku(values, products),
        card_number=Secret(card_number) if card_number else None,
        pin_code=Secret(pin_code) if pin_code else None,
        claim_url=Secret(claim_url) if claim_url else None,
        reference=value("reference") or None,
        voucher_reference_number=value("voucher_reference_number") or None,
        expires_at=_expiry(value("expires_at", "")),
    )


def _blame(values: Mapping[str, str]) -> None:
    """Raises Malformed, unless what cannot be printed was at the end of a field."""
    for name, text in values.items():
        if not text.isprintable():
            raise Malformed(f"has characters that cannot be printed in `{name}`")


def _fields(line: bytes) -> list[str]:
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8") from None
    if text and '"' not in text and text.isprintable():
        return text.split(",")  # what csv makes of it, in a fifth of the time
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise Malformed(
            "has a quotation mark in the wrong place, or one that is not closed"
        ) from None


def _sku(values: Mapping[str, str], products: Mapping[str, int]) -> Sku:
    product_id = products.get(values["product"])
    if product_id is None:
        raise Malformed("names a product that does not exist in `product`")
    return _of_product(product_id, values["denomination"], values["currency"])


@lru_cache(maxsize=4096)
def _of_product(product_id: int, denomination: str, currency: str) -> Sku:
    face = _face(denomination, currency)
    return Sku(product_id, face.minor, face.currency)


def _face(denomination: str, currency: str) -> Money:
    if not _CURRENCY.fullmatch(currency):
        raise Malformed("has no currency such as EUR in `currency`")
    if not _AMOUNT.fullmatch(denomination):
        raise Malformed("has no amount such as 25.00 in `denomination`")
    try:
        face = Money.of(Decimal(denomination), currency)
    except ValueError:
        raise Malformed("has more decimals in `denomination` than the currency") from None
    if face.minor <= 0:
        raise Malformed("has no amount above zero in `denomination`")
    return face


def _expiry(text: str) -> datetime:
    """A day means its last second, UTC."""
    if not text:
        return NO_EXPIRY
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and _DAY.fullmatch(text):
        return datetime.combine(moment, _LAST_SECOND)
    if moment is None or moment.tzinfo is None:
        raise Malformed("has no day, and no time with its zone, in `expires_at`")
    return moment.astimezone(UTC)
