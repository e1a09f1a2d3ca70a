"""Say which vendor product a product is bought as, and at what cost it was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.catalogue_columns import slug
from starship_core.clock import micros
from starship_core.errors import InvalidInput, NotFound
from starship_core.model import Money, VendorProduct, minor_text
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.store.vendor_catalogue import list_catalogue, seen_at
from starship_core.store.vendor_products import (
    VendorOffer,
    currency_of,
    delete_offer,
    list_offers,
    product_id_of,
    write_offer,
)

_LONGEST_CODE: Final = 64
Kind = Literal["same", "cheaper", "dearer", "new", "gone", "unknown"]


class Match(Struct, frozen=True, kw_only=True):
    """What an operator wants to map; amounts in the product's currency."""

    product: str
    """Its code, or its id."""
    vendor: str
    vendor_product: str
    minimum: str | None = None
    """The face values that are bought as this; None: as the vendor's catalogue says."""
    maximum: str | None = None
    priority: int = 100


class PriceChange(Struct, frozen=True, kw_only=True):
    """A mapped product's cost, as it was kept and as the catalogue has it now."""

    product: str
    vendor_product: str
    kind: Kind
    """`new`: a cost where none was known; `gone`: the vendor sells it no more; `unknown`: the
    catalogue names no cost.
    """
    before: Money | None
    now: Money | None
    percent: Decimal | None
    """How much dearer; None where the two cannot be compared."""


class Proposal(Struct, frozen=True, kw_only=True):
    """A vendor product that no product is bought as, as a line of a catalogue file."""

    vendor_product: str
    """Not of the file: what to map it to after the import."""
    code: str
    name: str
    category: str
    currency: str
    denominations: str
    country: str
    vendors: str


async def map_product(wanted: Match, by: By, ship: Ship) -> VendorOffer:
    """Buy the product as this vendor product from now on. Asks only the copy of the catalogue.

    Idempotent. Raises NotFound, InvalidInput: another currency, or a range that is none.
    """
    if wanted.vendor not in ship.vendors:
        known = ", ".join(ship.vendors) or "none"
        raise NotFound("vendor", f"{wanted.vendor}; configured are: {known}")
    return await ship.database.run(_map, wanted, by, ship.now())


async def unmap_product(
    product: str, vendor: str, vendor_product: str, *, by: By, ship: Ship
) -> None:
    """It is bought as this no more; what was sent is not touched. Raises NotFound."""
    wanted = Match(product=product, vendor=vendor, vendor_product=vendor_product)
    await ship.database.run(_unmap, wanted, by, ship.now())


async def compare_prices(vendor: str, ship: Ship) -> Sequence[PriceChange]:
    """What is mapped against the copy of the catalogue; writes nothing."""
    return [change for change, _ in await ship.database.read(_compared, vendor)]


async def take_prices(vendor: str, by: By, ship: Ship) -> Sequence[PriceChange]:
    """As `compare_prices`, and keeps what the catalogue says from now on. Idempotent."""
    return await ship.database.run(_take, vendor, by, ship.now())


async def propose_products(vendor: str, category: str, ship: Ship) -> Sequence[Proposal]:
    """Lines for `starship product import`, one for each vendor product that is not mapped."""
    return await ship.database.read(_proposed, vendor, category)


def _map(tx: Transaction, wanted: Match, by: By, now: datetime) -> VendorOffer:
    product_id = product_id_of(tx, wanted.product)
    currency = currency_of(tx, product_id)
    listed = _listed(tx, wanted)
    if listed.currency != currency:
        text = f"{wanted.product} is in {currency}, {listed.vendor_product} in {listed.currency}"
        raise InvalidInput(f"{text}: a voucher is bought in the currency it is sold in")
    face = _face(listed) if listed.cost else None
    offer = VendorOffer(
        product_id=product_id,
        code=wanted.product,
        currency=currency,
        vendor=wanted.vendor,
        vendor_product=wanted.vendor_product,
        minimum=_bound(wanted.minimum, listed.minimum, currency),
        maximum=_bound(wanted.maximum, listed.maximum, currency),
        priority=wanted.priority,
        cost=listed.cost if face else None,
        cost_face=face,
        seen_at=seen_at(tx, wanted.vendor),
    )
    if offer.minimum is not None and offer.maximum is not None and offer.minimum > offer.maximum:
        raise InvalidInput("the smallest value is above the largest", field="minimum")
    before = _known(tx, offer)
    write_offer(tx, offer, micros(now))
    subject = f"product:{product_id}"
    record(tx, by, "vendor.map", subject, at=now, before=before, after=_facts(offer))
    return offer


def _unmap(tx: Transaction, wanted: Match, by: By, now: datetime) -> None:
    product_id = product_id_of(tx, wanted.product)
    known = [
        one
        for one in list_offers(tx, vendor=wanted.vendor, product_id=product_id)
        if one.vendor_product == wanted.vendor_product
    ]
    if not known:
        which = f"of {wanted.product} to {wanted.vendor} {wanted.vendor_product}"
        raise NotFound("mapping", which)
    delete_offer(tx, known[0])
    subject = f"product:{product_id}"
    record(tx, by, "vendor.unmap", subject, at=now, before=_facts(known[0]))


def _compared(tx: Transaction, vendor: str) -> list[tuple[PriceChange, VendorOffer]]:
    """Each change with what is to be kept."""
    listed = {one.vendor_product: one for one in list_catalogue(tx, vendor)}
    read_at = seen_at(tx, vendor)
    return [
        _change(offer, listed.get(offer.vendor_product), read_at)
        for offer in list_offers(tx, vendor=vendor)
    ]


def _change(
    offer: VendorOffer, listed: VendorProduct | None, read_at: int | None
) -> tuple[PriceChange, VendorOffer]:
    now = None if listed is None else listed.cost
    face = None if listed is None or now is None else _face(listed)
    # what it cost before, for the same face value
    before = offer.unit_cost(face) if face else offer.cost
    percent = None
    if now and before and now.currency == before.currency and before.minor:
        percent = round(Decimal(100 * (now.minor - before.minor)) / before.minor, 2)
    change = PriceChange(
        product=offer.code,
        vendor_product=offer.vendor_product,
        kind=_kind(before, now, gone=listed is None),
        before=before,
        now=now,
        percent=percent,
    )
    kept = replace(offer, cost=now, cost_face=face, seen_at=read_at) if now and face else offer
    return change, kept


def _kind(before: Money | None, now: Money | None, *, gone: bool) -> Kind:
    if gone:
        return "gone"
    if now is None:
        return "unknown"
    if before is None or before.currency != now.currency:
        return "new"
    if now.minor == before.minor:
        return "same"
    return "dearer" if now.minor > before.minor else "cheaper"


def _take(tx: Transaction, vendor: str, by: By, now: datetime) -> Sequence[PriceChange]:
    compared = _compared(tx, vendor)
    for _, offer in compared:
        write_offer(tx, offer, micros(now))
    changes = [change for change, _ in compared]
    moved = [change for change in changes if change.kind in ("cheaper", "dearer", "new")]
    record(
        tx, by, "vendor.prices", f"vendor:{vendor}", at=now,
        before={f"{one.product}/{one.vendor_product}": one.before for one in moved},
        after={f"{one.product}/{one.vendor_product}": one.now for one in moved},
    )  # fmt: skip
    return changes


def _proposed(tx: Transaction, vendor: str, category: str) -> Sequence[Proposal]:
    mapped = {one.vendor_product for one in list_offers(tx, vendor=vendor)}
    return [
        Proposal(
            vendor_product=one.vendor_product,
            code=f"{vendor}-{slug(one.vendor_product)}"[:_LONGEST_CODE],
            name=one.name[:200],
            category=category,
            currency=one.currency,
            denominations=f"{one.minimum:f}"
            if one.minimum == one.maximum
            else f"{one.minimum:f}-{one.maximum:f}",
            country=one.country or "",
            vendors=vendor,
        )
        for one in list_catalogue(tx, vendor)
        if one.vendor_product not in mapped
    ]


def _listed(tx: Transaction, wanted: Match) -> VendorProduct:
    for one in list_catalogue(tx, wanted.vendor):
        if one.vendor_product == wanted.vendor_product:
            return one
    raise NotFound(
        "vendor product",
        f"{wanted.vendor_product} in the copy of {wanted.vendor}'s catalogue; "
        f"`starship vendor catalogue {wanted.vendor} --refresh` reads it anew",
    )


def _bound(asked: str | None, listed: Decimal, currency: str) -> int | None:
    try:
        return Money.of(listed if asked is None else asked, currency).minor or None
    except ValueError as error:
        if asked is None:
            return None  # the vendor's own bound is no amount of the currency
        raise InvalidInput(str(error), field="minimum") from None


def _face(listed: VendorProduct) -> int | None:
    """What a cost is for: a catalogue names it for the smallest value."""
    try:
        return Money.of(listed.minimum, listed.currency).minor or None
    except ValueError:
        return None


def _known(tx: Transaction, offer: VendorOffer) -> Mapping[str, Any] | None:
    for one in list_offers(tx, vendor=offer.vendor, product_id=offer.product_id):
        if one.vendor_product == offer.vendor_product:
            return _facts(one)
    return None


def _facts(offer: VendorOffer) -> Mapping[str, Any]:
    """As the audit writes them."""
    return {
        "vendor": offer.vendor,
        "vendor_product": offer.vendor_product,
        "minimum": offer.minimum and minor_text(offer.minimum, offer.currency),
        "maximum": offer.maximum and minor_text(offer.maximum, offer.currency),
        "priority": offer.priority,
        "cost": offer.cost and str(offer.cost),
    }
