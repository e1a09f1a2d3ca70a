"""A vendor's list of our orders over HTTP: Bamboo's sandbox against our purchases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.model import Sku
from starship_core.reconciliation.report import reconcile
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from tests.integration.ships import Dock, Shelf
from tests.integration.test_vendor_commands import Market, market

__all__ = ["market"]


async def bought(market: Market, ship: Ship, clock: ManualClock) -> str:
    """One order, approved and bought from Bamboo; the reference."""
    dock = Dock(ship=ship, shelf=Shelf())
    client = await dock.client("acme", {"AED": "1000.00"})
    order = (await dock.place(client, "key-http", Sku(1, 5000, "AED"))).order
    words = ("--vendor", "bamboo-us", "--ceiling", "5000", "--reason", "VIP", "--as", "ana")
    await market.run("order", "approve", str(order.id), *words)
    for _ in range(30):
        await sweep_purchases(ship)
        if (await dock.order(order.id)).status == "DELIVERED":
            break
        clock.advance(seconds=20)
    ((reference,),) = await dock.sql("SELECT reference FROM purchases WHERE state = 'BOUGHT'")
    return str(reference)


async def found(ship: Ship) -> Sequence[tuple[str, str]]:
    """(kind, subject) of what Bamboo's statement brings up; it was looked at."""
    parts = {part.name: part for part in (await reconcile(ship)).parts}
    part = parts["statement of bamboo-us"]
    assert part.looked
    return [(each.kind, each.subject) for each in part.findings]


async def test_the_statement_agrees_until_it_does_not(market: Market) -> None:
    """What was bought is listed for what it cost; each way to differ is found."""
    await market.run("vendor", "map", "store-aed", "bamboo-us", "910001", "--as", "ana")
    async with market.ship() as opened:
        clock = ManualClock(opened.now())
        ship = replace(opened, now=clock)
        reference = await bought(market, ship, clock)
        clock.advance(hours=2)
        assert await found(ship) == []
        ours = f"reference:{reference}"

        change = "UPDATE purchases SET charged = charged + 1"
        await ship.database.run(lambda tx: tx.execute(change))
        assert await found(ship) == [("statement.amount", ours)]

        market.bamboo.orders["other"] = replace(market.bamboo.orders.pop(reference), reference="x")
        assert await found(ship) == [
            ("statement.unknown_here", "reference:x"),
            ("statement.unknown_there", ours),
        ]
