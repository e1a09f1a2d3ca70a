"""What tests of the flows share: a deployment with three products, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from starship_core.access import Client
from starship_core.testing.clock import ManualClock
from tests.integration.ships import Dock, add_products, docked, written


@pytest.fixture
async def dock(
    database_url: str,
    redis_url: str,
    clock: ManualClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Dock]:
    """A deployment without clients or stock."""
    # a laden machine must not look like a hung Redis, which would lose what is put back
    monkeypatch.setattr("starship_core.pool.DEADLINE", 30)
    async with docked(written(tmp_path, database_url, redis_url), clock) as dock:
        await add_products(dock)
        yield dock


@pytest.fixture
async def acme(dock: Dock) -> Client:
    """A client with a wallet of 1,000.00 EUR."""
    return await dock.client()
