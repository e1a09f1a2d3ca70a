"""Currencies, countries, categories: made when the first product needs them, named by CLDR.

An id once given stays; what an operator changed since is not changed back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from babel.core import Locale
from babel.numbers import get_currency_name, get_currency_symbol, get_territory_currencies

from starship_core.catalogue_columns import slug
from starship_core.clock import micros
from starship_core.database import json_rows
from starship_core.model import digits
from starship_core.ports import Transaction

Shelf = tuple[str, str | None]
"""Names of a category and, or not, of a subcategory in it."""

_LOCALE: Final = Locale("en")

_ADD_CURRENCIES: Final = """
INSERT INTO currencies (code, name, symbol, decimal_places, created_at, updated_at)
SELECT value->>0, value->>1, value->>2, cast(value->>3 AS bigint),
    cast($2 AS bigint), cast($2 AS bigint)
FROM json_each($1) WHERE value->>0 NOT IN (SELECT code FROM currencies) ORDER BY value->>0
"""
_ADD_COUNTRIES: Final = """
INSERT INTO countries (code, name, currency_code, created_at, updated_at)
SELECT value->>0, value->>1, value->>2, cast($2 AS bigint), cast($2 AS bigint)
FROM json_each($1) WHERE value->>0 NOT IN (SELECT code FROM countries) ORDER BY value->>0
"""
_COUNTRIES: Final = "SELECT code, id FROM countries"
_ADD_CATEGORIES: Final = """
INSERT INTO categories (slug, name, parent_id, created_at, updated_at)
SELECT value->>0, value->>1, cast(value->>2 AS bigint), cast($2 AS bigint), cast($2 AS bigint)
FROM json_each($1) WHERE value->>0 NOT IN (SELECT slug FROM categories)
ORDER BY cast(key AS bigint)
"""
_CATEGORIES: Final = "SELECT slug, id FROM categories"


def add_currencies(tx: Transaction, codes: Collection[str], now: datetime) -> None:
    """Make those that are missing."""
    rows = [
        (code, get_currency_name(code, locale=_LOCALE), get_currency_symbol(code, locale=_LOCALE),
         digits(code))
        for code in sorted(codes)
    ]  # fmt: skip
    tx.execute(_ADD_CURRENCIES, json_rows(rows), micros(now))


def add_countries(tx: Transaction, codes: Collection[str], now: datetime) -> dict[str, int]:
    """Make those that are missing; the ids of all."""
    rows = [(code, _LOCALE.territories[code], _tender(code, now)) for code in sorted(codes)]
    tx.execute(_ADD_COUNTRIES, json_rows(rows), micros(now))
    return _numbers(tx, _COUNTRIES)


def _tender(country: str, now: datetime) -> str | None:
    """The first legal tender there at this time."""
    return next(iter(get_territory_currencies(country, start_date=now.date())), None)


def add_categories(
    tx: Transaction, shelves: Iterable[Shelf], now: datetime
) -> dict[Shelf, tuple[int, int | None]]:
    """Make those that are missing; of each, the category's and the subcategory's id.

    A category is known by its slug, so case, blanks and signs make no difference; it keeps the name
    that came first.
    """
    wanted = dict.fromkeys(shelves)
    tops: dict[str, tuple[str, int | None]] = {}
    for category, _ in wanted:
        tops.setdefault(slug(category), (category, None))
    ids = _add(tx, tops, now)
    subs: dict[str, tuple[str, int | None]] = {}
    for category, sub in wanted:
        if sub is not None:
            subs.setdefault(_below(category, sub), (sub, ids[slug(category)]))
    ids = _add(tx, subs, now)
    return {
        (category, sub): (ids[slug(category)], None if sub is None else ids[_below(category, sub)])
        for category, sub in wanted
    }


def _add(
    tx: Transaction, shelves: Mapping[str, tuple[str, int | None]], now: datetime
) -> dict[str, int]:
    rows = ((short, name, parent) for short, (name, parent) in shelves.items())
    tx.execute(_ADD_CATEGORIES, json_rows(rows), micros(now))
    return _numbers(tx, _CATEGORIES)


def _below(category: str, sub: str) -> str:
    return f"{slug(category)}--{slug(sub)}"  # no slug has two dashes, so none is taken twice


def _numbers(tx: Transaction, statement: str) -> dict[str, int]:
    return {str(name): int(number) for name, number in tx.execute(statement)}
