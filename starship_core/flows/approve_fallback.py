"""An operator says yes: what the pool has by now is delivered, and the rest is to be bought.

Nothing is sent here. The approval, its purchases and their references commit together with the last
look into the pool, so a kill anywhere leaves an order that can be approved again, or one that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from starship_core.audit import By, record, require_reason
from starship_core.buying.planning import Market, check_vendors, plan
from starship_core.buying.ranking import rank_vendors
from starship_core.clock import micros, rfc3339
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound, Unavailable, WrongState
from starship_core.model import Money, Order, Sku
from starship_core.ship import Ship
from starship_core.store.allocate import allocate
from starship_core.store.approvals import Terms, insert_approval
from starship_core.store.change import WAITING, create_items, facts_of, save, take
from starship_core.store.claim import OpenCode
from starship_core.store.events import announce
from starship_core.store.orders import find_order
from starship_core.store.purchases import free_items
from starship_core.store.refusals import withdraw_refusal
from starship_core.suggestions import suggestions

CHUNK: Final = 500
HOLDS_FOR: Final = timedelta(hours=24)
"""An approval that names no end."""
LONGEST: Final = timedelta(days=31)
_ALL: Final = 1_000_000


class Approved(NamedTuple):
    """What became of it."""

    order: Order
    approval_id: int | None
    """None: the pool held all that was missing, and nothing has to be bought."""
    purchases: Sequence[int]


class _Yes(NamedTuple):
    """Whose word it is, to what, and who could sell it."""

    by: By
    terms: Terms
    market: Market


class _Chunk(NamedTuple):
    approved: Approved
    used: frozenset[int]
    stale: frozenset[int]
    ended: bool
    contended: bool


async def approve_fallback(  # noqa: PLR0913  # what an approval says
    order_id: int,
    by: By,
    ship: Ship,
    *,
    vendors: Sequence[str] = (),
    ceiling: Money,
    expires_at: datetime | None = None,
) -> Approved:
    """`vendors` in order of preference; none named: those that the deployment prefers.

    Raises NotFound, InvalidInput (vendors, ceiling, reason, expiry), WrongState: nothing of the
    order waits that is not being bought already. Run it again after a crash.
    """
    now = ship.now()
    names = tuple(vendors) or await _preferred(order_id, ship)
    terms = _terms(by, names, ceiling, expires_at or now + HOLDS_FOR, now)
    before = await ship.database.read(_checked, order_id, terms, Market.of(ship))
    wanted: dict[Sku, int] = {}
    if before is not None:
        wanted = {before.sku: min(before.quantity - before.delivered_quantity, CHUNK)}
    for _attempt in range(_ALL):
        async with suggestions(ship.pool, wanted) as hints:
            chunk = await ship.database.run(
                _approve, order_id, await hints.popped, _Yes(by, terms, Market.of(ship)),
                (ship.vault.reveal, ship.now()),
            )  # fmt: skip
            hints.keep(chunk.used, chunk.stale)
        if chunk.ended:
            return chunk.approved
        if chunk.contended and not chunk.used:
            raise Unavailable("the stock is busy; approve it again", retry_after=2)
        order = chunk.approved.order
        wanted = {order.sku: min(order.pending_items, CHUNK)}
    raise AssertionError  # pragma: no cover


async def _preferred(order_id: int, ship: Ship) -> tuple[str, ...]:
    order = await ship.database.read(find_order, order_id)
    if order is None:
        raise NotFound("order", order_id)
    names = tuple(dict.fromkeys(one.vendor for one in await rank_vendors(order.sku, ship)))
    if not names:
        raise InvalidInput(
            f"nobody sells {order.sku} now: none is mapped to it, or all are switched off; see "
            "`starship vendor list`",
            field="vendor",
        )
    return names


def _terms(
    by: By, vendors: tuple[str, ...], ceiling: Money, expires_at: datetime, now: datetime
) -> Terms:
    require_reason(by, "an approval")
    if ceiling.minor <= 0:
        raise InvalidInput("the ceiling must be more than nothing", field="ceiling")
    if len(set(vendors)) != len(vendors):
        raise InvalidInput("a vendor is named twice", field="vendor")
    if not now < expires_at <= now + LONGEST:
        raise InvalidInput(
            f"an approval ends after now and within {LONGEST.days} days", field="expires"
        )
    return Terms(
        vendors=vendors, ceiling=ceiling, expires_at=expires_at, actor=by.actor, reason=by.reason
    )


def _checked(tx: Tx, order_id: int, terms: Terms, market: Market) -> Order | None:
    order = find_order(tx, order_id)
    if order is not None:
        check_vendors(tx, market, order.sku, terms.vendors)
    return order


def _approve(
    tx: Tx,
    order_id: int,
    hints: frozenset[int],
    yes: _Yes,
    context: tuple[OpenCode, datetime],
) -> _Chunk:
    reveal, now = context
    taken = order = take(tx, order_id, WAITING, "approved")
    if order.bulk and order.sub_status == "INITIAL":
        order = create_items(tx, order)
    waiting = free_items(tx, order_id, CHUNK)
    if not waiting:
        raise WrongState(
            f"all that order {order_id} waits for is being bought already; see "
            f"`starship purchase list --order {order_id}`",
            found=order.status, code="PURCHASE_OPEN",
        )  # fmt: skip
    given = allocate(tx, order, waiting, hints, (reveal, now))
    order = given.order
    served = order.delivered_quantity - taken.delivered_quantity
    more_to_claim = served == len(waiting) and order.pending_items > 0
    ended = not more_to_claim and not given.contended
    approved = Approved(order, None, ())
    rest = free_items(tx, order_id, _ALL) if order.pending_items else []
    if ended and rest:
        approved = _planned(tx, order, yes, rest, now)
        order = approved.order
    elif more_to_claim and not rest:
        ended = True  # what is left belongs to purchases
    if ended and served:
        done = order.status == "DELIVERED"
        announce(tx, [("order.delivered" if done else "order.partially_delivered", order,
                       micros(now))])  # fmt: skip
    save(tx, order, now)
    record(
        tx, yes.by, "order.approve", f"order:{order_id}", at=now, before=facts_of(taken),
        after=facts_of(order) | _facts(yes.terms, approved),
    )  # fmt: skip
    return _Chunk(approved._replace(order=order), given.used, given.stale, ended, given.contended)


def _planned(tx: Tx, order: Order, yes: _Yes, items: Sequence[int], now: datetime) -> Approved:
    withdraw_refusal(tx, order.id, now)
    approval = insert_approval(tx, yes.terms, order.sku, now, order=(order.id, items))
    purchases = plan(tx, approval, yes.market, now)
    waiting = "NEEDS_REVIEW" if order.sub_status == "NEEDS_REVIEW" else "VENDOR_ORDER_PENDING"
    return Approved(replace(order, sub_status=waiting), approval.id, purchases)


def _facts(terms: Terms, approved: Approved) -> dict[str, object]:
    return {
        "approval": approved.approval_id,
        "vendors": terms.vendors,
        "ceiling": str(terms.ceiling),
        "expires_at": rfc3339(terms.expires_at),
        "purchases": len(approved.purchases),
    }
