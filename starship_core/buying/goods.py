"""What a vendor handed over: judged, sealed and put into the stock like any source's units.

The origin is `purchase:<id>:<reference>`, so the same unit told twice is the same row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from starship_core.audit import By
from starship_core.clock import micros
from starship_core.model import Sku, Voucher
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.stock.intake import HERE, Judge, Judged, Unit, compare
from starship_core.stock.receiving import look_up, sealed, store
from starship_core.stock.table import Pooled, Row, draw_ids
from starship_core.store.purchases import PurchaseRecord

BY: Final = By(actor="purchases")


class Goods(NamedTuple):
    """Ready for the transaction that writes the outcome."""

    units: Sequence[Unit]
    rows: Sequence[Row]
    """Of each of `units`: new ones, encrypted to their ids."""
    refused: Sequence[str]
    """Why others cannot be kept at all; never a code."""


class Stocked(NamedTuple):
    """What became of them."""

    taken: int
    """New units of the sku that was bought, fit to be sold: none whose code came twice."""
    pooled: Sequence[Pooled]
    blocked: Sequence[Pooled]
    odd: Sequence[str]
    """What is not as it was asked for: told to operators."""


NOTHING: Final = Goods((), (), ())


async def judged(one: PurchaseRecord, vouchers: Sequence[Voucher], ship: Ship) -> Goods:
    """Everything that can be done outside of a transaction; done again, it comes to the same."""
    judge = Judge(
        f"purchase:{one.id}", catalogue=await ship.catalogue.current(), vault=ship.vault,
        now=ship.now(),
    )  # fmt: skip
    looked = [_asked_for(unit, one.sku) for unit in await asyncio.to_thread(judge.all, vouchers)]
    found = compare(looked, await ship.database.read(look_up, looked))
    units = [unit for unit in found if isinstance(unit, Unit) and unit.outcome != HERE]
    refused = [unit.reason for unit in found if not isinstance(unit, Unit)]
    if not units:
        return Goods((), (), refused)
    ids = await ship.database.run(draw_ids, len(units))
    rows = await asyncio.to_thread(sealed, ship.vault, units, ids)
    return Goods(units, rows, refused)


def _asked_for(unit: Judged, sku: Sku) -> Judged:
    if isinstance(unit, Unit) and unit.sku != sku:
        return replace(unit, outcome="quarantined", reason=f"{unit.sku} came, {sku} was bought")
    return unit


def put_in_stock(tx: Transaction, goods: Goods, now: datetime) -> Stocked:
    """In the transaction of the outcome; what another process was quicker with is no new unit."""
    odd = [f"a unit was refused: {reason}" for reason in goods.refused]
    if not goods.rows:
        return Stocked(0, (), (), odd)
    stored = store(tx, goods.rows, goods.units, (BY, micros(now)))
    outcomes = [stored.outcomes[row.id] for row in goods.rows]
    odd += [
        f"a unit is {unit.outcome}: {unit.reason}"
        for unit in outcomes
        if unit.outcome not in ("taken", HERE)
    ]
    # the first of two units with one code was taken, and is blocked by the second
    return Stocked(len(stored.pooled), stored.pooled, stored.blocked, odd)
