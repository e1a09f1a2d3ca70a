"""What follows from a purchase's new state: the order's sub-status and events, and notices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from starship_core.audit import record
from starship_core.buying.goods import BY
from starship_core.buying.planning import Market
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import SubStatus
from starship_core.stock.table import Pooled
from starship_core.store.change import WAITING, facts_of, save, take
from starship_core.store.claim import OpenCode
from starship_core.store.events import announce
from starship_core.store.notices import notify
from starship_core.store.orders import find_order
from starship_core.store.purchases import OPEN, PurchaseRecord, states_of


class Aftermath(NamedTuple):
    """What Redis is to be told once it is true."""

    pooled: Sequence[Pooled] = ()
    gone: Sequence[Pooled] = ()


class Scene(NamedTuple):
    """What an outcome is written with."""

    token: str
    now: datetime
    market: Market
    open_code: OpenCode
    says: str = ""
    """The operator whose word it is; a vendor's otherwise."""


class Served(NamedTuple):
    items: int
    used: frozenset[int]


def order_follows(
    tx: Tx, one: PurchaseRecord, now: datetime, *, served: Served | None = None
) -> None:
    """The order's sub-status says how its purchases stand; its client is told of deliveries."""
    if one.order_id is None:
        return
    order = find_order(tx, one.order_id)
    if order is None or (order.status not in WAITING and not served):
        return
    before = order
    if order.status in WAITING:
        order = replace(order, sub_status=_sub_status(tx, one))
    if order == before and not served:
        return
    if not served:  # else it was taken, and is under its next revision already
        order = replace(take(tx, order.id, WAITING, "changed"), sub_status=order.sub_status)
    save(tx, order, now)
    if served and served.items:
        done = order.status == "DELIVERED"
        announce(tx, [("order.delivered" if done else "order.partially_delivered", order,
                       micros(now))])  # fmt: skip
        record(
            tx, BY, "order.purchase", f"order:{order.id}", at=now,
            after=facts_of(order) | {"purchase": one.id, "served": served.items},
        )  # fmt: skip


def _sub_status(tx: Tx, one: PurchaseRecord) -> SubStatus:
    states = states_of(tx, one.order_id or 0)
    if "NEEDS_REVIEW" in states:
        return "NEEDS_REVIEW"
    if any(state in OPEN for state in states):
        return "VENDOR_ORDER_PENDING"
    fetched = one.state == "BOUGHT" and one.received >= one.quantity
    return "VENDOR_VOUCHER_FETCHED" if fetched else "VENDOR_ORDER_FAILED"


def tell(
    tx: Tx, was: PurchaseRecord, one: PurchaseRecord, why: Sequence[str], now: datetime
) -> None:
    """Operators, once a finding."""
    show = f"`starship purchase show {one.id}`, then `starship purchase resolve {one.id}`."
    data = {"purchase": one.id, "order": one.order_id, "vendor": one.vendor}
    if one.state == "NEEDS_REVIEW" and was.state != "NEEDS_REVIEW":
        notify(
            tx, "purchase.review", subject=f"purchase:{one.id}",
            summary=f"purchase {one.id} at {one.vendor} needs a decision",
            text=f"{'; '.join(why) or 'It is not as it was asked for'}. Nothing is bought for its "
            f"items before it is settled: {show}",
            key=f"purchase:{one.id}:review:{micros(now)}", at=now, data=data,
        )  # fmt: skip
    if one.price_flag and not was.price_flag:
        notify(
            tx, "purchase.price", subject=f"purchase:{one.id}",
            summary=f"{one.vendor} charged {one.charged} for purchase {one.id}",
            text=f"At most {one.ceiling} was approved. The goods were delivered; see "
            f"`starship purchase show {one.id}`.",
            key=f"purchase:{one.id}:price", at=now, data=data,
        )  # fmt: skip
    if not was.is_open and one.state == "BOUGHT" and was.state != "BOUGHT":
        notify(
            tx, "purchase.late", subject=f"purchase:{one.id}",
            summary=f"purchase {one.id} was bought after all",
            text=f"It had been closed as {was.state}; its vouchers are in the stock.",
            key=f"purchase:{one.id}:late", at=now, data=data,
        )  # fmt: skip
