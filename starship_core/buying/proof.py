"""When the vendor is asked what became of a purchase, and what proves that nothing was bought.

Pure: rules over what the row says. Times in microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starship_core.registration import VendorTraits
from starship_core.store.purchases import PurchaseRecord

SECOND: Final = 1_000_000
UNKNOWN_LOOKS: Final = tuple(n * SECOND for n in (60, 120, 300, 900, 3600, 6 * 3600, 24 * 3600))
"""1, 2, 5 and 15 minutes, 1, 6 and 24 hours after it became unknown; then an operator decides."""
ACCEPTED_LOOKS: Final = (
    tuple(n * SECOND for n in (5, 15, 30))
    + UNKNOWN_LOOKS
    + (48 * 3600 * SECOND, 72 * 3600 * SECOND)
)
"""Since it was accepted; a vendor that has not delivered after three days is for an operator."""
PATIENCE: Final = 30 * SECOND
"""What a sender may need before its request is written: its turn at the vendor's rate limit."""
MARGIN: Final = 15 * SECOND
"""And after its call, to write what became of it."""


def lease_of(traits: VendorTraits) -> int:
    """How long whoever sends has for all of it."""
    return PATIENCE + round(traits.buy_timeout * SECOND) + MARGIN


def may_send(until: int, traits: VendorTraits, now: int) -> bool:
    """Whether the whole call still fits into the lease: asked right before the request."""
    return now + round(traits.buy_timeout * SECOND) + MARGIN <= until


def next_look(one: PurchaseRecord, schedule: Sequence[int]) -> int | None:
    """When to ask next, `looks` having been made; None: that was the last time."""
    if one.waiting_since is None or one.looks >= len(schedule):
        return None
    return one.waiting_since + schedule[one.looks]


def not_bought(one: PurchaseRecord, traits: VendorTraits, now: int) -> bool:
    """Whether it is proven: the vendor, whose `find` finds by our reference, did not know it twice,
    far enough apart, and nobody can be sending it any more.
    """
    if not traits.lookup or traits.duplicates == "unsafe" or len(one.not_found) < 2:
        return False
    settle = round(traits.settle_seconds * SECOND)
    if one.not_found[-1] - one.not_found[0] < settle:
        return False
    quiet = one.sender_until + round(traits.buy_timeout * SECOND) + settle
    return one.sender_ended_at is not None or now > quiet


def may_repeat(one: PurchaseRecord, traits: VendorTraits) -> bool:
    """Whether sending the same reference again is the same purchase, though nothing is proven."""
    return traits.duplicates == "replays" and not traits.lookup and one.state == "UNKNOWN"
