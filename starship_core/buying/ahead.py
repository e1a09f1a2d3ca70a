"""Buying ahead of orders: what a target still misses, under standing approvals of operators.

A plan locks the target's row, counts what is there and what is under way in one statement, and
writes purchases in the same transaction: two pumps at once, or one after a kill, meet what the
other planned. From there on it is a purchase like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from starship_core.audit import By, record
from starship_core.buying.planning import Market, plan_standing, stands_still
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import Money, Sku
from starship_core.ports import Transaction
from starship_core.store.approvals import Approval
from starship_core.store.notices import notify
from starship_core.store.standing import overcharged, refused_by, standing
from starship_core.store.targets import Level, levels, lock_target
from starship_core.store.vendor_products import VendorOffer, find_offers

REFUSED_FOR: Final = timedelta(hours=6)
"""So long another vendor of the approval comes before one that refused."""
AT_ONCE: Final = 200
"""Purchases that one run plans under one approval: no transaction grows without bound."""
SOURCES_ONLY: Final = "its target names no vendor: sources only"
NOT_APPROVED: Final = "no standing approval holds: `starship target approve`"


class Offered(NamedTuple):
    """What one standing approval could be used for now."""

    approval_id: int
    vendor: str
    left: int
    """Of its budget, in minor units."""
    price: int
    """The most that one unit may cost."""
    most: int
    """Units at once."""


class Lot(NamedTuple):
    """What is bought under one approval."""

    approval_id: int
    vendor: str
    quantity: int
    ceiling: int


class Outlook(NamedTuple):
    """What would be bought now, and why not more."""

    lots: Sequence[Lot]
    currency: str
    why: str | None
    """None: nothing is missing any more."""


class Planned(NamedTuple):
    """A lot, and the purchases that it became."""

    lot: Lot
    ceiling: Money
    purchases: Sequence[int]


class Plan(NamedTuple):
    """What was planned for one target; `level` is how it stood before."""

    level: Level
    planned: Sequence[Planned]
    why: str | None


class Run(NamedTuple):
    """Whose hand it is, where one can buy, and since when plans belong to this run."""

    by: By
    market: Market
    now: datetime
    since: int


def share_out(missing: int, run: int | None, offered: Sequence[Offered]) -> list[Lot]:
    """Never more than is missing, than the run may still plan for (None: no bound), or than an
    approval has left or lets buy at once; whole units, one approval used up after the other.
    """
    lots = []
    for one in offered:
        left = one.left if run is None else min(one.left, run)
        quantity = min(missing, one.most, max(left, 0) // one.price)
        if not quantity:
            continue
        lot = Lot(one.approval_id, one.vendor, quantity, quantity * one.price)
        missing -= lot.quantity
        run = None if run is None else run - lot.ceiling
        lots.append(lot)
    return lots


def look_ahead(
    tx: Transaction, level: Level, market: Market, now: datetime, lock: str = ""
) -> Outlook:
    """What would be bought for it. What is under way counts as there, since it may come."""
    target = level.target
    missing = target.missing(level.on_sale + level.under_way)
    if not missing or not target.vendors or not level.is_active:
        reason = SOURCES_ONLY if not target.vendors else "its product is not sold"
        return Outlook((), "", reason if missing else None)
    offered, obstacles, currency = list[Offered](), list[str](), ""
    for approval in standing(tx, target.sku, micros(now), lock):
        found = _offered(tx, level, approval, market, now)
        if isinstance(found, str):
            obstacles.append(found)
        elif currency not in ("", approval.terms.ceiling.currency):
            obstacles.append(f"approval {approval.id} is in another currency than the one before")
        else:
            currency = approval.terms.ceiling.currency
            offered.append(found)
    run = None if target.budget is None else target.budget.minor - level.spent
    lots = share_out(missing, run, offered)
    why: str | None = None
    if sum(lot.quantity for lot in lots) < missing:
        why = _why(lots, run, offered, obstacles)
    return Outlook(lots, currency, why)


def plan_ahead(tx: Tx, sku: Sku, run: Run) -> Plan | None:
    """Write the purchases of what is missing now, each under an approval's budget; None: the target
    was removed. Run again, it plans what is missing then.
    """
    if not lock_target(tx, sku):
        return None
    (level,) = levels(tx, micros(run.now), run.since, sku)
    outlook = look_ahead(tx, level, run.market, run.now, tx.for_update)
    planned = []
    for lot in outlook.lots:
        ceiling = Money(lot.ceiling, outlook.currency)
        ids = plan_standing(
            tx, lot.approval_id, run.market, vendor=lot.vendor, quantity=lot.quantity,
            ceiling=ceiling, now=run.now,
        )  # fmt: skip
        planned.append(Planned(lot, ceiling, ids))
    plan = Plan(level, planned, outlook.why)
    if planned:
        record(tx, run.by, "target.buy", f"sku:{sku}", at=run.now, after=_facts(plan))
    _tell(tx, plan, run.now)
    return plan


def price_of(offer: VendorOffer, sku: Sku, currency: str) -> int | None:
    """The most that one unit may cost, in minor units of `currency`: what it cost when it was last
    looked at, or else its face value. None: that is another currency's.
    """
    cost = offer.unit_cost(sku.denomination)
    if cost is None:
        return sku.denomination if currency == sku.currency else None
    return max(cost.minor, 1) if cost.currency == currency else None


def _offered(  # noqa: PLR0911  # one for each thing that stands in the way
    tx: Transaction, level: Level, approval: Approval, market: Market, now: datetime
) -> Offered | str:
    target, terms = level.target, approval.terms
    sku, currency = target.sku, terms.ceiling.currency
    names = [name for name in terms.vendors if name in target.vendors]
    if not names:
        return f"approval {approval.id} names none of the target's vendors"
    if target.budget is not None and target.budget.currency != currency:
        return f"approval {approval.id} is in {currency}, the target in {target.budget.currency}"
    if purchase := overcharged(tx, approval.id):
        return (
            f"purchase {purchase} was charged at more than was agreed: approval {approval.id} is "
            "not used any more"
        )
    offers = {one.vendor: one for one in find_offers(tx, sku)}
    able = [name for name in names if name in offers and _sells(market, name, sku)]
    if not able:
        return f"{', '.join(names)} cannot be asked for it; see `starship vendor map`"
    free = [name for name in able if not stands_still(tx, name, sku, market, now)]
    if not free:
        return f"{', '.join(able)}: switched off, or the breaker is open"
    refused = refused_by(tx, approval.id, micros(now - REFUSED_FOR))
    name = min(free, key=lambda one: one in refused)  # else the first of the approval
    price = price_of(offers[name], sku, currency)
    if price is None:
        return f"what {name} asks for it is not known in {currency}, as approval {approval.id} is"
    most = AT_ONCE * max(market.vendors[name].traits.max_units, 1)
    return Offered(approval.id, name, terms.ceiling.minor - approval.planned, price, most)


def _sells(market: Market, name: str, sku: Sku) -> bool:
    vendor = market.vendors.get(name)
    return vendor is not None and sku.currency in (vendor.traits.currencies or {sku.currency})


def _why(
    lots: Sequence[Lot], run: int | None, offered: Sequence[Offered], obstacles: Sequence[str]
) -> str:
    if not offered:
        return obstacles[0] if obstacles else NOT_APPROVED
    most = {one.approval_id: one.most for one in offered}
    if any(lot.quantity == most[lot.approval_id] for lot in lots):
        return "so many at once; the next run goes on"
    if run is not None:
        left = run - sum(lot.ceiling for lot in lots)
        if left < min(one.price for one in offered):
            return "its budget for one run is used up"
    return "the budget of its standing approvals is used up"


def _facts(plan: Plan) -> dict[str, object]:
    return {
        "on_sale": plan.level.on_sale,
        "under_way": plan.level.under_way,
        "planned": [
            {
                "vendor": one.lot.vendor, "quantity": one.lot.quantity,
                "ceiling": str(one.ceiling), "approval": one.lot.approval_id,
                "purchases": list(one.purchases),
            }
            for one in plan.planned
        ],
    }  # fmt: skip


def _tell(tx: Transaction, plan: Plan, now: datetime) -> None:
    """Operators, once a day, of what stays below its minimum."""
    level, target = plan.level, plan.level.target
    there = level.on_sale + level.under_way + sum(one.lot.quantity for one in plan.planned)
    if there >= target.minimum:
        return
    notify(
        tx, "stock.low", subject=f"sku:{target.sku}",
        summary=f"{target.sku} has {level.on_sale} vouchers on sale and {there - level.on_sale} "
        f"under way, less than its target's {target.minimum}",
        text=f"The sources had no more, and no more is bought: {plan.why}.\n"
        "Put more where the pump finds them, and:\nstarship pump\nOr see:\nstarship target list",
        data={"product_id": target.sku.product_id, "denomination": target.sku.face.text,
              "pooled": level.on_sale},
        key=f"sku:{target.sku}:target:{now:%F}", at=now,
    )  # fmt: skip
