"""A shop with an order that waits and one that is delivered, and operators with their tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from starship_core.flows.manage_operators import issue_token
from starship_core.operators import ABILITIES
from starship_core.ship import Vendor
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.testing.clock import ManualClock
from tests.e2e.servers import ANA, PATIENCE, Caller, Shop, opened_shop, written
from tests.integration.scripted import CAREFUL, Scripted

ROOT = "/admin/api/v1"
PRODUCTS = """\
code,name,category,subcategory,currency,denominations
card,Sample Store Card,Shopping,Books,GBP,20.00;50.00
cafe,Café,Food,,GBP,5.00-100.00
"""


@dataclass(frozen=True, kw_only=True)
class Hand:
    """An operator's program."""

    http: httpx2.AsyncClient
    token: str

    async def send(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx2.Response:
        """`body`: bytes go as they are, anything else as JSON. `path` is below the API's root."""
        headers = dict(options.pop("headers", {}))
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.request(method, ROOT + path, headers=headers, **options)

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.send("GET", path, params=query or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = await self.send("POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(self, path: str, body: Any, status: int) -> tuple[str, Any]:
        """Code and details of the error."""
        error = (await self.post(path, body, status))["error"]
        return error["code"], error.get("details")


Employ = Callable[..., Awaitable[Hand]]


@pytest.fixture
async def shop(
    database_url: str, redis_url: str, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Shop]:
    config = written(tmp_path, database=database_url, redis=redis_url)
    async with opened_shop(config, clock) as shop:
        await shop.products(PRODUCTS)
        yield shop


@pytest.fixture
async def employ(shop: Shop) -> AsyncIterator[Employ]:
    """`await employ("bob", "retry")` gives an operator a token with these abilities."""
    async with AsyncExitStack() as stack:

        async def employed(name: str, *abilities: str) -> Hand:
            token = (await issue_token(name, abilities, ANA, shop.ship)).token.reveal()
            http = httpx2.AsyncClient(
                base_url=shop.url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE
            )
            return Hand(http=await stack.enter_async_context(http), token=token)

        yield employed


@pytest.fixture
async def bob(employ: Employ) -> Hand:
    """He may do everything."""
    return await employ("bob", *ABILITIES)


@pytest.fixture
async def acme(shop: Shop) -> Caller:
    return await shop.client("acme", {"GBP": "100000.00"})


async def audited(shop: Shop, subject: str) -> list[tuple[str, ...]]:
    """(action, actor, reason, request id), in order, without reveals."""
    rows = await shop.ship.database.read(
        lambda tx: tx.execute(
            "SELECT action, actor, reason, request_id FROM audit"
            " WHERE subject = $1 AND action <> 'reveal' ORDER BY id",
            subject,
        )
    )
    return [tuple(row) for row in rows]


@pytest.fixture
async def north(shop: Shop) -> Scripted:
    """A vendor that sells the card, and does what a test wrote down."""
    port = Scripted()
    vendor = Vendor(name="north", plugin="scripted", port=port, traits=CAREFUL)
    cast("dict[str, Vendor]", shop.ship.vendors)["north"] = vendor
    offer = VendorOffer(
        product_id=1, code="card", currency="GBP", vendor="north", vendor_product="north-card"
    )
    await shop.ship.database.run(write_offer, offer, 1)
    return port
