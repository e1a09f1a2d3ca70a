"""A vendor that keeps its own books, and would sell the same order twice if it were sent twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from starship_voucherkart.sandbox.app import sandbox_app
from starship_voucherkart.sandbox.goods import GOODS
from starship_voucherkart.sandbox.start import section
from starship_voucherkart.sandbox.world import Settings, World

from starship_core.config import Config, load
from starship_core.config_template import toml
from starship_core.flows.import_products import import_products
from starship_core.model import Money
from starship_core.ship import Ship
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.testing.serving import served
from tests.e2e.servers import ANA
from tests.race.fleet import Fleet

VENDOR: Final = "kart"
FACE: Final = Money(100_00, "INR")
_PRODUCTS: Final = "code,name,category,currency,denominations\nrail,Rail,Travel,INR,100.00\n"
_SLOWEST: Final = 0.4
"""Seconds that a request or its answer may be under way: long enough to die meanwhile."""
_BOUGHT: Final = """
SELECT p.reference, p.state, p.quantity, coalesce(p.order_id, 0), coalesce(o.quantity, 0),
  (SELECT count(*) FROM vouchers v WHERE v.origin LIKE 'purchase:' || p.id || ':%')
FROM purchases p LEFT JOIN orders o ON o.id = p.order_id WHERE p.vendor = $1
"""
_SOLD: Final = frozenset({"SENT", "ACCEPTED", "UNKNOWN", "NEEDS_REVIEW", "BOUGHT"})
"""States of a purchase that the vendor may have sold."""


class Market:
    """The vendor, in this process, which nobody kills."""

    def __init__(self, url: str, world: World) -> None:
        self.world = world
        self._url = url

    def configured(self, config: Config) -> Config:
        """With the vendor, by its cautious registration, and with a rate for its currency."""
        vendor = section(self.world, self._url) | {"use": "voucherkart"}
        text = config.path.read_text()
        text = text.replace('"notify-webhook"]', '"notify-webhook", "voucherkart"]')
        text = text.replace('KWD = "0.39"', 'KWD = "0.39", INR = "105"')
        lines = [
            f"[vendors.{VENDOR}]",
            *(f"{name} = {toml(value)}" for name, value in vendor.items()),
        ]
        config.path.write_text("\n".join([text, *lines, ""]))
        return load(config.path, {})

    async def stall(self, ship: Ship) -> int:
        """A product that only the vendor has; its id."""
        file = ship.config.folder / "rail.csv"
        file.write_text(_PRODUCTS)
        await import_products(file, ANA, ship)
        ((product_id,),) = await ship.database.read(
            lambda tx: tx.execute("SELECT id FROM products WHERE code = 'rail'")
        )
        offer = VendorOffer(
            product_id=product_id, code="rail", currency=FACE.currency, vendor=VENDOR,
            vendor_product="DEMO1",
        )  # fmt: skip
        await ship.database.run(write_offer, offer, 1)
        return int(product_id)

    async def wrong(self, fleet: Fleet) -> list[str]:
        """The vendor's books against ours: bought twice, for nobody, or paid for and forgotten."""
        sold: Counter[str] = Counter()
        times = Counter(order.id for order in self.world.orders)
        for order in self.world.orders:
            sold[order.id] += order.quantity
        rows = {row[0]: row[1:] for row in await fleet.sql(_BOUGHT, VENDOR)}
        found = [f"{name}: sold {n} times" for name, n in times.items() if n > 1]
        found += [f"{name}: sold, and not ours" for name in sold.keys() - rows.keys()]
        units: Counter[int] = Counter()
        ordered: dict[int, int] = {}
        for name, (state, quantity, order_id, wanted, vouchers) in rows.items():
            if name in sold and state not in _SOLD:
                found.append(f"{name}: sold, and here it is {state}")
            if state == "BOUGHT" and not sold[name] == quantity == vouchers:
                found.append(f"{name}: {sold[name]} of {quantity} sold, {vouchers} vouchers here")
            if order_id:
                units[order_id] += sold[name]
                ordered[order_id] = wanted
        found += [
            f"order {order_id}: {n} units bought for {ordered[order_id]}"
            for order_id, n in units.items()
            if n > ordered[order_id]
        ]
        return found


@asynccontextmanager
async def market(chance: random.Random) -> AsyncIterator[Market]:
    """Open for as long as the block runs."""
    goods = {one.code: replace(one, stock=10**6) for one in GOODS}
    world = World(settings=Settings(duplicates="sells again"), goods=goods)
    app = sandbox_app(world)

    async def dawdling(scope: Any, receive: Any, send: Any) -> None:
        async def late(message: Any) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(chance.uniform(0, _SLOWEST))
            await send(message)

        await asyncio.sleep(chance.uniform(0, _SLOWEST))
        await app(scope, receive, late)

    async with served(dawdling) as url:
        yield Market(url, world)
