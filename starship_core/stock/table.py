"""The stock in SQL: verbs on an open transaction for whoever brings vouchers in or takes them out.

Vouchers are inserted under ids drawn beforehand, because their encryption binds to the id. A row of
`quarantine` draws its id from the same counter, for the same reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from starship_core.database import json_rows
from starship_core.model import Sku
from starship_core.ports import Transaction

CHUNK: Final = 1000
"""Rows a transaction: long enough to be quick, short enough that no order waits for it."""


class Row(NamedTuple):
    """A voucher about to be inserted."""

    id: int
    sku: Sku
    state: str
    reason: str | None
    sealed: str
    key_id: str
    fingerprint: str
    origin: str
    number: str | None
    """The source's `voucher_reference_number`."""
    expires_at: int


class Known(NamedTuple):
    """What the stock already has of an origin or a fingerprint."""

    voucher_id: int
    origin: str
    fingerprint: str


class Pooled(NamedTuple):
    """A voucher that is on sale, or was until now."""

    id: int
    sku: Sku
    expires_at: int


_DRAW: Final = """
INSERT INTO counters (name, value) VALUES ('voucher', $1)
ON CONFLICT (name) DO UPDATE SET value = counters.value + $1
RETURNING value
"""
_KNOWN_ORIGINS: Final = """
SELECT id, origin, fingerprint FROM vouchers
WHERE origin IN (SELECT value->>0 FROM json_each($1))
UNION ALL
SELECT id, origin, fingerprint FROM quarantine
WHERE origin IN (SELECT value->>0 FROM json_each($1))
"""
_KNOWN_FINGERPRINTS: Final = """
SELECT id, origin, fingerprint FROM vouchers
WHERE fingerprint IN (SELECT value->>0 FROM json_each($1))
"""
_INSERT: Final = """
INSERT INTO vouchers (id, product_id, denomination, currency, state, state_reason, sealed, key_id,
  fingerprint, origin, voucher_reference_number, expires_at, created_at, updated_at)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), cast(value->>2 AS bigint), value->>3,
  value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10,
  cast(value->>11 AS bigint), cast($2 AS bigint), cast($2 AS bigint)
FROM json_each($1) WHERE true
ON CONFLICT DO NOTHING
RETURNING id
"""
_QUARANTINE: Final = """
INSERT INTO quarantine (id, origin, fingerprint, sealed, key_id, voucher_id, reason, created_at)
SELECT cast(value->>0 AS bigint), value->>1, value->>2, value->>3, value->>4,
  cast(value->>5 AS bigint), value->>6, cast($2 AS bigint)
FROM json_each($1) WHERE true
ON CONFLICT DO NOTHING
"""
_POOL: Final = """
UPDATE vouchers SET state = 'pooled', updated_at = $2
WHERE id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
  AND state = 'received' AND expires_at > $2
RETURNING id, product_id, denomination, currency, expires_at
"""
_RECEIVED: Final = """
SELECT id FROM vouchers WHERE state = 'received' AND id > $1 ORDER BY id LIMIT $2
"""
_DEAD: Final = """
SELECT id FROM vouchers WHERE state = 'pooled' AND expires_at <= $1
UNION ALL
SELECT id FROM vouchers WHERE state = 'received' AND expires_at <= $1
"""
_EXPIRE: Final = """
UPDATE vouchers SET state = 'expired', updated_at = $2
WHERE id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
  AND state IN ('received', 'pooled') AND expires_at <= $2
RETURNING id, product_id, denomination, currency, expires_at
"""
_BLOCK: Final = """
UPDATE vouchers SET state = 'blocked', state_reason = value->>1, updated_at = $2
FROM json_each($1)
WHERE vouchers.id = cast(value->>0 AS bigint) AND vouchers.state IN ('received', 'pooled')
RETURNING id, product_id, denomination, currency, expires_at
"""
_UNDELIVERED: Final = """
SELECT id, origin FROM vouchers
WHERE origin IN (SELECT value->>0 FROM json_each($1)) AND state IN ('received', 'pooled')
"""
_SKUS: Final = """
SELECT DISTINCT product_id, denomination, currency FROM vouchers WHERE state = 'pooled'
ORDER BY product_id, denomination, currency
"""
_POOLED_PAGE: Final = """
SELECT id, expires_at FROM vouchers
WHERE product_id = $1 AND denomination = $2 AND currency = $3 AND state = 'pooled'
  AND (expires_at, id) > ($4, $5)
ORDER BY expires_at, id LIMIT $6
"""


def draw_ids(tx: Transaction, count: int) -> range:
    """Ids that nobody else has or will get; those not used leave a hole."""
    last = tx.execute(_DRAW, count)[0][0]
    return range(last - count + 1, last + 1)


def known_origins(tx: Transaction, origins: Iterable[str]) -> dict[str, Known]:
    """By origin: units that are here, in stock or in quarantine."""
    rows = tx.execute(_KNOWN_ORIGINS, json_rows((origin,) for origin in origins))
    return {row[1]: Known(*row) for row in rows}


def known_fingerprints(tx: Transaction, fingerprints: Iterable[str]) -> dict[str, Known]:
    """By fingerprint: units in stock that hold one of these codes."""
    rows = tx.execute(_KNOWN_FINGERPRINTS, json_rows((print_,) for print_ in fingerprints))
    return {row[2]: Known(*row) for row in rows}


def insert(tx: Transaction, rows: Sequence[Row], at: int) -> set[int]:
    """Insert what is new; the ids of the rows that were. Others met their origin or fingerprint."""
    values = json_rows((row.id, *_columns(row.sku), *row[2:]) for row in rows)
    return {row[0] for row in tx.execute(_INSERT, values, at)}


def quarantine(tx: Transaction, rows: Iterable[tuple[Row, Known]], at: int) -> None:
    """Keep duplicates out of the stock, each with what it duplicates. Idempotent by origin."""
    values = json_rows(
        (row.id, row.origin, row.fingerprint, row.sealed, row.key_id, older.voucher_id,
         f"duplicate of {older.origin}")
        for row, older in rows
    )  # fmt: skip
    tx.execute(_QUARANTINE, values, at)


def put_on_sale(tx: Transaction, ids: Iterable[int], at: int) -> list[Pooled]:
    """`received` → `pooled`, unless expired by now; returns those that changed."""
    return _pooled(tx.execute(_POOL, json_rows((id_,) for id_ in ids), at))


def received(tx: Transaction, after: int) -> list[int]:
    """Ids that a pump left behind, or that were unblocked; a chunk from `after` on."""
    return [row[0] for row in tx.execute(_RECEIVED, after, CHUNK)]


def dead(tx: Transaction, at: int) -> list[int]:
    """Ids of undelivered vouchers that expired."""
    return [row[0] for row in tx.execute(_DEAD, at)]


def expire(tx: Transaction, ids: Iterable[int], at: int) -> list[Pooled]:
    """Take these out of sale if they have expired; returns those that changed."""
    return _pooled(tx.execute(_EXPIRE, json_rows((id_,) for id_ in ids), at))


def block(tx: Transaction, reasons: Mapping[int, str], at: int) -> list[Pooled]:
    """Take undelivered vouchers out of sale, each with its reason; returns those that changed."""
    return _pooled(tx.execute(_BLOCK, json_rows(reasons.items()), at))


def undelivered(tx: Transaction, origins: Iterable[str]) -> dict[int, str]:
    """Id → origin of those that could still be sold."""
    return dict(tx.execute(_UNDELIVERED, json_rows((origin,) for origin in origins)))


def skus_on_sale(tx: Transaction) -> list[Sku]:
    """Every sku with a pooled voucher."""
    return [Sku(*row) for row in tx.execute(_SKUS)]


def page_on_sale(
    tx: Transaction, sku: Sku, after: tuple[int, int], count: int
) -> list[tuple[int, int]]:
    """(id, expiry) of pooled vouchers in order of (expiry, id), from the place `after` on."""
    rows = tx.execute(_POOLED_PAGE, *_columns(sku), *after, count)
    return [(row[0], row[1]) for row in rows]


def by_sku(vouchers: Iterable[Pooled]) -> dict[Sku, list[Pooled]]:
    """As Redis is told of them."""
    sorted_: dict[Sku, list[Pooled]] = defaultdict(list)
    for one in vouchers:
        sorted_[one.sku].append(one)
    return sorted_


def _columns(sku: Sku) -> tuple[int, int, str]:
    return (sku.product_id, sku.denomination, sku.currency)


def _pooled(rows: Sequence[tuple[Any, ...]]) -> list[Pooled]:
    return [Pooled(row[0], Sku(*row[1:4]), row[4]) for row in rows]
