"""A pump's targets, from the first look to the report: before the sources, and after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from starship_core.audit import By
from starship_core.buying.ahead import Lot, Outlook, Plan, Planned, Run, look_ahead, plan_ahead
from starship_core.buying.planning import Market
from starship_core.clock import micros
from starship_core.errors import InvalidInput, NotFound, WrongState
from starship_core.model import Money
from starship_core.ship import Ship
from starship_core.stock.rations import Rations
from starship_core.stock.report import Ahead, OfTarget
from starship_core.store.slots import slot_at
from starship_core.store.targets import Level, levels

RUN_SECONDS: Final = 30 * 60
"""From one pump on time to the next. All that is planned within one such slot, by whomever, comes
out of a target's budget for one run: a pump that was killed and is run again gets no second one.
"""
NOT_ALL: Final = "nothing is bought ahead unless every source was asked"
FAULTY: Final = "nothing is bought ahead while a source cannot be read to its end"


def run_began(ship: Ship) -> int:
    """Since when plans belong to the present run, in microseconds."""
    return slot_at(micros(ship.now()), RUN_SECONDS)


async def look_at_levels(ship: Ship) -> list[Level]:
    """How every target stands."""
    return await ship.database.read(levels, micros(ship.now()), run_began(ship))


async def fill_up(
    ship: Ship, by: By, begun: Sequence[Level], rations: Rations, goes_on: Callable[[], None]
) -> list[OfTarget]:
    """Plan what the sources did not have, a transaction for each target; killed between two, the
    next run goes on. `goes_on` raises when it must stop.
    """
    told = []
    for level in begun:
        goes_on()
        run = Run(by, Market.of(ship), ship.now(), run_began(ship))
        try:
            plan = await ship.database.run(plan_ahead, level.target.sku, run)
        except (InvalidInput, NotFound, WrongState) as error:  # changed under our hands
            told.append(_told(level, rations, why=str(error)))
        else:
            told.append(_told(level, rations, plan))
    return told


async def foresee(ship: Ship, begun: Sequence[Level], rations: Rations) -> list[OfTarget]:
    """What `fill_up` would plan after these sources; writes nothing."""
    told = []
    for level in begun:
        then = replace(level, on_sale=level.on_sale + rations.taken(level.target.sku))
        outlook = await ship.database.read(look_ahead, then, Market.of(ship), ship.now())
        told.append(_told(level, rations, _as_plan(then, outlook)))
    return told


def passed_by(begun: Sequence[Level], rations: Rations, why: str) -> list[OfTarget]:
    """Of a run that buys nothing, and why."""
    return [_told(level, rations, why=why if _misses(level, rations) else None) for level in begun]


def _misses(level: Level, rations: Rations) -> bool:
    there = level.on_sale + level.under_way + rations.taken(level.target.sku)
    return level.target.missing(there) > 0


def _as_plan(level: Level, outlook: Outlook) -> Plan:
    planned = [Planned(lot, Money(lot.ceiling, outlook.currency), ()) for lot in outlook.lots]
    return Plan(level, planned, outlook.why)


def _told(
    level: Level, rations: Rations, plan: Plan | None = None, *, why: str | None = None
) -> OfTarget:
    target = level.target
    return OfTarget(
        sku=str(target.sku),
        product=level.code,
        minimum=target.minimum,
        maximum=target.maximum,
        had=level.on_sale,
        pulled=rations.taken(target.sku),
        under_way=plan.level.under_way if plan else level.under_way,
        ahead=[_ahead(*one) for one in plan.planned] if plan else [],
        why=plan.why if plan else why,
    )


def _ahead(lot: Lot, ceiling: Money, purchases: Sequence[int]) -> Ahead:
    return Ahead(
        vendor=lot.vendor,
        quantity=lot.quantity,
        ceiling=str(ceiling),
        approval_id=lot.approval_id,
        purchases=list(purchases),
    )
