"""Replace: a bad code in a delivered item is blocked for good, and another is claimed."""

from __future__ import annotations

import asyncio

import pytest

from starship_core.access import Client
from starship_core.audit import By
from starship_core.errors import NotFound, WrongState
from starship_core.flows.pump_inventory import pump
from starship_core.flows.read_order import Asker, read_order
from starship_core.flows.refund_order import refund_order
from starship_core.flows.replace_voucher import replace_voucher
from tests.integration.ships import ANA, CARD, Dock


async def test_replace(dock: Dock, acme: Client) -> None:
    """The item shows the new code; the old row keeps the item for the record and is never sold."""
    first, second, third = await dock.stock(3)
    order_id = (await dock.place(acme, "key-0001", quantity=2)).order.id
    order = await replace_voucher(order_id, 1, ANA, dock.ship)
    assert (order.status, order.revision, order.delivered_quantity) == ("DELIVERED", 2, 2)
    assert await dock.sql(
        "SELECT id, state, state_reason, order_id, ordinal FROM vouchers ORDER BY id"
    ) == [
        (first, "blocked", "a test", order_id, 1), (second, "assigned", None, order_id, 2),
        (third, "assigned", None, order_id, 1),
    ]  # fmt: skip
    view = await read_order(order_id, Asker(acme, "r"), dock.ship)
    assert [(ordinal, unit.id) for ordinal, unit in view.units] == [(1, third), (2, second)]
    assert await dock.events(order_id) == [
        ("order.created", 1), ("order.delivered", 1), ("order.replaced", 2),
    ]  # fmt: skip
    ((before, after),) = await dock.sql(
        "SELECT before, after FROM audit WHERE action = 'order.replace'"
    )
    assert before == f'{{"item":1,"voucher":{first}}}'
    assert f'"voucher":{third}' in after
    assert await dock.balance(acme) == 95_000
    assert await dock.ship.pool.members(CARD) == set()
    await dock.sound()


async def test_a_blocked_one_never_comes_back(dock: Dock, acme: Client) -> None:
    """Not through the source that offers it again, not through a pump."""
    first, _ = await dock.stock(2)
    order_id = (await dock.place(acme, "key-0001")).order.id
    await replace_voucher(order_id, 1, ANA, dock.ship)
    dock.shelf.made = 0
    dock.shelf.put(2)  # the same references and codes once more
    await pump(dock.ship, by=ANA)
    assert await dock.sql("SELECT state FROM vouchers WHERE id = $1", first) == [("blocked",)]
    assert (await dock.place(acme, "key-0002")).order.status == "PENDING"
    await dock.sound()


async def test_no_other_in_the_pool(dock: Dock, acme: Client) -> None:
    """Refused, and nothing is changed: the bad one stays the item's only voucher."""
    await dock.stock(1)
    order_id = (await dock.place(acme, "key-0001")).order.id
    with pytest.raises(WrongState, match="no other voucher"):
        await replace_voucher(order_id, 1, ANA, dock.ship)
    assert await dock.sql("SELECT state FROM vouchers") == [("assigned",)]
    assert (await dock.order(order_id)).revision == 1
    await dock.sound()


async def test_only_a_delivered_item(dock: Dock, acme: Client) -> None:
    """A waiting order, an item that is not there, an unknown order: refused; the hint goes back."""
    waiting = (await dock.place(acme, "key-0001")).order.id
    await dock.stock(2)
    delivered = (await dock.place(acme, "key-0002")).order.id
    with pytest.raises(WrongState, match="PENDING"):
        await replace_voucher(waiting, 1, ANA, dock.ship)
    with pytest.raises(WrongState, match="holds no voucher"):
        await replace_voucher(delivered, 2, ANA, dock.ship)
    with pytest.raises(NotFound):
        await replace_voucher(999, 1, ANA, dock.ship)
    assert len(await dock.on_sale()) == 1
    await dock.sound()


async def test_again_and_again(dock: Dock, acme: Client) -> None:
    """One item may be replaced more than once; it holds one valid voucher all the while."""
    ids = await dock.stock(4)
    order_id = (await dock.place(acme, "key-0001")).order.id
    for n in range(1, 4):
        await replace_voucher(order_id, 1, By(actor="operator:bo", reason=f"bad {n}"), dock.ship)
    assert await dock.sql("SELECT id, state, state_reason FROM vouchers ORDER BY id") == [
        (ids[0], "blocked", "bad 1"), (ids[1], "blocked", "bad 2"), (ids[2], "blocked", "bad 3"),
        (ids[3], "assigned", None),
    ]  # fmt: skip
    await dock.sound()


async def test_replaced_at_once(dock: Dock, acme: Client) -> None:
    """Five hands on one item: each replaces once, one voucher is valid in the end."""
    await dock.stock(7)
    order_id = (await dock.place(acme, "key-0001")).order.id
    await asyncio.gather(*(replace_voucher(order_id, 1, ANA, dock.ship) for _ in range(5)))
    assert dict(await dock.sql("SELECT state, count(*) FROM vouchers GROUP BY state")) == {
        "assigned": 1, "blocked": 5, "pooled": 1,
    }  # fmt: skip
    assert (await dock.order(order_id)).revision == 6
    await dock.sound()


async def test_a_refunded_item_may_be_replaced(dock: Dock, acme: Client) -> None:
    """Goodwill after the money: nothing is charged, and nothing can be refunded twice for it."""
    await dock.stock(2)
    order_id = (await dock.place(acme, "key-0001")).order.id
    await refund_order(order_id, ANA, dock.ship)
    order = await replace_voucher(order_id, 1, ANA, dock.ship)
    assert (order.refunded, order.revision) == (2500, 3)
    with pytest.raises(WrongState):
        await refund_order(order_id, ANA, dock.ship)
    await dock.sound()


async def test_a_replacement_that_does_not_open(dock: Dock, acme: Client) -> None:
    """The next one is taken; the bad row goes to quarantine with the same commit."""
    _, bad, good = await dock.stock(3)
    order_id = (await dock.place(acme, "key-0001")).order.id
    await dock.change("UPDATE vouchers SET sealed = 'AAAA' WHERE id = $1", bad)
    await replace_voucher(order_id, 1, ANA, dock.ship)
    assert await dock.sql("SELECT state FROM vouchers WHERE id = $1", bad) == [("quarantined",)]
    assert await dock.sql("SELECT state FROM vouchers WHERE id = $1", good) == [("assigned",)]
    await dock.sound()
