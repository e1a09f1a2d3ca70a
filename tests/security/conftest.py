"""One shop for all that attacks it: with products, stock, orders, and a stranger's things."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from starship_core.flows.relay_events import sweep_relay
from starship_core.testing.clock import ManualClock
from tests.e2e.servers import Caller, Shop, opened_shop, written
from tests.security.fuzzing import Fuzzer

WEBHOOK = {"name": "hook", "url": "https://example.com/hook", "events": ["order.*"]}
PRODUCTS = """\
code,name,category,subcategory,country,currency,denominations
card,Sample Store Card,Shopping,Books,GB,GBP,20.00;50.00
cafe,Café,Food,,,GBP,5.00-100.00
"""


@pytest.fixture
async def shop(
    database_url: str, redis_url: str, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Shop]:
    config = written(tmp_path, database=database_url, redis=redis_url)
    async with opened_shop(config, clock) as shop:
        await shop.products(PRODUCTS)
        await shop.stock(1, "20.00", 40)
        yield shop


@pytest.fixture
async def acme(shop: Shop) -> Caller:
    """With a delivered order, the first one, a pending one, and a webhook that tells of both."""
    caller = await shop.client("acme", {"GBP": "1000000.00", "EUR": "1000.00"})
    await caller.order("acme-first", ref="acme-ref")
    await caller.order("acme-second", denomination="50.00")
    await caller.post("/webhooks", WEBHOOK)
    await sweep_relay(shop.ship)
    return caller


@pytest.fixture
async def bolt(shop: Shop, acme: Caller) -> Caller:
    """A stranger with an order, a wallet and a webhook of its own."""
    caller = await shop.client("bolt", {"GBP": "1000.00"})
    await caller.order("bolt-first", ref="bolt-ref")
    await caller.post("/webhooks", WEBHOOK)
    await sweep_relay(shop.ship)
    return caller


@pytest.fixture
def fuzzer(shop: Shop, acme: Caller) -> Iterator[Fuzzer]:
    """Nothing that it sends may be logged as a fault."""
    with structlog.testing.capture_logs() as logs:
        yield Fuzzer(shop, acme)
    assert [each for each in logs if each["log_level"] == "error"] == []
