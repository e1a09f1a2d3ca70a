"""What policies are shown of an order that misses: read from SQL, the same wherever it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, Final, NamedTuple

from starship_core.buying.planning import Market
from starship_core.clock import micros
from starship_core.config import BuyingSection
from starship_core.errors import StarshipError
from starship_core.model import FallbackCase, Money, Order, digits
from starship_core.ports import Transaction
from starship_core.routing import Offer, preferred
from starship_core.ship import Ship
from starship_core.store.decisions import spent_on
from starship_core.store.vendor_products import find_offers

_MISSING: Final = """
SELECT count(*), sum(share) FROM items WHERE order_id = $1 AND status = 'PENDING' AND NOT EXISTS (
  SELECT 1 FROM purchase_items p
  WHERE p.order_id = items.order_id AND p.ordinal = items.ordinal AND p.is_open = 1
)
"""


class View(NamedTuple):
    """What a case is read with, besides the database."""

    market: Market
    buying: BuyingSection
    at: datetime
    in_face: Mapping[str, Decimal]
    """What one unit of a vendor's currency is worth in the product's."""
    in_charge: Mapping[str, Decimal]
    """The same in the currency that the client was charged in."""


class Seen(NamedTuple):
    """A case, and what may be bought if it is allowed."""

    case: FallbackCase
    vendors: tuple[str, ...]
    """The first choice, and after it those that cost no more; empty: nobody can be asked now."""
    market: Market
    """Of whom they are."""
    ceiling: Money
    """The estimated cost as the vendor counts it; the face value when no cost is known."""


async def view_of(ship: Ship, order: Order) -> View:
    """A currency without a rate is left out; its costs are shown as they are."""
    costs = await ship.database.read(_currencies, order)
    return View(
        market=Market.of(ship), buying=ship.config.buying, at=ship.now(),
        in_face=await _rates(ship, costs, order.sku.currency),
        in_charge=await _rates(ship, costs, order.price.currency),
    )  # fmt: skip


def _currencies(tx: Transaction, order: Order) -> frozenset[str]:
    return frozenset(offer.cost.currency for offer in find_offers(tx, order.sku) if offer.cost)


async def _rates(ship: Ship, sources: frozenset[str], target: str) -> dict[str, Decimal]:
    found = {}
    for source in sources:
        try:
            found[source] = (await ship.fx.rate(source, target)).rate
        except StarshipError:  # unknown, or too old: then it is no rate
            continue
    return found


def see(tx: Transaction, order: Order, view: View) -> Seen | None:
    """None: nothing of the order waits that is not being bought. The order is in a waiting status;
    whoever writes what follows has locked the client's limit row and the order.
    """
    count, charged = _missing(tx, order)
    if not count:
        return None
    offers = _open_to_us(tx, order, view)
    first = offers[0] if offers else None
    cost = first.cost if first else None
    total = None if cost is None else Money(cost.minor * count, cost.currency)
    sku, day = order.sku, view.at.date()
    case = FallbackCase(
        order_id=order.id, client_id=order.client_id, sku=sku, quantity=count,
        charged=Money(charged, order.price.currency),
        estimated_cost=total and _converted(total, order.price.currency, view.in_charge),
        spent_today=Money(spent_on(tx, order.client_id, day, sku.currency), sku.currency),
        at=view.at,
    )  # fmt: skip
    ceiling = total or Money(sku.denomination * count, sku.currency)
    return Seen(case, _named(offers), view.market, ceiling)


def _missing(tx: Transaction, order: Order) -> tuple[int, int]:
    if order.bulk and order.sub_status == "INITIAL":  # it has no items yet
        return order.quantity, order.price.total_payable
    count, charged = tx.execute(_MISSING, order.id)[0]
    return int(count), int(charged or 0)


def _open_to_us(tx: Transaction, order: Order, view: View) -> Sequence[Offer]:
    sku = order.sku
    vendors = [
        name
        for name, vendor in view.market.vendors.items()
        if not vendor.traits.currencies or sku.currency in vendor.traits.currencies
    ]
    return preferred(
        tx, sku, vendors=vendors, buying=view.buying, at=micros(view.at), rates=view.in_face
    )


def _named(offers: Sequence[Offer]) -> tuple[str, ...]:
    """Policies judged what the first would cost, so no dearer one is asked in its place."""
    if not offers:
        return ()
    first = offers[0]
    return (first.vendor, *(each.vendor for each in offers[1:] if _no_dearer(each, first)))


def _no_dearer(other: Offer, first: Offer) -> bool:
    return (
        other.cost is not None
        and first.cost is not None
        and other.cost.currency == first.cost.currency
        and other.cost.minor <= first.cost.minor
    )


def _converted(cost: Money, currency: str, rates: Mapping[str, Any]) -> Money:
    """Rounded up; as it is, where there is no rate."""
    if cost.currency == currency or cost.currency not in rates:
        return cost
    exact = Fraction(cost.minor, 10 ** digits(cost.currency)) * Fraction(rates[cost.currency])
    return Money(ceil(exact * 10 ** digits(currency)), currency)
