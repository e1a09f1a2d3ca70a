"""Cancel and refund: exactly the shares of what was not delivered or is given back; once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from starship_core.access import Client
from starship_core.errors import NotFound, WrongState
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.read_order import Asker, read_order
from starship_core.flows.refund_order import refund_order
from starship_core.flows.retry_order import retry_order
from starship_core.model import Order
from tests.integration.ships import ANA, DINAR, SMALL, YEN, Dock

CREATED = [("order.created", 1), ("order.pending", 1)]


async def test_cancel_of_what_waits(dock: Dock, acme: Client) -> None:
    """Nothing delivered: all of the charge comes back, every item is cancelled."""
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    order = await cancel_order(order_id, ANA, dock.ship)
    assert (order.status, order.sub_status, order.refunded, order.pending_items) == (
        "CANCELLED", None, 7500, 0,
    )  # fmt: skip
    assert await dock.order(order_id) == order
    assert await dock.balance(acme) == 100_000
    assert await dock.events(order_id) == [*CREATED, ("order.cancelled", 2)]
    assert await dock.sql(
        "SELECT status, count(*), CAST(sum(refunded) AS bigint) FROM items GROUP BY status"
    ) == [("CANCELLED", 3, 7500)]
    assert await dock.sql(
        "SELECT transaction_type, amount, balance_after, remarks FROM transactions"
        " WHERE order_id = $1 ORDER BY id", order_id,
    ) == [
        ("DEBIT", 7500, 92_500, ""), ("CREDIT", 7500, 100_000, f"refund of order {order_id}"),
    ]  # fmt: skip
    await dock.sound()


@pytest.mark.parametrize("retried", [False, True])
async def test_cancel_of_bulk(dock: Dock, acme: Client, *, retried: bool) -> None:
    """Before its items exist the whole charge comes back; after that the sum of their shares."""
    order_id = (await dock.place(acme, "key-0001", SMALL, 60)).order.id
    if retried:
        await retry_order(order_id, ANA, dock.ship)
    order = await cancel_order(order_id, ANA, dock.ship)
    assert (order.status, order.sub_status, order.refunded) == ("CANCELLED", None, 60_000)
    assert await dock.balance(acme) == 100_000
    assert await dock.sql("SELECT count(*) FROM items") == [(60 if retried else 0,)]
    await dock.sound()


async def test_cancel_after_some_were_delivered(dock: Dock, acme: Client) -> None:
    """The delivered ones stay, paid and readable; only the others' shares come back."""
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    await dock.stock(2)
    await retry_order(order_id, ANA, dock.ship)
    order = await cancel_order(order_id, ANA, dock.ship)
    assert (order.status, order.sub_status, order.refunded, order.delivered_quantity) == (
        "CANCELLED", "PARTIAL", 2500, 2,
    )  # fmt: skip
    ((data,),) = await dock.sql("SELECT data FROM outbox WHERE event_type = 'order.cancelled'")
    told = msgspec.json.decode(data)
    assert (told["delivered_quantity"], told["refunded_amount"]) == (2, "25.00")
    view = await read_order(order_id, Asker(acme, "r"), dock.ship)
    assert [ordinal for ordinal, _ in view.units] == [1, 2]
    assert [(item.ordinal, item.status) for item in view.items] == [
        (1, "DELIVERED"), (2, "DELIVERED"), (3, "CANCELLED"),
    ]  # fmt: skip
    assert await dock.balance(acme) == 95_000
    await dock.sound()


async def test_shares_that_do_not_divide(dock: Dock) -> None:
    """60.61 EUR over four units: the odd cent is in one share, and what comes back sums to it."""
    client = await dock.client("far")
    order_id = (await dock.place(client, "key-0001", DINAR, 4)).order.id  # 20.000 / 0.33 = 60.606…
    shares = [row[0] for row in await dock.sql("SELECT share FROM items ORDER BY ordinal")]
    assert shares == [1515, 1515, 1515, 1516]
    await dock.stock(3, DINAR)
    await retry_order(order_id, ANA, dock.ship)
    assert (await cancel_order(order_id, ANA, dock.ship)).refunded == 1516
    assert await dock.balance(client) == 100_000 - 6061 + 1516
    for ordinal in (2, 3, 1):
        await refund_order(order_id, ANA, dock.ship, items=[ordinal])
    assert await dock.balance(client) == 100_000
    await dock.sound()


@pytest.mark.parametrize("status", ["DELIVERED", "CANCELLED"])
async def test_cancel_only_what_waits(dock: Dock, acme: Client, status: str) -> None:
    """Refused with the status found; no money moves."""
    await dock.stock(1)
    order_id = (await dock.place(acme, "key-0001", quantity=1)).order.id
    if status == "CANCELLED":
        order_id = (await dock.place(acme, "key-0002", quantity=1)).order.id
        await cancel_order(order_id, ANA, dock.ship)
    balance = await dock.balance(acme)
    with pytest.raises(WrongState, match=status):
        await cancel_order(order_id, ANA, dock.ship)
    with pytest.raises(NotFound):
        await cancel_order(999, ANA, dock.ship)
    assert await dock.balance(acme) == balance


async def test_refund_of_all(dock: Dock, acme: Client) -> None:
    """Every delivered item once; the status stays, the event and the audit row tell."""
    await dock.stock(3)
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    order = await refund_order(order_id, ANA, dock.ship)
    assert (order.status, order.refunded, order.revision) == ("DELIVERED", 7500, 2)
    assert await dock.balance(acme) == 100_000
    assert await dock.events(order_id) == [
        ("order.created", 1), ("order.delivered", 1), ("order.refunded", 2),
    ]  # fmt: skip
    ((action, after),) = await dock.sql(
        "SELECT action, after FROM audit WHERE action = 'order.refund'"
    )
    assert action == "order.refund"
    assert '"items":[1,2,3]' in after
    with pytest.raises(WrongState, match="refunded before"):
        await refund_order(order_id, ANA, dock.ship)
    assert await dock.balance(acme) == 100_000
    await dock.sound()


async def test_refund_of_one_item(dock: Dock, acme: Client) -> None:
    """Item by item, each once; what was refunded cannot be refunded with the rest again."""
    await dock.stock(3)
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    assert (await refund_order(order_id, ANA, dock.ship, items=[2])).refunded == 2500
    for wrong in ([2], [1, 2], [4], []):
        with pytest.raises(WrongState):
            await refund_order(order_id, ANA, dock.ship, items=wrong)
    assert (await refund_order(order_id, ANA, dock.ship)).refunded == 7500
    assert await dock.sql("SELECT ordinal, refunded FROM items ORDER BY ordinal") == [
        (1, 2500), (2, 2500), (3, 2500),
    ]  # fmt: skip
    await dock.sound()


async def test_refund_after_a_partial_cancel(dock: Dock, acme: Client) -> None:
    """Cancel gave back one share; a refund gives back the delivered ones and no more than paid."""
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    await dock.stock(2)
    await retry_order(order_id, ANA, dock.ship)
    await cancel_order(order_id, ANA, dock.ship)
    order = await refund_order(order_id, ANA, dock.ship)
    assert (order.status, order.refunded) == ("CANCELLED", 7500)
    assert await dock.balance(acme) == 100_000
    await dock.sound()


async def test_cancel_after_a_refund(dock: Dock, acme: Client) -> None:
    """A delivered item was refunded while the order waited: cancel gives the others back only."""
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    await dock.stock(1)
    await retry_order(order_id, ANA, dock.ship)
    assert (await refund_order(order_id, ANA, dock.ship)).refunded == 2500
    assert (await cancel_order(order_id, ANA, dock.ship)).refunded == 7500
    assert await dock.balance(acme) == 100_000
    await dock.sound()


async def test_what_waits_is_not_refunded(dock: Dock, acme: Client) -> None:
    """Refunds are of delivered items; an order that waits is cancelled instead."""
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    with pytest.raises(WrongState, match="PENDING"):
        await refund_order(order_id, ANA, dock.ship)
    with pytest.raises(NotFound):
        await refund_order(999, ANA, dock.ship)
    assert await dock.balance(acme) == 92_500


async def test_a_switched_off_wallet_gets_its_money(dock: Dock, acme: Client) -> None:
    """A refund is never refused because the wallet is inactive."""
    order_id = (await dock.place(acme, "key-0001")).order.id
    await dock.change("UPDATE wallets SET is_active = 0")
    assert (await cancel_order(order_id, ANA, dock.ship)).refunded == 2500
    assert await dock.balance(acme) == 100_000


async def test_a_refund_is_not_converted_again(dock: Dock) -> None:
    """In the wallet's currency what was taken: rates of today play no part."""
    client = await dock.client("far")
    await dock.stock(7, YEN)
    order_id = (await dock.place(client, "key-0001", YEN, 7)).order.id
    assert await dock.balance(client) == 100_000 - 4375
    shares = [row[0] for row in await dock.sql("SELECT share FROM items ORDER BY ordinal")]
    assert sum(shares) == 4375
    assert (await refund_order(order_id, ANA, dock.ship, items=[1])).refunded == shares[0]
    assert (await refund_order(order_id, ANA, dock.ship)).refunded == 4375
    assert await dock.balance(client) == 100_000
    await dock.sound()


@pytest.mark.parametrize("flow", [cancel_order, refund_order])
async def test_ten_hands_at_once(
    dock: Dock, acme: Client, flow: Callable[..., Awaitable[Order]]
) -> None:
    """However many operators press the button in one moment: the money comes back once."""
    if flow is refund_order:
        await dock.stock(2)
    order_id = (await dock.place(acme, "key-0001", quantity=2)).order.id
    outcomes = await asyncio.gather(
        *(flow(order_id, ANA, dock.ship) for _ in range(10)), return_exceptions=True
    )
    assert [type(each).__name__ for each in outcomes].count("Order") == 1
    assert [type(each).__name__ for each in outcomes].count("WrongState") == 9
    assert await dock.balance(acme) == 100_000
    assert (await dock.order(order_id)).refunded == 5000
    await dock.sound()


async def test_cancel_and_retry_at_once(dock: Dock, acme: Client) -> None:
    """One of them wins whole: delivered and paid, or cancelled and refunded."""
    orders = [(await dock.place(acme, f"key-{n:04}")).order.id for n in range(10)]
    await dock.stock(10)
    flows = (cancel_order, retry_order)
    await asyncio.gather(
        *(flow(order_id, ANA, dock.ship) for order_id in orders for flow in flows),
        return_exceptions=True,
    )
    ended = [await dock.order(order_id) for order_id in orders]
    delivered = sum(order.status == "DELIVERED" for order in ended)
    assert delivered + sum(order.status == "CANCELLED" for order in ended) == 10
    assert await dock.balance(acme) == 100_000 - 2500 * delivered
    assert len(await dock.on_sale()) == 10 - delivered
    await dock.sound()
