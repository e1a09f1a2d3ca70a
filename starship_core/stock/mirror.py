"""Make Redis say what the table says: sku by sku, page by page, while orders go on.

The set is read before the table. What is in the set and not in the later table has been sold,
blocked or expired, so it is surplus for certain; what is missing from the set may just have been
suggested to an order that is not settled yet: adding it costs a neighbour one more look in SQL.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from starship_core.database import Database
from starship_core.model import Sku
from starship_core.pool import Pool
from starship_core.stock.table import page_on_sale, skus_on_sale

_PAGE: Final = 5000


class Repaired(Struct, frozen=True, kw_only=True):
    """How far a set was from the table."""

    sku: Sku
    on_sale: int
    added: int
    removed: int


async def mirror(database: Database, pool: Pool) -> list[Repaired]:
    """Compare and repair every sku, in order. Raises Unavailable when Redis is away."""
    skus = set(await database.read(skus_on_sale)) | await pool.skus()
    return [await _mirrored(sku, database, pool) for sku in sorted(skus)]


async def _mirrored(sku: Sku, database: Database, pool: Pool) -> Repaired:
    surplus = await pool.members(sku)
    on_sale = added = 0
    after = (0, 0)
    while page := await database.read(page_on_sale, sku, after, _PAGE):
        missing = [entry for entry in page if entry[0] not in surplus]
        await pool.load(sku, missing)
        surplus.difference_update(id_ for id_, _ in page)
        on_sale += len(page)
        added += len(missing)
        after = (page[-1][1], page[-1][0])
    await pool.drop(sku, surplus)
    return Repaired(sku=sku, on_sale=on_sale, added=added, removed=len(surplus))
