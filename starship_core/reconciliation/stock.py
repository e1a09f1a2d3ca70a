"""The pool against the table, without a repair; and what runs out."""

from __future__ import annotations

import asyncio
from typing import Final

from starship_core.buying.filling import look_at_levels
from starship_core.clock import micros
from starship_core.model import Sku
from starship_core.reconciliation.finding import MOST, Finding, rest
from starship_core.ship import Ship
from starship_core.stock.table import page_on_sale, skus_on_sale
from starship_core.store.levels import LowStock, low_stock

PAUSE: Final = 2.0
"""Seconds between two looks: what is only on its way to an order differs in one of them."""
_PAGE: Final = 5000


async def pool_against_table(ship: Ship) -> list[Finding]:
    """Skus whose set in Redis is not what the table has on sale. Raises Unavailable without Redis.

    Orders go on meanwhile, so only what differs twice is a difference.
    """
    skus = set(await ship.database.read(skus_on_sale)) | await ship.pool.skus()
    first = {sku: unlike for sku in sorted(skus) if any(unlike := await _unlike(sku, ship))}
    if not first:
        return []
    await asyncio.sleep(PAUSE)
    found = []
    for sku, (missing, surplus) in first.items():
        missing_still, surplus_still = await _unlike(sku, ship)
        if (missing := missing & missing_still) | (surplus := surplus & surplus_still):
            found.append(_differs(sku, len(missing), len(surplus)))
    return found[:MOST] + rest(found, len(found) - MOST)


async def _unlike(sku: Sku, ship: Ship) -> tuple[set[int], set[int]]:
    """Ids on sale that Redis does not have, and those of Redis that are not on sale.

    The set is read before the table, so that what it has too much of was sold for certain.
    """
    surplus = await ship.pool.members(sku)
    missing: set[int] = set()
    after = (0, 0)
    while page := await ship.database.read(page_on_sale, sku, after, _PAGE):
        ids = {id_ for id_, _ in page}
        missing |= ids - surplus
        surplus -= ids
        after = (page[-1][1], page[-1][0])
    return missing, surplus


def _differs(sku: Sku, missing: int, surplus: int) -> Finding:
    return Finding(
        kind="pool.unlike",
        subject=f"sku:{sku}",
        problem=f"Redis misses {missing} vouchers that are on sale, and has {surplus} that are not",
        command="starship pump --as NAME",
    )


async def short_stock(ship: Ship) -> list[Finding]:
    """Denominations, once stocked, of which fewer than `[notices] low_stock` are on sale."""
    least = ship.config.notices.low_stock
    low = await ship.database.read(low_stock, least, micros(ship.now())) if least else []
    found = [_short(each, least) for each in low[:MOST]]
    return found + rest(found, len(low) - MOST)


def _short(low: LowStock, least: int) -> Finding:
    return Finding(
        kind="stock.low",
        subject=f"sku:{low.sku}",
        problem=f"{low.pooled} vouchers are on sale, less than {least}",
        command="starship pump --as NAME",
    )


async def short_targets(ship: Ship) -> list[Finding]:
    """Skus with less than the minimum of their target, what is under way included."""
    low = [
        level
        for level in await look_at_levels(ship)
        if level.on_sale + level.under_way < level.target.minimum
    ]
    found = [
        Finding(
            kind="stock.low",
            subject=f"sku:{level.target.sku}",
            problem=f"{level.on_sale} vouchers are on sale and {level.under_way} under way, less "
            f"than its target's {level.target.minimum}",
            command="starship pump --as NAME",
            aspect="target",
        )
        for level in low[:MOST]
    ]
    return found + rest(found, len(low) - MOST)
