"""A vendor whose memory outlives a kill: what it sold is a file for each reference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from starship_core.errors import Ambiguous
from starship_core.model import Bought, Purchase, VendorProduct, VendorReply
from starship_core.ship import Ship, Vendor
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import CAREFUL, goods
from tests.integration.ships import YEN

NAME: Final = "shop"


@dataclass(frozen=True)
class Shop:
    """Sells each reference once, and rejects it afterwards; finds what it sold."""

    folder: Path

    async def buy(self, purchase: Purchase) -> VendorReply:
        place = self.folder / purchase.reference
        if place.exists():
            raise Ambiguous("duplicate reference: the first may have bought")
        place.touch()
        return _same(purchase)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        return _same(purchase) if (self.folder / purchase.reference).exists() else None

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        raise AssertionError("nobody asked for it")
        yield

    @property
    def sold(self) -> int:
        return len(list(self.folder.iterdir()))


def _same(purchase: Purchase) -> Bought:
    return goods(purchase, charged=purchase.ceiling)


async def with_shop(ship: Ship) -> tuple[Ship, Shop, ManualClock]:
    """The ship with that vendor, selling the yen card, and a clock that can be moved on."""
    folder = ship.config.folder / "shop"
    folder.mkdir(exist_ok=True)
    offer = VendorOffer(
        product_id=YEN.product_id, code="yen", currency="JPY", vendor=NAME, vendor_product="y"
    )
    await ship.database.run(write_offer, offer, 1)
    shop, clock = Shop(folder), ManualClock(ship.now())
    vendor = Vendor(name=NAME, plugin="test", port=shop, traits=CAREFUL)
    return replace(ship, vendors={NAME: vendor}, now=clock), shop, clock
