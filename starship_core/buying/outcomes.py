"""What became of a purchase that brought no goods, written with all that follows from it.

Every function begins with the purchase locked, and takes only what its caller's lease still covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from starship_core.buying.closing import closed_unbought, to_review
from starship_core.buying.following import Aftermath, Scene
from starship_core.buying.proof import (
    ACCEPTED_LOOKS,
    SECOND,
    UNKNOWN_LOOKS,
    next_look,
    not_bought,
)
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import Accepted
from starship_core.registration import VendorTraits
from starship_core.store.purchases import PurchaseRecord, noted, save_purchase, take_purchase


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
