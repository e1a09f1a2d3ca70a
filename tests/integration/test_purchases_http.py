"""Approved by the command, bought over HTTP from the sandboxes of Bamboo and Pine Labs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.model import Sku
from starship_core.testing.clock import ManualClock
from tests.integration.ships import Dock, Shelf
from tests.integration.test_vendor_commands import Market, market

__all__ = ["market"]


@pytest.mark.parametrize(
    ("vendor", "code", "product", "sku", "money"),
    [
        ("bamboo-us", "store-aed", "910001", Sku(1, 5000, "AED"), {"AED": "1000.00"}),
        ("pine", "pin-inr", "CNPIN", Sku(3, 100_000, "INR"), {"INR": "9000.00"}),
    ],
)
async def test_bought_once_and_delivered(  # noqa: PLR0917  # a case each
    market: Market,  # the fixture
    vendor: str,
    code: str,
    product: str,
    sku: Sku,
    money: dict[str, str],
) -> None:
    """Two workers at once; the vendor counts one order, the client has its voucher."""
    await market.run("vendor", "map", code, vendor, product, "--as", "ana")
    async with market.ship() as opened:
        clock = ManualClock(opened.now())
        ship = replace(opened, now=clock)
        dock = Dock(ship=ship, shelf=Shelf())
        client = await dock.client("acme", money)
        order = (await dock.place(client, "key-http", sku)).order
        words = ("--vendor", vendor, "--ceiling", "5000", "--reason", "VIP", "--as", "ana")
        told = await market.run("order", "approve", str(order.id), *words)
        assert len(told["purchases"]) == 1
        for _ in range(30):
            await asyncio.gather(sweep_purchases(ship), sweep_purchases(ship))
            if (await dock.order(order.id)).status == "DELIVERED":
                break
            clock.advance(seconds=20)
        assert (await dock.order(order.id)).status == "DELIVERED"
        (purchase,) = await market.run("purchase", "list", "--order", str(order.id))
        assert (purchase["state"], purchase["received"]) == ("BOUGHT", 1)
        shown = await market.run("purchase", "show", str(purchase["id"]))
        assert shown["approved_by"] == "operator:ana"
        assert len(market.bamboo.orders) + len(market.pinelabs.orders) == 1
