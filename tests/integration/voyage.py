"""A state machine over a real deployment: whatever is done in whatever order, the invariants hold.

Each history has a database of its own (a copy of one with clients and products) and an empty Redis.
After every step all of `verify` runs, and what the database says is held against a small model of
what should have happened.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from starship_core.access import Client
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import InsufficientFunds, KeyReused, WrongState
from starship_core.flows.block_stock import block_stock, unblock_stock
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.move_money import credit_wallet
from starship_core.flows.place_order import Replayed
from starship_core.flows.pump_inventory import pump
from starship_core.flows.refund_order import refund_order
from starship_core.flows.replace_voucher import replace_voucher
from starship_core.flows.retry_order import retry_order
from starship_core.flows.verify import verify
from starship_core.model import BULK_ABOVE, NO_EXPIRY, Money, Sku
from starship_core.store.write import Placed
from starship_core.testing.clock import ManualClock
from tests.integration.ships import ANA, CARD, SMALL, Dock, docked

T = TypeVar("T")
LAX, STRICT, POOR = range(3)
MONEY: Final = ("20000.00", "20000.00", "60.00")
DAYS: Final = (0, 30, 0)
"""Minimum validity of each client."""
_SKUS: Final = (CARD, SMALL)

_FITTING: Final = """
SELECT id, expires_at FROM vouchers
WHERE state = 'pooled' AND product_id = $1 AND denomination = $2 AND expires_at > $3
ORDER BY expires_at, id LIMIT $4
"""
_DEAD_ON_DELIVERY: Final = """
SELECT v.id, v.order_id FROM vouchers AS v
JOIN orders AS o ON o.id = v.order_id JOIN clients AS c ON c.id = o.client_id
WHERE v.state = 'assigned' AND v.expires_at <= v.updated_at + c.min_validity_days * 86400000000
"""
_ON_SALE: Final = """
SELECT denomination, id FROM vouchers WHERE state = 'pooled' AND expires_at > $1 ORDER BY id
"""
_BALANCES: Final = """
SELECT balance FROM ledger_accounts WHERE account LIKE 'wallet:%' ORDER BY account
"""
_ORDERS: Final = "SELECT id, delivered_quantity, refunded FROM orders ORDER BY id"


def _look(tx: Tx, now: int) -> tuple[Sequence[tuple[Any, ...]], ...]:
    """What is held against the model, on one snapshot."""
    told = (tx.execute(each) for each in (_DEAD_ON_DELIVERY, _BALANCES, _ORDERS))
    return (*told, tx.execute(_ON_SALE, now))


@dataclass
class Asked:
    """An order as the model has it."""

    id: int
    who: int
    key: str
    sku: Sku
    quantity: int
    delivered: int = 0
    refunded: int = 0
    """Units."""
    cancelled: bool = False

    @property
    def waiting(self) -> int:
        return 0 if self.cancelled else self.quantity - self.delivered


@dataclass
class Log:
    """What the histories of one test came to."""

    histories: list[int] = field(default_factory=list)
    """Steps of each."""
    seen: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class World:
    """What all histories of a test share."""

    loop: asyncio.AbstractEventLoop
    fresh: Callable[[], Path]
    """A configuration whose database is a new copy of the prepared one."""
    clients: tuple[Client, ...]
    log: Log


class Voyage(RuleBasedStateMachine):
    """One history; a subclass sets `world`."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.stack = AsyncExitStack()
        self.keys = count(1)
        self.orders: list[Asked] = []
        self.money = [Money.of(amount, "EUR").minor for amount in MONEY]
        self.flushed = False
        self.steps = -1  # the invariant is checked once before the first
        self.dock: Dock = self.run(
            self.stack.enter_async_context(docked(self.world.fresh(), self.clock))
        )

    def teardown(self) -> None:
        self.world.log.histories.append(self.steps)
        self.run(self.stack.aclose())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.world.loop.run_until_complete(work)

    def note(self, what: str) -> None:
        self.world.log.seen[what] += 1

    # --- placing --------------------------------------------------------------------------------

    @rule(
        who=st.sampled_from((LAX, LAX, STRICT, POOR)),
        sku=st.sampled_from(_SKUS),
        quantity=st.sampled_from((1, 1, 2, 3, 5)),
    )
    def place(self, who: int, sku: Sku, quantity: int) -> None:
        """Hit, miss or refusal: exactly what stock, validity and money say."""
        self.run(self._place(who, sku, quantity))

    @rule(who=st.sampled_from((LAX, STRICT, POOR)))
    def place_bulk(self, who: int) -> None:
        self.run(self._place(who, SMALL, BULK_ABOVE + 3))

    async def _place(self, who: int, sku: Sku, quantity: int) -> None:
        floor = self.clock().replace(second=0) + timedelta(minutes=1, days=DAYS[who])
        fitting = await self.fitting(sku, floor, quantity)
        charge = sku.denomination * quantity
        asked = Asked(0, who, f"key-{next(self.keys):05}", sku, quantity)
        try:
            placed = await self.dock.place(self.client(who), asked.key, sku, quantity)
        except InsufficientFunds:
            assert self.money[who] < charge
            self.note("refused")
            return
        assert self.money[who] >= charge
        self.money[who] -= charge
        asked.id = placed.order.id
        self.orders.append(asked)
        hit = quantity <= BULK_ABOVE and len(fitting) == quantity
        assert placed.order.status == ("DELIVERED" if hit else "PENDING")
        self.note(placed.order.status if quantity <= BULK_ABOVE else "bulk")
        if hit:
            asked.delivered = quantity
            assert sorted(unit.expires_at for unit in placed.units) == fitting

    @rule(who=st.sampled_from((LAX, STRICT)), sku=st.sampled_from(_SKUS))
    def burst(self, who: int, sku: Sku) -> None:
        """Five at once, two of them under one key: at most four orders, each whole."""
        self.run(self._burst(who, sku))

    async def _burst(self, who: int, sku: Sku) -> None:
        keys = [f"key-{next(self.keys):05}" for _ in range(4)]
        outcomes = await asyncio.gather(
            *(self.dock.ask(self.client(who), key, sku) for key in [*keys, keys[0]]),
            return_exceptions=True,
        )
        ids = set()
        for key, outcome in zip([*keys, keys[0]], outcomes, strict=True):
            if isinstance(outcome, Placed):
                ids.add(outcome.order.id)
                asked = Asked(outcome.order.id, who, key, sku, 1)
                asked.delivered = outcome.order.delivered_quantity
                self.orders.append(asked)
                self.money[who] -= sku.denomination
            elif isinstance(outcome, Replayed):
                assert outcome.order_id in ids
                self.note("replayed in flight")
            else:
                assert isinstance(outcome, InsufficientFunds), outcome
        self.orders.sort(key=lambda asked: asked.id)  # as they arrived, not as they were asked

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 999), same=st.booleans())
    def replay(self, which: int, *, same: bool) -> None:
        """The same request: its order, whatever became of it. Another one: refused."""
        asked = self.orders[which % len(self.orders)]
        quantity = asked.quantity if same else asked.quantity + 1
        asking = self.dock.ask(self.client(asked.who), asked.key, asked.sku, quantity)
        try:
            assert self.run(asking) == Replayed(asked.id)
            assert same
        except KeyReused:
            assert not same
        self.note("replayed" if same else "key reused")

    # --- what operators do ----------------------------------------------------------------------

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 999))
    def retry(self, which: int) -> None:
        """As many as fit and wait; refused when nothing waits."""
        self.run(self._retry(self.orders[which % len(self.orders)]))

    async def _retry(self, asked: Asked) -> None:
        before = await self.dock.order(asked.id)
        floor = self.clock() + max(before.min_expiry - before.placed_at, timedelta())
        fitting = await self.fitting(asked.sku, floor, asked.waiting)
        try:
            order = await retry_order(asked.id, ANA, self.dock.ship)
        except WrongState:
            assert not asked.waiting
            return
        assert asked.waiting
        asked.delivered += len(fitting)
        assert (order.delivered_quantity, order.pending_items) == (asked.delivered, asked.waiting)
        self.note(f"retried to {order.status}")

    @rule(who=st.sampled_from((LAX, STRICT)), sku=st.sampled_from(_SKUS), come=st.integers(1, 4))
    def some_come(self, who: int, sku: Sku, come: int) -> None:
        """An order for three more than there are, some new units, a retry: part of it, or all."""
        there = len(self.run(self.fitting(sku, self.clock(), BULK_ABOVE)))
        self.run(self._place(who, sku, there + 3))
        self.stock(come, sku, None)
        self.run(self._retry(self.orders[-1]))

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 999))
    def cancel(self, which: int) -> None:
        """What waits comes back in money; refused when nothing waits."""
        asked = self.orders[which % len(self.orders)]
        try:
            self.run(cancel_order(asked.id, ANA, self.dock.ship))
        except WrongState:
            assert not asked.waiting
            return
        assert asked.waiting
        self.money[asked.who] += asked.sku.denomination * asked.waiting
        asked.cancelled = True
        self.note("cancelled")

    @precondition(lambda self: any(asked.delivered for asked in self.orders))
    @rule(which=st.integers(0, 999), whole=st.booleans())
    def refund(self, which: int, *, whole: bool) -> None:
        """Delivered units, each at most once: all that are left, or the next one."""
        able = [asked for asked in self.orders if asked.delivered]
        asked = able[which % len(able)]
        items = None if whole else [asked.refunded + 1]
        given = asked.delivered - asked.refunded if whole else 1
        try:
            self.run(refund_order(asked.id, ANA, self.dock.ship, items=items))
        except WrongState:
            assert asked.refunded == asked.delivered
            return
        assert asked.refunded + given <= asked.delivered
        asked.refunded += given
        self.money[asked.who] += asked.sku.denomination * given
        self.note("refunded")

    @precondition(lambda self: any(asked.delivered for asked in self.orders))
    @rule(which=st.integers(0, 999))
    def replace(self, which: int) -> None:
        """Another voucher for the first item, or a refusal that changes nothing."""
        able = [asked for asked in self.orders if asked.delivered]
        asked = able[which % len(able)]
        try:
            self.run(replace_voucher(asked.id, 1, ANA, self.dock.ship))
        except WrongState:
            return
        self.note("replaced")

    @rule(amount=st.integers(1, 5000))
    def credit(self, amount: int) -> None:
        """The poor one gets something."""
        (wallet,) = self.client(POOR).wallets
        money = Money(amount, "EUR")
        reference = f"C-{next(self.keys)}"
        self.run(credit_wallet(self.dock.ship, wallet.id, money, reference=reference, by=ANA))
        self.money[POOR] += amount

    # --- stock, time and Redis ------------------------------------------------------------------

    @rule(
        many=st.integers(1, 6),
        sku=st.sampled_from(_SKUS),
        days=st.sampled_from((None, 1, 3, 31, 40)),
    )
    def stock(self, many: int, sku: Sku, days: int | None) -> None:
        """New units come, and the pump puts them on sale."""
        expires_at = NO_EXPIRY if days is None else self.clock() + timedelta(days=days)
        self.dock.shelf.put(many, sku, expires_at)
        self.pump()

    @rule()
    def restock(self) -> None:
        """Enough for a while, of every validity; placed before, it may wait for a retry."""
        for sku in _SKUS:
            for days in (2, 35):
                self.dock.shelf.put(3, sku, self.clock() + timedelta(days=days))
        self.stock(30, SMALL, None)

    @rule()
    def pump(self) -> None:
        """What has expired leaves; Redis is made to say what the table says."""
        self.run(pump(self.dock.ship, by=ANA))
        self.flushed = False

    @rule(hours=st.sampled_from((0.01, 1, 30, 24 * 20)))
    def wait(self, hours: float) -> None:
        """Time passes; what expires is not taken out of sale before the next pump."""
        self.clock.advance(hours=hours)

    @rule(which=st.integers(0, 999))
    def block(self, which: int) -> None:
        """A voucher on sale is taken out."""
        on_sale = self.run(self.dock.sql(_ON_SALE, micros(self.clock())))
        if on_sale:
            self.run(block_stock(self.dock.ship, [on_sale[which % len(on_sale)][1]], by=ANA))
            self.note("blocked")

    @rule()
    def unblock(self) -> None:
        """All that were blocked and never delivered come back with the next pump."""
        statement = "SELECT id FROM vouchers WHERE state = 'blocked' AND order_id IS NULL"
        if blocked := [row[0] for row in self.run(self.dock.sql(statement))]:
            self.run(unblock_stock(self.dock.ship, blocked, by=ANA))

    @rule()
    def flush(self) -> None:
        """Redis loses everything; nothing is rebuilt before the next pump."""
        self.run(self.dock.ship.pool.attempt([("FLUSHALL",)]))
        self.flushed = True

    # --- what holds after every step ------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        self.steps += 1
        self.run(self._holds())

    async def _holds(self) -> None:
        assert [str(each) for each in await verify(self.dock.ship)] == []
        dead, balances, orders, on_sale = await self.dock.ship.database.read(
            _look, micros(self.clock())
        )
        assert dead == [], "delivered with too little validity left"
        assert [row[0] for row in balances] == self.money
        assert list(orders) == [self._expected(asked) for asked in self.orders]
        for sku in () if self.flushed else _SKUS:
            offered = await self.dock.ship.pool.members(sku)
            missing = {n for face, n in on_sale if face == sku.denomination} - offered
            assert missing == set(), "Redis misses what is on sale"

    def _expected(self, asked: Asked) -> tuple[int, int, int]:
        units = asked.refunded + (asked.quantity - asked.delivered if asked.cancelled else 0)
        return asked.id, asked.delivered, units * asked.sku.denomination

    # --- small things ---------------------------------------------------------------------------

    def client(self, who: int) -> Client:
        return self.world.clients[who]

    async def fitting(self, sku: Sku, floor: datetime, quantity: int) -> list[int]:
        """Expiries of what an order may get, first expired first."""
        rows = await self.dock.sql(
            _FITTING, sku.product_id, sku.denomination, micros(floor), quantity
        )
        return [row[1] for row in rows]
