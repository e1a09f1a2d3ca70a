"""Operators at the same moment, over HTTP, at two servers: one decision wins, the others are told
the truth, and money moves once.

Two deployments are open on one database, each served on a port of its own, with a pool of
connections and a till of its own; on SQLite, too.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from starship_policy_limits.limits import Limits, LimitsConfig
from starship_policy_products import NamedProducts, ProductsConfig

from starship_core.errors import Ambiguous, StarshipError
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.decide_fallbacks import decide, sweep_policies
from starship_core.flows.manage_operators import issue_token
from starship_core.flows.verify import verify
from starship_core.model import Accepted
from starship_core.operators import ABILITIES
from starship_core.ports import FulfilPolicy
from starship_core.ship import Policy, Ship, Vendor
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.testing.clock import ManualClock
from tests.e2e.admin.conftest import PRODUCTS, Hand
from tests.e2e.servers import ANA, PATIENCE, Caller, Shop, opened_shop, served, written
from tests.integration.scripted import CAREFUL, Scripted

MANY = 50
FACE = Decimal("20.00")
YES = {"vendors": ["north"], "ceiling": "60.00", "reason": "ticket 771"}
Told = tuple[int, str, str]
"""Status, error code, and what was found."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Two:
    """Two servers of one deployment, an operator at each, and what they quarrel about."""

    shop: Shop
    ships: Sequence[Ship]
    hands: Sequence[Hand]
    acme: Caller
    north: Scripted

    async def parked(self, key: str, quantity: int = 1) -> int:
        placed = await self.acme.order(key, quantity=quantity)
        assert placed["status"] == "PENDING"
        return int(placed["id"])

    async def at_once(self, *calls: tuple[str, Any]) -> list[Told]:
        """All of them, by turns at one server and the other; each answered."""
        work = [hand.send("POST", *call) for hand, call in zip(cycle(self.hands), calls)]
        return [told(answer) for answer in await asyncio.gather(*work)]

    async def balance(self) -> Decimal:
        (wallet,) = await self.acme.get("/wallets")
        return Decimal(wallet["amount"])

    async def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        read = self.shop.ship.database.read
        return [tuple(row) for row in await read(lambda tx: tx.execute(statement, *parameters))]

    async def order(self, order_id: int) -> dict[str, Any]:
        found: dict[str, Any] = await self.hands[0].get(f"/orders/{order_id}")
        return found

    async def sound(self) -> None:
        assert [str(each) for each in await verify(self.shop.ship)] == []


def told(answer: httpx2.Response) -> Told:
    document = answer.json()
    if answer.status_code == 200:
        return 200, "", document["status"]
    error = document["error"]
    return answer.status_code, error["code"], str(error["details"]["found"])


@pytest.fixture
async def two(
    database_url: str, redis_url: str, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Two]:
    config = written(tmp_path, database=database_url, redis=redis_url)
    north = Scripted()
    async with AsyncExitStack() as stack:
        shop = await stack.enter_async_context(opened_shop(config, clock))
        await shop.products(PRODUCTS)
        other = await stack.enter_async_context(Ship.open(config, now=clock))
        url = await stack.enter_async_context(served(other))
        offer = VendorOffer(
            product_id=1, code="card", currency="GBP", vendor="north", vendor_product="n"
        )
        await shop.ship.database.run(write_offer, offer, 1)
        for ship in (shop.ship, other):
            vendor = Vendor(name="north", plugin="scripted", port=north, traits=CAREFUL)
            cast("dict[str, Vendor]", ship.vendors)["north"] = vendor
        hands = []
        for name, address in (("bob", shop.url), ("eve", url)):
            token = (await issue_token(name, ABILITIES, ANA, shop.ship)).token.reveal()
            http = httpx2.AsyncClient(
                base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE,
                limits=httpx2.Limits(max_connections=MANY),
            )  # fmt: skip
            hands.append(Hand(http=await stack.enter_async_context(http), token=token))
        acme = await shop.client("acme", {"GBP": "10000.00"})
        yield Two(shop=shop, ships=(shop.ship, other), hands=hands, acme=acme, north=north)


async def test_fifty_approvals_are_one(two: Two) -> None:
    """One is planned, 49 are told that it is being bought; the vendor is asked once."""
    order_id = await two.parked("key-approve")
    answers = Counter(await two.at_once(*[(f"/orders/{order_id}/approve", YES)] * MANY))
    assert answers == {(200, "", "PENDING"): 1, (409, "PURCHASE_OPEN", "PENDING"): MANY - 1}
    assert await two.sql("SELECT count(*) FROM approvals") == [(1,)]
    await asyncio.gather(*(sweep_purchases(ship) for ship in two.ships))
    assert (await two.order(order_id))["status"] == "DELIVERED"
    assert len(two.north.asked) == 1
    answers = Counter(await two.at_once(*[(f"/orders/{order_id}/approve", YES)] * MANY))
    assert answers == {(409, "WRONG_STATE", "DELIVERED"): MANY}
    assert await two.balance() == 10_000 - FACE
    await two.sound()


@pytest.mark.parametrize("rival", ["cancel", "refuse"])
async def test_approve_against_its_rival(two: Two, rival: str) -> None:
    """Ten orders, each approved at one server and cancelled or refused at the other: nothing is
    sent for what ended cancelled or refused, and what was paid comes back once.
    """
    orders = [await two.parked(f"key-rival-{n}") for n in range(10)]
    calls = [
        (f"/orders/{order_id}/{verb}", YES if verb == "approve" else {"reason": "no"})
        for order_id in orders
        for verb in ("approve", rival)
    ]
    answers = await two.at_once(*calls)
    won = dict(zip(orders, answers[1::2], strict=True))
    assert set(won.values()) == {(200, "", "CANCELLED" if rival == "cancel" else "PENDING")}
    for approved in answers[::2]:  # before its rival, or too late
        assert approved in {(200, "", "PENDING"), (409, "WRONG_STATE", "CANCELLED")}
    for ship in two.ships:
        await sweep_purchases(ship)
    planned = await two.sql("SELECT DISTINCT state FROM purchases")
    if rival == "cancel":
        assert set(planned) <= {("VOIDED",)}
        assert two.north.asked == []
        assert await two.balance() == 10_000
    else:  # who approved after the refusal took it back
        bought = await two.sql("SELECT count(*) FROM purchases WHERE state = 'BOUGHT'")
        refused = await two.sql("SELECT count(*) FROM refusals WHERE is_open = 1")
        assert bought[0][0] + refused[0][0] == len(orders)
        assert len(two.north.asked) == bought[0][0]
        assert await two.balance() == 10_000 - 10 * FACE
    await two.sound()


async def test_cancel_refuse_and_retry_against_a_purchase(two: Two, clock: ManualClock) -> None:
    """SENT, ACCEPTED, UNKNOWN: cancels and refusals are told so, a retry passes the item over
    though the pool has one by now, and each is bought once.
    """
    sent = await two.parked("key-sent")
    gate = two.north.gate = asyncio.Event()
    assert (await two.at_once((f"/orders/{sent}/approve", YES)))[0][0] == 200
    sending = asyncio.create_task(sweep_purchases(two.ships[0]))
    await two.north.called.wait()
    two.north.gate = None
    accepted, unknown = await two.parked("key-accepted"), await two.parked("key-unknown")
    for order_id, reply in ((accepted, Accepted(vendor_reference="V")), (unknown, Ambiguous("?"))):
        two.north.buys = [reply]
        assert (await two.at_once((f"/orders/{order_id}/approve", YES)))[0][0] == 200
        await sweep_purchases(two.ships[1])
    await two.shop.stock(1, "20.00", 3)
    revisions = {each: (await two.order(each))["revision"] for each in (sent, accepted, unknown)}
    for order_id, state in ((sent, "SENT"), (accepted, "ACCEPTED"), (unknown, "UNKNOWN")):
        calls: list[tuple[str, Any]] = [
            (f"/orders/{order_id}/{verb}", {"reason": "now"})
            for verb in ("cancel", "refuse", "retry", "cancel", "refuse") * 2
        ]
        answers = Counter(await two.at_once(*calls))
        assert answers == {(409, "PURCHASE_OPEN", state): 8, (200, "", "PENDING"): 2}
        assert (await two.order(order_id))["revision"] == revisions[order_id] + 2
    gate.set()
    await sending
    clock.advance(seconds=61)
    two.north.finds = [two.north.sell] * 2
    await asyncio.gather(*(sweep_purchases(ship) for ship in two.ships))
    for order_id in (sent, accepted, unknown):
        assert (await two.order(order_id))["status"] == "DELIVERED"
    assert len(two.north.asked) == len(set(two.north.asked)) == 3
    assert await two.balance() == 10_000 - 3 * FACE
    await two.sound()


async def test_refund_against_refund(two: Two) -> None:
    """All of it, by twenty at once: once. By item: each once, whoever asks for it."""
    await two.shop.stock(1, "20.00", 6)
    whole = (await two.acme.order("key-whole", quantity=3))["id"]
    answers = Counter(await two.at_once(*[(f"/orders/{whole}/refund", {"reason": "r"})] * 20))
    assert answers == {(200, "", "DELIVERED"): 1, (409, "WRONG_STATE", "DELIVERED"): 19}
    assert await two.balance() == 10_000
    parts = (await two.acme.order("key-parts", quantity=3))["id"]
    calls = [(f"/orders/{parts}/refund", {"items": [1 + n % 3]}) for n in range(18)]
    answers = Counter(await two.at_once(*calls))
    assert answers == {(200, "", "DELIVERED"): 3, (409, "WRONG_STATE", "DELIVERED"): 15}
    assert (await two.order(parts))["refunded_amount"] == "60.00"
    assert await two.balance() == 10_000
    await two.sound()


def limited(ship: Ship) -> Ship:
    """It allows the card, for 60 pounds a client and day."""
    per_day = LimitsConfig(face_per_client_day={"GBP": Decimal(60)})
    policies: dict[str, FulfilPolicy] = {
        "products": NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=[1])),
        "limits": Limits(per_day),
    }
    return dataclasses.replace(
        ship,
        policies={
            name: Policy(name=name, plugin="p", port=port, names_products=name == "products")
            for name, port in policies.items()
        },
    )


async def test_fifty_decisions_under_a_limit_for_three(two: Two) -> None:
    """By two workers at once: three are allowed and bought. Whoever approves one of these is told
    so; the other 47 are an operator's.
    """
    orders = [await two.parked(f"key-decide-{n:02}") for n in range(MANY)]
    ships = [limited(ship) for ship in two.ships]
    work: list[Awaitable[None]] = [decide(each, ship) for each in orders for ship in ships]
    ended = await asyncio.gather(*work, return_exceptions=True)
    assert [one for one in ended if one is not None and not isinstance(one, StarshipError)] == []
    while await sweep_policies(ships[0]):  # what was left is due again
        pass
    outcomes = await two.sql("SELECT outcome, count(*) FROM decisions GROUP BY outcome ORDER BY 1")
    assert outcomes == [("Allow", 3), ("AskOperator", MANY - 3)]
    answers = Counter(await two.at_once(*[(f"/orders/{each}/approve", YES) for each in orders]))
    assert answers == {
        (200, "", "PENDING"): MANY - 3, (409, "PURCHASE_OPEN", "PENDING"): 3,
    }  # fmt: skip
    while await sweep_purchases(two.ships[0]) + await sweep_purchases(two.ships[1]):
        pass
    assert len(two.north.asked) == len(set(two.north.asked)) == MANY
    assert await two.balance() == 10_000 - MANY * FACE
    await two.sound()
