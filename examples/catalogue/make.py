"""Writes the example catalogue: products.csv and the vouchers. The same bytes every time.

python examples/catalogue/make.py

200 products in 8 currencies; 20,000 vouchers in vouchers/, one file a currency, and 100 more in
later/, for whoever wants to see a pump find something new. Every code begins with DEMO.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from brands import BRANDS, Brand, Country, sells_in

HERE = Path(__file__).parent
VOUCHERS = 20_000
EXPIRES = "2035-06-30"

EXACTLY = {
    ("bluefin-coffee-de", "10.00"): 1_500,  # the burst
    ("kestrel-and-thyme-jp", "1000"): 700,  # the bulk order
    ("lantern-games-gb", "20.00"): 0,  # the miss; its stock is in later/
    ("saltmarsh-outdoor-kw", "5.000"): 0,  # a miss that stays one
}
"""Stock that a story needs; all other denominations share the rest evenly."""
LATER = {("lantern-games-gb", "20.00"): 100}

PRODUCT_COLUMNS = (
    "code",
    "name",
    "brand",
    "category",
    "subcategory",
    "country",
    "currency",
    "delivery_type",
    "denominations",
    "discount",
    "validity",
    "description",
    "terms",
)
VOUCHER_COLUMNS = (
    "product",
    "denomination",
    "currency",
    "card_number",
    "pin_code",
    "claim_url",
    "reference",
    "expires_at",
)


class Product(NamedTuple):
    code: str
    brand: Brand
    country: Country

    @property
    def stocked(self) -> tuple[str, ...]:
        """Denominations that vouchers exist in."""
        return self.country.fixed[:2] if self.brand.ranged else self.country.fixed


def products() -> Iterator[Product]:
    for index, brand in enumerate(BRANDS):
        for country in sells_in(index):
            slug = brand.name.lower().replace(" ", "-")
            yield Product(f"{slug}-{country.code.lower()}", brand, country)


def product_rows() -> Iterator[dict[str, str]]:
    for product in products():
        brand, country = product.brand, product.country
        limits = "-".join(country.limits)
        yield {
            "code": product.code,
            "name": f"{brand.name} {country.name}",
            "brand": brand.name,
            "category": brand.category,
            "subcategory": brand.subcategory,
            "country": country.code,
            "currency": country.currency,
            "delivery_type": brand.delivery,
            "denominations": limits if brand.ranged else ";".join(country.fixed),
            "discount": _discount(brand),
            "validity": f"until {EXPIRES}",
            "description": brand.about,
            "terms": f"Redeemable at {brand.name} in {country.name}. Not exchangeable for money.",
        }


def stock() -> dict[tuple[str, str], int]:
    """How many vouchers of each (product, denomination); what no story needs is shared evenly."""
    wanted = {(p.code, face): EXACTLY.get((p.code, face)) for p in products() for face in p.stocked}
    rest = VOUCHERS - sum(EXACTLY.values())
    shared = [sku for sku, exactly in wanted.items() if exactly is None]
    each, left = divmod(rest, len(shared))
    filled = {sku: each + (place < left) for place, sku in enumerate(shared)}
    return {sku: filled.get(sku, wanted[sku] or 0) for sku in wanted}


def voucher_rows(amounts: dict[tuple[str, str], int]) -> Iterator[dict[str, str]]:
    known = {product.code: product for product in products()}
    for (code, denomination), count in amounts.items():
        for ordinal in range(1, count + 1):
            yield _voucher(known[code], denomination, ordinal)


def _voucher(product: Product, denomination: str, ordinal: int) -> dict[str, str]:
    name = f"{product.code}/{denomination}/{ordinal}"
    drawn = hashlib.sha256(name.encode()).digest()
    letters = base64.b32encode(drawn[:10]).decode()[:12]
    delivery = product.brand.delivery
    return {
        "product": product.code,
        "denomination": denomination,
        "currency": product.country.currency,
        "card_number": "" if delivery == "claim_url" else f"DEMO{letters}",
        "pin_code": f"{drawn[10] * 39 % 10_000:04}" if delivery == "code_with_pin" else "",
        "claim_url": f"https://demo.example/{letters}" if delivery == "claim_url" else "",
        "reference": f"{product.country.code}-{base64.b32encode(drawn[11:16]).decode()}",
        "expires_at": EXPIRES,
    }


def _discount(brand: Brand) -> str:
    tenths = hashlib.sha256(brand.name.encode()).digest()[0] % 5 * 10
    return f"{tenths // 10}.{tenths % 10}" if tenths else ""


def _csv(columns: tuple[str, ...], rows: Iterable[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def files() -> dict[str, str]:
    """Path in this folder → content."""
    vouchers = list(voucher_rows(stock()))
    currencies = sorted({row["currency"] for row in vouchers})
    return {
        "products.csv": _csv(PRODUCT_COLUMNS, product_rows()),
        "later/restock.csv": _csv(VOUCHER_COLUMNS, voucher_rows(LATER)),
    } | {
        f"vouchers/{currency.lower()}.csv": _csv(
            VOUCHER_COLUMNS, (row for row in vouchers if row["currency"] == currency)
        )
        for currency in currencies
    }


if __name__ == "__main__":
    for name, content in files().items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
