"""The vendor sold: goods into the stock, and to the items that wait, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from starship_core.buying.following import Aftermath, Scene, Served, order_follows, tell
from starship_core.buying.goods import Goods, put_in_stock
from starship_core.buying.proof import ACCEPTED_LOOKS, next_look
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import Bought
from starship_core.stock.table import Pooled
from starship_core.store.allocate import allocate
from starship_core.store.approvals import take_back
from starship_core.store.change import WAITING, save, take
from starship_core.store.purchases import (
    PurchaseRecord,
    let_go,
    noted,
    own_items,
    save_purchase,
    take_purchase,
)


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
    if not was.is_open and was.state != "BOUGHT":
        back = take_back(tx, one.approval_id, one.ceiling.minor, micros(now))
        one = replace(one, is_late=not back)
    one = replace(
        one, received=one.received + stocked.taken, charged=charged, price_flag=flagged,
        vendor_reference=reply.vendor_reference or one.vendor_reference, lease=None, lease_until=0,
        sender_ended_at=micros(now) if one.sender == scene.token else one.sender_ended_at,
    )  # fmt: skip
    sold = f"{scene.says or one.vendor}: sold {stocked.taken} of {one.quantity}"
    one = replace(one, evidence=noted(one, now, sold))
    odd = [*stocked.odd, *_short(one, reply, scene)]
    one = _after_goods(one, reply, odd, now)
    if one.state == "NEEDS_REVIEW" and not odd:
        odd = [f"{one.received} of {one.quantity} came, and the vendor was asked for the last time"]
    for oddity in odd:
        one = replace(one, evidence=noted(one, now, oddity))
    served = _serve(tx, one, stocked.pooled, scene)
    save_purchase(tx, micros(now), one)
    tell(tx, was, one, odd, now)
    order_follows(tx, one, scene.now, served=served)
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


def _serve(tx: Tx, one: PurchaseRecord, fresh: Sequence[Pooled], scene: Scene) -> Served | None:
    """Deliver to the items that wait for it, by the common claim; the rest is general stock."""
    order_id = one.order_id
    waiting = own_items(tx, one.id)
    if order_id is None or not waiting:
        let_go(tx, one.id, None if one.state == "BOUGHT" else ())
        return None
    order = take(tx, order_id, WAITING, "served")
    hints = frozenset(voucher.id for voucher in fresh)
    given = allocate(tx, order, waiting, hints, (scene.open_code, scene.now))
    count = order.pending_items - given.order.pending_items
    let_go(tx, one.id, None if one.state == "BOUGHT" else waiting[:count])
    save(tx, given.order, scene.now)
    return Served(count, given.used)
