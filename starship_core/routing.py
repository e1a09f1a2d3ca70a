"""Which vendor is asked first for a product: one pure decision over what SQL knows.

It only orders and leaves out; whether anything may be bought at all is asked again in the
transaction that sends a purchase.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from starship_core.breaker import Breaker, Rule
from starship_core.config import BuyingSection, Preference
from starship_core.model import Money, Sku, digits
from starship_core.ports import Transaction
from starship_core.store.breakers import list_breakers
from starship_core.store.switches import blocking
from starship_core.store.vendor_products import VendorOffer, find_offers, product_code

_ALONE: Final[Mapping[str, Decimal]] = {}


class Offer(Struct, frozen=True, kw_only=True):
    """A vendor that sells a sku, and how it stands at the moment."""

    vendor: str
    """The instance's name."""
    vendor_product: str
    priority: int = 100
    cost: Money | None = None
    """For one unit, by the catalogue when it was last read: an estimate. None: not known."""
    worth: Fraction | None = None
    """The cost in the product's currency; None: not known, or no rate to compare it by."""
    is_open: bool = False
    """The breaker of `buy` is open: nothing is bought before it has rested."""
    failures: int = 0
    """Of `buy`, within the breaker's window."""


def preferred(  # noqa: PLR0913  # whom, by what, when, and what money is worth
    tx: Transaction,
    sku: Sku,
    *,
    vendors: Collection[str],
    buying: BuyingSection,
    at: int,
    rates: Mapping[str, Decimal] = _ALONE,
) -> Sequence[Offer]:
    """The vendors to buy this sku from, the first choice first; empty: there is none.

    Of `vendors` (those configured) that are mapped to the product and not switched off. `rates`:
    what one unit of a currency is worth in the sku's; a cost in a currency that is not there
    compares as unknown.
    """
    code = product_code(tx, sku.product_id)
    if code is None:
        return []
    rule = Rule.of(buying)
    breakers = list_breakers(tx)
    offers = [
        _offer(found, sku, breakers.get((found.vendor, "buy"), Breaker()), rule, at=at, rates=rates)
        for found in find_offers(tx, sku)
        if found.vendor in vendors
        and blocking(tx, vendor=found.vendor, product_id=sku.product_id) is None
    ]
    return ranked(offers, by=buying.prefer_by_product.get(code, buying.prefer))


def ranked(offers: Iterable[Offer], *, by: Preference) -> Sequence[Offer]:
    """By preference; what is equal by it, by the other two; names last, so that it is one order.

    An open breaker comes after every closed one, and an unknown cost after every known one.
    """
    return sorted(offers, key=_KEYS[by])


def _by_priority(offer: Offer) -> Any:
    return offer.is_open, offer.priority, *_cost(offer), offer.failures, *_name(offer)


def _by_cost(offer: Offer) -> Any:
    return offer.is_open, *_cost(offer), offer.priority, offer.failures, *_name(offer)


def _by_health(offer: Offer) -> Any:
    return offer.is_open, offer.failures, offer.priority, *_cost(offer), *_name(offer)


_KEYS: Final = {"priority": _by_priority, "cheapest": _by_cost, "health": _by_health}


def _cost(offer: Offer) -> tuple[bool, Fraction]:
    return offer.worth is None, offer.worth or Fraction(0)


def _name(offer: Offer) -> tuple[str, str]:
    return offer.vendor, offer.vendor_product


def _offer(  # noqa: PLR0913  # what an offer is made of
    found: VendorOffer,
    sku: Sku,
    breaker: Breaker,
    rule: Rule,
    *,
    at: int,
    rates: Mapping[str, Decimal],
) -> Offer:
    cost = found.unit_cost(sku.denomination)
    return Offer(
        vendor=found.vendor,
        vendor_product=found.vendor_product,
        priority=found.priority,
        cost=cost,
        worth=None if cost is None else _worth(cost, sku.currency, rates),
        is_open=breaker.state(rule, at) == "open",
        failures=breaker.recent(rule, at),
    )


def _worth(cost: Money, currency: str, rates: Mapping[str, Decimal]) -> Fraction | None:
    rate = Decimal(1) if cost.currency == currency else rates.get(cost.currency)
    return (
        None if rate is None else Fraction(cost.minor, 10 ** digits(cost.currency)) * Fraction(rate)
    )
