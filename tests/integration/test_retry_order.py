"""Retry: what the pool has now, partial allowed; bulk in chunks that can be stopped and resumed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from starship_core.access import Client
from starship_core.errors import NotFound, WrongState
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.read_order import Asker, read_order
from starship_core.flows.retry_order import CHUNK, retry_order
from starship_core.model import Order, Sku
from starship_core.pool import Pool
from starship_core.suggestions import Hints, suggestions
from starship_core.testing.clock import START, ManualClock
from tests.integration.ships import ANA, CARD, DINAR, SMALL, Dock


@pytest.fixture
async def rich(dock: Dock) -> Client:
    """Someone with 90,000.00 EUR."""
    return await dock.client("rich", {"EUR": "90000.00"})


async def test_retry_delivers_all(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """A miss, a pump, a retry: delivered, nothing debited again, announced under a new revision."""
    placed = await dock.place(acme, "key-0001", quantity=3)
    clock.advance(minutes=5)
    ids = await dock.stock(4)
    order = await retry_order(placed.order.id, ANA, dock.ship)
    assert (order.status, order.sub_status, order.revision) == ("DELIVERED", "COMPLETED", 2)
    assert (order.delivered_quantity, order.pending_items, order.from_cache) == (3, 0, 3)
    assert order.delivered_at == START + timedelta(minutes=5)
    assert await dock.order(order.id) == order
    assert await dock.events(order.id) == [
        ("order.created", 1), ("order.pending", 1), ("order.delivered", 2),
    ]  # fmt: skip
    assert await dock.balance(acme) == 92_500
    assert await dock.on_sale() == {ids[3]}
    view = await read_order(order.id, Asker(acme, "r"), dock.ship)
    assert [(ordinal, unit.id) for ordinal, unit in view.units] == list(enumerate(ids[:3], start=1))
    await dock.sound()


async def test_retry_delivers_some(dock: Dock, acme: Client) -> None:
    """Two of three: partially delivered, announced once; nothing more, and it says nothing more."""
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    await dock.stock(2)
    order = await retry_order(order_id, ANA, dock.ship)
    assert (order.status, order.sub_status) == ("PARTIALLY_DELIVERED", "PARTIAL")
    assert (order.delivered_quantity, order.pending_items) == (2, 1)
    again = await retry_order(order_id, ANA, dock.ship)
    assert (again.status, again.sub_status, again.revision) == (
        "PARTIALLY_DELIVERED", "PARTIAL", 3,
    )  # fmt: skip
    assert Counter(kind for kind, _ in await dock.events(order_id)) == {
        "order.created": 1, "order.pending": 1, "order.partially_delivered": 1,
    }  # fmt: skip
    await dock.stock(1)
    assert (await retry_order(order_id, ANA, dock.ship)).status == "DELIVERED"
    assert await dock.sql(
        "SELECT ordinal, status FROM items WHERE order_id = $1 ORDER BY ordinal", order_id
    ) == [(1, "DELIVERED"), (2, "DELIVERED"), (3, "DELIVERED")]
    await dock.sound()


async def test_retry_of_an_empty_pool(dock: Dock, acme: Client) -> None:
    """Nothing there: still pending, and no event."""
    order_id = (await dock.place(acme, "key-0001", quantity=2)).order.id
    order = await retry_order(order_id, ANA, dock.ship)
    assert (order.status, order.sub_status) == ("PENDING", "VENDOR_ORDER_PENDING")
    assert len(await dock.events(order_id)) == 2
    await dock.sound()


async def test_who_retried(dock: Dock, acme: Client) -> None:
    """One audit row: actor, reason, request, before and after."""
    order_id = (await dock.place(acme, "key-0001")).order.id
    await dock.stock(1)
    await retry_order(order_id, ANA, dock.ship)
    ((actor, action, reason, before, after, request),) = await dock.sql(
        "SELECT actor, action, reason, before, after, request_id FROM audit"
        " WHERE subject = $1", f"order:{order_id}",
    )  # fmt: skip
    assert (actor, action, reason, request) == ("operator:ana", "order.retry", "a test", "req-ana")
    assert '"status":"PENDING"' in before
    assert '"status":"DELIVERED"' in after


async def test_only_what_waits_is_retried(dock: Dock, acme: Client) -> None:
    """Delivered, cancelled, unknown: refused with what was found, nothing changed."""
    await dock.stock(1)
    delivered = (await dock.place(acme, "key-0001")).order.id
    with pytest.raises(WrongState, match="DELIVERED") as refused:
        await retry_order(delivered, ANA, dock.ship)
    assert refused.value.found == "DELIVERED"
    parked = (await dock.place(acme, "key-0002")).order.id
    await cancel_order(parked, ANA, dock.ship)
    with pytest.raises(WrongState, match="CANCELLED"):
        await retry_order(parked, ANA, dock.ship)
    with pytest.raises(NotFound):
        await retry_order(999, ANA, dock.ship)
    assert (await dock.order(delivered)).revision == 1


async def test_bulk_in_one_go(dock: Dock, rich: Client) -> None:
    """600: all items made at once, allocated in two chunks, delivered, announced once."""
    order_id = (await dock.place(rich, "key-0001", SMALL, 600)).order.id
    await dock.stock(610, SMALL)
    order = await retry_order(order_id, ANA, dock.ship)
    assert (order.status, order.delivered_quantity, order.from_cache) == ("DELIVERED", 600, 600)
    assert order.revision == 1 + 2
    assert await dock.events(order_id) == [
        ("order.created", 1), ("order.pending", 1), ("order.delivered", 3),
    ]  # fmt: skip
    assert await dock.sql(
        "SELECT count(*), count(DISTINCT ordinal), count(DISTINCT id) FROM vouchers"
        " WHERE order_id = $1 AND state = 'assigned'", order_id,
    ) == [(600, 600, 600)]  # fmt: skip
    assert await dock.sql(
        "SELECT count(*), CAST(sum(share) AS bigint) FROM items WHERE order_id = $1", order_id
    ) == [(600, 600_000)]
    assert await dock.sql("SELECT count(*) FROM audit WHERE action = 'order.retry'") == [(1,)]
    assert await dock.ship.pool.members(SMALL) == await dock.on_sale(SMALL)
    await dock.sound()


async def test_bulk_that_runs_dry(dock: Dock, rich: Client) -> None:
    """520 of 600: one `partially_delivered` for both chunks, 80 wait; the rest comes later."""
    order_id = (await dock.place(rich, "key-0001", SMALL, 600)).order.id
    await dock.stock(520, SMALL)
    order = await retry_order(order_id, ANA, dock.ship)
    assert (order.status, order.delivered_quantity, order.pending_items) == (
        "PARTIALLY_DELIVERED", 520, 80,
    )  # fmt: skip
    assert [kind for kind, _ in await dock.events(order_id)] == [
        "order.created", "order.pending", "order.partially_delivered",
    ]  # fmt: skip
    await dock.sound()
    await dock.stock(80, SMALL)
    assert (await retry_order(order_id, ANA, dock.ship)).status == "DELIVERED"
    await dock.sound()


async def test_bulk_shares_that_do_not_divide(dock: Dock, rich: Client) -> None:
    """772.73 EUR over 51 units: every share to the minor unit, and together the charge."""
    order = (await dock.place(rich, "key-0001", DINAR, 51)).order
    assert order.charged.text == "772.73"  # 255.000 / 0.33
    await retry_order(order.id, ANA, dock.ship)
    shares = [row[0] for row in await dock.sql("SELECT share FROM items")]
    assert (sum(shares), min(shares), max(shares)) == (77_273, 1515, 1516)
    await dock.sound()


async def test_bulk_without_stock(dock: Dock, rich: Client) -> None:
    """The first retry makes all items even when there is nothing to give: it never lies between."""
    order_id = (await dock.place(rich, "key-0001", SMALL, 51)).order.id
    order = await retry_order(order_id, ANA, dock.ship)
    assert (order.status, order.sub_status, order.pending_items) == (
        "PENDING", "VENDOR_ORDER_PENDING", 51,
    )  # fmt: skip
    assert await dock.sql("SELECT status, count(*) FROM items GROUP BY status") == [("PENDING", 51)]
    await dock.sound()


Act = Callable[[], Awaitable[object]]


@pytest.fixture
def between_chunks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Act], None]:
    """`between_chunks(act)`: done once, after the first chunk of a retry has committed."""
    chunks = Counter[str]()

    def planted(act: Act) -> None:
        @asynccontextmanager
        async def wrapped(pool: Pool, wanted: Mapping[Sku, int]) -> AsyncIterator[Hints]:
            chunks["begun"] += 1
            if chunks["begun"] == 2:
                await act()
            async with suggestions(pool, wanted) as hints:
                yield hints

        monkeypatch.setattr("starship_core.flows.retry_order.suggestions", wrapped)

    return planted


async def test_a_retry_that_dies_between_chunks(
    dock: Dock, rich: Client, between_chunks: Callable[[Act], None]
) -> None:
    """What the first chunk delivered stays; a second retry goes on, and announces the end once."""

    async def die() -> None:
        raise ZeroDivisionError

    order_id = (await dock.place(rich, "key-0001", SMALL, 600)).order.id
    await dock.stock(600, SMALL)
    between_chunks(die)
    with pytest.raises(ZeroDivisionError):
        await retry_order(order_id, ANA, dock.ship)
    halfway = await dock.order(order_id)
    assert (halfway.status, halfway.sub_status, halfway.delivered_quantity) == (
        "PARTIALLY_DELIVERED", "VENDOR_ORDER_PENDING", CHUNK,
    )  # fmt: skip
    await dock.sound()
    assert (await retry_order(order_id, ANA, dock.ship)).status == "DELIVERED"
    assert [kind for kind, _ in await dock.events(order_id)] == [
        "order.created", "order.pending", "order.delivered",
    ]  # fmt: skip
    await dock.sound()


async def test_a_dead_retry_with_nothing_left(
    dock: Dock, rich: Client, between_chunks: Callable[[Act], None]
) -> None:
    """It died after its only chunk could be filled: the next one tells that it is partial."""

    async def die() -> None:
        raise ZeroDivisionError

    order_id = (await dock.place(rich, "key-0001", SMALL, 600)).order.id
    await dock.stock(CHUNK, SMALL)
    between_chunks(die)
    with pytest.raises(ZeroDivisionError):
        await retry_order(order_id, ANA, dock.ship)
    assert len(await dock.events(order_id)) == 2
    order = await retry_order(order_id, ANA, dock.ship)
    assert (order.status, order.sub_status) == ("PARTIALLY_DELIVERED", "PARTIAL")
    assert [kind for kind, _ in await dock.events(order_id)][2:] == ["order.partially_delivered"]
    await dock.sound()


async def test_a_cancel_stops_a_retry(
    dock: Dock, rich: Client, between_chunks: Callable[[Act], None]
) -> None:
    """Between two chunks: what was delivered stays, the rest is refunded, the retry ends."""
    order_id = (await dock.place(rich, "key-0001", SMALL, 600)).order.id
    await dock.stock(600, SMALL)
    between_chunks(lambda: cancel_order(order_id, ANA, dock.ship))
    with pytest.raises(WrongState, match="CANCELLED"):
        await retry_order(order_id, ANA, dock.ship)
    order = await dock.order(order_id)
    assert (order.status, order.sub_status, order.delivered_quantity, order.refunded) == (
        "CANCELLED", "PARTIAL", CHUNK, 100_000,
    )  # fmt: skip
    assert len(await dock.on_sale(SMALL)) == 100
    assert await dock.balance(rich) == 9_000_000 - 1000 * CHUNK
    await dock.sound()


async def test_two_retries_at_once(dock: Dock, rich: Client) -> None:
    """They share the work or one finds it done: no item twice, no voucher twice."""
    order_id = (await dock.place(rich, "key-0001", SMALL, 600)).order.id
    await dock.stock(700, SMALL)
    outcomes = await asyncio.gather(
        *(retry_order(order_id, ANA, dock.ship) for _ in range(3)), return_exceptions=True
    )
    assert [o for o in outcomes if not isinstance(o, (WrongState, Order))] == []
    assert (await dock.order(order_id)).status == "DELIVERED"
    assert len(await dock.on_sale(SMALL)) == 100
    assert [kind for kind, _ in await dock.events(order_id)].count("order.delivered") == 1
    await dock.sound()


async def test_retries_and_orders_compete(dock: Dock, rich: Client) -> None:
    """Stock for all: retried or placed at the same moment, nobody is left pending."""
    waiting = [(await dock.place(rich, f"old-{n:04}", quantity=3)).order.id for n in range(10)]
    await dock.stock(60)
    retries = [retry_order(order_id, ANA, dock.ship) for order_id in waiting]
    placings = [dock.place(rich, f"new-{n:04}", quantity=3) for n in range(10)]
    retried, placed = await asyncio.gather(asyncio.gather(*retries), asyncio.gather(*placings))
    orders = [*retried, *(each.order for each in placed)]
    assert [order.status for order in orders] == ["DELIVERED"] * 20
    assert await dock.on_sale() == set()
    await dock.sound()


async def test_the_validity_counts_from_now(dock: Dock, clock: ManualClock) -> None:
    """Thirty days that were promised at the order are thirty days from the delivery."""
    strict = await dock.client("strict", min_validity_days=30)
    order_id = (await dock.place(strict, "key-0001")).order.id
    clock.advance(days=10)
    (soon,) = await dock.stock(1, expires_at=START + timedelta(days=35))
    assert (await retry_order(order_id, ANA, dock.ship)).status == "PENDING"
    (later,) = await dock.stock(1, expires_at=START + timedelta(days=41))
    assert (await retry_order(order_id, ANA, dock.ship)).status == "DELIVERED"
    assert await dock.on_sale() == {soon}
    assert later != soon
    await dock.sound()


async def test_a_code_that_does_not_open(dock: Dock, acme: Client) -> None:
    """Quarantined, and the retry takes the next."""
    order_id = (await dock.place(acme, "key-0001")).order.id
    bad, good = await dock.stock(2)
    await dock.change("UPDATE vouchers SET sealed = 'AAAA' WHERE id = $1", bad)
    assert (await retry_order(order_id, ANA, dock.ship)).status == "DELIVERED"
    assert await dock.sql("SELECT id, state FROM vouchers ORDER BY id") == [
        (bad, "quarantined"), (good, "assigned"),
    ]  # fmt: skip


async def test_only_its_own_sku(dock: Dock, acme: Client) -> None:
    """Another denomination of the same product is not what was ordered."""
    order_id = (await dock.place(acme, "key-0001", CARD)).order.id
    await dock.stock(3, SMALL)
    assert (await retry_order(order_id, ANA, dock.ship)).status == "PENDING"
    assert len(await dock.on_sale(SMALL)) == 3
