"""Taking a purchase in hand: what is to be done with it now, decided and leased in one transaction.

Nothing is sent that this transaction has not just checked: order, items, approval, switches,
breaker and lease.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from starship_core.breaker import Rule
from starship_core.buying.closing import closed_unbought, to_review
from starship_core.buying.following import Aftermath
from starship_core.buying.planning import Market, another_can_be_asked, stands_still
from starship_core.buying.proof import (
    SECOND,
    UNKNOWN_LOOKS,
    lease_of,
    may_repeat,
    next_look,
)
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.ship import Vendor
from starship_core.store.approvals import find_approval
from starship_core.store.breakers import admitted
from starship_core.store.purchases import (
    PurchaseRecord,
    noted,
    own_items,
    save_purchase,
    take_purchase,
)
from starship_core.store.switches import blocking

PAUSE: Final = 60 * SECOND
"""Until a purchase that may not be sent now is looked at again."""


class Step(NamedTuple):
    """What whoever took it has to do; `record` is leased to it."""

    do: Literal["send", "find", "nothing"]
    record: PurchaseRecord
    aftermath: Aftermath = Aftermath()


class Hand(NamedTuple):
    """Who takes it, and what with."""

    token: str
    market: Market
    rule: Rule
    now: datetime


def take_in_hand(tx: Tx, purchase_id: int, hand: Hand) -> Step:
    """Lease what is due to `hand.token`, or settle what needs no vendor. Safe at any time: what is
    not due, or is in another's hand, is left as it is.
    """
    one = take_purchase(tx, purchase_id)
    at = micros(hand.now)
    if one.due_at is None or one.due_at > at or one.lease_until > at:
        return Step("nothing", one)
    if one.state == "SENT":
        return Step("nothing", _never_reported(tx, one, hand.now))
    vendor = hand.market.vendors.get(one.vendor)
    if one.state == "PLANNED":
        return _send(tx, one, vendor, hand)
    if vendor is None:
        return Step("nothing", *_no_vendor(tx, one, hand.now))
    if may_repeat(one, vendor.traits):
        return _send(tx, one, vendor, hand)
    return Step("find", _leased_to_look(tx, one, vendor, hand))


def _never_reported(tx: Tx, one: PurchaseRecord, now: datetime) -> PurchaseRecord:
    """Its sender's lease is over, and nothing was written: nobody knows."""
    at = micros(now)
    one = replace(
        one, state="UNKNOWN", waiting_since=at, looks=0, lease=None, lease_until=0,
        evidence=noted(one, now, "unknown: its sender never reported"),
    )  # fmt: skip
    one = replace(one, due_at=next_look(one, UNKNOWN_LOOKS))
    save_purchase(tx, at, one)
    return one


def _no_vendor(tx: Tx, one: PurchaseRecord, now: datetime) -> tuple[PurchaseRecord, Aftermath]:
    """Its vendor is not configured any more, so nobody can be asked."""
    one = replace(one, looks=one.looks + 1)
    later = next_look(one, UNKNOWN_LOOKS)
    if later is None:
        return one, to_review(tx, one, now, f"vendor {one.vendor} is not configured any more")
    save_purchase(tx, micros(now), replace(one, due_at=later))
    return one, Aftermath()


def _leased_to_look(tx: Tx, one: PurchaseRecord, vendor: Vendor, hand: Hand) -> PurchaseRecord:
    at = micros(hand.now)
    one = replace(one, lease=hand.token, lease_until=at + lease_of(vendor.traits))
    save_purchase(tx, at, one)
    return one


def _send(tx: Tx, one: PurchaseRecord, vendor: Vendor | None, hand: Hand) -> Step:
    """PLANNED (or UNKNOWN where repeating is the same purchase) → SENT, if all still holds."""
    at = micros(hand.now)
    if ended := _no_more(tx, one, hand.now):
        if one.state == "PLANNED":
            return Step("nothing", one, closed_unbought(tx, one, hand.now, f"not sent: {ended}"))
        return Step("nothing", one, to_review(tx, one, hand.now, f"not sent again: {ended}"))
    if one.state == "PLANNED" and (moved := _moved(tx, one, hand)) is not None:
        return Step("nothing", one, moved)
    wait = PAUSE
    if vendor is not None and not _blocked(tx, one):
        wait = admitted(tx, one.vendor, "buy", rule=hand.rule, at=at)
    if vendor is None or wait:
        later = replace(one, due_at=at + max(wait, SECOND))
        save_purchase(tx, at, later)
        return Step("nothing", later)
    until = at + lease_of(vendor.traits)
    one = replace(
        one, state="SENT", lease=hand.token, lease_until=until, sender=hand.token,
        sender_until=until, sender_ended_at=None, sent_at=one.sent_at or at,
        attempts=one.attempts + 1, due_at=until,
    )  # fmt: skip
    save_purchase(tx, at, one)
    return Step("send", one)


def _moved(tx: Tx, one: PurchaseRecord, hand: Hand) -> Aftermath | None:
    """Its vendor stands still, nothing of it is in doubt there, and the approval names another who
    can be asked now: closed, and planned there. None: it waits where it is.
    """
    market, now = hand.market, hand.now
    if one.order_id is None or not stands_still(tx, one.vendor, one.sku, market, now):
        return None
    approval, items = find_approval(tx, one.approval_id), own_items(tx, one.id)
    if not another_can_be_asked(tx, approval, market, items=items, but=one.vendor, now=now):
        return None
    why = f"{one.vendor} stands still and has accepted nothing; the next vendor is asked"
    return closed_unbought(tx, one, now, why, market=market)


def _no_more(tx: Tx, one: PurchaseRecord, now: datetime) -> str | None:
    """Why it may never be sent again."""
    approval = find_approval(tx, one.approval_id)
    if not approval.holds(now):
        return f"approval {approval.id} is over"
    if one.order_id is not None and len(own_items(tx, one.id)) != one.quantity:
        return "its items do not wait for it any more"
    return None


def _blocked(tx: Tx, one: PurchaseRecord) -> bool:
    return blocking(tx, vendor=one.vendor, product_id=one.sku.product_id) is not None
