"""Histories of purchases: whatever a vendor, a kill, the clock and operators do, bought once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from starship_core.access import Client
from starship_core.errors import Ambiguous, StarshipError, Unavailable
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.resolve_purchase import IN_DOUBT, resolve_bought, resolve_not_bought
from starship_core.flows.retry_order import retry_order
from starship_core.model import (
    Accepted,
    Bought,
    Money,
    Purchase,
    Refused,
    VendorProduct,
    VendorReply,
    Voucher,
    Want,
)
from starship_core.registration import VendorTraits
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import CAREFUL, at_market, goods
from tests.integration.ships import ANA, Dock, add_products, docked, written

HISTORIES: Final = 105
MOODS: Final = (
    "sells", "sells", "refuses", "unavailable", "sells, and it is lost", "nothing, and it is lost",
    "accepts", "killed before", "killed after",
)  # fmt: skip
STEPS: Final = (
    "approve", "approve", "sweep", "sweep", "sweep", "minute", "minute", "hour", "day", "cancel",
    "retry", "stock", "resolve", "resolve",
)  # fmt: skip
TRAITS: Final = (
    CAREFUL,
    replace(CAREFUL, duplicates="unsafe"),
    replace(CAREFUL, lookup=False),
    replace(CAREFUL, duplicates="replays", lookup=False),
)
REACHED: Final = {
    "BOUGHT", "REFUSED", "NOT_BOUGHT", "VOIDED", "NEEDS_REVIEW", "UNKNOWN", "ACCEPTED", "PLANNED",
    "SENT",
}  # fmt: skip


class Killed(BaseException):
    """The process ends here: nobody catches it, nothing is written."""


@dataclass
class Fickle:
    """A vendor of that kind, in any mood, that keeps books which nobody can change."""

    traits: VendorTraits
    mood: str = "sells"
    books: dict[str, Bought] = field(default_factory=dict)
    sold: list[str] = field(default_factory=list)
    """References, once for each time that money was taken."""

    async def buy(self, purchase: Purchase) -> VendorReply:
        match self.mood:
            case "refuses" if purchase.reference not in self.books:
                return Refused(reason="no")
            case "unavailable":
                raise Unavailable("busy", retry_after=5)
            case "nothing, and it is lost":
                raise Ambiguous("cut off")
            case "killed before":
                raise Killed
        had = purchase.reference in self.books
        reply = self._sell(purchase)
        match self.mood:
            case "killed after":
                raise Killed
            case "accepts":
                return Accepted(vendor_reference=f"V-{purchase.reference}")
            case "sells, and it is lost":
                raise Ambiguous("cut off")
        if had and self.traits.duplicates == "rejects":
            raise Ambiguous("a duplicate")
        return reply

    def _sell(self, purchase: Purchase) -> Bought:
        if purchase.reference not in self.books or self.traits.duplicates == "unsafe":
            self.sold.append(purchase.reference)
            self.books[purchase.reference] = goods(purchase)
        return self.books[purchase.reference]

    async def find(self, purchase: Purchase) -> VendorReply | None:
        return self.books.get(purchase.reference) if self.traits.lookup else None

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        raise AssertionError("nobody asked for it")
        yield


class File:
    """What an operator was sent by the vendor."""

    def __init__(self, units: Sequence[Voucher]) -> None:
        self.units = units

    async def pull(self, _wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        for unit in self.units:
            yield unit

    async def confirm(self, _references: Sequence[str]) -> None:
        return


@dataclass
class World:
    """One deployment, in which every history has an order of its own and comes to its end."""

    run: Any
    dock: Dock
    clock: ManualClock
    client: Client
    seen: set[str] = field(default_factory=set)
    histories: int = 0


class History:
    def __init__(self, world: World, ship: Ship, vendors: dict[str, Fickle]) -> None:
        self.world, self.ship, self.vendors = world, ship, vendors
        self.order_id = 0
        self.quantity = 0

    async def begin(self) -> None:
        self.quantity = len(await self.world.dock.on_sale()) + 2
        key = f"key-history-{self.world.histories}"
        placed = await self.world.dock.place(self.world.client, key, quantity=self.quantity)
        assert placed.order.status == "PENDING"
        self.order_id = placed.order.id

    async def do(self, step: str) -> None:
        clock, order_id = self.world.clock, self.order_id
        with suppress(StarshipError, Killed):
            match step:
                case "approve":
                    ceiling = Money(10_000, "EUR")
                    await approve_fallback(
                        order_id, ANA, self.ship, vendors=list(self.vendors), ceiling=ceiling
                    )
                case "sweep":
                    await sweep_purchases(self.ship)
                case "minute":
                    clock.advance(seconds=61)
                case "hour":
                    clock.advance(hours=1)
                case "day":
                    clock.advance(hours=24)
                case "cancel":
                    await cancel_order(order_id, ANA, self.ship)
                case "retry":
                    await retry_order(order_id, ANA, self.ship)
                case "stock":
                    await self.world.dock.stock(1)
                case "resolve":
                    await self.resolve()

    async def resolve(self) -> None:
        """An operator asks the vendor, whose books are right."""
        for number, vendor, reference, state in await self.purchases():
            if state in IN_DOUBT:
                reply = self.vendors[vendor].books.get(reference)
                if reply is None:
                    await resolve_not_bought(number, "they say so", ANA, self.ship)
                else:
                    await resolve_bought(number, {"f": File(reply.vouchers)}, ANA, self.ship)

    async def purchases(self) -> Sequence[tuple[Any, ...]]:
        return await self.world.dock.sql(
            "SELECT id, vendor, reference, state FROM purchases WHERE order_id = $1", self.order_id
        )

    async def holds(self) -> None:
        """After each step: the invariants, and by the vendors' own books nothing twice."""
        await self.world.dock.sound()
        self.world.seen |= {state for *_, state in await self.purchases()}
        sold = [reference for one in self.vendors.values() for reference in one.sold]
        assert len(sold) == len(set(sold))
        bought = [len(reply.vouchers) for one in self.vendors.values()
                  for reply in one.books.values()]  # fmt: skip
        assert sum(bought) <= self.quantity

    async def end(self) -> None:
        """Vendors answer again, operators settle: no voucher that was paid for is lost."""
        for one in self.vendors.values():
            one.mood = "refuses"
        for _ in range(12):
            self.world.clock.advance(hours=24)
            await self.do("sweep")
        await self.holds()
        await self.do("resolve")
        await self.holds()
        ((open_,),) = await self.world.dock.sql(
            "SELECT count(*) FROM purchases WHERE closed_at IS NULL"
        )
        rows = await self.world.dock.sql(
            "SELECT received FROM purchases WHERE order_id = $1", self.order_id
        )
        bought = [len(reply.vouchers) for one in self.vendors.values()
                  for reply in one.books.values()]  # fmt: skip
        assert (open_, sum(row[0] for row in rows)) == (0, sum(bought))
        await self.do("cancel")
        await self.holds()


async def lived(world: World, traits: VendorTraits, steps: Sequence[tuple[str, str, str]]) -> None:
    world.histories += 1
    vendors = {"north": Fickle(traits), "south": Fickle(traits)}
    ship = await at_market(world.dock, vendors, traits)  # type: ignore[arg-type]  # as fickle
    history = History(world, ship, vendors)
    await history.begin()
    for step, north, south in steps:
        vendors["north"].mood, vendors["south"].mood = north, south
        await history.do(step)
        await history.holds()
    await history.end()


@pytest.fixture
def world(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr("starship_core.pool.DEADLINE", 30)  # a laden machine is no hung Redis
    loop, stack, clock = asyncio.new_event_loop(), AsyncExitStack(), ManualClock()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return loop.run_until_complete(work)

    async def opened() -> World:
        file = written(tmp_path, database_url, redis_url)
        dock = await stack.enter_async_context(docked(file, clock))
        await add_products(dock)
        return World(run, dock, clock, await dock.client("acme", {"EUR": "1000000.00"}))

    yield run(opened())
    run(stack.aclose())
    run(loop.shutdown_asyncgens())
    run(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_histories_of_purchases(world: World) -> None:
    """After each step all invariants hold, and by the vendors' books nothing was bought twice."""
    mood = st.sampled_from(MOODS)
    step = st.tuples(st.sampled_from(STEPS), mood, mood)

    @seed(7)
    @settings(
        max_examples=HISTORIES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @given(traits=st.sampled_from(TRAITS), steps=st.lists(step, min_size=6, max_size=12))
    def history(traits: VendorTraits, steps: Sequence[tuple[str, str, str]]) -> None:
        world.run(lived(world, traits, [("approve", *steps[0][1:]), *steps]))

    history()
    assert world.histories >= 100
    assert world.seen >= REACHED
