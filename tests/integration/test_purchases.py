"""The purchase saga on both databases: every state, every way out, and never two purchases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from starship_core.access import Client
from starship_core.errors import Ambiguous, InvalidInput, Unavailable, WrongState
from starship_core.flows.approve_fallback import Approved, approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.explain_order import explain_order, order_timeline
from starship_core.flows.read_purchases import reveal_reply
from starship_core.flows.resolve_purchase import resolve_bought, resolve_not_bought
from starship_core.flows.retry_order import retry_order
from starship_core.model import Accepted, Money, Refused, Secret
from starship_core.ship import Ship
from starship_core.store.purchases import find_purchase
from starship_core.store.switches import Switch, set_switch
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import CAREFUL, Scripted, at_market, goods, states
from tests.integration.ships import ANA, CARD, SMALL, Dock, Shelf

EUROS = Money(10_000, "EUR")


async def parked(dock: Dock, acme: Client, quantity: int = 2) -> int:
    order = (await dock.place(acme, "key-parked", quantity=quantity)).order
    assert order.status == "PENDING"
    return order.id


async def approved(order_id: int, ship: Ship, *vendors: str, **terms: Any) -> Approved:
    asked = {"ceiling": EUROS} | terms
    return await approve_fallback(order_id, ANA, ship, vendors=vendors or ("north",), **asked)


async def stands(dock: Dock, order_id: int) -> tuple[str, str | None, int]:
    order = await dock.order(order_id)
    return order.status, order.sub_status, order.delivered_quantity


async def test_an_approved_order_is_bought_and_delivered(dock: Dock, acme: Client) -> None:
    """Approve sends nothing; one sweep buys once, delivers, and tells the client."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    done = await approved(order_id, ship)
    assert (len(done.purchases), north.asked) == (1, [])
    assert await stands(dock, order_id) == ("PENDING", "VENDOR_ORDER_PENDING", 0)
    assert await sweep_purchases(ship) == 1
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert await states(dock) == [("north", "BOUGHT")]
    assert [kind for kind, _ in await dock.events(order_id)][-1] == "order.delivered"
    assert len(north.asked) == 1
    assert await sweep_purchases(ship) == 0
    await dock.sound()


async def test_the_pool_comes_first(dock: Dock, acme: Client) -> None:
    """What came into the pool meanwhile is delivered by the approval, the rest is planned."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme, 3)
    await dock.stock(2)
    done = await approved(order_id, ship)
    assert (done.order.delivered_quantity, len(done.purchases)) == (2, 1)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 3)
    assert await dock.sql("SELECT quantity, ceiling FROM purchases") == [(1, 10_000)]
    await dock.sound()


async def test_a_pool_that_holds_all_buys_nothing(dock: Dock, acme: Client) -> None:
    """Then there is no approval, and a second one is refused."""
    ship = await at_market(dock, {"north": Scripted()})
    order_id = await parked(dock, acme)
    await dock.stock(2)
    done = await approved(order_id, ship)
    assert (done.order.status, done.approval_id, done.purchases) == ("DELIVERED", None, ())
    with pytest.raises(WrongState, match="is DELIVERED"):
        await approved(order_id, ship)
    assert await states(dock) == []


async def test_a_bulk_order_is_split_by_what_the_vendor_sells_at_once(
    dock: Dock, acme: Client
) -> None:
    """Each part has its own reference, and the ceilings sum to the approval's."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    placed = await dock.place(acme, "key-bulk", SMALL, 64)
    done = await approved(placed.order.id, ship, ceiling=Money(64_001, "EUR"))
    assert len(done.purchases) == 7
    rows = await dock.sql("SELECT quantity, ceiling, reference FROM purchases ORDER BY id")
    assert [row[0] for row in rows] == [10] * 6 + [4]
    assert sum(row[1] for row in rows) == 64_001
    assert len({row[2] for row in rows}) == 7
    await sweep_purchases(ship)
    assert await stands(dock, placed.order.id) == ("DELIVERED", "COMPLETED", 64)
    await dock.sound()


async def test_fifty_approvals_at_once_are_one(dock: Dock, acme: Client) -> None:
    """Exactly one plans; the others are told that it is being bought."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    done = await asyncio.gather(
        *(approved(order_id, ship) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(one, Approved) for one in done) == 1
    assert {type(one) for one in done} <= {Approved, WrongState, Unavailable}
    await asyncio.gather(sweep_purchases(ship), sweep_purchases(ship))
    assert await states(dock) == [("north", "BOUGHT")]
    assert len(north.asked) == 1


@pytest.mark.parametrize(
    ("vendors", "terms", "told"),
    [
        (("west",), {}, "there is no vendor west"),
        (("north", "north"), {}, "named twice"),
        (("north",), {"ceiling": Money(0, "EUR")}, "more than nothing"),
    ],
)
async def test_what_cannot_be_approved(
    dock: Dock, acme: Client, vendors: tuple[str, ...], terms: dict[str, Any], told: str
) -> None:
    """It is said what is wrong, and nothing is written."""
    ship = await at_market(dock, {"north": Scripted()})
    order_id = await parked(dock, acme)
    with pytest.raises(InvalidInput, match=told):
        await approved(order_id, ship, *vendors, **terms)
    assert await dock.sql("SELECT count(*) FROM approvals") == [(0,)]


async def test_a_refusal_goes_to_the_next_vendor_of_the_approval(dock: Dock, acme: Client) -> None:
    """South is asked because the approval says so, for the same items and no more money."""
    north, south = Scripted([Refused(reason="out of stock")]), Scripted()
    ship = await at_market(dock, {"north": north, "south": south})
    order_id = await parked(dock, acme)
    await approved(order_id, ship, "north", "south")
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "REFUSED"), ("south", "PLANNED")]
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "REFUSED"), ("south", "BOUGHT")]
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    await dock.sound()


async def test_a_refusal_is_final_where_no_other_vendor_was_approved(
    dock: Dock, acme: Client
) -> None:
    """VENDOR_ORDER_FAILED; the order waits on, and can be approved again."""
    ship = await at_market(dock, {"north": Scripted([Refused(reason="no")])})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("PENDING", "VENDOR_ORDER_FAILED", 0)
    assert await sweep_purchases(ship) == 0
    assert len((await approved(order_id, ship)).purchases) == 1
    await dock.sound()


async def test_unavailable_is_sent_again_as_itself(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """PLANNED again with a due time, and the same reference."""
    north = Scripted([Unavailable(retry_after=30)])
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "PLANNED")]
    assert await sweep_purchases(ship) == 0
    clock.advance(seconds=31)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert north.asked[0] == north.asked[1]
    await dock.sound()


async def test_unavailable_until_the_approval_ends(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """It is closed as not bought, and nothing is sent after the end."""
    north = Scripted([Unavailable(retry_after=30)])
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship, expires_at=clock() + timedelta(seconds=20))
    await sweep_purchases(ship)
    clock.advance(seconds=31)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "NOT_BOUGHT")]
    assert await stands(dock, order_id) == ("PENDING", "VENDOR_ORDER_FAILED", 0)
    assert len(north.asked) == 1


async def test_accepted_is_found_later(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """The vendor's reference is kept, and `find` brings the vouchers."""
    north = Scripted([Accepted(vendor_reference="V-1")], [Accepted(vendor_reference="V-1"), goods])
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await dock.sql("SELECT state, vendor_reference FROM purchases") == [("ACCEPTED", "V-1")]
    for _ in range(2):
        clock.advance(seconds=15)
        assert await sweep_purchases(ship) == 1
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert (len(north.asked), north.looked) == (1, 2)
    await dock.sound()


async def test_ambiguous_and_bought_all_the_same(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """The first look a minute later finds it; nothing was sent twice."""

    def bought_and_lost(purchase: Any) -> None:
        north.sell(purchase)
        raise Ambiguous("cut off", Secret("HTTP 500 CODE-IN-RAW"))

    north = Scripted([bought_and_lost])
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    done = await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "UNKNOWN")]
    assert await sweep_purchases(ship) == 0
    raw = await reveal_reply(done.purchases[0], ANA, ship)
    assert raw.reveal() == "HTTP 500 CODE-IN-RAW"
    told = await dock.sql("SELECT count(*) FROM audit WHERE action = 'purchase.reveal'")
    assert told == [(1,)]
    clock.advance(seconds=60)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert len(north.asked) == 1
    await dock.sound()


async def test_proven_not_bought_is_sent_again_under_its_reference(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """Two looks a minute apart at a vendor with lookup that rejects duplicates."""
    north = Scripted([Ambiguous("?")])
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    clock.advance(seconds=60)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "UNKNOWN")]
    clock.advance(seconds=60)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "PLANNED")]
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert (len(north.asked), len(set(north.asked))) == (2, 1)
    await dock.sound()


@pytest.mark.parametrize(
    "facts", [{"duplicates": "unsafe", "lookup": True}, {"duplicates": "rejects", "lookup": False}]
)
async def test_an_unknown_that_proves_nothing_goes_to_an_operator(
    dock: Dock, acme: Client, clock: ManualClock, facts: dict[str, Any]
) -> None:
    """Seven looks over a day, then NEEDS_REVIEW with a notice; never sent again."""
    north = Scripted([Ambiguous("?")])
    ship = await at_market(dock, {"north": north}, _traits(**facts))
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    for _ in range(30):
        clock.advance(hours=1)
        await sweep_purchases(ship)
    assert await states(dock) == [("north", "NEEDS_REVIEW")]
    assert await stands(dock, order_id) == ("PENDING", "NEEDS_REVIEW", 0)
    assert (len(north.asked), north.looked) == (1, 7)
    assert await dock.sql("SELECT kind FROM notices") == [("purchase.review",)]
    await dock.sound()


async def test_a_vendor_that_replays_is_simply_asked_again(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """Without lookup, the same reference again is the same purchase."""
    north = Scripted([Ambiguous("?"), Unavailable()])
    ship = await at_market(dock, {"north": north}, _traits(duplicates="replays", lookup=False))
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    clock.advance(seconds=60)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "UNKNOWN")]
    clock.advance(seconds=60)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert (len(set(north.asked)), len(north.sold), north.looked) == (1, 1, 0)
    await dock.sound()


async def test_a_surplus_goes_to_the_stock(dock: Dock, acme: Client) -> None:
    """The order gets what it waits for, the rest is on sale."""
    ship = await at_market(dock, {"north": Scripted([lambda p: goods(p, count=5)])})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert len(await dock.on_sale()) == 3
    await dock.sound()


async def test_another_value_is_quarantined_and_needs_review(dock: Dock, acme: Client) -> None:
    """What was not asked for is never delivered."""
    ship = await at_market(dock, {"north": Scripted([lambda p: goods(p, sku=SMALL)])})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "NEEDS_REVIEW")]
    assert await stands(dock, order_id) == ("PENDING", "NEEDS_REVIEW", 0)
    assert await dock.sql("SELECT state, count(*) FROM vouchers GROUP BY state") == [
        ("quarantined", 2)
    ]
    await dock.sound()


async def test_a_part_now_and_the_rest_later(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """What came is delivered at once; the rest stays with the purchase until it comes."""
    north = Scripted([lambda p: goods(p, count=1, final=False)])
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "ACCEPTED")]
    assert await stands(dock, order_id) == ("PARTIALLY_DELIVERED", "VENDOR_ORDER_PENDING", 1)
    north.finds = [goods]
    clock.advance(seconds=5)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "BOUGHT")]
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    kinds = [kind for kind, _ in await dock.events(order_id)]
    assert kinds[-2:] == ["order.partially_delivered", "order.delivered"]
    await dock.sound()


async def test_a_charge_above_the_ceiling_is_flagged_and_delivered(
    dock: Dock, acme: Client
) -> None:
    """The goods are paid for: the client gets them, and operators are told."""
    dear = Scripted([lambda p: goods(p, charged=Money(10_001, "EUR"))])
    ship = await at_market(dock, {"north": dear})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert await dock.sql("SELECT state, price_flag, charged FROM purchases") == [
        ("BOUGHT", 1, 10_001)
    ]
    assert await dock.sql("SELECT kind FROM notices") == [("purchase.price",)]


async def test_a_switch_keeps_a_purchase_from_being_sent(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """It waits PLANNED, and is sent when buying goes on."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    stop = Switch(scope="global", off=True, reason="stop", actor="operator:ana", at=clock())
    await ship.database.run(set_switch, stop)
    await sweep_purchases(ship)
    assert (await states(dock), north.asked) == ([("north", "PLANNED")], [])
    go = Switch(scope="global", off=False, reason="go", actor="operator:ana", at=clock())
    await ship.database.run(set_switch, go)
    clock.advance(seconds=60)
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)


async def test_cancel_voids_what_was_not_sent(dock: Dock, acme: Client) -> None:
    """One transaction closes order, purchase and approval; nothing is sent after it."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    assert (await cancel_order(order_id, ANA, ship)).status == "CANCELLED"
    assert await states(dock) == [("north", "VOIDED")]
    assert (await sweep_purchases(ship), north.asked) == (0, [])
    await dock.sound()


@pytest.mark.parametrize("say", [Ambiguous("?"), Accepted(vendor_reference=None)])
async def test_cancel_and_retry_while_a_purchase_is_open(
    dock: Dock, acme: Client, say: Any
) -> None:
    """Cancel is refused with the command that settles it; retry leaves its items alone."""
    ship = await at_market(dock, {"north": Scripted([say])})
    order_id = await parked(dock, acme)
    (purchase_id,) = (await approved(order_id, ship)).purchases
    await sweep_purchases(ship)
    with pytest.raises(WrongState, match=f"purchase resolve {purchase_id}") as refused:
        await cancel_order(order_id, ANA, ship)
    assert refused.value.code == "PURCHASE_OPEN"
    await dock.stock(2)
    assert (await retry_order(order_id, ANA, ship)).delivered_quantity == 0
    with pytest.raises(WrongState, match="being bought already"):
        await approved(order_id, ship)
    await dock.sound()


async def test_cancel_and_retry_while_it_is_being_sent(dock: Dock, acme: Client) -> None:
    """SENT is open too; what the vendor then sells is delivered."""
    north = Scripted(gate=asyncio.Event())
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    sending = asyncio.create_task(sweep_purchases(ship))
    await north.called.wait()
    assert await states(dock) == [("north", "SENT")]
    with pytest.raises(WrongState, match="SENT"):
        await cancel_order(order_id, ANA, ship)
    await retry_order(order_id, ANA, ship)
    assert await sweep_purchases(ship) == 0
    assert north.gate is not None
    north.gate.set()
    await sending
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert len(north.asked) == 1
    await dock.sound()


async def test_approve_against_cancel(dock: Dock, acme: Client) -> None:
    """Whoever is first: bought never, refunded once, or approved and then voided."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await asyncio.gather(
        approved(order_id, ship), cancel_order(order_id, ANA, ship), return_exceptions=True
    )
    await sweep_purchases(ship)
    assert (await dock.order(order_id)).status == "CANCELLED"
    assert north.asked == []
    assert {state for _, state in await states(dock)} <= {"VOIDED"}
    await dock.sound()


async def test_a_sender_that_never_reported(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """Its lease ends, it is UNKNOWN, and only long after that two looks prove something."""
    north = Scripted(gate=asyncio.Event())
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    sending = asyncio.create_task(sweep_purchases(ship))
    await north.called.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    north.gate = None
    clock.advance(seconds=40)
    assert await sweep_purchases(ship) == 0  # still leased
    clock.advance(seconds=20)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "UNKNOWN")]
    for seconds in (60, 60):
        clock.advance(seconds=seconds)
        await sweep_purchases(ship)
    assert await states(dock) == [("north", "PLANNED")]
    await sweep_purchases(ship)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    assert len(north.sold) == 1
    await dock.sound()


async def test_a_late_answer_is_kept(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """The lease was over and it is UNKNOWN: the vouchers are the order's all the same."""
    north = Scripted(gate=asyncio.Event())
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    sending = asyncio.create_task(sweep_purchases(ship))
    await north.called.wait()
    clock.advance(hours=1)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "UNKNOWN")]
    assert north.gate is not None
    north.gate.set()
    await sending
    assert await states(dock) == [("north", "BOUGHT")]
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    await dock.sound()


async def test_nothing_is_sent_when_the_lease_is_over(
    dock: Dock, acme: Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between SENT and the first byte, and woken an hour later."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)

    async def slept(*_: Any) -> None:
        clock.advance(hours=1)

    monkeypatch.setattr("starship_core.vendor_guard._turn", slept)
    await sweep_purchases(ship)
    assert north.asked == []
    assert await states(dock) == [("north", "PLANNED")]
    await dock.sound()


async def test_settled_as_not_bought(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """Its items wait again; the evidence and the operator are on record."""
    ship = await at_market(dock, {"north": Scripted([Ambiguous("?")])})
    order_id = await parked(dock, acme)
    (purchase_id,) = (await approved(order_id, ship)).purchases
    await sweep_purchases(ship)
    with pytest.raises(InvalidInput, match="how you know"):
        await resolve_not_bought(purchase_id, " ", ANA, ship)
    one = await resolve_not_bought(purchase_id, "ticket 771", ANA, ship)
    assert (one.state, "ticket 771" in one.evidence) == ("NOT_BOUGHT", True)
    assert await stands(dock, order_id) == ("PENDING", "VENDOR_ORDER_FAILED", 0)
    with pytest.raises(WrongState, match="is settled"):
        await resolve_not_bought(purchase_id, "again", ANA, ship)
    assert len((await approved(order_id, ship)).purchases) == 1
    await dock.sound()


async def test_settled_as_bought(dock: Dock, acme: Client) -> None:
    """The vouchers that the operator has are delivered like an answer."""
    ship = await at_market(dock, {"north": Scripted([Ambiguous("?")])})
    order_id = await parked(dock, acme)
    (purchase_id,) = (await approved(order_id, ship)).purchases
    await sweep_purchases(ship)
    file = Shelf()
    file.put(2, SMALL)
    with pytest.raises(InvalidInput, match="the file has"):
        await resolve_bought(purchase_id, {"file": file}, ANA, ship)
    file = Shelf()
    file.put(2, CARD)
    one = await resolve_bought(purchase_id, {"file": file}, ANA, ship)
    assert (one.state, one.received) == ("BOUGHT", 2)
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 2)
    await dock.sound()


async def test_the_timeline_knows_purchases(dock: Dock, acme: Client) -> None:
    """Approved, refused, and why it waits now; no vendor is named to the client."""
    ship = await at_market(dock, {"north": Scripted([Refused(reason="no")])})
    order_id = await parked(dock, acme)
    await approved(order_id, ship)
    await sweep_purchases(ship)
    told = await order_timeline(order_id, acme, ship)
    assert [step.what for step in told.steps] == [
        "order.created", "order.pending", "fallback.approved", "purchase.refused",
    ]  # fmt: skip
    assert "north" not in str(told)
    why = (await explain_order(order_id, ship)).why
    assert why == "a purchase for it failed, and nothing more is being bought"


async def test_two_workers_buy_once(dock: Dock, acme: Client) -> None:
    """Eight sweeps at once; the vendor is asked once for each purchase."""
    north = Scripted()
    ship = await at_market(dock, {"north": north}, _traits(max_units=1))
    order_id = await parked(dock, acme, 4)
    await approved(order_id, ship)
    await asyncio.gather(*(sweep_purchases(ship) for _ in range(8)))
    assert sorted(north.asked) == sorted(set(north.asked))
    assert len(north.asked) == 4
    assert await stands(dock, order_id) == ("DELIVERED", "COMPLETED", 4)
    await dock.sound()


async def test_what_is_known_of_a_purchase(dock: Dock, acme: Client) -> None:
    """Its reference was there before it was sent, and fits the vendor's rule."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    (purchase_id,) = (await approved(order_id, ship)).purchases
    planned = await ship.database.read(find_purchase, purchase_id)
    assert (planned.state, planned.sent_at) == ("PLANNED", None)
    await sweep_purchases(ship)
    assert north.asked == [planned.reference]
    assert set(planned.reference) <= set(CAREFUL.reference.alphabet)


def _traits(**facts: Any) -> Any:
    return replace(CAREFUL, **facts)
