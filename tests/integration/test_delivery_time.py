from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from starship_core.access import Client
from starship_core.audit import By
from starship_core.catalogue import Catalogue, Product
from starship_core.clock import micros
from starship_core.database import json_rows
from starship_core.flows.import_products import import_products
from starship_core.flows.quote_charges import delivery_times, stock_of
from starship_core.model import NO_EXPIRY, Sku
from starship_core.new_order import earliest_expiry
from starship_core.ship import Ship
from starship_core.store.pooled import delivery_time, pooled
from starship_core.testing.clock import START, ManualClock

BY = By(actor="operator:ana")
PRODUCTS = """code,name,category,currency,denominations
fixed,Fixed,Any,EUR,10;20
ranged,Ranged,Any,EUR,5-50
mixed,Mixed,Any,EUR,10;20-50
"""
INSERT = """
INSERT INTO vouchers (product_id, denomination, currency, state, sealed, key_id, fingerprint,
    origin, expires_at, created_at, updated_at)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), value->>2, value->>3, '', 'k1',
    value->>5, value->>5, cast(value->>4 AS bigint), 0, 0
FROM json_each($1)
"""
TEN, TWENTY = Sku(1, 1000, "EUR"), Sku(1, 2000, "EUR")


@pytest.fixture
async def ship(database: Any, clock: ManualClock, tmp_path: Path) -> Ship:
    found = SimpleNamespace(database=database, now=clock, catalogue=Catalogue(database, clock))
    (tmp_path / "p.csv").write_text(PRODUCTS)
    await import_products(tmp_path / "p.csv", BY, cast("Ship", found))
    return cast("Ship", found)


def client(min_validity_days: int = 0) -> Client:
    return Client(
        id=1, name="acme", credential_id=1, bulk_limit=10_000, default_wallet_id=None, wallets=(),
        min_validity_days=min_validity_days, orders_per_minute=None, reads_per_minute=None,
        environment="test",
    )  # fmt: skip


async def stock(
    ship: Ship, sku: Sku, count: int = 1, *, state: str = "pooled", expires: datetime = NO_EXPIRY
) -> None:
    rows = (
        (*sku_row(sku), state, micros(expires), f"{sku}-{state}-{expires}-{i}")
        for i in range(count)
    )
    await insert(ship, rows)


def sku_row(sku: Sku) -> tuple[int, int, str]:
    return sku.product_id, sku.denomination, sku.currency


async def insert(ship: Ship, rows: Iterable[tuple[Any, ...]]) -> None:
    await ship.database.run(lambda tx: tx.execute(INSERT, json_rows(rows)))


async def count(ship: Ship, *skus: Sku, floor: datetime = START, at_most: int = 50) -> Any:
    return await ship.database.read(
        lambda tx: pooled(tx, skus, valid_beyond=floor, at_most=at_most)
    )


async def test_only_pooled_units_beyond_the_floor_count(ship: Ship) -> None:
    """The very rows that the claim may take: the expiry must lie after the floor, not on it."""
    for state in ("received", "blocked", "expired", "quarantined"):
        await stock(ship, TEN, state=state)
    await stock(ship, TEN, expires=START)
    assert await count(ship, TEN) == {TEN: 0}
    await stock(ship, TEN, expires=START + timedelta(microseconds=1))
    await stock(ship, TEN, 2)
    assert await count(ship, TEN) == {TEN: 3}
    assert await count(ship, TEN, floor=START + timedelta(days=1)) == {TEN: 2}


async def test_each_sku_is_counted_alone_and_up_to_the_bound(ship: Ship) -> None:
    """Product, denomination and currency all belong to the question."""
    await stock(ship, TEN, 60)
    await stock(ship, TWENTY, 2)
    skus = (TEN, TWENTY, Sku(1, 1000, "USD"), Sku(2, 1000, "EUR"), Sku(9, 1, "EUR"))
    assert await count(ship, *skus) == dict(zip(skus, (50, 2, 0, 0, 0), strict=True))
    assert await count(ship, *skus, at_most=1) == dict(zip(skus, (1, 1, 0, 0, 0), strict=True))
    assert await count(ship) == {}


@pytest.mark.parametrize(
    ("found", "quantity", "expected"),
    [(0, 1, "DELAYED"), (1, 1, "INSTANT"), (49, 50, "DELAYED"), (50, 50, "INSTANT"),
     (50, 51, "DELAYED"), (51, 51, "DELAYED")],
)  # fmt: skip
def test_instant_is_enough_units_and_at_most_fifty(
    found: int, quantity: int, expected: str
) -> None:
    """More than 50 is a bulk order, which is always PENDING first."""
    assert delivery_time(found, quantity) == expected


async def test_a_product_is_instant_only_if_everything_it_offers_is(ship: Ship) -> None:
    """One denomination without stock, or a range, and a list says DELAYED."""
    products = list((await ship.catalogue.current()).products.values())
    assert await delivery_times(products, client(), ship) == dict.fromkeys((1, 2, 3), "DELAYED")
    for product_id in (1, 2, 3):
        await stock(ship, Sku(product_id, 1000, "EUR"))
    assert await delivery_times(products, client(), ship) == dict.fromkeys((1, 2, 3), "DELAYED")
    await stock(ship, TWENTY)
    assert await delivery_times(products, client(), ship) == {
        1: "INSTANT",
        2: "DELAYED",
        3: "DELAYED",
    }


async def test_a_clients_minimum_validity_decides_what_it_is_told(ship: Ship) -> None:
    """Two clients are told different things of the same stock: each what its order would meet."""
    await stock(ship, TEN, expires=START + timedelta(days=30))
    await stock(ship, TWENTY, expires=START + timedelta(days=30))
    product: Product = (await ship.catalogue.current()).products[1]
    assert await stock_of(product, client(), ship) == {TEN: 1, TWENTY: 1}
    assert await stock_of(product, client(30), ship) == {TEN: 0, TWENTY: 0}
    assert earliest_expiry(ship.now(), client(29)) == START + timedelta(days=29, minutes=1)
    assert await stock_of(product, client(29), ship) == {TEN: 1, TWENTY: 1}
