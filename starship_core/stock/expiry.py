"""Units past their date leave the stock and the pool."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from starship_core.database import Database
from starship_core.errors import Unavailable
from starship_core.model import Sku
from starship_core.pool import Pool
from starship_core.ports import Transaction
from starship_core.stock.table import CHUNK, Pooled, dead, expire

_OLDEST: Final = """
SELECT min(expires_at) FROM vouchers WHERE state IN ('received', 'pooled') AND expires_at <= $1
"""


async def take_out_expired(database: Database, pool: Pool, at: int) -> int:
    """How many were taken out, a chunk a transaction. Redis that is away misses nothing: what it
    suggests is looked at in SQL.
    """
    gone: list[Pooled] = []
    ids = await database.read(dead, at)
    for start in range(0, len(ids), CHUNK):
        gone += await database.run(expire, ids[start : start + CHUNK], at)
    by_sku: dict[Sku, list[int]] = defaultdict(list)
    for one in gone:
        by_sku[one.sku].append(one.id)
    try:
        for sku, some in by_sku.items():
            await pool.drop(sku, some)
    except Unavailable:
        pass  # the pump's mirror makes it good
    return len(gone)


def oldest_expired(tx: Transaction, now: int) -> int | None:
    """When the unit expired that has waited longest for being taken out."""
    found: int | None = tx.execute(_OLDEST, now)[0][0]
    return found
