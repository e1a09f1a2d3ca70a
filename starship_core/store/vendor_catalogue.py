"""A vendor's catalogue as it was last read: kept whole, replaced whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from starship_core.database import json_rows
from starship_core.model import Money, VendorProduct
from starship_core.ports import Transaction

_LIST: Final = """
SELECT vendor_product, name, currency, country, minimum, maximum, cost, cost_currency, stock
FROM vendor_products WHERE vendor = $1 ORDER BY name, vendor_product
"""
_SEEN: Final = "SELECT max(seen_at) FROM vendor_products WHERE vendor = $1"
_COUNT: Final = "SELECT vendor, count(*), max(seen_at) FROM vendor_products GROUP BY vendor"
_CLEAR: Final = "DELETE FROM vendor_products WHERE vendor = $1"
_INSERT: Final = """
INSERT INTO vendor_products (vendor, vendor_product, name, currency, country, minimum, maximum,
    cost, cost_currency, stock, seen_at)
SELECT $2, value->>0, value->>1, value->>2, value->>3, value->>4, value->>5,
    cast(value->>6 AS bigint), value->>7, cast(value->>8 AS bigint), $3
FROM json_each($1)
"""


def replace_catalogue(
    tx: Transaction, vendor: str, products: Sequence[VendorProduct], at: int
) -> None:
    """What was read is all there is."""
    tx.execute(_CLEAR, vendor)
    rows = [
        (one.vendor_product, one.name, one.currency, one.country, f"{one.minimum:f}",
         f"{one.maximum:f}", one.cost and one.cost.minor, one.cost and one.cost.currency, one.stock)
        for one in products
    ]  # fmt: skip
    if rows:
        tx.execute(_INSERT, json_rows(rows), vendor, at)


def seen_at(tx: Transaction, vendor: str) -> int | None:
    """When it was read; None: never, or it was empty."""
    found: int | None = tx.execute(_SEEN, vendor)[0][0]
    return found


def list_catalogue(tx: Transaction, vendor: str) -> Sequence[VendorProduct]:
    """By name."""
    return [_product(*row) for row in tx.execute(_LIST, vendor)]


def count_catalogues(tx: Transaction) -> Mapping[str, tuple[int, int]]:
    """How many products of each vendor, and when they were read."""
    return {vendor: (count, at) for vendor, count, at in tx.execute(_COUNT)}


def _product(*row: Any) -> VendorProduct:
    vendor_product, name, currency, country, minimum, maximum, cost, cost_currency, stock = row
    return VendorProduct(
        vendor_product=vendor_product,
        name=name,
        currency=currency,
        country=country,
        minimum=Decimal(minimum),
        maximum=Decimal(maximum),
        cost=None if cost is None else Money(cost, cost_currency),
        stock=stock,
    )
