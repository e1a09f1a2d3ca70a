"""Notices to operators: written with the finding, sent by `flows/send_notices.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.clock import micros, moment, rfc3339
from starship_core.database import Tx, json_rows
from starship_core.model import OrderEvent
from starship_core.ports import Transaction

_INSERT: Final = """
INSERT INTO notices (kind, key, subject, summary, text, data, due_at, created_at)
SELECT cast($1 AS text), cast($2 AS text), cast($3 AS text), cast($4 AS text), cast($5 AS text),
  cast($6 AS text), cast($7 AS bigint), cast($7 AS bigint)
WHERE NOT EXISTS (SELECT 1 FROM notices WHERE key = $2)
ON CONFLICT DO NOTHING RETURNING id
"""
_LIST: Final = """
SELECT id, kind, key, subject, summary, text, data, status, attempts, sent_to, error, created_at,
       sent_at
FROM notices WHERE ($1 = '' OR status = $1) AND ($2 = '' OR kind = $2)
ORDER BY id DESC LIMIT $3
"""
_TAKE: Final = """
UPDATE notices SET lease = $1, due_at = $2 WHERE id IN (
  SELECT id FROM notices WHERE status = 'PENDING' AND due_at <= $3 ORDER BY due_at, id LIMIT $4
  {skip_locked}
) AND status = 'PENDING' AND due_at <= $3
RETURNING id, kind, subject, summary, text, data, attempts, sent_to, created_at
"""
_SETTLE: Final = """
UPDATE notices SET status = value->>1, attempts = cast(value->>2 AS bigint),
  due_at = cast(value->>3 AS bigint), sent_to = value->>4, error = value->>5,
  sent_at = cast(value->>6 AS bigint), lease = NULL
FROM json_each($1)
WHERE notices.id = cast(value->>0 AS bigint) AND notices.lease = $2
"""
_OLDEST: Final = "SELECT min(due_at) FROM notices WHERE status = 'PENDING'"


class Notice(Struct, frozen=True, kw_only=True):
    """What operators were told, or will be."""

    id: int
    kind: str
    key: str
    subject: str
    summary: str
    text: str
    data: dict[str, Any]
    status: str
    """`PENDING`, `SENT`, or `FAILED`: nobody could be reached."""
    attempts: int
    sent_to: tuple[str, ...]
    """Notifiers that took it."""
    error: str | None
    created_at: str
    sent_at: str | None


class DueNotice(Struct, frozen=True, kw_only=True):
    """A notice that was taken to be sent now, under a lease."""

    event: OrderEvent
    id: int
    attempts: int
    sent_to: tuple[str, ...]


class Settled(Struct, frozen=True, kw_only=True):
    """How an attempt ended; `due_at` for another one."""

    id: int
    status: str
    attempts: int
    due_at: int | None
    sent_to: tuple[str, ...]
    error: str | None
    sent_at: int | None


def notify(  # noqa: PLR0913  # what a notice is made of
    tx: Transaction,
    kind: str,
    *,
    subject: str,
    summary: str,
    text: str,
    key: str,
    at: datetime,
    data: Mapping[str, Any] | None = None,
) -> bool:
    """Tell operators, in the transaction of the finding; False: this `key` was told before.

    `kind` is `webhook.disabled`, `balance.low`, …; `subject` what it is about, `webhook:7`;
    `summary` one line; `text` says it in full, with the command that mends it. The key names the
    finding, not the moment: the same one found again is not told again. A Secret in `data` is a
    TypeError.
    """
    facts = msgspec.json.encode(data or {}).decode()
    instant = micros(at)
    return bool(tx.execute(_INSERT, kind, key, subject, summary, text, facts, instant))


def list_notices(tx: Transaction, *, status: str = "", kind: str = "", limit: int) -> list[Notice]:
    """Newest first; an empty filter is none."""
    return [_notice(row) for row in tx.execute(_LIST, status, kind, limit)]


def take_due(tx: Tx, lease: str, *, now: int, until: int, limit: int) -> list[DueNotice]:
    """Notices that are due, leased until then: whoever is killed only delays them."""
    statement = _TAKE.format(skip_locked=tx.skip_locked)
    return [_due(row) for row in sorted(tx.execute(statement, lease, until, now, limit))]


def settle(tx: Transaction, lease: str, settled: Iterable[Settled]) -> None:
    """Write how it went; what another process has taken over meanwhile is left as it is."""
    rows = [
        (each.id, each.status, each.attempts, each.due_at, _text(each.sent_to), each.error,
         each.sent_at)
        for each in settled
    ]  # fmt: skip
    if rows:
        tx.execute(_SETTLE, json_rows(rows), lease)


def oldest_due(tx: Transaction, now: int) -> int | None:
    """When the longest-waiting notice was due; None: nothing is."""
    oldest: int | None = tx.execute(_OLDEST)[0][0]
    return oldest if oldest is not None and oldest <= now else None


def _notice(row: Sequence[Any]) -> Notice:
    (number, kind, key, subject, summary, text, data, status, attempts, sent_to, error, made,
     sent) = row  # fmt: skip
    return Notice(
        id=number, kind=kind, key=key, subject=subject, summary=summary, text=text,
        data=msgspec.json.decode(data), status=status, attempts=attempts,
        sent_to=_names(sent_to), error=error, created_at=rfc3339(moment(made)),
        sent_at=None if sent is None else rfc3339(moment(sent)),
    )  # fmt: skip


def _due(row: Sequence[Any]) -> DueNotice:
    number, kind, subject, summary, text, data, attempts, sent_to, made = row
    told = {"summary": summary, "text": text, "subject": subject} | msgspec.json.decode(data)
    event = OrderEvent(
        event_id=f"ntc_{number}_{kind}", event_type=kind, created_at=moment(made), client_id=0,
        data=told,
    )  # fmt: skip
    return DueNotice(event=event, id=number, attempts=attempts, sent_to=_names(sent_to))


def _names(stored: str) -> tuple[str, ...]:
    return msgspec.json.decode(stored, type=tuple[str, ...])


def _text(names: Sequence[str]) -> str:
    return msgspec.json.encode(names).decode()
