"""Which vendors a sku is bought from, as SQL has it, on both databases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from starship_core.clock import micros
from starship_core.errors import Unavailable
from starship_core.flows.switch_buying import switch_off
from starship_core.model import Money, Sku
from starship_core.routing import Offer, preferred
from starship_core.ship import Ship
from starship_core.store.vendor_products import VendorOffer, find_offers, write_offer
from starship_core.testing.clock import ManualClock
from starship_core.vendor_guard import guarded_buy
from tests.integration.ships import ANA, CARD, SMALL, Dock
from tests.integration.vendors import RULE, Counter, with_vendors


async def mapped(ship: Ship, vendor: str, vendor_product: str = "1", **facts: Any) -> None:
    """Product 1 is bought as that."""
    offer = VendorOffer(
        product_id=1, code="card", currency="EUR", vendor=vendor, vendor_product=vendor_product,
        **facts,
    )  # fmt: skip
    await ship.database.run(write_offer, offer, micros(ship.now()))


async def choice(
    ship: Ship, sku: Sku = CARD, rates: dict[str, Decimal] | None = None
) -> list[Offer]:
    """As a purchase is planned."""
    found = await ship.database.read(
        lambda tx: preferred(
            tx, sku, vendors=ship.vendors, buying=ship.config.buying, at=micros(ship.now()),
            rates=rates or {},
        )
    )  # fmt: skip
    return list(found)


def names(offers: list[Offer]) -> list[str]:
    return [offer.vendor for offer in offers]


async def test_a_product_that_nobody_sells_has_no_vendor(dock: Dock) -> None:
    """Neither one that is not mapped nor one that does not exist."""
    ship = with_vendors(dock.ship)
    await mapped(ship, "west")  # not configured any more
    await mapped(ship, "north", is_active=False)
    assert [await choice(ship, sku) for sku in (CARD, Sku(99, 1, "EUR"))] == [[], []]


async def test_the_narrowest_range_that_holds_the_denomination_is_bought(dock: Dock) -> None:
    """A vendor with a product a denomination, and one for all the others."""
    ship = with_vendors(dock.ship)
    await mapped(ship, "north", "any")
    await mapped(ship, "north", "range", minimum=1000, maximum=5000)
    await mapped(ship, "north", "25", minimum=2500, maximum=2500)
    await mapped(ship, "south", "50", minimum=5000, maximum=5000)
    found = {
        sku.denomination: [(each.vendor, each.vendor_product) for each in await choice(ship, sku)]
        for sku in (CARD, SMALL, Sku(1, 5001, "EUR"))
    }
    assert found == {
        2500: [("north", "25")], 1000: [("north", "range")], 5001: [("north", "any")],
    }  # fmt: skip


async def test_a_cost_is_in_proportion_and_compared_in_one_currency(dock: Dock) -> None:
    """9.40 USD at 0.9 is cheaper than 9.00 EUR, and without a rate it is not known."""
    ship = with_vendors(dock.ship, prefer="cheapest")
    await mapped(ship, "north", cost=Money(900, "EUR"), cost_face=1000)
    await mapped(ship, "south", cost=Money(940, "USD"), cost_face=1000)
    assert names(await choice(ship)) == ["north", "south"]
    first, second = await choice(ship, rates={"USD": Decimal("0.9")})
    assert (first.vendor, first.cost) == ("south", Money(2350, "USD"))
    assert (second.vendor, second.cost) == ("north", Money(2250, "EUR"))


async def test_a_product_may_have_a_preference_of_its_own(dock: Dock) -> None:
    """By its code; all others go by the deployment's."""
    by_product = {"card": "cheapest"}
    for ship, first in (
        (with_vendors(dock.ship), "north"),
        (with_vendors(dock.ship, prefer_by_product=by_product), "south"),
    ):
        await mapped(ship, "north", priority=1, cost=Money(900, "EUR"), cost_face=1000)
        await mapped(ship, "south", priority=2, cost=Money(800, "EUR"), cost_face=1000)
        assert names(await choice(ship))[0] == first


async def test_a_vendor_that_is_switched_off_is_left_out(dock: Dock) -> None:
    """And when all buying is off, nobody is left."""
    ship = with_vendors(dock.ship)
    await mapped(ship, "north")
    await mapped(ship, "south")
    await switch_off("vendor:north", ANA, ship)
    assert names(await choice(ship)) == ["south"]
    await switch_off("global", ANA, ship)
    assert names(await choice(ship)) == []


async def test_a_vendor_whose_breaker_is_open_comes_last(dock: Dock, clock: ManualClock) -> None:
    """Until it has rested; its failures count against it for as long as the window is."""
    ship = with_vendors(dock.ship)
    await mapped(ship, "north", priority=1)
    await mapped(ship, "south", priority=2)
    calls = Counter(Unavailable())
    for _ in range(RULE.failures):
        with pytest.raises(Unavailable):
            await guarded_buy(ship.vendors["north"], calls, ship)
    found = await choice(ship)
    assert [(each.vendor, each.is_open, each.failures) for each in found] == [
        ("south", False, 0), ("north", True, RULE.failures),
    ]  # fmt: skip
    clock.advance(seconds=120)
    assert names(await choice(ship)) == ["north", "south"]


async def test_writing_an_offer_again_replaces_it(dock: Dock) -> None:
    """One row for a product, vendor and vendor product."""
    ship = with_vendors(dock.ship)
    await mapped(ship, "north", cost=Money(900, "EUR"), cost_face=1000)
    await mapped(ship, "north", priority=3)
    (offer,) = await ship.database.read(find_offers, CARD)
    assert (offer.priority, offer.cost, offer.unit_cost(1000)) == (3, None, None)
