"""The catalogue as frozen data, and how it is read: one consistent look at all its tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from starship_core.clock import moment
from starship_core.ports import Transaction

DeliveryType = Literal["code", "code_with_pin", "claim_url"]


class Denomination(Struct, frozen=True):
    """What may be ordered: one value or a range, in minor units of the product's currency."""

    minimum: int
    maximum: int
    discount: Decimal | None = None
    """Percent; None: the product's."""

    @property
    def fixed(self) -> bool:
        return self.minimum == self.maximum


class Product(Struct, frozen=True, kw_only=True):
    """One thing on offer. `id` is ours and stable, `code` is the deployer's."""

    id: int
    code: str
    name: str
    brand: str | None
    category_id: int
    subcategory_id: int | None
    country_id: int | None
    currency: str
    description: str
    terms: str
    image_url: str | None
    delivery_type: DeliveryType
    validity: str | None
    """As told to clients: free text such as "12 months"; each voucher carries its own date."""
    vendors: tuple[str, ...]
    discount: Decimal | None
    is_active: bool
    denominations: tuple[Denomination, ...]
    """Sorted by minimum, then maximum."""

    def offers(self, denomination_minor: int) -> Denomination | None:
        """The offer for this value: its own if there is one, else the first range that holds it."""
        found = None
        for offer in self.denominations:
            if offer.minimum <= denomination_minor <= offer.maximum:
                if offer.minimum == offer.maximum:
                    return offer
                found = found or offer
        return found


class Category(Struct, frozen=True, kw_only=True):
    """A shelf; one with a parent is a subcategory."""

    id: int
    parent_id: int | None
    name: str
    slug: str
    description: str
    icon: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    product_count: int
    """Active products on it."""


class Country(Struct, frozen=True, kw_only=True):
    """Where a product can be used."""

    id: int
    code: str
    name: str
    currency_code: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class Currency(Struct, frozen=True, kw_only=True):
    """A currency that products or wallets are kept in."""

    id: int
    code: str
    name: str
    symbol: str
    decimal_places: int
    is_active: bool
    created_at: datetime
    updated_at: datetime
    denominations: tuple[int, ...]
    """Fixed values on offer in it, minor units, ascending."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """The whole catalogue at one moment; dictionaries are in the order of their ids."""

    version: int
    """The counter's value: another one, another catalogue."""
    read_at: datetime
    products: dict[int, Product]
    """All of them, inactive ones too: an order once placed still names its product."""
    client_discounts: dict[tuple[int, int], Decimal]
    """(client, product) → percent."""
    categories: dict[int, Category]
    countries: dict[int, Country]
    currencies: dict[int, Currency]
    currency_ids: dict[str, int]

    def product(self, product_id: int) -> Product | None:
        """The product if it is on offer; None for an unknown and for an inactive one."""
        product = self.products.get(product_id)
        return product if product is not None and product.is_active else None


Row = tuple[Any, ...]

_VERSION: Final = "SELECT value FROM counters WHERE name = 'catalogue'"
_PRODUCTS: Final = """
SELECT id, code, name, brand, category_id, subcategory_id, country_id, currency, description, terms,
       image_url, delivery_type, validity, vendors, discount, is_active
FROM products ORDER BY id
"""
_DENOMINATIONS: Final = """
SELECT product_id, min_value, max_value, discount
FROM denominations ORDER BY product_id, min_value, max_value
"""
_CLIENT_DISCOUNTS: Final = "SELECT client_id, product_id, discount FROM client_discounts"
_CATEGORIES: Final = """
SELECT id, parent_id, name, slug, description, icon, is_active, created_at, updated_at
FROM categories ORDER BY id
"""
_COUNTRIES: Final = """
SELECT id, code, name, currency_code, is_active, created_at, updated_at FROM countries ORDER BY id
"""
_CURRENCIES: Final = """
SELECT id, code, name, symbol, decimal_places, is_active, created_at, updated_at
FROM currencies ORDER BY id
"""


class Rows(Struct, frozen=True, kw_only=True):
    """All tables as read on one snapshot, not yet made into a catalogue."""

    version: int
    products: Sequence[Row]
    denominations: Sequence[Row]
    client_discounts: Sequence[Row]
    categories: Sequence[Row]
    countries: Sequence[Row]
    currencies: Sequence[Row]


def version(tx: Transaction) -> int:
    """The counter; 0 before the first change."""
    rows = tx.execute(_VERSION)
    return int(rows[0][0]) if rows else 0


def read_rows(tx: Transaction) -> Rows:
    """Everything, with the counter that belongs to it; meant for a read snapshot."""
    return Rows(
        version=version(tx),
        products=tx.execute(_PRODUCTS),
        denominations=tx.execute(_DENOMINATIONS),
        client_discounts=tx.execute(_CLIENT_DISCOUNTS),
        categories=tx.execute(_CATEGORIES),
        countries=tx.execute(_COUNTRIES),
        currencies=tx.execute(_CURRENCIES),
    )


def build(rows: Rows, read_at: datetime) -> Snapshot:
    """Rows → snapshot. Pure; some 100 ms for 10,000 products, so not on the event loop."""
    offers: dict[int, list[Denomination]] = defaultdict(list)
    for product_id, minimum, maximum, discount in rows.denominations:
        offers[product_id].append(Denomination(minimum, maximum, _percent(discount)))
    products = {row[0]: _product(row, offers.get(row[0], ())) for row in rows.products}
    active = [product for product in products.values() if product.is_active]
    currencies = _currencies(rows.currencies, active)
    return Snapshot(
        version=rows.version,
        read_at=read_at,
        products=products,
        client_discounts={(row[0], row[1]): Decimal(row[2]) for row in rows.client_discounts},
        categories=_categories(rows.categories, active),
        countries={row[0]: _country(row) for row in rows.countries},
        currencies=currencies,
        currency_ids={currency.code: currency.id for currency in currencies.values()},
    )


def _percent(stored: str | None) -> Decimal | None:
    return None if stored is None else Decimal(stored)


_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode


def _product(row: Row, offers: Iterable[Denomination]) -> Product:
    return Product(
        id=row[0], code=row[1], name=row[2], brand=row[3], category_id=row[4],
        subcategory_id=row[5], country_id=row[6], currency=row[7], description=row[8],
        terms=row[9], image_url=row[10], delivery_type=row[11], validity=row[12],
        vendors=_decode_names(row[13]), discount=_percent(row[14]), is_active=bool(row[15]),
        denominations=tuple(offers),
    )  # fmt: skip


def _categories(rows: Sequence[Row], active: Sequence[Product]) -> dict[int, Category]:
    counts = Counter(product.category_id for product in active)
    counts.update(p.subcategory_id for p in active if p.subcategory_id is not None)
    return {
        row[0]: Category(
            id=row[0], parent_id=row[1], name=row[2], slug=row[3], description=row[4],
            icon=row[5], is_active=bool(row[6]), created_at=moment(row[7]),
            updated_at=moment(row[8]), product_count=counts[row[0]],
        )
        for row in rows
    }  # fmt: skip


def _country(row: Row) -> Country:
    return Country(
        id=row[0], code=row[1], name=row[2], currency_code=row[3], is_active=bool(row[4]),
        created_at=moment(row[5]), updated_at=moment(row[6]),
    )  # fmt: skip


def _currencies(rows: Sequence[Row], active: Sequence[Product]) -> dict[int, Currency]:
    values: Mapping[str, set[int]] = defaultdict(set)
    for product in active:
        values[product.currency].update(d.minimum for d in product.denominations if d.fixed)
    return {
        row[0]: Currency(
            id=row[0], code=row[1], name=row[2], symbol=row[3], decimal_places=row[4],
            is_active=bool(row[5]), created_at=moment(row[6]), updated_at=moment(row[7]),
            denominations=tuple(sorted(values.get(row[1], ()))),
        )
        for row in rows
    }  # fmt: skip
