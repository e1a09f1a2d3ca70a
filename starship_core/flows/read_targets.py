"""Targets as operators see them: what is wanted, what there is, and what may be bought for it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from starship_core.buying.filling import look_at_levels
from starship_core.clock import micros, rfc3339
from starship_core.model import Money, Sku
from starship_core.ship import Ship
from starship_core.store.approvals import Approval
from starship_core.store.standing import all_standing
from starship_core.store.targets import Level


class StandingFacts(Struct, frozen=True, kw_only=True):
    """A standing approval."""

    id: int
    sku: str
    state: str
    """`STANDING`, or `ENDED`: nothing is planned or sent under it any more."""
    vendors: Sequence[str]
    """In order of preference."""
    budget: str
    left: str
    """Of the budget, not planned yet."""
    expires_at: str
    approved_by: str
    approved_because: str


class TargetFacts(Struct, frozen=True, kw_only=True):
    """A target, how it stands, and the standing approvals that hold for it."""

    product: str
    """Its code."""
    product_id: int
    denomination: str
    sku: str
    minimum: int
    maximum: int
    on_sale: int
    under_way: int
    """Bought ahead, or about to be, and not here yet."""
    budget: str | None
    """At most this is planned in one run."""
    vendors: Sequence[str]
    """Who may be bought from ahead of orders; none: sources only."""
    approvals: Sequence[StandingFacts]


async def list_targets(ship: Ship, sku: Sku | None = None) -> list[TargetFacts]:
    """All of them, by product; or the one of `sku`."""
    approvals = await ship.database.read(all_standing, micros(ship.now()))
    found = await look_at_levels(ship)
    return [_facts(one, approvals) for one in found if sku in (None, one.target.sku)]


def standing_facts(approval: Approval) -> StandingFacts:
    """As commands and the API tell it."""
    terms = approval.terms
    left = Money(terms.ceiling.minor - approval.planned, terms.ceiling.currency)
    return StandingFacts(
        id=approval.id,
        sku=str(approval.sku),
        state=approval.state,
        vendors=terms.vendors,
        budget=str(terms.ceiling),
        left=str(left),
        expires_at=rfc3339(terms.expires_at),
        approved_by=terms.actor,
        approved_because=terms.reason,
    )


def _facts(level: Level, approvals: Sequence[Approval]) -> TargetFacts:
    target = level.target
    return TargetFacts(
        product=level.code,
        product_id=target.sku.product_id,
        denomination=target.sku.face.text,
        sku=str(target.sku),
        minimum=target.minimum,
        maximum=target.maximum,
        on_sale=level.on_sale,
        under_way=level.under_way,
        budget=None if target.budget is None else str(target.budget),
        vendors=target.vendors,
        approvals=[standing_facts(one) for one in approvals if one.sku == target.sku],
    )
