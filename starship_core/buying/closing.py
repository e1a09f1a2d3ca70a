"""A purchase that is over without goods: known not to be bought, or handed to an operator.

The purchase is locked by the caller.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from starship_core.buying.following import Aftermath, order_follows, tell
from starship_core.buying.planning import Market, plan_next
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.store.approvals import find_approval, give_back
from starship_core.store.purchases import (
    PurchaseRecord,
    State,
    let_go,
    noted,
    own_items,
    save_purchase,
)


def to_review(tx: Tx, one: PurchaseRecord, now: datetime, why: str) -> Aftermath:
    """An operator has to settle it; its items stay with it. The purchase is locked."""
    was = one
    one = replace(
        one, state="NEEDS_REVIEW", due_at=None, lease=None, lease_until=0,
        evidence=noted(one, now, f"needs review: {why}"),
    )  # fmt: skip
    save_purchase(tx, micros(now), one)
    tell(tx, was, one, [why], now)
    order_follows(tx, one, now)
    return Aftermath()


def closed_unbought(  # noqa: PLR0913  # what, when, why, how, and who may be asked next
    tx: Tx,
    one: PurchaseRecord,
    now: datetime,
    why: str,
    *,
    state: State = "NOT_BOUGHT",
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
    if approval.order_id is None and not one.is_late:
        give_back(tx, approval.id, one.ceiling.minor, at)
    elif approval.order_id is not None and market is not None:
        plan_next(
            tx, approval, market, refused_by=one.vendor, items=items, ceiling=one.ceiling, now=now
        )
    order_follows(tx, one, now)
    return Aftermath()
