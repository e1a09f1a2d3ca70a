"""Products and their denominations in SQL: found and written by the set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from starship_core.catalogue_columns import Offer
from starship_core.clock import micros
from starship_core.database import json_rows
from starship_core.ports import Transaction

COLUMNS: Final = (
    "name", "brand", "category_id", "subcategory_id", "country_id", "currency", "description",
    "terms", "image_url", "delivery_type", "validity", "vendors", "discount", "is_active",
)  # fmt: skip
"""Of the table, but for its code, its id and its times, in the order of the statements below."""
DEFAULTS: Final[Mapping[str, Any]] = {
    "brand": None, "subcategory_id": None, "country_id": None, "description": "", "terms": "",
    "image_url": None, "delivery_type": "code", "validity": None, "vendors": "[]",
    "discount": None, "is_active": 1,
}  # fmt: skip


class Stored(NamedTuple):
    """A product as the tables hold it."""

    values: dict[str, Any]
    offers: tuple[Offer, ...]
    """Sorted."""


_FIND: Final = """
SELECT code, id, name, brand, category_id, subcategory_id, country_id, currency, description, terms,
    image_url, delivery_type, validity, vendors, discount, is_active
FROM products WHERE code IN (SELECT value->>0 FROM json_each($1))
"""
_FIND_OFFERS: Final = """
SELECT product_id, min_value, max_value, discount FROM denominations
WHERE product_id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
ORDER BY product_id, min_value, max_value
"""
_INSERT: Final = """
INSERT INTO products (code, name, brand, category_id, subcategory_id, country_id, currency,
    description, terms, image_url, delivery_type, validity, vendors, discount, is_active,
    created_at, updated_at)
SELECT value->>0, value->>1, value->>2, cast(value->>3 AS bigint), cast(value->>4 AS bigint),
    cast(value->>5 AS bigint), value->>6, value->>7, value->>8, value->>9, value->>10, value->>11,
    value->>12, value->>13, cast(value->>14 AS bigint), cast($2 AS bigint), cast($2 AS bigint)
FROM json_each($1) ORDER BY cast(key AS bigint)
"""
_UPDATE: Final = """
UPDATE products SET name = value->>1, brand = value->>2, category_id = cast(value->>3 AS bigint),
    subcategory_id = cast(value->>4 AS bigint), country_id = cast(value->>5 AS bigint),
    currency = value->>6, description = value->>7, terms = value->>8, image_url = value->>9,
    delivery_type = value->>10, validity = value->>11, vendors = value->>12,
    discount = value->>13, is_active = cast(value->>14 AS bigint), updated_at = cast($2 AS bigint)
FROM json_each($1) WHERE code = value->>0
"""
_DELETE_OFFERS: Final = """
DELETE FROM denominations WHERE product_id IN (
    SELECT id FROM products WHERE code IN (SELECT value->>0 FROM json_each($1))
)
"""
_INSERT_OFFERS: Final = """
INSERT INTO denominations (product_id, min_value, max_value, discount)
SELECT products.id, cast(value->>1 AS bigint), cast(value->>2 AS bigint), value->>3
FROM json_each($1) JOIN products ON products.code = value->>0
"""


def find_products(tx: Transaction, codes: Sequence[str]) -> dict[str, Stored]:
    """Those of the codes that there are."""
    rows = tx.execute(_FIND, json_rows((code,) for code in codes))
    offers: dict[int, list[Offer]] = defaultdict(list)
    for product_id, *offer in tx.execute(_FIND_OFFERS, json_rows((row[1],) for row in rows)):
        minimum, maximum, discount = offer
        offers[product_id].append((minimum, maximum, discount))
    return {
        code: Stored(dict(zip(COLUMNS, values, strict=True)), tuple(offers[number]))
        for code, number, *values in rows
    }


def write_products(
    tx: Transaction, added: Mapping[str, Stored], changed: Mapping[str, Stored], now: datetime
) -> None:
    """New ones in the order given, so that ids follow the file; changed ones keep their ids."""
    tx.execute(_INSERT, _rows(added), micros(now))
    tx.execute(_UPDATE, _rows(changed), micros(now))
    tx.execute(_DELETE_OFFERS, json_rows((code,) for code in changed))
    offers = ((c, *o) for c, each in [*added.items(), *changed.items()] for o in each.offers)
    tx.execute(_INSERT_OFFERS, json_rows(offers))


def _rows(products: Mapping[str, Stored]) -> str:
    return json_rows(
        (code, *(each.values[column] for column in COLUMNS)) for code, each in products.items()
    )
