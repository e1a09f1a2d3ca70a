"""What policies decided, one decision an order, and the clients' limit rows, on an open
transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from msgspec import Struct

from starship_core.clock import micros, moment
from starship_core.model import Money
from starship_core.ports import Transaction

_EPOCH: Final = date(1970, 1, 1)
_LOCK: Final = """
INSERT INTO policy_spending (client_id, day, currency, spent, updated_at) VALUES ($1, $2, $3, 0, $4)
ON CONFLICT (client_id, day, currency) DO UPDATE SET updated_at = excluded.updated_at
"""
_SPENT: Final = """
SELECT spent FROM policy_spending WHERE client_id = $1 AND day = $2 AND currency = $3
"""
_SPEND: Final = """
UPDATE policy_spending SET spent = spent + $4, updated_at = $5
WHERE client_id = $1 AND day = $2 AND currency = $3
"""
_DUE_FROM: Final = """
FROM orders o LEFT JOIN decisions d ON d.order_id = o.id
WHERE o.status IN ('PENDING', 'PARTIALLY_DELIVERED') AND o.placed_at > $1
  AND (d.order_id IS NULL OR d.again_at <= $2)
  AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.order_id = o.id)
  AND NOT EXISTS (SELECT 1 FROM refusals r WHERE r.order_id = o.id)
"""
_DUE: Final = f"""
SELECT o.id, o.client_id {_DUE_FROM} ORDER BY coalesce(d.again_at, o.placed_at), o.id LIMIT $3
"""  # our own words
_OLDEST: Final = f"SELECT min(coalesce(d.again_at, o.placed_at)) {_DUE_FROM}"
_OPEN_TO_POLICIES: Final = """
SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM approvals WHERE order_id = $1)
  AND NOT EXISTS (SELECT 1 FROM refusals WHERE order_id = $1)
  AND NOT EXISTS (
    SELECT 1 FROM decisions WHERE order_id = $1 AND (again_at IS NULL OR again_at > $2))
"""
_WRITE: Final = """
INSERT INTO decisions (order_id, client_id, outcome, case_seen, verdicts, reason, day, currency,
  face, approval_id, again_at, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (order_id) DO UPDATE SET outcome = excluded.outcome, case_seen = excluded.case_seen,
  verdicts = excluded.verdicts, reason = excluded.reason, day = excluded.day, face = excluded.face,
  approval_id = excluded.approval_id, again_at = excluded.again_at, decided_at = excluded.decided_at
"""
_FIND: Final = """
SELECT order_id, client_id, outcome, case_seen, verdicts, reason, currency, face, approval_id,
  again_at, decided_at
FROM decisions WHERE order_id = $1
"""


class Decision(Struct, frozen=True, kw_only=True):
    """What policies decided about an order."""

    order_id: int
    client_id: int
    outcome: str
    case: str
    """As JSON."""
    verdicts: str
    """As JSON."""
    reason: str
    face: Money
    approval_id: int | None = None
    again_at: int | None = None
    """When it is decided anew, in microseconds; None: it is final."""
    at: datetime


def lock_day(tx: Transaction, client_id: int, at: datetime, currency: str) -> None:
    """The client's limit row, locked until the end of the transaction: before the order."""
    tx.execute(_LOCK, client_id, _day(at.date()), currency, micros(at))


def spent_on(tx: Transaction, client_id: int, day: date, currency: str) -> int:
    """Face value that policies allowed the client on that UTC day, in minor units."""
    rows = tx.execute(_SPENT, client_id, _day(day), currency)
    return int(rows[0][0]) if rows else 0


def spend(tx: Transaction, client_id: int, at: datetime, face: Money) -> None:
    """Add it to the day; its row is locked."""
    tx.execute(_SPEND, client_id, _day(at.date()), face.currency, face.minor, micros(at))


def due(tx: Transaction, *, after: int, now: int, limit: int) -> list[tuple[int, int]]:
    """(order, client) of orders placed after that moment which nobody decided about, the oldest
    first. What somebody approved or refused needs no decision.
    """
    return [(row[0], row[1]) for row in tx.execute(_DUE, after, now, limit)]


def oldest(tx: Transaction, *, after: int, now: int) -> int | None:
    """Since when the first of them waits for it; None: there is none."""
    found: int | None = tx.execute(_OLDEST, after, now)[0][0]
    return found


def open_to_policies(tx: Transaction, order_id: int, now: int) -> bool:
    """Whether no one approved or refused it, and no final decision was written."""
    return bool(tx.execute(_OPEN_TO_POLICIES, order_id, now))


def write_decision(tx: Transaction, one: Decision) -> None:
    """Its order is locked; only one that is to be decided anew is written over."""
    tx.execute(
        _WRITE, one.order_id, one.client_id, one.outcome, one.case, one.verdicts, one.reason,
        _day(one.at.date()), one.face.currency, one.face.minor, one.approval_id, one.again_at,
        micros(one.at),
    )  # fmt: skip


def find_decision(tx: Transaction, order_id: int) -> Decision | None:
    """None: policies have not decided about it."""
    rows = tx.execute(_FIND, order_id)
    return _decision(rows[0]) if rows else None


def _decision(row: Sequence[Any]) -> Decision:
    (order_id, client_id, outcome, case, verdicts, reason, currency, face, approval_id, again_at,
     at) = row  # fmt: skip
    return Decision(
        order_id=order_id, client_id=client_id, outcome=outcome, case=case, verdicts=verdicts,
        reason=reason, face=Money(face, currency), approval_id=approval_id, again_at=again_at,
        at=moment(at),
    )  # fmt: skip


def _day(day: date) -> int:
    return (day - _EPOCH).days
