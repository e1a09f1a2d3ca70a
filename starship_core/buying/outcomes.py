"""What became of a purchase, written with all that follows from it in one transaction: the goods,
the items, the order's state and event, the next vendor, a notice to operators.

Every function begins with the purchase locked, and takes only what its caller's lease still covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.buying.goods import Goods, put_in_stock
from starship_core.buying.planning import Market, plan_next
from starship_core.buying.proof import (
    ACCEPTED_LOOKS,
    SECOND,
    UNKNOWN_LOOKS,
    next_look,
    not_bought,
)
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import Accepted, Bought
from starship_core.registration import VendorTraits
from starship_core.stock.table import Pooled
from starship_core.store.allocate import allocate
from starship_core.store.approvals import find_approval, give_back
from starship_core.store.change import WAITING, facts_of, save, take
from starship_core.store.claim import OpenCode
from starship_core.store.events import announce
from starship_core.store.notices import notify
from starship_core.store.orders import find_order
from starship_core.store.purchases import (
    OPEN,
    PurchaseRecord,
    let_go,
    noted,
    own_items,
    save_purchase,
    states_of,
    take_purchase,
)

BY = By(actor="purchases")


class Aftermath(NamedTuple):
    """What Redis is to be told once it is true."""

    pooled: Sequence[Pooled] = ()
    gone: Sequence[Pooled] = ()


class Scene(NamedTuple):
    """What an outcome is written with."""

    token: str
    now: datetime
    market: Market
    reveal: OpenCode
    says: str = ""
    """The operator whose word it is; a vendor's otherwise."""


def bought(tx: Tx, purchase_id: int, reply: Bought, goods: Goods, scene: Scene) -> Aftermath:
    """The vendor sold something under this reference. That is a fact whoever tells it and however
    late: the goods are kept, and the purchase is closed unless something is odd or missing.
    """
    one, now = take_purchase(tx, purchase_id), scene.now
    stocked = put_in_stock(tx, goods, now)
    charged = reply.charged or one.charged
    flagged = charged is not None and (
        charged.currency != one.ceiling.currency or charged.minor > one.ceiling.minor
    )
    was = one
    one = replace(
        one, received=one.received + stocked.taken, charged=charged, price_flag=flagged,
        vendor_reference=reply.vendor_reference or one.vendor_reference, lease=None, lease_until=0,
        sender_ended_at=micros(now) if one.sender == scene.token else one.sender_ended_at,
    )  # fmt: skip
    sold = f"{scene.says or one.vendor}: sold {stocked.taken} of {one.quantity}"
    one = replace(one, evidence=noted(one, now, sold))
    odd = [*stocked.odd, *_short(one, reply, scene)]
    one = _after_goods(one, reply, odd, now)
    served = _serve(tx, one, stocked.pooled, scene)
    save_purchase(tx, micros(now), one)
    _tell(tx, was, one, odd, now)
    _order_follows(tx, one, scene.now, served=served)
    used = served.used if served else frozenset()
    left = [voucher for voucher in stocked.pooled if voucher.id not in used]
    return Aftermath(left, stocked.blocked)


def _after_goods(
    one: PurchaseRecord, reply: Bought, odd: Sequence[str], now: datetime
) -> PurchaseRecord:
    at = micros(now)
    if one.received >= one.quantity or (reply.final and not odd):
        return replace(one, state="BOUGHT", due_at=None, closed_at=one.closed_at or at)
    if odd:
        return replace(one, state="NEEDS_REVIEW", due_at=None, closed_at=None)
    if one.state != "ACCEPTED":
        one = replace(one, state="ACCEPTED", waiting_since=at, looks=0, closed_at=None)
    else:
        one = replace(one, looks=one.looks + 1)
    later = next_look(one, ACCEPTED_LOOKS)
    return replace(one, due_at=later, state="ACCEPTED" if later else "NEEDS_REVIEW")


def _short(one: PurchaseRecord, reply: Bought, scene: Scene) -> Sequence[str]:
    """A vendor that does not sell in parts should not have done it."""
    vendor = scene.market.vendors.get(one.vendor)
    if (
        scene.says
        or not reply.final
        or one.received >= one.quantity
        or (vendor and vendor.traits.partial)
    ):
        return ()
    return [f"{one.received} of {one.quantity} came, and no more will"]


class _Served(NamedTuple):
    items: int
    used: frozenset[int]


def _serve(tx: Tx, one: PurchaseRecord, fresh: Sequence[Pooled], scene: Scene) -> _Served | None:
    """Deliver to the items that wait for it, by the common claim; the rest is general stock."""
    order_id = one.order_id
    waiting = own_items(tx, one.id)
    if order_id is None or not waiting:
        let_go(tx, one.id, None if one.state == "BOUGHT" else ())
        return None
    order = take(tx, order_id, WAITING, "served")
    hints = frozenset(voucher.id for voucher in fresh)
    given = allocate(tx, order, waiting, hints, (scene.reveal, scene.now))
    count = order.pending_items - given.order.pending_items
    let_go(tx, one.id, None if one.state == "BOUGHT" else waiting[:count])
    save(tx, given.order, scene.now)
    return _Served(count, given.used)


def accepted(tx: Tx, purchase_id: int, reply: Accepted, scene: Scene) -> Aftermath:
    """The vendor took it, and delivers later."""
    one, now = take_purchase(tx, purchase_id), scene.now
    if not _covered(one, scene.token) or one.state not in ("SENT", "UNKNOWN", "ACCEPTED"):
        return Aftermath()
    if one.state != "ACCEPTED":
        one = replace(
            one, state="ACCEPTED", waiting_since=micros(now), looks=0,
            evidence=noted(one, now, "accepted"),
        )  # fmt: skip
    else:
        one = replace(one, looks=one.looks + 1)
    one = replace(one, vendor_reference=reply.vendor_reference or one.vendor_reference)
    return _look_again(tx, _ended(one, scene), ACCEPTED_LOOKS, now)


def refused(tx: Tx, purchase_id: int, scene: Scene) -> Aftermath:
    """The vendor said no in so many words: proof of *not bought*. Its reason is not kept, as it may
    hold anything.
    """
    one = take_purchase(tx, purchase_id)
    if not _covered(one, scene.token) or one.state not in ("SENT", "UNKNOWN", "ACCEPTED"):
        return Aftermath()
    if one.received:
        return to_review(tx, _ended(one, scene), scene.now, "refused after a part was sold")
    one = _ended(one, scene)
    return closed_unbought(
        tx, one, scene.now, "refused by the vendor", state="REFUSED", market=scene.market
    )


def unavailable(tx: Tx, purchase_id: int, retry_after: float, scene: Scene) -> Aftermath:
    """Nothing was accepted this time: the same reference later; one that was in doubt before stays
    in doubt.
    """
    one, now = take_purchase(tx, purchase_id), scene.now
    if one.sender != scene.token:
        return Aftermath()
    if one.state != "SENT":  # late: it was called unknown already
        save_purchase(tx, micros(now), replace(one, sender_ended_at=micros(now)))
        return Aftermath()
    one = _ended(one, scene)
    if one.waiting_since is not None:
        one = replace(one, state="UNKNOWN", looks=one.looks + 1)
        return _look_again(tx, one, UNKNOWN_LOOKS, now)
    wait = max(retry_after, min(2.0**one.attempts, 300.0))
    one = replace(
        one, state="PLANNED", due_at=micros(now) + round(wait * SECOND),
        evidence=noted(one, now, "unavailable: nothing was accepted"),
    )  # fmt: skip
    save_purchase(tx, micros(now), one)
    return Aftermath()


def ambiguous(tx: Tx, purchase_id: int, raw_sealed: str | None, scene: Scene) -> Aftermath:
    """Nobody knows: never bought again before it is proven not bought."""
    one, now = take_purchase(tx, purchase_id), scene.now
    if one.sender != scene.token or one.state not in ("SENT", "UNKNOWN", "NEEDS_REVIEW"):
        return Aftermath()
    one = replace(one, raw_sealed=raw_sealed or one.raw_sealed)
    if one.state != "SENT":  # late: it was called unknown already
        save_purchase(tx, micros(now), replace(one, sender_ended_at=micros(now)))
        return Aftermath()
    again = one.waiting_since is not None
    one = replace(
        _ended(one, scene), state="UNKNOWN", waiting_since=one.waiting_since or micros(now),
        looks=one.looks + 1 if again else 0, evidence=noted(one, now, "ambiguous"),
    )  # fmt: skip
    return _look_again(tx, one, UNKNOWN_LOOKS, now)


def unknown_there(tx: Tx, purchase_id: int, traits: VendorTraits, scene: Scene) -> Aftermath:
    """`find` answered that there is no such reference."""
    one, now = take_purchase(tx, purchase_id), scene.now
    if one.lease != scene.token or one.state not in ("UNKNOWN", "ACCEPTED"):
        return Aftermath()
    at = micros(now)
    one = replace(
        one, not_found=(*one.not_found, at), looks=one.looks + 1, lease=None, lease_until=0,
        evidence=noted(one, now, "the vendor knows no such reference"),
    )  # fmt: skip
    if one.state == "UNKNOWN" and not one.received and not_bought(one, traits, at):
        one = replace(
            one, state="PLANNED", waiting_since=None, looks=0, due_at=at, not_found=(),
            evidence=noted(one, now, "proven not bought; may be sent again as itself"),
        )  # fmt: skip
        save_purchase(tx, at, one)
        return Aftermath()
    return _look_again(tx, one, _schedule(one), now)


def not_told(tx: Tx, purchase_id: int, scene: Scene) -> Aftermath:
    """`find` got no answer: nothing is known, and nothing proven."""
    one = take_purchase(tx, purchase_id)
    if one.lease != scene.token or one.state not in ("UNKNOWN", "ACCEPTED"):
        return Aftermath()
    one = replace(one, looks=one.looks + 1, lease=None, lease_until=0)
    return _look_again(tx, one, _schedule(one), scene.now)


def _schedule(one: PurchaseRecord) -> Sequence[int]:
    return ACCEPTED_LOOKS if one.state == "ACCEPTED" else UNKNOWN_LOOKS


def _covered(one: PurchaseRecord, token: str) -> bool:
    return token in (one.sender, one.lease)


def _ended(one: PurchaseRecord, scene: Scene) -> PurchaseRecord:
    """Its lease is given back; if it was the sender's, its end is on record."""
    at = micros(scene.now) if one.sender == scene.token else one.sender_ended_at
    return replace(one, lease=None, lease_until=0, sender_ended_at=at)


def _look_again(tx: Tx, one: PurchaseRecord, schedule: Sequence[int], now: datetime) -> Aftermath:
    later = next_look(one, schedule)
    if later is None:
        return to_review(tx, one, now, "the vendor was asked for the last time")
    save_purchase(tx, micros(now), replace(one, due_at=max(later, micros(now))))
    return Aftermath()


def to_review(tx: Tx, one: PurchaseRecord, now: datetime, why: str) -> Aftermath:
    """An operator has to settle it; its items stay with it. The purchase is locked."""
    was = one
    one = replace(
        one, state="NEEDS_REVIEW", due_at=None, lease=None, lease_until=0,
        evidence=noted(one, now, f"needs review: {why}"),
    )  # fmt: skip
    save_purchase(tx, micros(now), one)
    _tell(tx, was, one, [why], now)
    _order_follows(tx, one, now)
    return Aftermath()


def closed_unbought(  # noqa: PLR0913  # what, when, why, how, and who may be asked next
    tx: Tx,
    one: PurchaseRecord,
    now: datetime,
    why: str,
    *,
    state: Any = "NOT_BOUGHT",
    market: Market | None = None,
) -> Aftermath:
    """Nothing was bought, and that is known. `market`: the approval's next vendor may be asked."""
    at = micros(now)
    items = own_items(tx, one.id)
    let_go(tx, one.id)
    one = replace(
        one, state=state, due_at=None, closed_at=at, lease=None, lease_until=0,
        evidence=noted(one, now, why),
    )  # fmt: skip
    save_purchase(tx, at, one)
    approval = find_approval(tx, one.approval_id)
    if approval.order_id is None:
        give_back(tx, approval.id, one.ceiling.minor, at)
    elif market is not None:
        plan_next(
            tx, approval, market, refused_by=one.vendor, items=items, ceiling=one.ceiling, now=now
        )
    _order_follows(tx, one, now)
    return Aftermath()


def _order_follows(
    tx: Tx, one: PurchaseRecord, now: datetime, *, served: _Served | None = None
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


def _sub_status(tx: Tx, one: PurchaseRecord) -> Any:
    states = states_of(tx, one.order_id or 0)
    if "NEEDS_REVIEW" in states:
        return "NEEDS_REVIEW"
    if any(state in OPEN for state in states):
        return "VENDOR_ORDER_PENDING"
    fetched = one.state == "BOUGHT" and one.received >= one.quantity
    return "VENDOR_VOUCHER_FETCHED" if fetched else "VENDOR_ORDER_FAILED"


def _tell(
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
