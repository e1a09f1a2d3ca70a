"""Policies say whether an order that misses may be bought without an operator, once.

They are asked outside of any transaction. Then the client's limit row and the order are locked, the
case is read again, and only if it is the one that was judged do decision, approval and purchases
commit, together; else the new case is judged. So fifty decisions at once see each other's totals,
and no plugin's code runs while a row is locked.

ALLOW_AUTO_VENDOR_FULFILL, product by product, is what the policies answer.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.buying.cases import Seen, View, see, view_of
from starship_core.buying.planning import plan
from starship_core.buying.verdicts import Heard, Outcome, asked, combined
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import StarshipError, Unavailable
from starship_core.model import FallbackCase, Money, Order
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.store import decisions
from starship_core.store.allocate import allocate
from starship_core.store.approvals import Terms, insert_approval
from starship_core.store.change import WAITING, create_items, facts_of, save, take
from starship_core.store.claim import OpenCode
from starship_core.store.decisions import Decision
from starship_core.store.events import announce
from starship_core.store.orders import find_order
from starship_core.store.purchases import free_items

__all__ = ["decide", "oldest_due", "sweep_policies"]

BATCH: Final = 64
"""Orders that one sweep decides about."""
AT_ONCE: Final = 8
"""Clients whose orders are decided at the same time."""
FRESH: Final = timedelta(hours=24)
"""An order that was placed before that is an operator's: policies that are switched on today buy
nothing for what has been lying there for weeks.
"""
HOLDS_FOR: Final = timedelta(hours=24)
"""How long an approval by policies holds."""
AGAIN: Final = timedelta(minutes=10)
"""Until it is decided anew, when there was nobody to buy from."""
ROUNDS: Final = 100
"""Cases of one order that are judged in one sweep, when each was overtaken by something."""
CHUNK: Final = 500
_log = structlog.get_logger("starship.policies")
_encode = msgspec.json.Encoder().encode


class _Judged(NamedTuple):
    """A case, and what all that were asked said of it."""

    case: FallbackCase
    heard: Sequence[Heard]
    outcome: Outcome
    reason: str


class _Written(NamedTuple):
    """`judge_again`: something else came first, and the case is another one now."""

    judge_again: bool = False
    used: frozenset[int] = frozenset()


async def sweep_policies(ship: Ship) -> int:
    """Decide about orders that were parked of late: how many there were. Run again, twice at once
    or after a kill, it decides about none of them twice. Without policies nothing is automatic.
    """
    if not ship.policies:
        return 0
    now = micros(ship.now())
    found = await ship.database.read(
        lambda tx: decisions.due(tx, after=_fresh(now), now=now, limit=BATCH)
    )
    orders_of: dict[int, list[int]] = defaultdict(list)
    for order_id, client_id in found:
        orders_of[client_id].append(order_id)
    turns = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(_in_turn(orders, turns, ship) for orders in orders_of.values()))
    return len(found)


def oldest_due(tx: Transaction, now: int) -> int | None:
    """Since when the order waits for a decision that waits for longest, in microseconds."""
    return decisions.oldest(tx, after=_fresh(now), now=now)


def _fresh(now: int) -> int:
    return now - FRESH // timedelta(microseconds=1)


async def _in_turn(orders: Sequence[int], turns: asyncio.Semaphore, ship: Ship) -> None:
    """One client's, one after the other: they share a limit row."""
    async with turns:
        for order_id in orders:
            try:
                await decide(order_id, ship)
            except StarshipError as error:  # the others go on, and this one is due again
                _log.warning("decision.left", order=order_id, error=type(error).__name__)


async def decide(order_id: int, ship: Ship) -> None:
    """About one order, if nobody has yet. Raises Unavailable: to be tried later."""
    for _round in range(ROUNDS):
        order = await ship.database.read(find_order, order_id)
        if order is None or order.status not in WAITING:
            return
        view = await view_of(ship, order)
        seen = await ship.database.read(see, order, view)
        if seen is None:
            return
        heard = await asked(ship.policies, seen.case)
        judged = _Judged(seen.case, heard, *combined(heard))
        written = await ship.database.run(_write, judged, view, ship.vault.reveal)
        await _tell_redis(order, written, ship)
        if not written.judge_again:
            _log.info("decision.made", order=order_id, outcome=judged.outcome)
            return
    raise Unavailable("the order changes too often to be decided about", retry_after=5)


def _write(tx: Tx, judged: _Judged, view: View, reveal: OpenCode) -> _Written:
    """Locks: the client's limit row, the order, then what planning locks."""
    case, now = judged.case, view.at
    decisions.lock_day(tx, case.client_id, now, case.sku.currency)
    order = find_order(tx, case.order_id, tx.for_update)
    if order is None or order.status not in WAITING:
        return _Written()
    if not decisions.open_to_policies(tx, order.id, micros(now)):
        return _Written()
    seen = see(tx, order, view)
    if seen is None:
        return _Written()
    if seen.case != case:
        return _Written(judge_again=True)
    if judged.outcome == "Allow" and seen.vendors:
        return _allowed(tx, judged, seen, (reveal, now))
    decisions.write_decision(tx, _not_allowed(judged, now))
    return _Written()


def _not_allowed(judged: _Judged, now: datetime) -> Decision:
    if judged.outcome != "Allow":
        return _decision(judged, now)
    nobody = "it is allowed, but there is nobody to buy from: no vendor that is mapped and on"
    return replace(
        _decision(judged, now), outcome="AskOperator", reason=nobody, again_at=micros(now + AGAIN)
    )


def _decision(judged: _Judged, now: datetime) -> Decision:
    case = judged.case
    return Decision(
        order_id=case.order_id, client_id=case.client_id, outcome=judged.outcome,
        case=_encode(case).decode(), verdicts=_encode(judged.heard).decode(),
        reason=judged.reason, face=_face(case), at=now,
    )  # fmt: skip


def _face(case: FallbackCase) -> Money:
    return Money(case.sku.denomination * case.quantity, case.sku.currency)


def _allowed(tx: Tx, judged: _Judged, seen: Seen, context: tuple[OpenCode, datetime]) -> _Written:
    """What the pool has by now is delivered first; if it has any, what is left is another case."""
    now = context[1]
    before = order = take(tx, seen.case.order_id, WAITING, "decided about")
    if order.bulk and order.sub_status == "INITIAL":
        order = create_items(tx, order)
    items = free_items(tx, order.id, order.quantity)
    given = allocate(tx, order, items[:CHUNK], frozenset(), context)
    if given.contended and not given.used:
        raise Unavailable("the stock is busy", retry_after=2)
    order, approval_id = given.order, None
    if given.used:
        order = _announced(tx, order, now)
    else:
        order = replace(order, sub_status="VENDOR_ORDER_PENDING")
        approval_id = _approved(tx, order, judged, seen, items)
    save(tx, order, now)
    record(
        tx, _by(judged), "order.approve", f"order:{order.id}", at=now, before=facts_of(before),
        after=facts_of(order) | {"approval": approval_id, "vendors": seen.vendors,
                                 "ceiling": str(seen.ceiling)},
    )  # fmt: skip
    return _Written(judge_again=bool(given.used), used=given.used)


def _announced(tx: Tx, order: Order, now: datetime) -> Order:
    if order.status == "DELIVERED":
        announce(tx, [("order.delivered", order, micros(now))])
        return order
    order = replace(order, sub_status="PARTIAL")
    announce(tx, [("order.partially_delivered", order, micros(now))])
    return order


def _approved(tx: Tx, order: Order, judged: _Judged, seen: Seen, items: Sequence[int]) -> int:
    """The approval, its purchases, the decision and the day's total."""
    by, now = _by(judged), judged.case.at
    terms = Terms(
        vendors=seen.vendors, ceiling=seen.ceiling, expires_at=now + HOLDS_FOR, actor=by.actor,
        reason=by.reason, case=judged.case, verdicts=judged.heard,
    )  # fmt: skip
    approval = insert_approval(tx, terms, order.sku, now, order=(order.id, items))
    plan(tx, approval, seen.market, now)
    decisions.write_decision(tx, replace(_decision(judged, now), approval_id=approval.id))
    decisions.spend(tx, order.client_id, now, _face(judged.case))
    return approval.id


def _by(judged: _Judged) -> By:
    allowing = ",".join(each.policy for each in judged.heard if each.says == "Allow")
    return By(actor=f"policy:{allowing}", reason=judged.reason)


async def _tell_redis(order: Order, written: _Written, ship: Ship) -> None:
    """A hint: one that is still suggested is found out when it is claimed."""
    if written.used:
        try:
            await ship.pool.drop(order.sku, sorted(written.used))
        except Unavailable:
            _log.info("pool.degraded")
