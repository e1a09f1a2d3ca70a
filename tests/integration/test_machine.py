"""Histories of everything an order can meet, on real databases; and three planted bugs, found."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import make_url

from starship_core.access import Client
from starship_core.model import Order
from starship_core.pool import Pool
from starship_core.store.change import refund
from starship_core.testing.clock import ManualClock
from tests.integration.ships import add_products, docked, written

pytest.register_assert_rewrite("tests.integration.voyage")
from tests.integration.voyage import DAYS, MONEY, Log, Voyage, World  # noqa: E402  # see above

STEPS = 50
HISTORIES = {"sqlite": 45, "postgresql": 12}
"""Of each part: 4 × 45 + 2 × 12 = 204 in all."""
PARTS = [("sqlite", part) for part in range(4)] + [("postgresql", part) for part in (4, 5)]
BUG_HISTORIES = 40
"""Within so many a planted bug must show; it takes a handful."""
REACHED = {
    "DELIVERED", "PENDING", "bulk", "refused", "replayed", "replayed in flight", "key reused",
    "retried to DELIVERED", "retried to PARTIALLY_DELIVERED", "retried to PENDING", "cancelled",
    "refunded", "replaced", "blocked",
}  # fmt: skip


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Of a test that is not asynchronous itself, because hypothesis drives it."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def world(
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Products and three clients in one database; every history begins with a copy of it."""
    monkeypatch.setattr("starship_core.pool.DEADLINE", 30)  # a laden machine is not a hung Redis
    clients = loop.run_until_complete(prepared(written(tmp_path, database_url, redis_url)))
    copies = Copies(database_url, loop)
    numbers = count(1)

    def fresh() -> Path:
        folder = tmp_path / f"history-{next(numbers)}"
        folder.mkdir()
        (folder / "keys").symlink_to(tmp_path / "keys")
        return written(folder, copies.copy(folder), redis_url)

    yield World(loop=loop, fresh=fresh, clients=clients, log=Log())
    copies.drop()


async def prepared(file: Path) -> tuple[Client, ...]:
    """What every history finds."""
    async with docked(file, ManualClock()) as dock:
        await add_products(dock)
        given = enumerate(zip(MONEY, DAYS, strict=True))
        return tuple(
            [
                await dock.client(f"client-{n}", {"EUR": amount}, min_validity_days=days)
                for n, (amount, days) in given
            ]
        )


class Copies:
    """Copies of a database that nobody is connected to; one at a time exists."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.url = make_url(url)
        self.loop = loop
        self.last: str | None = None

    def copy(self, folder: Path) -> str:
        if self.url.get_backend_name() == "sqlite":
            file = folder / "own.db"
            shutil.copyfile(str(self.url.database), file)
            return f"sqlite:///{file}"
        self.drop()
        self.last = f"{self.url.database}_copy"
        self._command(f'CREATE DATABASE "{self.last}" TEMPLATE "{self.url.database}"')
        return self.url.set(database=self.last).render_as_string(hide_password=False)

    def drop(self) -> None:
        if self.last is not None:
            self._command(f'DROP DATABASE "{self.last}" WITH (FORCE)')
            self.last = None

    def _command(self, statement: str) -> None:
        async def work() -> None:
            server = self.url.set(database="postgres").render_as_string(hide_password=False)
            connection = await asyncpg.connect(server)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        self.loop.run_until_complete(work())


def sail(world: World, number: int, histories: int) -> None:
    """That many histories, the same in every run. Raises what a broken invariant raises."""
    machine = seed(number)(type("Machine", (Voyage,), {"world": world}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
        ),
    )


@pytest.mark.parametrize(("database_kind", "part"), PARTS)
def test_histories(world: World, database_kind: str, part: int) -> None:
    """Whatever the order of steps, every invariant holds after each, and the model is right."""
    whole = 0
    numbers = count(100 * part)
    while whole < HISTORIES[database_kind]:  # hypothesis cuts some histories short
        sail(world, next(numbers), 12)
        whole = sum(steps >= STEPS for steps in world.log.histories)
    assert (REACHED - set(world.log.seen) == set()) or database_kind == "postgresql"


def skip_the_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_pool: Pool, _entries: object) -> None:
        """Suggestions that were not used are forgotten."""

    monkeypatch.setattr(Pool, "put_back", nothing)


def forget_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    def long_ago(now: datetime, _client: Client) -> datetime:
        return now - timedelta(days=10_000)

    monkeypatch.setattr("starship_core.new_order.earliest_expiry", long_ago)


def refund_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(tx: Any, order: Order, minor: int, wallet: Any, *, key: str, at: Any) -> Order:
        once = refund(tx, order, minor, wallet, key=key, at=at)
        return refund(tx, once, minor, wallet, key=f"{key}:again", at=at)

    monkeypatch.setattr("starship_core.flows.refund_order.refund", twice)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("plant", "where"),
    [(skip_the_put_back, "Redis misses"), (forget_expiry, "."), (refund_twice, ".")],
)  # fmt: skip
def test_planted_bugs_are_found(
    world: World,
    plant: Callable[[pytest.MonkeyPatch], None],
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine is worth something: each of three bugs breaks what it checks."""
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=where):
        sail(world, 0, BUG_HISTORIES)
