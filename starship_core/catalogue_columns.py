"""The columns of a catalogue file: what each may hold, and how its text is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from babel.core import Locale
from babel.numbers import is_currency

from starship_core.model import Money

REQUIRED: Final = ("code", "name", "category", "currency", "denominations")

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PERCENT: Final = re.compile(r"\d{1,3}(\.\d{1,4})?", re.ASCII)
_AMOUNT: Final = re.compile(r"\d{1,12}(\.\d{1,3})?", re.ASCII)
_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_YES_NO: Final = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_TERRITORIES: Final = Locale("en").territories

Offer = tuple[int, int, str | None]
"""Minimum and maximum in minor units, and a discount of its own in percent."""


class WrongCell(ValueError):
    """What is wrong in one cell; column and line are added where they are known."""


def _text(longest: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) > longest:
            raise WrongCell(f"longer than {longest} characters")
        if _NO_TEXT.search(text):
            raise WrongCell("holds what is no text")
        return text

    return parse


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: parse(text) if text else None


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise WrongCell(f"{text[:70]!r} must be letters, digits and . _ -, at most 64")
    return text


def _shelf(text: str) -> str:
    if not slug(text):
        raise WrongCell(f"{text[:70]!r} has no letter or digit in it")
    return _text(100)(text)


def slug(name: str) -> str:
    """`Food & drink` → `food-drink`: what a category is known by."""
    return re.sub(r"[\W_]+", "-", name.casefold()).strip("-")


def _currency(text: str) -> str:
    if not is_currency(text):
        raise WrongCell(f"{text[:10]!r} is no ISO 4217 currency")
    return text


def _country(text: str) -> str | None:
    if text and not (len(text) == 2 and text.isupper() and text in _TERRITORIES):
        raise WrongCell(f"{text[:10]!r} is no ISO 3166 country of two capital letters")
    return text or None


def _delivery_type(text: str) -> str:
    if text not in ("", "code", "code_with_pin", "claim_url"):
        raise WrongCell(f"{text[:20]!r} is not code, code_with_pin or claim_url")
    return text or "code"


def read_percent(text: str) -> str:
    """0 to 100 with at most four decimals, as it is stored. Raises WrongCell."""
    if not _PERCENT.fullmatch(text) or Decimal(text) > 100:
        raise WrongCell(f"{text[:20]!r} is no percentage from 0 to 100")
    return text


def _active(text: str) -> bool:
    if text and text.lower() not in _YES_NO:
        raise WrongCell(f"{text[:20]!r} is neither true nor false")
    return _YES_NO[text.lower()] if text else True


def _image(text: str) -> str | None:
    if text and urlsplit(text).scheme not in ("http", "https"):
        raise WrongCell("must be an http or https address")
    return _text(2000)(text) or None


def _names(text: str) -> list[str]:
    return [name.strip() for name in _text(10_000)(text).split(";") if name.strip()]


def read_offers(texts: list[str], currency: str) -> tuple[Offer, ...]:
    """`10.00`, `5.00-250.00`, each with `@2.5` for a discount of its own."""
    offers = sorted((_offer(text, currency) for text in texts), key=lambda offer: offer[:2])
    ranges = [offer for offer in offers if offer[0] != offer[1]]
    if not offers:
        raise WrongCell("there is none")
    if len({offer[:2] for offer in offers}) != len(offers):
        raise WrongCell("one is there twice")
    if any(later[0] <= earlier[1] for earlier, later in pairwise(ranges)):
        raise WrongCell("two ranges overlap")
    return tuple(offers)


def _offer(text: str, currency: str) -> Offer:
    values, _, percent = text.partition("@")
    lowest, dash, highest = values.partition("-")
    minimum = _minor(lowest.strip(), currency)
    maximum = _minor(highest.strip(), currency) if dash else minimum
    if minimum > maximum:
        raise WrongCell(f"{text!r} begins above its end")
    return minimum, maximum, read_percent(percent.strip()) if percent else None


def _minor(text: str, currency: str) -> int:
    if not _AMOUNT.fullmatch(text):
        raise WrongCell(f"{text[:20]!r} is no amount such as 10 or 10.00")
    try:
        minor = Money.of(text, currency).minor
    except ValueError as error:
        raise WrongCell(str(error)) from None
    if not minor:
        raise WrongCell("must be more than 0")
    return minor


COLUMNS: Final[Mapping[str, Callable[[str], Any]]] = {
    "code": _code,
    "name": _text(200),
    "brand": _optional(_text(200)),
    "category": _shelf,
    "subcategory": _optional(_shelf),
    "country": _country,
    "currency": _currency,
    "delivery_type": _delivery_type,
    "denominations": _names,
    "discount": _optional(read_percent),
    "validity": _optional(_text(200)),
    "description": _text(10_000),
    "terms": _text(20_000),
    "image_url": _image,
    "vendors": _names,
    "active": _active,
}
"""Column → what reads it. All of them are text in the file."""
