"""An operator refuses to have an order bought: nothing is, and it waits for stock."""

from __future__ import annotations

import asyncio

import pytest
from starship_policy_products import NamedProducts, ProductsConfig

from starship_core.access import Client
from starship_core.audit import By
from starship_core.errors import Ambiguous, InvalidInput, Unavailable, WrongState
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.decide_fallbacks import decide, oldest_due, sweep_policies
from starship_core.flows.explain_order import explain_order
from starship_core.flows.list_waiting import list_waiting
from starship_core.flows.read_policies import explain_decision
from starship_core.flows.refuse_fallback import refuse_fallback
from starship_core.flows.retry_order import retry_order
from starship_core.model import Money, Refused, Verdict
from starship_core.reconciliation.orders import waiting_orders
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import Scripted, at_market, states
from tests.integration.ships import ANA, Dock
from tests.integration.test_cli_purchase import starship
from tests.integration.test_policies import Says, with_policies

EVE = By(actor="operator:eve", reason="they can wait for Monday", request_id="req-eve")
EUROS = Money(10_000, "EUR")
NAMED = NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=[1]))


async def parked(dock: Dock, acme: Client, quantity: int = 2, key: str = "key-parked") -> int:
    return (await dock.place(acme, key, quantity=quantity)).order.id


async def approvals(dock: Dock) -> list[str]:
    return [row[0] for row in await dock.sql("SELECT state FROM approvals ORDER BY id")]


async def test_what_was_planned_is_voided_and_the_order_waits_for_stock(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """Nothing is sent any more; who, why and what is on record; then the pool serves it."""
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme, 12)
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    assert await states(dock) == [("north", "PLANNED"), ("north", "PLANNED")]
    refused = await refuse_fallback(order_id, EVE, ship)
    assert (refused.status, refused.sub_status) == ("PENDING", "VENDOR_ORDER_PENDING")
    assert await states(dock) == [("north", "VOIDED"), ("north", "VOIDED")]
    assert await approvals(dock) == ["ENDED"]
    (audited,) = await dock.sql(
        "SELECT actor, reason, request_id, after FROM audit WHERE action = 'order.refuse'"
    )
    assert audited[:3] == ("operator:eve", "they can wait for Monday", "req-eve")
    assert '"revision":3,"voided":[1,2],"approvals":[1]' in audited[3]
    evidence = [row[0] for row in await dock.sql("SELECT evidence FROM purchases ORDER BY id")]
    assert evidence == ["2027-01-01T00:00:00Z voided: refused by operator:eve"] * 2
    clock.advance(hours=1)
    assert await sweep_purchases(ship) == 0
    assert north.asked == []
    await dock.sound()
    await dock.stock(12)
    assert (await retry_order(order_id, ANA, ship)).status == "DELIVERED"
    assert await dock.balance(acme) == 100_000 - 12 * 2500
    await dock.sound()


async def test_half_delivered_it_is_partial_again(dock: Dock, acme: Client) -> None:
    """The sub-status is what it was before the rest was planned; cancel gives the rest back."""
    ship = await at_market(dock, {"north": Scripted()})
    order_id = await parked(dock, acme)
    await dock.stock(1)
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    refused = await refuse_fallback(order_id, EVE, ship)
    assert (refused.status, refused.sub_status) == ("PARTIALLY_DELIVERED", "PARTIAL")
    assert (await cancel_order(order_id, ANA, ship)).refunded == 2500
    await dock.sound()


async def test_policies_decide_no_more(dock: Dock, acme: Client) -> None:
    """Neither about an order that was refused before they came to it, nor about one they may
    decide anew; what they said, and that it was refused, can be explained.
    """
    ship = with_policies(await at_market(dock, {}), {"products": NAMED})
    anew, fresh = await parked(dock, acme), await parked(dock, acme, key="key-fresh")
    await decide(anew, ship)  # nobody sells it: due again in ten minutes
    for order_id in (anew, fresh):
        await refuse_fallback(order_id, EVE, ship)
    later = with_policies(await at_market(dock, {"north": Scripted()}), {"products": NAMED})
    told = "operator:eve refused it at 2027-01-01T00:00:00Z: they can wait for Monday"
    clock = later.now
    assert isinstance(clock, ManualClock)
    clock.advance(minutes=11)
    assert await sweep_policies(later) == 0
    assert await dock.ship.database.read(oldest_due, _micros(later)) is None
    for order_id in (anew, fresh):
        await decide(order_id, later)
    assert await approvals(dock) == []
    report = await explain_decision(anew, later)
    assert (report.then.outcome, report.refused) == ("AskOperator", told)
    with pytest.raises(WrongState, match=told):
        await explain_decision(fresh, later)
    await dock.sound()


def _micros(ship: Ship) -> int:
    return round(ship.now().timestamp() * 1_000_000)


async def test_a_policy_that_is_being_asked_comes_too_late(dock: Dock, acme: Client) -> None:
    """The operator refuses between the verdict and its writing: nothing is approved."""
    asked, refused = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_case: object) -> Verdict:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(refused.wait(), loop).result(5)
        return Verdict(says="Allow", reason="named")

    market = await at_market(dock, {"north": Scripted()})
    ship = with_policies(market, {"products": Says(slow)})
    order_id = await parked(dock, acme)
    deciding = asyncio.create_task(decide(order_id, ship))
    await asked.wait()
    await refuse_fallback(order_id, EVE, ship)
    refused.set()
    await deciding
    assert await approvals(dock) == []
    assert await dock.sql("SELECT count(*) FROM decisions") == [(0,)]
    await dock.sound()


async def test_what_was_sent_cannot_be_refused(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """In doubt: refused with the command that settles it, and nothing is changed. What the vendor
    never took is voided, however often it was tried.
    """
    ship = await at_market(dock, {"north": Scripted([Ambiguous("?")], [None])})
    order_id = await parked(dock, acme)
    await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
    await sweep_purchases(ship)
    before = await dock.order(order_id)
    with pytest.raises(WrongState, match="starship purchase show 1") as refusal:
        await refuse_fallback(order_id, EVE, ship)
    assert (refusal.value.code, refusal.value.found) == ("PURCHASE_OPEN", "UNKNOWN")
    assert await dock.order(order_id) == before
    assert await approvals(dock) == ["USED"]
    other = await parked(dock, acme, key="key-other")
    away = await at_market(dock, {"south": Scripted([Unavailable("away")])})
    await approve_fallback(other, ANA, away, vendors=["south"], ceiling=EUROS)
    await sweep_purchases(away)
    await refuse_fallback(other, EVE, away)
    clock.advance(hours=1)
    await sweep_purchases(away)
    assert await dock.sql("SELECT state, attempts FROM purchases WHERE id = 2") == [("VOIDED", 1)]
    await dock.sound()


async def test_the_next_vendor_is_not_asked(dock: Dock, acme: Client) -> None:
    """One part was refused by north and planned at south: that plan is voided with the rest."""
    north, south = Scripted([Refused(reason="no")]), Scripted()
    ship = await at_market(dock, {"north": north, "south": south})
    order_id = await parked(dock, acme)
    await approve_fallback(order_id, ANA, ship, vendors=["north", "south"], ceiling=EUROS)
    await sweep_purchases(ship)
    await refuse_fallback(order_id, EVE, ship)
    assert await states(dock) == [("north", "REFUSED"), ("south", "VOIDED")]
    assert south.asked == []
    await dock.sound()


async def test_only_an_operator_takes_it_back(dock: Dock, acme: Client) -> None:
    """Refused twice it is 409 by whom and why; approved, it is bought; then it may be refused
    again. All of it stays on record.
    """
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    with pytest.raises(InvalidInput, match="needs a reason") as wrong:
        await refuse_fallback(order_id, By(actor="operator:eve", reason=" "), ship)
    assert wrong.value.field == "reason"
    await refuse_fallback(order_id, EVE, ship)
    with pytest.raises(WrongState, match="operator:eve: they can wait for Monday"):
        await refuse_fallback(order_id, ANA, ship)
    told = await explain_order(order_id, ship)
    assert told.why == (
        "it waits for stock: operator:eve refused to have it bought: they can wait for Monday"
    )
    assert [one.command for one in told.next] == [
        "starship stock import FILE.csv", f'starship order cancel {order_id} --reason "…"',
    ]  # fmt: skip
    assert [step.what for step in told.steps][2:] == ["fallback.refused"]
    (queued,), _ = await list_waiting(ship, client_id=None, product_id=None, offset=0, limit=9)
    assert queued.refusal is not None
    assert (queued.refusal.actor, queued.refusal.reason) == (EVE.actor, EVE.reason)
    for again in (False, True):
        if again:
            await refuse_fallback(order_id, EVE, ship)
        await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
        (queued,), _ = await list_waiting(ship, client_id=None, product_id=None, offset=0, limit=9)
        assert queued.refusal is None
    assert "refuse" in " ".join(one.command for one in (await explain_order(order_id, ship)).next)
    await sweep_purchases(ship)
    assert (await dock.order(order_id)).status == "DELIVERED"
    assert await dock.sql("SELECT count(*) FROM refusals") == [(2,)]
    assert len(north.asked) == 1
    await dock.sound()


async def test_a_bulk_order_without_items_and_one_that_is_over(dock: Dock, acme: Client) -> None:
    """The one stays as it is until its first retry; the other is 409 with what was found."""
    ship = await at_market(dock, {"north": Scripted()})
    rich = await dock.client("rich", {"EUR": "9000.00"})
    bulk = await parked(dock, rich, 60)
    refused = await refuse_fallback(bulk, EVE, ship)
    assert (refused.sub_status, refused.pending_items) == ("INITIAL", 0)
    order_id = await parked(dock, acme, key="key-over")
    await cancel_order(order_id, ANA, ship)
    with pytest.raises(WrongState) as over:
        await refuse_fallback(order_id, EVE, ship)
    assert over.value.found == "CANCELLED"
    await dock.sound()


async def test_reconcile_names_who_refused(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """A day later it is still in the report, with stock as the next step."""
    ship = await at_market(dock, {"north": Scripted()})
    order_id = await parked(dock, acme)
    await refuse_fallback(order_id, EVE, ship)
    clock.advance(hours=25)
    (finding,) = await waiting_orders(ship)
    assert finding.problem.endswith(
        "operator:eve refused to have it bought, and nothing fit is on sale"
    )
    retry = f"starship order retry {order_id} --as NAME"
    assert finding.command == f"starship pump --as NAME && {retry}"


async def test_approve_and_refuse_at_once(dock: Dock, acme: Client) -> None:
    """Thirty of each, and workers: what stands in the end is one of the two, whole, and whoever
    lost was told so.
    """
    north = Scripted()
    ship = await at_market(dock, {"north": north})
    order_id = await parked(dock, acme)
    work = [
        approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=EUROS)
        if n % 2
        else refuse_fallback(order_id, EVE, ship)
        for n in range(60)
    ]
    ended = await asyncio.gather(*work, sweep_purchases(ship), return_exceptions=True)
    assert {type(one) for one in ended if isinstance(one, Exception)} <= {WrongState}
    await sweep_purchases(ship)
    order, refusals = await dock.order(order_id), await dock.sql("SELECT is_open FROM refusals")
    held = (1,) in [tuple(row) for row in refusals]
    assert (order.status, len(north.asked)) == (("PENDING", 0) if held else ("DELIVERED", 1))
    await dock.sound()


async def test_the_command(dock: Dock, acme: Client) -> None:
    """Asks for a reason; then it is done, once, and both explain it."""
    order_id = str(await parked(dock, acme))
    words = ("order", "refuse", order_id, "--as", "eve")
    assert "a refusal needs a reason" in await starship(dock, *words, code=1)
    done = await starship(dock, *words, "--reason", "no budget")
    assert (done["status"], done["pendingItems"]) == ("PENDING", 2)
    again = await starship(dock, *words, "--reason", "again", code=1)
    assert "refused already, by operator:eve: no budget" in again
    told = await starship(dock, "order", "explain", order_id)
    assert told["why"].endswith("operator:eve refused to have it bought: no budget")
    why = await starship(dock, "policy", "explain", order_id, code=1)
    assert "operator:eve refused it at" in why
