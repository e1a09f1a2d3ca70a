"""A shop with a few products, and a client with money in two currencies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from starship_core.flows.change_product import ProductChange, change_product
from starship_core.testing.clock import ManualClock
from tests.e2e.servers import ANA, Caller, Shop, opened_shop, written

PRODUCTS = """\
code,name,category,subcategory,currency,denominations,discount,delivery_type
card,Sample Store Card,Shopping,Books,GBP,20.00;50.00@2.5,2.0,code_with_pin
cafe,Café Zürich,Food,,GBP,5.00-100.00,,code
yen,Kissaten,Food,,JPY,500;1000,,claim_url
fils,Souk,Shopping,,KWD,1.250,,code
off,Switched off,Shopping,,GBP,20.00,,code
"""
CARD, CAFE, YEN, SOUK, OFF = 1, 2, 3, 4, 5


@pytest.fixture
def pricing() -> dict[str, str]:
    """No fees, so that an amount is read at a glance; override where they matter."""
    return {}


@pytest.fixture
async def shop(
    database_url: str,
    redis_url: str,
    clock: ManualClock,
    tmp_path: Path,
    pricing: dict[str, str],
) -> AsyncIterator[Shop]:
    config = written(tmp_path, database=database_url, redis=redis_url, pricing=pricing)
    async with opened_shop(config, clock) as shop:
        await shop.products(PRODUCTS)
        await change_product("off", ProductChange(is_active=False), ANA, shop.ship)
        await shop.seen()
        yield shop


@pytest.fixture
async def acme(shop: Shop) -> Caller:
    """Its default wallet is the one in pounds."""
    return await shop.client("acme", {"GBP": "1000.00", "EUR": "5000.00"})


@pytest.fixture
async def bolt(shop: Shop) -> Caller:
    """A stranger, with a wallet in yen."""
    return await shop.client("bolt", {"JPY": "100000"})
