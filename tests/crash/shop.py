"""Vendors whose memory outlives a kill: what each sold is a file for each reference.

Their books are a step of their own within a call, so a kill comes between the sale and its answer,
and between the request and the sale.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from starship_core.errors import Ambiguous
from starship_core.model import Bought, Purchase, Refused, VendorProduct, VendorReply
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
        if self._knows(purchase):
            raise Ambiguous("duplicate reference: the first may have bought")
        await self.sell(purchase)
        return _same(purchase)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        return _same(purchase) if self._knows(purchase) else None

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        raise AssertionError("nobody asked for it")
        yield

    async def sell(self, purchase: Purchase) -> None:
        """Write it into the books: from now on it is bought."""
        (self.folder / purchase.reference).touch(exist_ok=False)

    def _knows(self, purchase: Purchase) -> bool:
        return (self.folder / purchase.reference).exists()

    @property
    def sold(self) -> int:
        return len(list(self.folder.iterdir()))


@dataclass(frozen=True)
class Lossy(Shop):
    """Sells, and its answer is lost; it finds what it sold."""

    async def buy(self, purchase: Purchase) -> VendorReply:
        await super().buy(purchase)
        raise Ambiguous("no answer came")


@dataclass(frozen=True)
class Silent(Shop):
    """Answers nothing that helps, and sells nothing: only people there know."""

    async def buy(self, purchase: Purchase) -> VendorReply:
        raise Ambiguous("no answer came")

    async def find(self, purchase: Purchase) -> VendorReply | None:
        raise Ambiguous("it cannot be looked up")


@dataclass(frozen=True)
class Refuses(Shop):
    """Says no, in so many words."""

    async def buy(self, purchase: Purchase) -> VendorReply:
        return Refused(reason="not to you")


KINDS: Final[dict[str, type[Shop]]] = {
    NAME: Shop, "lossy": Lossy, "silent": Silent, "refuses": Refuses,
}  # fmt: skip


def _same(purchase: Purchase) -> Bought:
    return goods(purchase, charged=purchase.ceiling)


async def with_shop(ship: Ship, *names: str) -> tuple[Ship, Shop, ManualClock]:
    """The ship with that vendor, selling the yen card, and with others of these names; all write
    into the same books, and the clock can be moved on.
    """
    folder = ship.config.folder / "shop"
    folder.mkdir(exist_ok=True)
    vendors = {}
    for name in (NAME, *names):
        offer = VendorOffer(
            product_id=YEN.product_id, code="yen", currency="JPY", vendor=name, vendor_product="y"
        )
        await ship.database.run(write_offer, offer, 1)
        vendors[name] = Vendor(
            name=name, plugin="test", port=KINDS[name](folder), traits=CAREFUL
        )  # fmt: skip
    clock = ManualClock(ship.now())
    return replace(ship, vendors=vendors, now=clock), Shop(folder), clock
