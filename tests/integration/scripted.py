"""A vendor in this process that does what a test wrote down, and counts what it sold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starship_core.model import Bought, Money, Purchase, Secret, VendorProduct, VendorReply, Voucher
from starship_core.registration import ReferenceRule, VendorTraits
from starship_core.ship import Ship, Vendor
from starship_core.store.vendor_products import VendorOffer, write_offer
from tests.integration.ships import CARD, Dock

CAREFUL: Final = VendorTraits(
    duplicates="rejects", lookup=True, max_units=10, delayed_codes=True, partial=True,
    buy_timeout=5, settle_seconds=60, reference=ReferenceRule(form="text", longest=32),
)  # fmt: skip

Say = Exception | VendorReply | None | Callable[[Purchase], Any]
"""What it answers: raised, returned, or asked of a function."""


@dataclass
class Scripted:
    """`buys` and `finds` are used up in turn; after the last it sells, and finds what it sold."""

    buys: list[Say] = field(default_factory=list)
    finds: list[Say] = field(default_factory=list)
    sold: dict[str, Bought] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    looked: int = 0
    called: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None
    """While it is there and not set, `buy` hangs."""

    def sell(self, purchase: Purchase, **facts: Any) -> Bought:
        """Make the vouchers once; the reference is the purchase."""
        if purchase.reference not in self.sold:
            self.sold[purchase.reference] = goods(purchase, **facts)
        return self.sold[purchase.reference]

    async def buy(self, purchase: Purchase) -> VendorReply:
        self.asked.append(purchase.reference)
        self.called.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.buys:
            said: VendorReply = await _said(self.buys.pop(0), purchase)
            return said
        return self.sell(purchase)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        self.looked += 1
        if self.finds:
            found: VendorReply | None = await _said(self.finds.pop(0), purchase)
            return found
        return self.sold.get(purchase.reference)

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        raise AssertionError("nobody asked for it")
        yield


async def _said(say: Say, purchase: Purchase) -> Any:
    if isinstance(say, Exception):
        raise say
    return say(purchase) if callable(say) else say


def goods(
    purchase: Purchase, *, count: int | None = None, charged: Money | None = None, **facts: Any
) -> Bought:
    """As many vouchers as were asked for, each with a code of its own."""
    units = tuple(
        Voucher(
            sku=facts.get("sku", purchase.sku), reference=str(n),
            card_number=Secret(f"BOUGHT-{purchase.reference}-{n}"),
        )
        for n in range(1, (purchase.quantity if count is None else count) + 1)
    )  # fmt: skip
    return Bought(vouchers=units, charged=charged, final=facts.get("final", True))


async def at_market(
    dock: Dock, vendors: dict[str, Scripted], traits: VendorTraits = CAREFUL
) -> Ship:
    """The ship with these vendors, all of which sell the card."""
    for name in vendors:
        offer = VendorOffer(
            product_id=CARD.product_id, code="card", currency="EUR", vendor=name,
            vendor_product=f"{name}-card",
        )  # fmt: skip
        await dock.ship.database.run(write_offer, offer, 1)
    return replace(
        dock.ship,
        vendors={
            name: Vendor(name=name, plugin="scripted", port=port, traits=traits)
            for name, port in vendors.items()
        },
    )


async def states(dock: Dock) -> Sequence[tuple[str, str]]:
    """(vendor, state) of every purchase, in order."""
    return [tuple(row) for row in await dock.sql("SELECT vendor, state FROM purchases ORDER BY id")]
