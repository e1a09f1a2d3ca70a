"""A replay long after: whatever would refuse the order today is not asked."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

from starship_core.flows.change_product import ProductChange, change_product
from tests.e2e.servers import ANA
from tests.race.fleet import Buyer, Fleet, processes
from tests.race.wire import Answer, Line, signed

UNITS = 2
PRICE = Decimal("40.00")
BODY = {"product_id": 1, "denomination": "20.00", "quantity": UNITS}


class Till:
    """One buyer before one server process."""

    def __init__(self, buyer: Buyer, port: int) -> None:
        self.buyer = buyer
        self.line = Line(port)

    async def call(self, method: str, path: str, body: Any = None, key: str = "") -> Answer:
        request = signed(self.buyer.credential, method, path, body, key=key or None)
        return await self.line.call(request)

    async def quoted(self, key: str) -> tuple[dict[str, Any], Answer]:
        """An order at a quoted price; asked for again if a laden machine let the quote expire."""
        for _ in range(20):
            charges = await self.call(
                "POST", "/products/1/charges", {"denomination": "20.00", "quantity": UNITS}
            )
            body = BODY | {"quote": charges.json["quote"]}
            answer = await self.call("POST", "/orders", body, key)
            if answer.status == 200:
                return body, answer
            assert answer.json["error"]["details"]["reason"] == "quote_expired", answer.body
        raise AssertionError("no quote lived long enough")


async def test_a_replay_meets_no_later_refusal(unserved: Fleet) -> None:
    """Quote expired, product off, rates stale, wallet empty: still 200, with the same order."""
    buyer = await unserved.buyer("acme", str(PRICE))
    await unserved.stock(1, UNITS)
    file = unserved.folder / "starship.toml"
    text = file.read_text()
    file.write_text(text + "quote_seconds = 2\n")
    with processes(unserved.folder, 1) as ports:
        till = Till(buyer, ports[0])
        body, first = await till.quoted("key-00001")
        quoted_at = time.monotonic()
        till.line.close()
    await change_product("card", ProductChange(is_active=False), ANA, unserved.ship)
    stale = "as_of = 2020-01-01T00:00:00Z\n"
    file.write_text("".join(
        stale if line.startswith("as_of") else line for line in text.splitlines(keepends=True)
    ))  # fmt: skip
    await asyncio.sleep(max(0.0, quoted_at + 3 - time.monotonic()))
    with processes(unserved.folder, 1) as ports:
        till = Till(buyer, ports[0])
        again = await till.call("POST", "/orders", body, "key-00001")
        assert (again.status, again.replayed, again.json) == (200, True, first.json)
        for refused in await refusals(unserved, till, body):
            assert refused
        till.line.close()
    assert await unserved.faults() == []


async def refusals(unserved: Fleet, till: Till, body: dict[str, Any]) -> list[bool]:
    """Each of the four would have refused a new order, so the replay did meet them."""
    product = await till.call("POST", "/orders", body, "key-00002")
    await change_product("card", ProductChange(is_active=True), ANA, unserved.ship)
    await asyncio.sleep(2)  # processes look for changes once a second
    quote = await till.call("POST", "/orders", body, "key-00003")
    money = await till.call("POST", "/orders", BODY, "key-00004")
    return [
        product.json["error"]["details"].get("field") == "product_id",
        quote.json["error"]["details"].get("reason") == "quote_expired",
        money.status == 402,
    ]
