"""Pumps in several processes at once, under a budget that holds one purchase."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from starship_core.config import load
from starship_core.flows.manage_targets import Grant, Wish, approve_ahead, keep_target
from starship_core.ship import Ship
from starship_core.store.vendor_products import VendorOffer, write_offer
from tests.e2e.servers import ANA
from tests.race.fleet import Fleet, command

BAMBOO = """
[vendors.bamboo-eu]
use = "bamboo"
base_url = "https://127.0.0.1:1"
client_id = "c"
client_secret = "s"
account_id = 1
"""
SKU: dict[str, Any] = {"product": "card", "denomination": "20.00"}


async def test_two_pumps_buy_once(unserved: Fleet) -> None:
    """Four are missing and the budget pays for three: planned once, whoever is first; the other one
    waits for its turn and finds nothing to spend.
    """
    file = unserved.folder / "starship.toml"
    text = file.read_text().replace('"wallet-ledger", ', '"wallet-ledger", "bamboo", ', 1)
    file.write_text(text + BAMBOO)
    offer = VendorOffer(
        product_id=1, code="card", currency="GBP", vendor="bamboo-eu", vendor_product="7"
    )
    async with Ship.open(load(file, {})) as ship:
        await ship.database.run(write_offer, offer, 1)
        wish = Wish(**SKU, minimum=4, maximum=4, vendors=("bamboo-eu",))
        await keep_target(wish, ANA, ship)
        grant = Grant(**SKU, budget="79.99", expires_at=ship.now() + timedelta(days=1))
        await approve_ahead(grant, ANA, ship)
    pumps = (command(unserved.folder, "pump", "--as", "ana", "--json") for _ in range(2))
    ended = await asyncio.gather(*pumps)
    assert [status for status, _ in ended] == [0, 0], ended
    told = [json.loads(output)["targets"][0] for _, output in ended]
    assert sorted(sum(lot["quantity"] for lot in one["ahead"]) for one in told) == [0, 3]
    rows = await unserved.sql("SELECT cast(sum(quantity) AS bigint) FROM purchases")
    assert [row[0] for row in rows] == [3]
    assert [row[0] for row in await unserved.sql("SELECT planned FROM approvals")] == [6000]
    assert await unserved.faults() == []
