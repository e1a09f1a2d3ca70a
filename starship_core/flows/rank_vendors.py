"""Who would be asked for a sku, and in which order: what an approval can name. Asks no vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from starship_core.clock import micros
from starship_core.errors import InvalidInput, Unavailable
from starship_core.model import Money, Sku
from starship_core.ports import Transaction
from starship_core.routing import Offer, preferred
from starship_core.ship import Ship
from starship_core.store.vendor_products import currency_of, find_offers, product_id_of


async def rank_vendors(sku: Sku, ship: Ship) -> Sequence[Offer]:
    """The first choice first; empty: nobody sells it, or whoever does is switched off.

    Costs in another currency are compared at today's exchange rate, and as unknown without one.
    """
    rates = await _rates(sku, ship)
    return await ship.database.read(_ranked, sku, ship, rates)


async def sku_named(product: str, denomination: str, ship: Ship) -> Sku:
    """By the product's code or id and an amount of its currency. Raises NotFound, InvalidInput."""
    product_id, currency = await ship.database.read(_product, product)
    try:
        face = Money.of(denomination, currency)
    except ValueError as error:
        raise InvalidInput(str(error), field="denomination") from None
    return Sku(product_id, face.minor, currency)


async def _rates(sku: Sku, ship: Ship) -> Mapping[str, Decimal]:
    offers = await ship.database.read(find_offers, sku)
    rates: dict[str, Decimal] = {}
    for currency in {offer.cost.currency for offer in offers if offer.cost} - {sku.currency}:
        try:
            rates[currency] = (await ship.fx.rate(currency, sku.currency)).rate
        except (InvalidInput, Unavailable):
            continue  # it compares as unknown
    return rates


def _ranked(tx: Transaction, sku: Sku, ship: Ship, rates: Mapping[str, Decimal]) -> Sequence[Offer]:
    at = micros(ship.now())
    buying = ship.config.buying
    return preferred(tx, sku, vendors=ship.vendors, buying=buying, at=at, rates=rates)


def _product(tx: Transaction, which: str) -> tuple[int, str]:
    product_id = product_id_of(tx, which)
    return product_id, currency_of(tx, product_id)
