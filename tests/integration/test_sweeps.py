"""The core's own sweeps: retry, bulk orders left half way, expiry, rates, and how late."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from starship_core.access import Client
from starship_core.clock import micros
from starship_core.config import Config, RetrySection
from starship_core.errors import ConfigError, Unavailable
from starship_core.flows import retry_order as retrying
from starship_core.flows.expire_stock import oldest_expired, sweep_expiry
from starship_core.flows.pump_inventory import sweep_pump
from starship_core.flows.refresh_rates import sweep_rates
from starship_core.flows.retry_order import oldest_left, sweep_bulk, sweep_retry
from starship_core.fx import Rates
from starship_core.lease import leased
from starship_core.model import FxTable
from starship_core.ship import Ship
from starship_core.store.labour import Hand, polled
from starship_core.store.slots import SECOND
from starship_core.sweeps import SWEEPS, Sweep, look, registered
from starship_core.testing.clock import START, ManualClock
from tests.integration.ships import ANA, CARD, SMALL, Dock


def auto(config: Config) -> Config:
    return structs.replace(config, retry=RetrySection(auto=True))


@pytest.fixture
def eager(dock: Dock) -> Ship:
    """The deployment with `[retry] auto` on."""
    return replace(dock.ship, config=auto(dock.ship.config))


# --- auto-retry ------------------------------------------------------------------------------


async def test_auto_retry_is_off(dock: Dock, acme: Client) -> None:
    """DISABLE_AUTO_ORDER_RETRY=true is the default: stock arrives, and the order waits on."""
    placed = await dock.place(acme, "key-00001")
    before = await dock.order(placed.order.id)
    await dock.stock(1)
    assert await sweep_retry(dock.ship) == 0
    assert await dock.order(before.id) == before
    assert "retry" not in registered(dock.ship.config)
    assert "retry" in registered(auto(dock.ship.config))


async def test_auto_retry_serves_the_oldest_first(dock: Dock, acme: Client, eager: Ship) -> None:
    """Two of three get what there is; the third is left as it was, without a new revision."""
    placed = [await dock.place(acme, f"key-0000{n}") for n in range(3)]
    orders = [await dock.order(each.order.id) for each in placed]
    other = await dock.order((await dock.place(acme, "key-other", SMALL)).order.id)
    await dock.stock(2)
    assert await sweep_retry(eager) == 2
    after = [await dock.order(order.id) for order in orders]
    assert [order.status for order in after] == ["DELIVERED", "DELIVERED", "PENDING"]
    assert after[2] == orders[2]
    assert await dock.order(other.id) == other
    rows = await dock.sql("SELECT actor, action FROM audit WHERE action = 'order.retry'")
    assert rows == [("retry", "order.retry")] * 2
    assert await sweep_retry(eager) == 0
    await dock.sound()


async def test_auto_retry_goes_on_behind_its_batch(
    dock: Dock, acme: Client, eager: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is bounded; the next begins where it ended, so that nobody at the head holds up all."""
    monkeypatch.setattr(retrying, "AUTO_BATCH", 2)
    for n in range(3):
        await dock.place(acme, f"key-0000{n}")
    await dock.stock(3)
    assert [await sweep_retry(eager) for _ in range(3)] == [2, 1, 0]


async def test_auto_retry_minds_the_minimum_validity(dock: Dock, eager: Ship) -> None:
    """Stock that this client may not be given is no reason to touch its order."""
    picky = await dock.client("picky", min_validity_days=30)
    placed = await dock.place(picky, "key-00001")
    before = await dock.order(placed.order.id)
    await dock.stock(1, expires_at=START + timedelta(days=10))
    assert await sweep_retry(eager) == 0
    assert await dock.order(before.id) == before


TOLD = ["order.created", "order.pending", "order.delivered"]


@pytest.fixture
async def rich(dock: Dock) -> Client:
    return await dock.client("rich", {"EUR": "100000.00"})


async def test_a_bulk_order_gets_items_only_when_auto_retry_is_on(
    dock: Dock, rich: Client, eager: Ship
) -> None:
    """Off: it stays INITIAL, whatever the pump brings. On: its items are made and served."""
    order = (await dock.place(rich, "key-00001", quantity=60)).order
    await dock.stock(10)
    assert (await sweep_retry(dock.ship), await sweep_bulk(dock.ship)) == (0, 0)
    assert (await dock.order(order.id)).sub_status == "INITIAL"
    assert await dock.sql("SELECT count(*) FROM items") == [(0,)]
    assert await sweep_retry(eager) == 10
    found = await dock.order(order.id)
    assert (found.status, found.delivered_quantity, found.pending_items) == (
        "PARTIALLY_DELIVERED", 10, 50,
    )  # fmt: skip
    await dock.sound()


async def test_a_bulk_order_left_half_way_is_gone_on_with(
    dock: Dock, rich: Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between two chunks; half a minute later the sweep does the rest, and one
    event is told.
    """
    order = (await dock.place(rich, "key-00001", quantity=60)).order
    await dock.stock(60)
    real, chunks = retrying._allocate, 0

    def dies(*arguments: Any) -> Any:
        nonlocal chunks
        chunks += 1
        if chunks == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(retrying, "CHUNK", 25)
        patched.setattr(retrying, "_allocate", dies)
        with pytest.raises(KeyboardInterrupt):
            await retrying.retry_order(order.id, ANA, dock.ship)
    assert (await dock.order(order.id)).delivered_quantity == 25
    assert await sweep_bulk(dock.ship) == 0  # it may still be at work
    clock.advance(seconds=31)
    due = await dock.ship.database.read(oldest_left, micros(clock()))
    assert due == micros(clock()) - SECOND
    assert await sweep_bulk(dock.ship) == 1
    assert (await dock.order(order.id)).status == "DELIVERED"
    assert [kind for kind, _ in await dock.events(order.id)] == TOLD
    assert await dock.ship.database.read(oldest_left, micros(clock())) is None
    await dock.sound()


# --- expiry, pump, rates ---------------------------------------------------------------------


async def test_expiry_between_two_pumps(dock: Dock, clock: ManualClock) -> None:
    """Past its date a unit leaves the table's stock and Redis; the others stay."""
    (short,) = await dock.stock(1, expires_at=START + timedelta(minutes=10))
    (lasting,) = await dock.stock(1)
    clock.advance(minutes=10)
    now = micros(clock())
    assert await dock.ship.database.read(oldest_expired, now) == now
    assert await sweep_expiry(dock.ship) == 1
    assert await dock.ship.database.read(oldest_expired, now) is None
    assert await dock.on_sale() == {lasting}
    assert await dock.ship.pool.members(CARD) == {lasting}
    rows = await dock.sql("SELECT state FROM vouchers WHERE id = $1", short)
    assert rows == [("expired",)]
    assert await sweep_expiry(dock.ship) == 0


async def test_the_pump_on_time(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts what it changed, and leaves the work to a pump that is running already."""
    dock.shelf.put(3)
    assert await sweep_pump(dock.ship) == 3
    monkeypatch.setattr("starship_core.lease.PATIENCE", 0)
    async with leased("pump", dock.ship.database, dock.ship.now):
        assert await sweep_pump(dock.ship) == 0


class Provider:
    """Tells what it was asked; fails when it has nothing."""

    def __init__(self, *bases: str) -> None:
        self.bases, self.asked = bases, list[str]()

    async def rates(self, base: str) -> FxTable:
        self.asked.append(base)
        if base not in self.bases:
            raise Unavailable("down", retry_after=1)
        return FxTable(base=base, rates={"USD": Decimal("1.1")}, source="test", as_of=START)


def rates_of(dock: Dock, provider: Provider) -> Rates:
    hour = timedelta(hours=1)
    return Rates(provider, dock.ship.database, dock.ship.now, max_age=hour)


async def test_rates_are_there_before_they_are_needed(dock: Dock, clock: ManualClock) -> None:
    """The worker asks for what is sold to wallets of other currencies; a server then prices without
    waiting for its provider, which may be away.
    """
    await dock.client("abroad", {"EUR": "1.00"})
    worker, server = Provider("JPY", "KWD"), Provider()
    assert await sweep_rates(replace(dock.ship, fx=rates_of(dock, worker))) == 2
    assert worker.asked == ["JPY", "KWD"]
    found = await rates_of(dock, server).rate("JPY", "USD")
    assert (found.rate, found.source) == (Decimal("1.1"), "test")


async def test_a_provider_that_is_away_is_a_failed_sweep(dock: Dock) -> None:
    """The operator sees it fail; what came is kept."""
    await dock.client("abroad", {"EUR": "1.00"})
    with pytest.raises(Unavailable, match="no new exchange rates for KWD"):
        await sweep_rates(replace(dock.ship, fx=rates_of(dock, Provider("JPY"))))
    assert await dock.sql("SELECT base FROM fx_tables") == [("JPY",)]


# --- the registry ----------------------------------------------------------------------------


def test_every_sweep_says_when_it_is_due() -> None:
    """By its slots or by its oldest due thing, never neither; who is rung exists; names are one."""
    kinds = [sweep.kind for sweep in SWEEPS]
    assert len(set(kinds)) == len(kinds)
    for sweep in SWEEPS:
        assert (sweep.every is None) != (sweep.oldest_due is None), sweep.kind
        assert set(sweep.rings) <= set(kinds), sweep.kind


def test_an_unknown_kind_is_refused_by_name(dock: Dock) -> None:
    """A misspelt kind must not become a worker that does nothing."""
    with pytest.raises(ConfigError, match="there is no sweep pumps; there are: pump, retry,"):
        registered(dock.ship.config, ["pumps", "expiry"])


async def test_what_is_late_and_who_works(dock: Dock, clock: ManualClock) -> None:
    """Ages by the database's clock; five minutes are late; a worker not heard of is none."""

    async def nothing(_ship: Ship) -> int:
        return 0

    since = micros(START)
    old = Sweep(kind="old", about="", run=nothing, oldest_due=lambda _tx, _now: since)
    none = Sweep(kind="none", about="", run=nothing, oldest_due=lambda _tx, _now: None)
    hand = Hand(name="w", host="h", pid=1, started_at=since, polled_at=since, skew=0)
    await dock.ship.database.run(polled, hand)
    clock.advance(seconds=30)
    state = await look(dock.ship, {"old": old, "none": none})
    assert (state.age("old"), state.age("none"), state.oldest, state.overdue) == (30, None, 30, [])
    assert state.workers == []
    clock.advance(seconds=271)
    state = await look(dock.ship, {"old": old, "none": none})
    assert (state.oldest, state.overdue, state.skew) == (301, ["old"], 0)
