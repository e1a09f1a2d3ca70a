"""What a client may know before it orders: delivery time, availability, charges with a quote."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct

from starship_core.access import Client
from starship_core.catalogue import Product
from starship_core.errors import InvalidInput, NotFound
from starship_core.model import BULK_ABOVE, DeliveryTime, Order, Sku
from starship_core.new_order import NewOrder, earliest_expiry, face_value, price
from starship_core.ports import Transaction
from starship_core.quotes import issue
from starship_core.ship import Ship
from starship_core.store.pooled import delivery_time, pooled

AT_ONCE: Final = 2000
"""Skus that one statement asks for: some 10 ms of the event loop."""


class Availability(Struct, frozen=True):
    """Whether an order for this would be accepted now, and how it would be delivered."""

    is_available: bool
    delivery_time: DeliveryTime
    max_quantity: int


class Charges(Struct, frozen=True, kw_only=True):
    """What an order for this would be charged, and the token that makes it a promise."""

    order: Order
    """The order as it would be placed; never written."""
    delivery_time: DeliveryTime
    max_quantity: int
    quote: str
    expires_at: datetime


async def availability(
    product_id: int, denomination: Decimal, quantity: int, *, client: Client, ship: Ship
) -> Availability:
    """Raises NotFound for an unknown product, InvalidInput for a denomination that it never has.

    Not available is a product that is switched off, and more units than one order may have.
    """
    snapshot = await ship.catalogue.current()
    product = snapshot.products.get(product_id)
    if product is None:
        raise NotFound("product", product_id)
    if not product.is_active:
        return Availability(is_available=False, delivery_time="DELAYED", max_quantity=0)
    face = face_value(denomination, product.currency)
    if product.offers(face.minor) is None:
        raise InvalidInput(f"{face} is not offered", field="denomination")
    found = await _found([Sku(product.id, face.minor, face.currency)], client, ship)
    return Availability(
        is_available=quantity <= client.bulk_limit,
        delivery_time=delivery_time(sum(found.values()), quantity),
        max_quantity=client.bulk_limit,
    )


async def quote_charges(asked: NewOrder, client: Client, ship: Ship) -> Charges:
    """The cascade that POST /orders uses, on the same inputs. `asked` needs no key.

    Raises NotFound for a product that is not on offer, InvalidInput, Unavailable.
    """
    snapshot = await ship.catalogue.current()
    if snapshot.product(asked.product_id) is None:
        raise NotFound("product", asked.product_id)
    order = await price(asked, client, ship)
    found = await ship.database.read(_count, [order.sku], order.min_expiry, BULK_ABOVE)
    expires_at = ship.now() + timedelta(seconds=ship.config.pricing.quote_seconds)
    quote = issue(
        order.price,
        client_id=client.id,
        product_id=asked.product_id,
        denomination=order.sku.denomination,
        quantity=asked.quantity,
        wallet_id=order.wallet_id,
        expires_at=expires_at,
        vault=ship.vault,
    )
    return Charges(
        order=order,
        delivery_time=delivery_time(found[order.sku], asked.quantity),
        max_quantity=client.bulk_limit,
        quote=quote,
        expires_at=expires_at,
    )


async def delivery_times(
    products: Iterable[Product], client: Client, ship: Ship
) -> dict[int, DeliveryTime]:
    """For a list, one unit each: INSTANT only if everything that the product offers is.

    A range names no denomination, so a product with one is DELAYED. One statement a page; a very
    long one is asked for in parts, so that no order behind it waits for the whole.
    """
    offered = {
        product.id: fixed_skus(product) if all(d.fixed for d in product.denominations) else []
        for product in products
    }
    wanted = [sku for skus in offered.values() for sku in skus]
    found: dict[Sku, int] = {}
    for start in range(0, len(wanted), AT_ONCE):
        found |= await _found(wanted[start : start + AT_ONCE], client, ship, 1)
    return {
        product_id: "INSTANT" if skus and all(found[sku] for sku in skus) else "DELAYED"
        for product_id, skus in offered.items()
    }


async def stock_of(product: Product, client: Client, ship: Ship) -> dict[Sku, int]:
    """Units a client could have now, of each fixed denomination; 50 stands for 50 or more."""
    return await _found(fixed_skus(product), client, ship)


def fixed_skus(product: Product) -> list[Sku]:
    """The skus of the denominations that a product offers by name, ascending."""
    return [
        Sku(product.id, offer.minimum, product.currency)
        for offer in product.denominations
        if offer.fixed
    ]


async def _found(
    skus: list[Sku], client: Client, ship: Ship, at_most: int = BULK_ABOVE
) -> dict[Sku, int]:
    if not skus:
        return {}
    return await ship.database.read(_count, skus, earliest_expiry(ship.now(), client), at_most)


def _count(
    tx: Transaction, skus: list[Sku], valid_beyond: datetime, at_most: int
) -> dict[Sku, int]:
    return pooled(tx, skus, valid_beyond=valid_beyond, at_most=at_most)
