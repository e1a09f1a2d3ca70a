"""What is in stock: counted by product, denomination and state, or looked up one by one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from starship_core.clock import micros, moment
from starship_core.database import json_rows
from starship_core.model import NO_EXPIRY, Sku
from starship_core.ports import Transaction

STATES: Final = ("received", "pooled", "assigned", "blocked", "expired", "quarantined")


class Count(Struct, frozen=True, kw_only=True):
    """Vouchers of one sku in one state."""

    product_id: int
    product: str
    denomination: str
    currency: str
    state: str
    count: int
    next_expiry: datetime | None
    """Of the one that expires first; None: never."""
    expiring: int
    """How many of them expire within the time asked about."""


class Found(Struct, frozen=True, kw_only=True):
    """One voucher, without its code."""

    id: int
    sku: Sku
    state: str
    reason: str | None
    sealed: str
    key_id: str
    order_id: int | None
    expires_at: int


class Filter(Struct, frozen=True, kw_only=True):
    """Which vouchers to count; what is left out is not asked about."""

    product_id: int | None = None
    state: str | None = None
    within: timedelta = timedelta(days=30)


_COUNTS: Final = """
SELECT product_id, code, denomination, vouchers.currency, state, count(*), min(expires_at),
  sum(CASE WHEN expires_at <= $1 THEN 1 ELSE 0 END)
FROM vouchers JOIN products ON products.id = product_id
WHERE (cast($2 AS bigint) IS NULL OR product_id = $2) AND (cast($3 AS text) IS NULL OR state = $3)
GROUP BY product_id, code, denomination, vouchers.currency, state
ORDER BY code, denomination, state
"""
_FOUND: Final = """
SELECT id, product_id, denomination, currency, state, state_reason, sealed, key_id, order_id,
  expires_at
FROM vouchers WHERE id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1)) ORDER BY id
"""
_ASIDE: Final = "SELECT count(*) FROM quarantine"


def count_stock(tx: Transaction, which: Filter, now: datetime) -> list[Count]:
    """By product, denomination and state."""
    rows = tx.execute(_COUNTS, micros(now + which.within), which.product_id, which.state)
    forever = micros(NO_EXPIRY)
    return [
        Count(
            product_id=product_id,
            product=code,
            denomination=Sku(product_id, denomination, currency).face.text,
            currency=currency,
            state=state,
            count=count,
            next_expiry=None if first >= forever else moment(first),
            expiring=int(expiring),
        )
        for product_id, code, denomination, currency, state, count, first, expiring in rows
    ]


def count_duplicates(tx: Transaction) -> int:
    """Units that were kept out because their code is here already."""
    return int(tx.execute(_ASIDE)[0][0])


def find(tx: Transaction, ids: Iterable[int]) -> dict[int, Found]:
    """The vouchers that there are of these, by id."""
    return {
        row[0]: Found(
            id=row[0],
            sku=Sku(*row[1:4]),
            state=row[4],
            reason=row[5],
            sealed=row[6],
            key_id=row[7],
            order_id=row[8],
            expires_at=row[9],
        )
        for row in tx.execute(_FOUND, json_rows((id_,) for id_ in ids))
    }
