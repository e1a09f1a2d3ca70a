"""Look at vendors without buying: who is configured, whether one answers, what it sells.

Only reads are tried again, and only here; a purchase is never repeated by anything but its own
flow, which knows what became of the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

import stamina
from msgspec import Struct

from starship_core.breaker import Rule
from starship_core.clock import micros, moment
from starship_core.errors import NotFound, StarshipError, Unavailable
from starship_core.model import Money, VendorOrder, VendorProduct
from starship_core.ports import BalanceReporting, ListsOrders, Transaction
from starship_core.ship import Ship, Vendor
from starship_core.store.breakers import list_breakers
from starship_core.store.switches import GLOBAL, list_switches, vendor_scope
from starship_core.store.vendor_catalogue import (
    count_catalogues,
    list_catalogue,
    replace_catalogue,
    seen_at,
)
from starship_core.store.vendor_products import list_offers
from starship_core.vendor_guard import guarded

T = TypeVar("T")
ATTEMPTS: Final = 3
SOON: Final = 10.0
"""Who asks to be left alone for longer is not asked again by the same command."""
READ_SECONDS: Final = 60.0
"""For one answer; a catalogue has so long for each page."""
Advance = Callable[[int], None]


class VendorLine(Struct, frozen=True, kw_only=True):
    """A configured vendor, and how it stands."""

    name: str
    plugin: str
    buying: str
    """`on`, or what stops it."""
    breakers: Sequence[str]
    """Operations that stand still."""
    mapped: int
    """Products that are bought here."""
    catalogue: int
    """Products in the copy of its catalogue."""
    catalogue_at: datetime | None
    lookup: bool
    duplicates: str
    max_units: int


class Step(Struct, frozen=True, kw_only=True):
    """One thing that was asked of a vendor."""

    what: str
    ok: bool
    told: str


class Catalogue(Struct, frozen=True, kw_only=True):
    """What a vendor sells, as it was read at that time."""

    vendor: str
    read_at: datetime
    products: Sequence[VendorProduct]


def vendor_named(name: str, ship: Ship) -> Vendor:
    """Raises NotFound, which lists those that there are."""
    if name not in ship.vendors:
        raise NotFound("vendor", f"{name}; configured are: {', '.join(ship.vendors) or 'none'}")
    return ship.vendors[name]


async def list_vendors(ship: Ship) -> Sequence[VendorLine]:
    """Those of the configuration; asks none of them."""
    return await ship.database.read(_lines, ship)


async def check_vendor(name: str, ship: Ship) -> Sequence[Step]:
    """Ask for the balance, where it tells one, and the catalogue's first page. Buys nothing.

    Each answer proves that we are let in. A failure is a step that is not ok, and no exception.
    """
    vendor = vendor_named(name, ship)
    steps = []
    if hasattr(vendor.port, "balance"):
        steps.append(await _step("balance", lambda: _balance(vendor, ship)))
    steps.append(await _step("catalogue", lambda: _first(vendor, ship)))
    return steps


async def read_catalogue(
    name: str,
    ship: Ship,
    *,
    max_age: timedelta = timedelta(0),
    advance: Advance = lambda _products: None,
) -> Catalogue:
    """The vendor's catalogue: the copy, if it is young enough, else read anew and kept.

    Vendors limit how often it may be read (twice an hour, some). Raises NotFound, Unavailable.
    """
    vendor = vendor_named(name, ship)
    kept = await ship.database.read(seen_at, name)
    if kept is None or ship.now() - moment(kept) >= max_age:
        kept = await _refreshed(vendor, ship, advance)
    products = await ship.database.read(list_catalogue, name)
    return Catalogue(vendor=name, read_at=moment(kept), products=products)


async def read_balance(vendor: Vendor, ship: Ship) -> Sequence[Money]:
    """Our money with a vendor whose plugin is `BalanceReporting`. Raises Unavailable."""

    async def ask() -> Sequence[Money]:
        port: BalanceReporting = cast("Any", vendor.port)
        async with asyncio.timeout(READ_SECONDS):
            return await port.balance()

    return await _patiently(vendor, "balance", ask, ship)


async def read_orders(
    vendor: Vendor, ship: Ship, *, since: datetime, until: datetime
) -> Sequence[VendorOrder]:
    """Our orders by the list of a vendor whose plugin `ListsOrders`. Raises Unavailable."""

    async def ask() -> Sequence[VendorOrder]:
        port: ListsOrders = cast("Any", vendor.port)
        async with asyncio.timeout(READ_SECONDS):
            return await port.orders(since, until)

    return await _patiently(vendor, "orders", ask, ship)


async def _refreshed(vendor: Vendor, ship: Ship, advance: Advance) -> int:
    products = await _patiently(vendor, "catalogue", lambda: _all(vendor, advance), ship)
    at = micros(ship.now())
    await ship.database.run(replace_catalogue, vendor.name, products, at)
    return at


async def _patiently(
    vendor: Vendor, operation: str, read: Callable[[], Awaitable[T]], ship: Ship
) -> T:
    """Read, and read again what was unavailable for a moment. Raises Unavailable."""
    async for attempt in stamina.retry_context(on=_passing, attempts=ATTEMPTS, timeout=None):
        with attempt:
            return await guarded(vendor, operation, lambda: _sorted(read), ship)
    raise AssertionError  # pragma: no cover  # the last attempt raises what it met


def _passing(error: Exception) -> bool:
    return isinstance(error, Unavailable) and error.retry_after <= SOON


async def _sorted(read: Callable[[], Awaitable[T]]) -> T:
    """Whatever escapes a plugin's read is Unavailable; of a stranger only its class is told."""
    try:
        return await read()
    except Unavailable:
        raise
    except StarshipError as error:
        raise Unavailable(str(error), retry_after=60) from None
    except TimeoutError:
        raise Unavailable("it gave no answer in time", retry_after=60) from None
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        told = f"the plugin failed with {type(error).__name__}"
        raise Unavailable(told, retry_after=60) from None


async def _all(vendor: Vendor, advance: Advance) -> list[VendorProduct]:
    found: dict[str, VendorProduct] = {}
    async with aclosing(_pages(vendor)) as products:
        async for product in products:
            found[product.vendor_product] = product
            advance(1)
    return list(found.values())


async def _pages(vendor: Vendor) -> AsyncGenerator[VendorProduct, None]:
    products = vendor.port.catalogue()
    try:
        while True:
            async with asyncio.timeout(READ_SECONDS):
                product = await anext(products, None)
            if product is None:
                return
            yield product
    finally:
        with suppress(AttributeError):  # an iterator that is no generator
            await cast("Any", products).aclose()


async def _step(what: str, ask: Callable[[], Awaitable[str]]) -> Step:
    try:
        return Step(what=what, ok=True, told=await ask())
    except Unavailable as error:
        return Step(what=what, ok=False, told=str(error))


async def _balance(vendor: Vendor, ship: Ship) -> str:
    amounts = await read_balance(vendor, ship)
    return ", ".join(str(amount) for amount in amounts) or "no account"


async def _first(vendor: Vendor, ship: Ship) -> str:
    async def ask() -> VendorProduct | None:
        async with aclosing(_pages(vendor)) as products:
            async for product in products:
                return product
        return None

    product = await _patiently(vendor, "catalogue", ask, ship)
    if product is None:
        return "it is empty"
    return f"begins with {product.vendor_product} {product.name}"


def _lines(tx: Transaction, ship: Ship) -> Sequence[VendorLine]:
    off = {switch.scope: switch.reason for switch in list_switches(tx) if switch.off}
    breakers, rule, at = list_breakers(tx), Rule.of(ship.config.buying), micros(ship.now())
    catalogues = count_catalogues(tx)
    lines = []
    for name, vendor in ship.vendors.items():
        stopped = [scope for scope in (GLOBAL, vendor_scope(name)) if scope in off]
        count, read_at = catalogues.get(name, (0, None))
        lines.append(
            VendorLine(
                name=name,
                plugin=vendor.plugin,
                buying="; ".join(f"STOPPED ({each}): {off[each]}" for each in stopped) or "on",
                breakers=[
                    operation
                    for (of, operation), one in breakers.items()
                    if of == name and one.state(rule, at) != "closed"
                ],
                mapped=len({one.product_id for one in list_offers(tx, vendor=name)}),
                catalogue=count,
                catalogue_at=None if read_at is None else moment(read_at),
                lookup=vendor.traits.lookup,
                duplicates=vendor.traits.duplicates,
                max_units=vendor.traits.max_units,
            )
        )
    return lines
