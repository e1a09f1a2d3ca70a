"""What became of each delivery, as clients and operators read it, and queueing one again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.clock import moment, rfc3339
from starship_core.database import Tx, json_rows
from starship_core.errors import NotFound
from starship_core.ports import Transaction
from starship_core.store.webhooks import TEST_EVENT, Webhook, time_of

_SELECT: Final = """
SELECT d.id, d.webhook_id, d.event_id, d.event_type, d.event_at, d.status, d.attempts, d.due_at,
       d.error, d.created_at, d.delivered_at
FROM deliveries d
"""
_MATCH: Final = "WHERE d.webhook_id = $1 AND ($2 = '' OR d.status = $2)"
_LIST: Final = f"{_SELECT} {_MATCH} ORDER BY d.id DESC LIMIT $3 OFFSET $4"
_COUNT: Final = f"SELECT count(*) FROM deliveries d {_MATCH}"
_TALLY: Final = "SELECT status, count(*) FROM deliveries WHERE webhook_id = $1 GROUP BY status"
_ATTEMPTS: Final = """
SELECT delivery_id, number, at, milliseconds, error FROM delivery_attempts
WHERE delivery_id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
ORDER BY delivery_id, number
"""
_WHOSE: Final = "SELECT webhook_id FROM deliveries WHERE id = $1"
_AGAIN: Final = """
UPDATE deliveries SET status = 'PENDING', attempts = 0, due_at = $2, error = NULL,
  delivered_at = NULL
WHERE id = $1 AND lease IS NULL
"""
_ALL_AGAIN: Final = """
UPDATE deliveries SET status = 'PENDING', attempts = 0, due_at = $3, error = NULL WHERE id IN (
  SELECT id FROM deliveries
  WHERE webhook_id = $1 AND id > $4 AND event_at >= $2 AND lease IS NULL
    AND (status = 'FAILED' OR (status = 'PENDING' AND due_at > $3)) AND event_type <> $6
  ORDER BY id LIMIT $5 {skip_locked}
) RETURNING id
"""
_TEST: Final = """
INSERT INTO deliveries (webhook_id, event_id, event_type, event_at, data, status, due_at,
  created_at)
VALUES ($1, $2, $3, $4, $5, 'PENDING', $4, $4) RETURNING id
"""


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt at a delivery."""

    number: int
    at: str
    milliseconds: int
    error: str | None
    """What went wrong; null: a 2xx."""


class Delivery(Struct, frozen=True, kw_only=True):
    """An event on its way to one endpoint."""

    id: int
    webhook_id: int
    event_id: str
    """The same in every attempt, also of a redelivery."""
    event_type: str
    event_at: str
    status: str
    """`PENDING`, `DELIVERED`, or `FAILED` after the last attempt."""
    attempts: tuple[Attempt, ...]
    """Every one, those before a redelivery included."""
    next_attempt_at: str | None
    error: str | None
    """Of the last attempt."""
    created_at: str
    delivered_at: str | None


def list_deliveries(
    tx: Transaction, webhook_id: int, *, status: str, limit: int, offset: int
) -> tuple[list[Delivery], int]:
    """Newest first, and how many there are; an empty status is any."""
    total: int = tx.execute(_COUNT, webhook_id, status)[0][0]
    return _whole(tx, tx.execute(_LIST, webhook_id, status, limit, offset)), total


def tally(tx: Transaction, webhook_id: int) -> dict[str, int]:
    """How many deliveries are in which status."""
    return dict(sorted(tx.execute(_TALLY, webhook_id)))


def read_delivery(tx: Transaction, delivery_id: int) -> Delivery:
    """Raises NotFound."""
    rows = tx.execute(f"{_SELECT} WHERE d.id = $1", delivery_id)
    if not rows:
        raise NotFound("delivery", delivery_id)
    return _whole(tx, rows)[0]


def webhook_of(tx: Transaction, delivery_id: int) -> int:
    """Raises NotFound."""
    rows = tx.execute(_WHOSE, delivery_id)
    if not rows:
        raise NotFound("delivery", delivery_id)
    number: int = rows[0][0]
    return number


def again(tx: Transaction, delivery_id: int, at: int) -> None:
    """Due at once, for a whole round of attempts; one that is under way is left to it."""
    tx.execute(_AGAIN, delivery_id, at)


def all_again(tx: Tx, webhook_id: int, *, since: int, at: int, after: tuple[int, int]) -> list[int]:
    """As `again`, for what failed or waits for its next attempt, of events since then.

    A part of them: `after` is the id to go on from, and how many. Returns their ids, in order.
    """
    statement = _ALL_AGAIN.format(skip_locked=tx.skip_locked)
    rows = tx.execute(statement, webhook_id, since, at, *after, TEST_EVENT)
    return sorted(row[0] for row in rows)


def queue_test(tx: Transaction, webhook: Webhook, nonce: str, at: int) -> int:
    """A delivery of an event that is in no feed, attempted once; its id."""
    event_id = f"evt_test_{webhook.id}_{nonce}"
    data = msgspec.json.encode({"webhook_id": webhook.id}).decode()
    number: int = tx.execute(_TEST, webhook.id, event_id, TEST_EVENT, at, data)[0][0]
    return number


def _whole(tx: Transaction, rows: Sequence[tuple[Any, ...]]) -> list[Delivery]:
    found: dict[int, list[Attempt]] = {row[0]: [] for row in rows}
    for delivery_id, number, at, milliseconds, error in tx.execute(
        _ATTEMPTS, json_rows((each,) for each in found)
    ):
        told = rfc3339(moment(at))
        found[delivery_id].append(
            Attempt(number=number, at=told, milliseconds=milliseconds, error=error)
        )
    return [_delivery(row, found[row[0]]) for row in rows]


def _delivery(row: Sequence[Any], attempts: Sequence[Attempt]) -> Delivery:
    (number, webhook_id, event_id, event_type, event_at, status, _, due_at, error, created_at,
     delivered_at) = row  # fmt: skip
    return Delivery(
        id=number, webhook_id=webhook_id, event_id=event_id, event_type=event_type,
        event_at=rfc3339(moment(event_at)), status=status, attempts=tuple(attempts),
        next_attempt_at=time_of(due_at), error=error, created_at=rfc3339(moment(created_at)),
        delivered_at=time_of(delivered_at),
    )  # fmt: skip
