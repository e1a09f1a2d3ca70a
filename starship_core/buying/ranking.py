"""Which vendors an order's product is bought from when nobody names one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from starship_core.clock import micros
from starship_core.errors import StarshipError
from starship_core.model import Sku
from starship_core.routing import Offer, preferred
from starship_core.ship import Ship
from starship_core.store.vendor_products import find_offers


async def rank_vendors(sku: Sku, ship: Ship) -> Sequence[Offer]:
    """By the deployment's order of preference, the first choice first; empty: nobody sells it now.

    Rates only compare costs here, so an old one will do; a cost without one counts as unknown.
    """
    rates = await _rates(sku, ship)
    offers = await ship.database.read(
        lambda tx: preferred(
            tx, sku, vendors=ship.vendors, buying=ship.config.buying, at=micros(ship.now()),
            rates=rates,
        )
    )  # fmt: skip
    return [one for one in offers if _deals_in(sku.currency, ship, one.vendor)]


def _deals_in(currency: str, ship: Ship, vendor: str) -> bool:
    dealt_in = ship.vendors[vendor].traits.currencies
    return not dealt_in or currency in dealt_in


async def _rates(sku: Sku, ship: Ship) -> Mapping[str, Decimal]:
    found = await ship.database.read(find_offers, sku)
    rates: dict[str, Decimal] = {}
    for base in {one.cost.currency for one in found if one.cost} - {sku.currency}:
        try:
            table = await ship.fx.newest(base)
        except StarshipError:
            continue
        if sku.currency in table.rates:
            rates[base] = table.rates[sku.currency]
    return rates
