"""Policies decide, on both databases: what is bought without an operator, and what never is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from starship_policy_limits.limits import Limits, LimitsConfig
from starship_policy_products import NamedProducts, ProductsConfig

from starship_core.access import Client
from starship_core.clock import micros
from starship_core.errors import StarshipError
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.decide_fallbacks import AGAIN, decide, oldest_due, sweep_policies
from starship_core.model import FallbackCase, Money, Refused, Verdict
from starship_core.ports import FulfilPolicy
from starship_core.ship import Policy, Ship
from starship_core.store.switches import Switch, set_switch
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import Scripted, at_market, states
from tests.integration.ships import ANA, CARD, SMALL, YEN, Dock

NAMED = NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=[1]))
_DECISIONS = "SELECT order_id, outcome, reason FROM decisions ORDER BY order_id"


def limits(**facts: Any) -> Limits:
    return Limits(LimitsConfig(**facts))


class Says:
    """A policy that says the same of every case, and remembers the cases."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.cases: list[FallbackCase] = []

    def decide(self, case: FallbackCase) -> Any:
        self.cases.append(case)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(case) if callable(self.answer) else self.answer


def with_policies(ship: Ship, policies: Mapping[str, FulfilPolicy]) -> Ship:
    """The ship with these; whoever is called so may only object."""
    return replace(
        ship,
        policies={
            name: Policy(name=name, plugin="plug", port=port, names_products="limits" not in name)
            for name, port in policies.items()
        },
    )


async def priced(dock: Dock, vendor: str, cost: Money | None, priority: int = 100) -> None:
    """What one card of 25.00 costs there."""
    offer = VendorOffer(
        product_id=CARD.product_id, code="card", currency="EUR", vendor=vendor,
        vendor_product=f"{vendor}-card", priority=priority, cost=cost,
        cost_face=None if cost is None else CARD.denomination,
    )  # fmt: skip
    await dock.ship.database.run(write_offer, offer, 1)


async def shop(
    dock: Dock, policies: Mapping[str, FulfilPolicy], *vendors: str
) -> tuple[Ship, dict[str, Scripted]]:
    """A ship with vendors that sell the card for 24.00, and policies."""
    market = {name: Scripted() for name in vendors or ("north",)}
    ship = await at_market(dock, market)
    for name in market:
        await priced(dock, name, Money(2400, "EUR"))
    return with_policies(ship, policies), market


async def parked(dock: Dock, client: Client, quantity: int = 2, key: str = "key-parked") -> int:
    order = (await dock.place(client, key, quantity=quantity)).order
    assert order.status == "PENDING"
    return order.id


async def spent(dock: Dock) -> list[tuple[Any, ...]]:
    rows = await dock.sql("SELECT client_id, currency, spent FROM policy_spending ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def test_an_allowed_order_is_planned_bought_and_delivered(dock: Dock, acme: Client) -> None:
    """The sweep sends nothing; approval, decision, day's total and purchases are one transaction,
    and the purchase goes the way of every other.
    """
    ship, market = await shop(dock, {"products": NAMED, "limits": limits(hours=["00:00-24:00"])})
    order_id = await parked(dock, acme)
    assert await sweep_policies(ship) == 1
    assert market["north"].asked == []
    (row,) = await dock.sql(
        "SELECT actor, items, vendors, ceiling, ceiling_currency, state, case_seen FROM approvals"
    )
    assert row[:6] == ("policy:products", "[1,2]", '["north"]', 4800, "EUR", "USED")
    assert json.loads(row[6])["estimated_cost"] == {"minor": 4800, "currency": "EUR"}
    assert await spent(dock) == [(acme.id, "EUR", 5000)]
    assert await sweep_purchases(ship) == 1
    order = await dock.order(order_id)
    assert (order.status, order.delivered_quantity) == ("DELIVERED", 2)
    assert len(market["north"].asked) == 1
    assert await sweep_policies(ship) == 0
    (audit,) = await dock.sql(
        "SELECT actor, reason FROM audit WHERE action = 'order.approve' ORDER BY id"
    )
    assert audit == ("policy:products", "products: product 1 is in allow_auto_vendor_fulfill")
    await dock.sound()


async def test_the_case_tells_what_is_known(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """Who, what, how many, what was charged, what it would cost, what was allowed today."""
    policy = Says(Verdict(says="AskOperator", reason="look at it"))
    ship, _ = await shop(dock, {"products": policy})
    order_id = await parked(dock, acme, 3)
    await sweep_policies(ship)
    assert policy.cases == [
        FallbackCase(
            order_id=order_id, client_id=acme.id, sku=CARD, quantity=3,
            charged=Money(7500, "EUR"), estimated_cost=Money(7200, "EUR"),
            spent_today=Money(0, "EUR"), at=clock(),
        )
    ]  # fmt: skip
    assert await dock.sql(_DECISIONS) == [(order_id, "AskOperator", "products: look at it")]


async def test_costs_in_another_currency_are_converted_or_shown_as_they_are(
    dock: Dock, acme: Client
) -> None:
    """160 yen are a euro; the approval's ceiling stays as the vendor counts."""
    policy = Says(NAMED.decide)
    ship, _ = await shop(dock, {"products": policy})
    await priced(dock, "north", Money(3843, "JPY"))
    await parked(dock, acme)
    await sweep_policies(ship)
    cost = policy.cases[0].estimated_cost
    assert cost == Money(4804, "EUR")
    assert await dock.sql("SELECT ceiling, ceiling_currency FROM approvals") == [(7686, "JPY")]


async def test_an_unknown_cost_is_bounded_by_the_face_value(dock: Dock, acme: Client) -> None:
    """A policy that does not mind may allow it; one with a margin asks an operator."""
    ship, _ = await shop(dock, {"products": NAMED})
    await priced(dock, "north", None)
    await parked(dock, acme)
    await sweep_policies(ship)
    assert await dock.sql("SELECT ceiling, ceiling_currency FROM approvals") == [(5000, "EUR")]
    strict = with_policies(
        ship, {"products": NAMED, "limits": limits(margin_floor_percent=Decimal(1))}
    )
    second = await parked(dock, acme, key="key-second")
    await sweep_policies(strict)
    assert (await dock.sql(_DECISIONS))[1] == (
        second, "AskOperator", "limits: the cost is not known",
    )  # fmt: skip


HANG = threading.Event()


def hang(_case: FallbackCase) -> Verdict:
    HANG.wait(1.5)
    return Verdict(says="Allow", reason="too late")


@pytest.mark.parametrize(
    ("policies", "outcome", "told"),
    [
        ({"limits": limits(hours=["00:00-24:00"])}, "AskOperator", "no policy allows it"),
        (
            {"products": NAMED, "limits": limits(face_per_order={"EUR": Decimal("49.99")})},
            "AskOperator",
            "limits: face value 50.00 EUR, at most 49.99 EUR an order",
        ),
        (
            {
                "products": NAMED,
                "limits": limits(face_per_order={"EUR": Decimal(1)}, beyond="Refuse"),
            },
            "Refuse",
            "limits: face value 50.00 EUR, at most 1.00 EUR an order",
        ),
        (
            {"limits": Says(Verdict(says="Allow", reason="I may not"))},
            "AskOperator",
            "limits: it names no products, and must not allow anything",
        ),
        (
            {"products": NAMED, "broken": Says(ZeroDivisionError("CODE-1"))},
            "AskOperator",
            "broken: it raised ZeroDivisionError",
        ),
        (
            {"products": NAMED, "odd": Says("Allow")},
            "AskOperator",
            "odd: it answered with str, no verdict",
        ),
        (
            {"products": NAMED, "slow": Says(hang)},
            "AskOperator",
            "slow: it did not answer within 1 s",
        ),
    ],
    ids=["only limits", "past a limit", "refused", "may not allow", "raises", "nonsense", "hangs"],
)
async def test_what_opens_nothing(
    dock: Dock, acme: Client, policies: dict[str, FulfilPolicy], outcome: str, told: str
) -> None:
    """No approval, no purchase, nothing spent; the decision is on record, once."""
    ship, market = await shop(dock, policies)
    order_id = await parked(dock, acme)
    assert await sweep_policies(ship) == 1
    assert await dock.sql(_DECISIONS) == [(order_id, outcome, told)]
    assert await sweep_policies(ship) == 0
    assert await sweep_purchases(ship) == 0
    assert await dock.sql("SELECT count(*) FROM approvals") == [(0,)]
    assert await spent(dock) == [(acme.id, "EUR", 0)]
    assert market["north"].asked == []
    await dock.sound()


async def test_without_policies_nothing_is_automatic(dock: Dock, acme: Client) -> None:
    """And nothing is written."""
    ship, _ = await shop(dock, {})
    await parked(dock, acme)
    assert await sweep_policies(ship) == 0
    assert await dock.sql("SELECT count(*) FROM decisions") == [(0,)]


@pytest.mark.parametrize("many", [50])
async def test_fifty_at_once_under_a_limit_for_three_are_three(
    dock: Dock, many: int, clock: ManualClock
) -> None:
    """Decided at the same moment by as many deciders, each under what it read: exactly three; and
    the day after there is room for three again.
    """
    client = await dock.client("acme", {"EUR": "10000.00"})
    per_day = limits(face_per_client_day={"EUR": Decimal("75.00")})
    ship, _ = await shop(dock, {"products": NAMED, "limits": per_day})
    orders = [await parked(dock, client, 1, f"key-order-{n}") for n in range(many)]
    done = await asyncio.gather(*(decide(each, ship) for each in orders), return_exceptions=True)
    assert {type(each) for each in done} <= {type(None)} | set(StarshipError.__subclasses__())
    while await sweep_policies(ship):  # what was left is due again
        pass
    assert await spent(dock) == [(client.id, "EUR", 7500)]
    outcomes = [outcome for _, outcome, _ in await dock.sql(_DECISIONS)]
    assert (outcomes.count("Allow"), outcomes.count("AskOperator")) == (3, many - 3)
    assert await states(dock) == [("north", "PLANNED")] * 3
    await dock.sound()
    clock.advance(days=1)
    more = [await parked(dock, client, 1, f"key-later-{n}") for n in range(5)]
    await asyncio.gather(sweep_policies(ship), sweep_policies(ship), sweep_policies(ship))
    rows = await dock.sql(
        "SELECT count(*) FROM decisions WHERE outcome = 'Allow' AND order_id >= $1", more[0]
    )
    assert rows == [(3,)]
    await dock.sound()


async def test_one_order_decided_by_many_is_bought_once(dock: Dock, acme: Client) -> None:
    """Ten workers, one decision, one approval, one purchase."""
    ship, market = await shop(dock, {"products": NAMED})
    order_id = await parked(dock, acme)
    await asyncio.gather(*(decide(order_id, ship) for _ in range(10)))
    assert await states(dock) == [("north", "PLANNED")]
    assert await spent(dock) == [(acme.id, "EUR", 5000)]
    await asyncio.gather(sweep_purchases(ship), sweep_purchases(ship))
    assert len(market["north"].asked) == 1
    await dock.sound()


async def test_an_operator_or_a_cancel_may_be_quicker(dock: Dock, acme: Client) -> None:
    """While the policies think, the order is approved or cancelled: no second purchase."""
    ship, _ = await shop(dock, {})
    first = await parked(dock, acme, key="key-first")
    second = await parked(dock, acme, key="key-second")
    loop = asyncio.get_running_loop()

    def meanwhile(case: FallbackCase) -> Verdict:
        doing: Any = (
            cancel_order(first, ANA, ship)
            if case.order_id == first
            else approve_fallback(second, ANA, ship, vendors=["north"], ceiling=Money(9000, "EUR"))
        )
        asyncio.run_coroutine_threadsafe(doing, loop).result(30)
        return Verdict(says="Allow", reason="slow to say")

    deciding = with_policies(ship, {"products": Says(meanwhile)})
    await decide(first, deciding)
    await decide(second, deciding)
    assert await dock.sql("SELECT actor FROM approvals") == [("operator:ana",)]
    assert await states(dock) == [("north", "PLANNED")]
    assert await dock.sql(_DECISIONS) == []
    await dock.sound()


async def test_what_the_pool_has_by_now_comes_first(dock: Dock, acme: Client) -> None:
    """It is delivered, and the policies are asked anew about what is left."""
    policy = Says(NAMED.decide)
    ship, _ = await shop(dock, {"products": policy})
    order_id = await parked(dock, acme, 3)
    await dock.stock(2)
    await sweep_policies(ship)
    assert [case.quantity for case in policy.cases] == [3, 1]
    order = await dock.order(order_id)
    assert (order.delivered_quantity, order.sub_status) == (2, "VENDOR_ORDER_PENDING")
    assert await dock.sql("SELECT quantity, ceiling FROM purchases") == [(1, 2400)]
    assert await spent(dock) == [(acme.id, "EUR", 2500)]
    await dock.sound()
    await sweep_purchases(ship)
    assert (await dock.order(order_id)).status == "DELIVERED"
    await dock.sound()


async def test_a_pool_that_holds_all_needs_no_decision(dock: Dock, acme: Client) -> None:
    """Delivered whole, and nothing is bought or spent."""
    ship, _ = await shop(dock, {"products": NAMED})
    order_id = await parked(dock, acme)
    await dock.stock(2)
    await sweep_policies(ship)
    assert (await dock.order(order_id)).status == "DELIVERED"
    assert await states(dock) == []
    assert await spent(dock) == [(acme.id, "EUR", 0)]
    await dock.sound()


async def test_a_bulk_order_gets_its_items_with_the_yes(dock: Dock) -> None:
    """Split by what the vendor sells at once; one that is not allowed stays without items."""
    acme = await dock.client("acme", {"EUR": "2000.00"})
    ship, _ = await shop(dock, {"products": Says(Verdict(says="AskOperator", reason="many"))})
    asked_for = (await dock.place(acme, "key-asked", SMALL, 51)).order.id
    await sweep_policies(ship)
    assert (await dock.order(asked_for)).sub_status == "INITIAL"
    ship = with_policies(ship, {"products": NAMED})
    order_id = (await dock.place(acme, "key-bulk", SMALL, 33 + 20)).order.id
    await sweep_policies(ship)
    rows = await dock.sql("SELECT quantity FROM purchases ORDER BY id")
    assert [row[0] for row in rows] == [10, 10, 10, 10, 10, 3]
    await sweep_purchases(ship)
    assert (await dock.order(order_id)).status == "DELIVERED"
    await dock.sound()


async def test_who_is_switched_off_is_not_named(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """With nobody to buy from an operator is asked, and it is decided anew a while later."""
    ship, _ = await shop(dock, {"products": NAMED}, "north", "south")
    for scope in ("vendor:north", "vendor:south"):
        await dock.ship.database.run(set_switch, switched(scope, clock, off=True))
    order_id = await parked(dock, acme)
    assert await sweep_policies(ship) == 1
    ((_, outcome, reason),) = await dock.sql(_DECISIONS)
    assert (outcome, "nobody to buy from" in reason) == ("AskOperator", True)
    assert await sweep_policies(ship) == 0
    await dock.ship.database.run(set_switch, switched("vendor:south", clock, off=False))
    clock.advance(seconds=AGAIN.total_seconds())
    assert await sweep_policies(ship) == 1
    assert [row[:2] for row in await dock.sql(_DECISIONS)] == [(order_id, "Allow")]
    assert await dock.sql("SELECT vendors FROM approvals") == [('["south"]',)]
    await dock.sound()


async def test_the_next_vendor_is_no_dearer_than_what_was_judged(dock: Dock, acme: Client) -> None:
    """First by priority, then those at its cost or less; a refusal of all is an operator's."""
    ship, market = await shop(dock, {"products": NAMED}, "first", "dear", "cheap")
    await priced(dock, "first", Money(2400, "EUR"), priority=1)
    await priced(dock, "dear", Money(2401, "EUR"), priority=2)
    await priced(dock, "cheap", Money(2399, "EUR"), priority=3)
    for vendor in market.values():
        vendor.buys = [Refused(reason="sold out")]
    await parked(dock, acme)
    await sweep_policies(ship)
    assert await dock.sql("SELECT vendors FROM approvals") == [('["first","cheap"]',)]
    while await sweep_purchases(ship):
        pass
    assert await states(dock) == [("first", "REFUSED"), ("cheap", "REFUSED")]
    assert await sweep_policies(ship) == 0
    await dock.sound()


async def test_old_orders_are_an_operators(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """Policies that are switched on buy nothing for what has waited for more than a day."""
    ship, _ = await shop(dock, {"products": NAMED})
    await parked(dock, acme)
    before = await dock.ship.database.read(lambda tx: oldest_due(tx, micros(clock())))
    assert before is not None
    clock.advance(seconds=timedelta(hours=24, seconds=1).total_seconds())
    assert await dock.ship.database.read(lambda tx: oldest_due(tx, micros(clock()))) is None
    assert await sweep_policies(ship) == 0


async def test_redis_is_not_asked(dock: Dock, acme: Client) -> None:
    """FLUSHALL between two orders changes no total and no limit."""
    per_day = limits(face_per_client_day={"EUR": Decimal("50.00")})
    ship, _ = await shop(dock, {"products": NAMED, "limits": per_day})
    await parked(dock, acme)
    await sweep_policies(ship)
    await ship.pool.attempt([("FLUSHALL",)])
    second = await parked(dock, acme, key="key-second")
    await sweep_policies(ship)
    assert (await dock.sql(_DECISIONS))[1][:2] == (second, "AskOperator")
    assert await spent(dock) == [(acme.id, "EUR", 5000)]


async def test_each_currency_and_client_has_a_limit_of_its_own(dock: Dock, acme: Client) -> None:
    """What one was allowed leaves the others' as they were."""
    per_day = limits(face_per_client_day={"EUR": Decimal("50.00"), "JPY": Decimal(1000)})
    named = NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=[1, 2]))
    ship, _ = await shop(dock, {"products": named, "limits": per_day})
    offer = VendorOffer(
        product_id=YEN.product_id, code="yen", currency="JPY", vendor="north", vendor_product="y"
    )
    await dock.ship.database.run(write_offer, offer, 1)
    other = await dock.client("other")
    await parked(dock, acme)
    await parked(dock, other)
    await dock.place(acme, "key-yen", YEN)
    await sweep_policies(ship)
    outcomes = [outcome for _, outcome, _ in await dock.sql(_DECISIONS)]
    assert outcomes == ["Allow"] * 3
    assert await spent(dock) == [
        (acme.id, "EUR", 5000), (acme.id, "JPY", 1000), (other.id, "EUR", 5000),
    ]  # fmt: skip


def switched(scope: str, clock: ManualClock, *, off: bool) -> Switch:
    return Switch(scope=scope, off=off, reason="a test", actor="operator:ana", at=clock())
