"""POST /orders as a flow: hits, misses, bulk, refusals, replays, and what each leaves behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import redis

from starship_core.access import Client
from starship_core.clock import micros
from starship_core.errors import (
    InsufficientFunds,
    InvalidInput,
    KeyReused,
    NotFound,
    ReferenceTaken,
    Unavailable,
    WrongState,
)
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.move_money import credit_wallet
from starship_core.flows.place_order import Replayed
from starship_core.flows.read_order import Asker, read_order
from starship_core.flows.refund_order import refund_order
from starship_core.model import NO_EXPIRY, Money
from starship_core.store.write import Placed
from starship_core.testing.clock import START, ManualClock
from starship_core.vault import MissingKey, Unsealable
from tests.integration.ships import ANA, CARD, DINAR, SMALL, YEN, Dock


def after(days: float) -> datetime:
    return START + timedelta(days=days)


async def test_a_hit(dock: Dock, acme: Client) -> None:
    """In one transaction: order, items, vouchers, money, events, the reveal's audit row."""
    ids = await dock.stock(3)
    placed = await dock.place(acme, "key-0001", quantity=2, ref="acme-77", email="a@b.example")
    order = placed.order
    assert (order.status, order.sub_status, order.delivery_time) == (
        "DELIVERED", "COMPLETED", "INSTANT",
    )  # fmt: skip
    assert [unit.id for unit in placed.units] == ids[:2]
    assert [unit.code.card_number.reveal() for unit in placed.units if unit.code.card_number] == [
        "CODE-u1", "CODE-u2",
    ]  # fmt: skip
    stored = await dock.order(order.id)
    assert stored == msgspec.structs.replace(
        order, transaction_id=0, request_id="", credential_id=0
    )
    assert await dock.sql(
        "SELECT ordinal, status, share, refunded, settled_at IS NOT NULL FROM items"
        " WHERE order_id = $1 ORDER BY ordinal", order.id,
    ) == [(1, "DELIVERED", 2500, 0, True), (2, "DELIVERED", 2500, 0, True)]  # fmt: skip
    assert await dock.sql(
        "SELECT id, state, order_id, ordinal FROM vouchers ORDER BY id"
    ) == [
        (ids[0], "assigned", order.id, 1), (ids[1], "assigned", order.id, 2),
        (ids[2], "pooled", None, None),
    ]  # fmt: skip
    assert await dock.sql(
        "SELECT id, wallet_id, transaction_type, status, amount, currency, balance_after"
        " FROM transactions WHERE order_id = $1",
        order.id,
    ) == [(order.transaction_id, order.wallet_id, "DEBIT", "COMPLETED", 5000, "EUR", 95_000)]
    assert await dock.balance(acme) == 95_000
    assert await dock.events(order.id) == [("order.created", 1), ("order.delivered", 1)]
    assert await dock.sql(
        "SELECT actor, action, request_id FROM audit WHERE subject = $1", f"order:{order.id}"
    ) == [(f"credential:{acme.credential_id}", "reveal", "req-key-0001")]
    await dock.sound()


async def test_a_miss(dock: Dock, acme: Client) -> None:
    """Too few: parked whole, paid, nothing assigned, and what was suggested is offered again."""
    await dock.stock(2)
    placed = await dock.place(acme, "key-0001", quantity=3)
    order = placed.order
    assert (order.status, order.sub_status, order.pending_items, order.delivered_quantity) == (
        "PENDING", "VENDOR_ORDER_PENDING", 3, 0,
    )  # fmt: skip
    assert placed.units == ()
    assert await dock.balance(acme) == 100_000 - 7500
    assert await dock.events(order.id) == [("order.created", 1), ("order.pending", 1)]
    assert await dock.sql(
        "SELECT status, count(*) FROM items WHERE order_id = $1 GROUP BY status", order.id
    ) == [("PENDING", 3)]
    assert await dock.sql("SELECT count(*) FROM audit WHERE action = 'reveal'") == [(0,)]
    assert len(await dock.on_sale()) == 2
    await dock.sound()


def pops(redis_url: str) -> int:
    """How often anything was asked to be suggested."""
    with redis.Redis.from_url(redis_url) as client:
        return int(client.info("commandstats").get("cmdstat_zpopmin", {"calls": 0})["calls"])


@pytest.mark.parametrize("quantity", [51, 600])
async def test_bulk_waits_for_its_first_retry(dock: Dock, redis_url: str, quantity: int) -> None:
    """More than 50: paid, no items, nothing suggested, however full the pool is."""
    await dock.stock(60, SMALL)
    rich = await dock.client("rich", {"EUR": "9000.00"})
    popped = pops(redis_url)
    placed = await dock.place(rich, "key-0001", SMALL, quantity)
    assert pops(redis_url) == popped
    order = placed.order
    assert (order.status, order.sub_status, order.pending_items) == ("PENDING", "INITIAL", 0)
    assert await dock.sql("SELECT count(*) FROM items") == [(0,)]
    assert await dock.balance(rich) == 900_000 - 1000 * quantity
    assert await dock.events(order.id) == [("order.created", 1), ("order.pending", 1)]
    assert len(await dock.on_sale(SMALL)) == 60
    await dock.sound()


async def test_nothing_is_kept_of_a_refusal(dock: Dock, acme: Client) -> None:
    """Short of money: no order, no posting; the vouchers are offered again, the key is free."""
    await dock.stock(3, CARD)
    poor = await dock.client("poor", {"EUR": "49.99"})
    with pytest.raises(InsufficientFunds):
        await dock.place(poor, "key-0001", quantity=2)
    assert await dock.sql("SELECT count(*) FROM orders") == [(0,)]
    assert await dock.balance(poor) == 4999
    await dock.sound()
    cheaper = await dock.place(poor, "key-0001", quantity=1)
    assert cheaper.order.status == "DELIVERED"
    assert await dock.balance(poor) == 2499


async def test_a_replay_is_the_same_order(dock: Dock, acme: Client) -> None:
    """Nothing is debited, nothing taken; the order is shown as it stands now."""
    await dock.stock(2)
    placed = await dock.place(acme, "key-0001")
    assert await dock.ask(acme, "key-0001") == Replayed(placed.order.id)
    assert await dock.balance(acme) == 97_500
    assert len(await dock.on_sale()) == 1
    view = await read_order(placed.order.id, Asker(acme, "req-again"), dock.ship)
    assert [(n, unit.code) for n, unit in view.units] == [(1, placed.units[0].code)]
    assert await dock.sql("SELECT request_id FROM audit WHERE action = 'reveal' ORDER BY id") == [
        ("req-key-0001",),
        ("req-again",),
    ]
    await dock.sound()


@pytest.mark.parametrize(
    "other",
    [
        {"quantity": 2},
        {"sku": SMALL},
        {"ref": "r"},
        {"email": "b@c.example"},
        {"metadata": '{"a":1}'},
    ],
)
async def test_another_request_under_the_key(
    dock: Dock, acme: Client, other: dict[str, Any]
) -> None:
    """Whatever differs: refused, and the first order stays alone."""
    await dock.place(acme, "key-0001")
    with pytest.raises(KeyReused):
        await dock.ask(acme, "key-0001", **other)
    assert await dock.sql("SELECT count(*) FROM orders") == [(1,)]


async def test_keys_and_refs_are_a_clients_own(dock: Dock, acme: Client) -> None:
    """Two clients may use one key and one ref; one client may use a ref once."""
    other = await dock.client("other")
    await dock.place(acme, "key-0001", ref="r-1")
    await dock.place(other, "key-0001", ref="r-1")
    with pytest.raises(ReferenceTaken):
        await dock.ask(acme, "key-0002", ref="r-1")
    assert await dock.balance(acme) == 97_500


async def test_a_replay_meets_no_refusal_of_today(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """The product is off, so is the wallet, the quantity is above the limit: the same order."""
    placed = await dock.place(acme, "key-0001", quantity=40)
    await dock.change("UPDATE products SET is_active = 0")
    await dock.change("UPDATE counters SET value = value + 1 WHERE name = 'catalogue'")
    await dock.change("UPDATE wallets SET is_active = 0")
    clock.advance(days=400)
    dock.ship.catalogue._confirmed = dock.ship.catalogue._next_look = 0.0
    limited = msgspec.structs.replace(
        acme, bulk_limit=1, wallets=(msgspec.structs.replace(acme.wallets[0], is_active=False),)
    )
    assert await dock.ask(limited, "key-0001", quantity=40) == Replayed(placed.order.id)
    with pytest.raises(InvalidInput):
        await dock.ask(limited, "key-0002")
    with pytest.raises(KeyReused):
        await dock.ask(limited, "key-0001", quantity=39)


@pytest.mark.parametrize("hint", ["all", "none"])
async def test_first_expired_first_out(dock: Dock, acme: Client, hint: str) -> None:
    """The earliest expiry goes first, whatever came first; what never expires goes last."""
    never = (await dock.stock(1))[0]
    late = await dock.stock(1, expires_at=after(9))
    early = await dock.stock(1, expires_at=after(5))
    if hint == "none":
        await dock.ship.pool.drop(CARD, [never, *late, *early])
    order = [(await dock.place(acme, f"key-000{n}")).units[0].id for n in range(3)]
    assert order == [early[0], late[0], never]
    assert await dock.sql("SELECT max(expires_at) FROM vouchers") == [(micros(NO_EXPIRY),)]


async def test_minimum_validity(dock: Dock, acme: Client) -> None:
    """A client who wants 30 days is not given less; what it passed over serves others first."""
    strict = await dock.client("strict", min_validity_days=30)
    (soon,) = await dock.stock(1, expires_at=after(10))
    assert (await dock.place(strict, "key-0001")).order.status == "PENDING"
    await dock.sound()
    (later,) = await dock.stock(1, expires_at=after(31))
    assert [u.id for u in (await dock.place(strict, "key-0002")).units] == [later]
    await dock.sound()
    assert [u.id for u in (await dock.place(acme, "key-0001")).units] == [soon]
    await dock.sound()


async def test_the_minute_of_expiry(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """What expires within the running minute is not sold any more, pumped out or not."""
    clock.advance(seconds=30)
    await dock.stock(1, expires_at=clock() + timedelta(seconds=20))
    assert (await dock.place(acme, "key-0001")).order.status == "PENDING"
    clock.advance(minutes=2)
    assert (await dock.place(acme, "key-0002")).order.status == "PENDING"


async def test_other_currencies(dock: Dock) -> None:
    """Face value in yen and dinar, debit in euro, converted once; shares sum to the debit."""
    client = await dock.client("far")
    await dock.stock(3, YEN)
    await dock.stock(3, DINAR)
    yen = await dock.place(client, "key-0001", YEN, 3)
    dinar = await dock.place(client, "key-0002", DINAR, 3)
    assert yen.order.charged.text == "18.75"  # 3,000 / 160
    assert dinar.order.charged.text == "45.45"  # 15.000 / 0.33, rounded once
    assert await dock.sql("SELECT share FROM items WHERE order_id = $1", yen.order.id) == [
        (625,), (625,), (625,),
    ]  # fmt: skip
    assert await dock.sql(
        "SELECT source_currency, destination_currency, forex_source FROM transactions"
        " WHERE order_id IS NOT NULL"
    ) == [("JPY", "EUR", "fx-fixed"), ("KWD", "EUR", "fx-fixed")]  # fmt: skip
    await dock.sound()


@pytest.mark.parametrize("hint", ["all", "none"])
async def test_a_code_that_does_not_open(dock: Dock, acme: Client, hint: str) -> None:
    """It goes to quarantine, out of the pool, and the claim takes the next: the order is a hit."""
    bad, good, last = await dock.stock(3)
    await dock.change("UPDATE vouchers SET sealed = 'AAAA' || sealed WHERE id = $1", bad)
    if hint == "none":
        await dock.ship.pool.drop(CARD, [bad, good, last])
    placed = await dock.place(acme, "key-0001")
    assert [unit.id for unit in placed.units] == [good]
    assert await dock.sql("SELECT state, state_reason FROM vouchers WHERE id = $1", bad) == [
        ("quarantined", "does not open")
    ]
    assert bad not in await dock.ship.pool.members(CARD)
    assert (await dock.place(acme, "key-0002")).units[0].id == last


async def test_a_swapped_code_is_never_delivered(dock: Dock, acme: Client) -> None:
    """A ciphertext moved from another row does not open, so nobody gets another's code."""
    first, second = await dock.stock(2)
    await dock.change(
        "UPDATE vouchers SET sealed = (SELECT sealed FROM vouchers AS o WHERE o.id = $2)"
        " WHERE id = $1", first, second,
    )  # fmt: skip
    placed = await dock.place(acme, "key-0001")
    assert [unit.id for unit in placed.units] == [second]


async def test_a_key_that_is_missing_quarantines_nothing(dock: Dock, acme: Client) -> None:
    """A key file not on this machine is nobody's fault: 503, and the vouchers stay on sale."""
    await dock.stock(1)
    await dock.change("UPDATE vouchers SET key_id = 'k9-00000000'")
    with pytest.raises(MissingKey):
        await dock.place(acme, "key-0001")
    assert issubclass(MissingKey, Unavailable)
    assert not issubclass(MissingKey, Unsealable)
    assert len(await dock.on_sale()) == 1
    assert await dock.sql("SELECT count(*) FROM orders") == [(0,)]


async def test_redis_is_never_believed(dock: Dock, acme: Client) -> None:
    """Strangers, sold, blocked and other products' ids: none is delivered, each is seen once."""
    sold, blocked, good = await dock.stock(3)
    (other,) = await dock.stock(1, SMALL)
    await dock.place(acme, "key-0001")
    await dock.change("UPDATE vouchers SET state = 'blocked' WHERE id = $1", blocked)
    await dock.ship.pool.load(CARD, [(n, 1) for n in (sold, blocked, other, 999_999)])
    placed = await dock.place(acme, "key-0002", quantity=1)
    assert [unit.id for unit in placed.units] == [good]
    assert (await dock.place(acme, "key-0003", quantity=4)).order.status == "PENDING"
    assert await dock.ship.pool.members(CARD) <= {other}
    assert (await dock.place(acme, "key-0004", SMALL)).units[0].id == other


async def test_an_empty_redis_is_only_slow(dock: Dock, acme: Client) -> None:
    """Flushed: every order is a hit all the same, from SQL alone."""
    ids = await dock.stock(5)
    await dock.ship.pool.drop(CARD, ids)
    placed = [await dock.place(acme, f"key-{n:04}") for n in range(5)]
    assert [each.units[0].id for each in placed] == ids


async def test_200_at_once(dock: Dock) -> None:
    """All of one moment, stock for 150 units: as many delivered as fit, no code twice."""
    rich = await dock.client("rich", {"EUR": "9000.00"})
    await dock.stock(150)
    placed = await asyncio.gather(
        *(dock.place(rich, f"key-{n:04}", quantity=1 + n % 2) for n in range(120))
    )
    units = Counter(unit.id for each in placed for unit in each.units)
    assert set(units.values()) == {1}
    assert len(units) in (149, 150)  # one may be left when only pairs still wait
    assert await dock.balance(rich) == 900_000 - 180 * 2500
    await dock.sound()


async def test_one_key_at_once(dock: Dock, acme: Client) -> None:
    """Thirty equal requests in flight: one order, the others are replays of it."""
    await dock.stock(30)
    outcomes = await asyncio.gather(*(dock.ask(acme, "key-0001") for _ in range(30)))
    (placed,) = [each for each in outcomes if isinstance(each, Placed)]
    assert outcomes.count(Replayed(placed.order.id)) == 29
    assert len(await dock.on_sale()) == 29
    assert await dock.balance(acme) == 97_500
    await dock.sound()


async def test_mixed_batch(dock: Dock, acme: Client) -> None:
    """Strict and lax, rich and poor, bulk and single, equal refs, in flight together."""
    await credit_wallet(
        dock.ship, acme.wallets[0].id, Money(200_000, "EUR"), reference="more", by=ANA
    )
    strict = await dock.client("strict", min_validity_days=30)
    poor = await dock.client("poor", {"EUR": "20.00"})
    early = await dock.stock(2, expires_at=after(10))
    late = await dock.stock(2, expires_at=after(40))
    outcomes = await asyncio.gather(
        dock.place(
            acme, "key-warm", SMALL
        ),  # holds the committer, so that the others share a batch
        dock.place(acme, "key-0001", quantity=2),
        dock.place(strict, "key-0001", quantity=2),
        dock.place(poor, "key-0001"),
        dock.place(acme, "key-0002", quantity=51),
        dock.place(strict, "key-0002", ref="same"),
        dock.place(strict, "key-0003", ref="same"),
        return_exceptions=True,
    )
    _, lax, wants_late, refused, bulk, missed, taken = outcomes
    assert isinstance(lax, Placed)
    assert isinstance(wants_late, Placed)
    assert isinstance(bulk, Placed)
    assert isinstance(missed, Placed)
    assert [unit.id for unit in lax.units] == early
    assert [unit.id for unit in wants_late.units] == late
    assert isinstance(refused, InsufficientFunds)
    assert (bulk.order.sub_status, missed.order.status) == ("INITIAL", "PENDING")
    assert isinstance(taken, ReferenceTaken)
    await dock.sound()


async def test_a_free_order(dock: Dock) -> None:
    """A discount of 100 per cent: delivered and cancelled without a penny moving either way."""
    friend = await dock.client("friend", {"EUR": "0.00"})
    await dock.stock(1)
    by_product = "INSERT INTO client_discounts (client_id, product_id, discount) VALUES ($1, 1, $2)"
    await dock.change(by_product, friend.id, "100")
    await dock.change("UPDATE counters SET value = value + 1 WHERE name = 'catalogue'")
    dock.ship.catalogue._confirmed = dock.ship.catalogue._next_look = 0.0
    hit = await dock.place(friend, "key-0001")
    miss = await dock.place(friend, "key-0002")
    assert (hit.order.status, miss.order.status) == ("DELIVERED", "PENDING")
    assert (await cancel_order(miss.order.id, ANA, dock.ship)).refunded == 0
    with pytest.raises(WrongState):
        await refund_order(hit.order.id, ANA, dock.ship)
    assert await dock.sql("SELECT transaction_type, amount FROM transactions") == [
        ("DEBIT", 0), ("DEBIT", 0),
    ]  # fmt: skip
    await dock.sound()


async def test_a_hit_is_only_read_by_its_client(dock: Dock, acme: Client) -> None:
    """Whoever asks by another client's id finds nothing."""
    await dock.stock(1)
    placed = await dock.place(acme, "key-0001")
    other = await dock.client("other")
    with pytest.raises(NotFound):
        await read_order(placed.order.id, Asker(other, "r"), dock.ship)
