"""Which vendor product a product is bought as, and what it cost when a catalogue was last read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from starship_core.errors import NotFound
from starship_core.model import Money, Sku
from starship_core.ports import Transaction

_COLUMNS: Final = (
    "m.product_id, p.code, p.currency, m.vendor, m.vendor_product, m.minimum, m.maximum,"
    " m.priority, m.cost, m.cost_currency, m.cost_face, m.seen_at, m.is_active"
)
_FROM: Final = "FROM product_vendors m JOIN products p ON p.id = m.product_id"
_OF_SKU: Final = f"""
SELECT {_COLUMNS} {_FROM}
WHERE m.product_id = $1 AND p.currency = $2 AND m.is_active = 1
    AND (m.minimum IS NULL OR m.minimum <= $3) AND (m.maximum IS NULL OR m.maximum >= $3)
ORDER BY m.vendor, m.priority, m.vendor_product
"""  # our own words
_ALL: Final = f"""
SELECT {_COLUMNS} {_FROM}
WHERE ($1 = '' OR m.vendor = $1) AND (m.product_id = $2 OR $2 = 0)
ORDER BY p.code, m.vendor, m.vendor_product
"""  # our own words
_WRITE: Final = """
INSERT INTO product_vendors (product_id, vendor, vendor_product, minimum, maximum, priority, cost,
    cost_currency, cost_face, seen_at, is_active, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
ON CONFLICT (product_id, vendor, vendor_product) DO UPDATE SET minimum = $4, maximum = $5,
    priority = $6, cost = $7, cost_currency = $8, cost_face = $9, seen_at = $10, is_active = $11,
    updated_at = $12
"""
_DELETE: Final = """
DELETE FROM product_vendors WHERE product_id = $1 AND vendor = $2 AND vendor_product = $3
RETURNING vendor_product
"""


class VendorOffer(Struct, frozen=True, kw_only=True):
    """A product as one vendor sells it. Amounts of `minimum`, `maximum` and `cost_face` are minor
    units of the product's currency.
    """

    product_id: int
    code: str
    """Of the product."""
    currency: str
    """Of the product, and so of what is bought."""
    vendor: str
    vendor_product: str
    minimum: int | None = None
    maximum: int | None = None
    priority: int = 100
    cost: Money | None = None
    """For one unit of face value `cost_face`."""
    cost_face: int | None = None
    seen_at: int | None = None
    """When the vendor's catalogue last had it, in microseconds."""
    is_active: bool = True

    def unit_cost(self, denomination: int) -> Money | None:
        """What one unit of that value costs, in proportion to what was seen, rounded up."""
        if self.cost is None or not self.cost_face:
            return None
        return Money(-(-self.cost.minor * denomination // self.cost_face), self.cost.currency)

    @property
    def span(self) -> float:
        """How wide the range is; the narrower of two that fit is meant."""
        if self.minimum is None or self.maximum is None:
            return float("inf")
        return self.maximum - self.minimum


def find_offers(tx: Transaction, sku: Sku) -> Sequence[VendorOffer]:
    """Who sells it, one offer a vendor: the narrowest whose range holds the denomination."""
    best: dict[str, VendorOffer] = {}
    for row in tx.execute(_OF_SKU, sku.product_id, sku.currency, sku.denomination):
        offer = _offer(*row)
        if offer.vendor not in best or offer.span < best[offer.vendor].span:
            best[offer.vendor] = offer
    return list(best.values())


def list_offers(
    tx: Transaction, *, vendor: str | None = None, product_id: int | None = None
) -> Sequence[VendorOffer]:
    """All that are mapped, the inactive ones too, by product."""
    return [_offer(*row) for row in tx.execute(_ALL, vendor or "", product_id or 0)]


def write_offer(tx: Transaction, offer: VendorOffer, at: int) -> None:
    """Add it, or replace what is known of it."""
    cost = offer.cost
    tx.execute(
        _WRITE, offer.product_id, offer.vendor, offer.vendor_product, offer.minimum, offer.maximum,
        offer.priority, cost and cost.minor, cost and cost.currency, offer.cost_face,
        offer.seen_at, int(offer.is_active), at,
    )  # fmt: skip


def delete_offer(tx: Transaction, offer: VendorOffer) -> bool:
    """Whether it was there."""
    return bool(tx.execute(_DELETE, offer.product_id, offer.vendor, offer.vendor_product))


def product_code(tx: Transaction, product_id: int) -> str | None:
    """None: there is no such product."""
    rows = tx.execute("SELECT code FROM products WHERE id = $1", product_id)
    return rows[0][0] if rows else None


def currency_of(tx: Transaction, product_id: int) -> str:
    """The currency that a product is in, for life."""
    found: str = tx.execute("SELECT currency FROM products WHERE id = $1", product_id)[0][0]
    return found


def product_id_of(tx: Transaction, which: str) -> int:
    """A product by its code, or by its id. Raises NotFound."""
    number = int(which) if which.isascii() and which.isdigit() and len(which) < 18 else 0
    rows = tx.execute(
        "SELECT id FROM products WHERE code = $1 OR id = $2 ORDER BY code = $1 DESC", which, number
    )
    if not rows:
        raise NotFound("product", which)
    found: int = rows[0][0]
    return found


def _offer(*row: Any) -> VendorOffer:
    (product_id, code, currency, vendor, vendor_product, minimum, maximum, priority, cost,
     cost_currency, cost_face, seen_at, is_active) = row  # fmt: skip
    return VendorOffer(
        product_id=product_id,
        code=code,
        currency=currency,
        vendor=vendor,
        vendor_product=vendor_product,
        minimum=minimum,
        maximum=maximum,
        priority=priority,
        cost=None if cost is None else Money(cost, cost_currency),
        cost_face=cost_face,
        seen_at=seen_at,
        is_active=bool(is_active),
    )
