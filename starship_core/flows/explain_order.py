"""What happened to an order, why, and what is next: for its client, and with more of it for an
operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from starship_core.access import Client
from starship_core.buying.advice import Advice, Stock, Trade, advice, missing
from starship_core.buying.ranking import rank_vendors
from starship_core.clock import micros, moment, rfc3339
from starship_core.database import Tx
from starship_core.errors import NotFound
from starship_core.model import BULK_ABOVE, Money, Order
from starship_core.routing import Offer
from starship_core.ship import Ship
from starship_core.store.change import floor_now
from starship_core.store.decisions import find_decision
from starship_core.store.orders import find_order
from starship_core.store.purchase_items import held_items
from starship_core.store.purchase_steps import purchase_steps
from starship_core.store.purchases import purchases_of
from starship_core.store.refusals import Refusal, find_refusal

_EVENTS: Final = """
SELECT created_at, event_type, revision, data FROM outbox WHERE order_id = $1
ORDER BY created_at, revision, event_type
"""
_MONEY: Final = """
SELECT created_at, transaction_type, amount, currency, remarks FROM transactions
WHERE order_id = $1 ORDER BY id
"""
_AUDIT: Final = """
SELECT at, actor, action, reason, request_id FROM audit WHERE subject = $1 ORDER BY id
"""
_CLIENT: Final = "SELECT name FROM clients WHERE id = $1"
_STOCK: Final = """
SELECT state, sum(CASE WHEN expires_at > $4 THEN 1 ELSE 0 END), count(*) FROM vouchers
WHERE product_id = $1 AND denomination = $2 AND currency = $3 AND order_id IS NULL
GROUP BY state
"""

_WHY: Final = {
    "order.created": "accepted; the wallet was debited",
    "order.delivered": "every unit was allocated from the pool",
    "order.pending": "the pool did not hold all of it; no vendor was called",
    "order.partially_delivered": "the pool held some of what was missing",
    "order.cancelled": "cancelled by an operator; what was not delivered was refunded",
    "order.refunded": "an operator refunded delivered units",
    "order.replaced": "a bad voucher was replaced by another",
}
_BULK: Final = f"an order of more than {BULK_ABOVE} units is parked; no vendor was called"
_BOUGHT_FOR: Final = {
    "NEEDS_REVIEW": "a purchase for it is in doubt: `starship purchase list --state NEEDS_REVIEW`",
    "VENDOR_ORDER_FAILED": "a purchase for it failed, and nothing more is being bought",
    "VENDOR_VOUCHER_FETCHED": "vouchers were bought for it, and cannot be given to this client",
}
"""By sub-status: why an order waits that a vendor was asked for."""
_NEXT: Final = {
    "PENDING": "waits for stock and a retry, for an approved vendor purchase, or for a cancel",
    "PARTIALLY_DELIVERED": "the rest waits for stock and a retry, for an approved vendor purchase, "
    "or for a cancel",
    "DELIVERED": "nothing; it is complete",
    "CANCELLED": "nothing; it is closed",
}


class Step(Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    at: str
    what: str
    why: str
    revision: int | None = None


class Timeline(Struct, frozen=True, kw_only=True):
    """All of it, and what comes next."""

    order_id: int
    reference_code: str
    status: str
    sub_status: str | None
    steps: Sequence[Step]
    next: str


async def order_timeline(order_id: int, client: Client, ship: Ship) -> Timeline:
    """The client's own order. Raises NotFound."""
    order, steps = await ship.database.read(_happened, order_id)
    if order.client_id != client.id:
        raise NotFound("order", order_id)
    return _timeline(order, steps)


def _timeline(order: Order, steps: Sequence[Step]) -> Timeline:
    return Timeline(
        order_id=order.id,
        reference_code=order.ref,
        status=order.status,
        sub_status=order.sub_status,
        steps=steps,
        next=_NEXT.get(order.status, ""),
    )


def _happened(tx: Tx, order_id: int) -> tuple[Order, list[Step]]:
    order = find_order(tx, order_id)
    if order is None:
        raise NotFound("order", order_id)
    why = _WHY | {"order.pending": _BULK} if order.bulk else _WHY
    steps = [
        Step(at=rfc3339(moment(at)), what=kind, why=why.get(kind, ""), revision=revision)
        for at, kind, revision, _data in tx.execute(_EVENTS, order_id)
    ]
    bought = [
        Step(at=rfc3339(moment(at)), what=what, why=why)
        for at, what, why in purchase_steps(tx, order_id)
    ]
    return order, sorted([*steps, *bought], key=lambda step: datetime.fromisoformat(step.at))


class Moved(Struct, frozen=True, kw_only=True):
    """Money of the order."""

    at: str
    type: str
    amount: str
    remarks: str


class Hand(Struct, frozen=True, kw_only=True):
    """Who did something with the order, and why: operators, and clients who were shown codes."""

    at: str
    actor: str
    action: str
    reason: str
    request_id: str


class Explained(Struct, frozen=True, kw_only=True):
    """All that an operator may want to know before touching an order; no code is in it."""

    order_id: int
    reference_code: str
    client_id: int
    client: str
    status: str
    sub_status: str | None
    product: str
    sku: str
    quantity: int
    delivered: int
    pending: int
    wallet_id: int
    charged: str
    refunded: str
    why: str
    stock: Stock
    steps: Sequence[Step]
    money: Sequence[Moved]
    hands: Sequence[Hand]
    next: Sequence[Advice]


async def explain_order(order_id: int, ship: Ship) -> Explained:
    """For operators: what happened, who had a hand in it, why it waits, the stock there is now, and
    what can be done. Raises NotFound.
    """
    order = await ship.database.read(find_order, order_id)
    offers = await rank_vendors(order.sku, ship) if order and missing(order) else ()
    return await ship.database.read(_explained, order_id, ship.now(), offers)


def _explained(tx: Tx, order_id: int, now: datetime, offers: Sequence[Offer]) -> Explained:
    order, steps = _happened(tx, order_id)
    hands = [
        Hand(at=rfc3339(moment(at)), actor=actor, action=action, reason=reason, request_id=request)
        for at, actor, action, reason, request in tx.execute(_AUDIT, f"order:{order_id}")
    ]
    money = [
        Moved(at=rfc3339(moment(at)), type=kind, amount=str(Money(amount, currency)),
              remarks=remarks)
        for at, kind, amount, currency, remarks in tx.execute(_MONEY, order_id)
    ]  # fmt: skip
    if decision := find_decision(tx, order_id):  # for operators: its reasons are our business
        at, what = rfc3339(decision.at), f"policies: {decision.outcome}"
        steps = [*steps, Step(at=at, what=what, why=decision.reason)]
    stock, refusal = _stock(tx, order, now), find_refusal(tx, order_id)
    trade = Trade(
        purchases=[one for one in purchases_of(tx, order_id) if one.is_open],
        held=held_items(tx, order_id), offers=() if refusal else offers,
    )  # fmt: skip
    return Explained(
        order_id=order.id, reference_code=order.ref, client_id=order.client_id,
        client=str(tx.execute(_CLIENT, order.client_id)[0][0]), status=order.status,
        sub_status=order.sub_status, product=order.product_name, sku=str(order.sku),
        quantity=order.quantity, delivered=order.delivered_quantity, pending=missing(order),
        wallet_id=order.wallet_id, charged=str(order.charged),
        refunded=str(Money(order.refunded, order.price.currency)),
        why=_refused(order, refusal) or _BOUGHT_FOR.get(order.sub_status or "")
        or _reason(order, hands),
        stock=stock, steps=steps, money=money, hands=hands, next=advice(order, stock, trade),
    )  # fmt: skip


def _refused(order: Order, refusal: Refusal | None) -> str | None:
    if refusal is None or not missing(order):
        return None
    return f"it waits for stock: {refusal.actor} refused to have it bought: {refusal.reason}"


def _stock(tx: Tx, order: Order, now: datetime) -> Stock:
    sku, floor = order.sku, micros(floor_now(order, now))
    rows = tx.execute(_STOCK, sku.product_id, sku.denomination, sku.currency, floor)
    counts = {state: (int(valid), int(count)) for state, valid, count in rows}
    valid, pooled = counts.get("pooled", (0, 0))
    held_back = [counts.get(state, (0, 0))[1] for state in ("blocked", "quarantined")]
    return Stock(
        servable=valid,
        too_short=pooled - valid,
        received=counts.get("received", (0, 0))[0],
        held_back=sum(held_back),
    )


def _reason(order: Order, hands: Sequence[Hand]) -> str:
    """Why it is where it is."""
    match order.status, order.sub_status:
        case "PENDING", "INITIAL":
            return (
                f"an order of more than {BULK_ABOVE} units is parked; its first retry allocates "
                "what the pool holds"
            )
        case "PENDING", _:
            return (
                "the pool did not hold all of it, and an order is delivered whole or parked; "
                "no vendor was asked"
            )
        case "PARTIALLY_DELIVERED", "VENDOR_ORDER_PENDING":
            return "a retry was cut short"
        case "PARTIALLY_DELIVERED", _:
            return "the last retry found too few in the pool"
        case "DELIVERED", _:
            how = "at once" if order.delivery_time == "INSTANT" else "later, by a retry"
            return f"all of it was delivered, {how}"
    last = [hand for hand in hands if hand.action == "order.cancel"][-1:]
    by = "".join(f" by {hand.actor}: {hand.reason or 'no reason given'}" for hand in last)
    return f"cancelled{by}; what was not delivered was refunded"
