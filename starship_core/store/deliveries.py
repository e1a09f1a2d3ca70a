"""Rows of deliveries: one for each event and endpoint, taken under a lease and settled in batches.

A row that was taken is due again when its lease ends, so one rule finds both what waits and what
a killed worker left behind. Lock order: endpoints by id, then their deliveries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from starship_core.access import signing_purpose
from starship_core.clock import moment
from starship_core.database import Tx, json_rows
from starship_core.model import OrderEvent, Target
from starship_core.ports import Transaction
from starship_core.store.delivery_counts import count_ended
from starship_core.store.webhooks import secret_purpose
from starship_core.vault import Vault

_ENDPOINTS: Final = """
SELECT w.id, w.client_id, w.url, w.failures, w.credential_id, w.secret_sealed, c.signing_sealed,
       c.older_signing_sealed, c.older_signing_until
FROM webhooks w LEFT JOIN credentials c ON c.id = w.credential_id
WHERE w.is_active = 1 AND w.deleted_at IS NULL AND EXISTS (
  SELECT 1 FROM deliveries d
  WHERE d.webhook_id = w.id AND d.status = 'PENDING' AND d.due_at <= $1
)
"""
_TAKE: Final = """
UPDATE deliveries SET lease = $1, due_at = $2 WHERE id IN (
  SELECT id FROM deliveries WHERE webhook_id = $3 AND status = 'PENDING' AND due_at <= $4
  ORDER BY due_at, id LIMIT $5 {skip_locked}
) AND status = 'PENDING' AND due_at <= $4
RETURNING id, webhook_id, event_id, event_type, event_at, data, attempts
"""
_DATA: Final = """
SELECT event_id, outbox.data FROM json_each($1) AS given
JOIN outbox ON event_id = given.value->>0
"""
_LOCK: Final = """
SELECT id FROM webhooks WHERE id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
ORDER BY id {for_update}
"""
_ANSWERED: Final = """
UPDATE webhooks SET
  failures = CASE WHEN value->>1 IS NULL THEN failures ELSE 0 END + cast(value->>2 AS bigint),
  failing_since = CASE WHEN value->>1 IS NULL AND failing_since IS NOT NULL THEN failing_since
    ELSE cast(value->>3 AS bigint) END,
  last_success_at = coalesce(cast(value->>1 AS bigint), last_success_at)
FROM json_each($1) WHERE webhooks.id = cast(value->>0 AS bigint)
"""
_SETTLE: Final = """
UPDATE deliveries SET status = value->>1, attempts = cast(value->>2 AS bigint),
  due_at = cast(value->>3 AS bigint), error = value->>4, delivered_at = cast(value->>5 AS bigint),
  lease = NULL
FROM json_each($1) WHERE deliveries.id = cast(value->>0 AS bigint) AND deliveries.lease = $2
RETURNING id
"""
_LOG: Final = """
INSERT INTO delivery_attempts (delivery_id, number, at, milliseconds, error)
SELECT cast(value->>0 AS bigint), 1 + coalesce((
    SELECT max(number) FROM delivery_attempts WHERE delivery_id = cast(value->>0 AS bigint)
  ), 0), cast(value->>1 AS bigint), cast(value->>2 AS bigint), value->>3
FROM json_each($1)
"""
_RELEASE: Final = """
UPDATE deliveries SET lease = NULL, due_at = $3 FROM json_each($1)
WHERE deliveries.id = cast(value->>0 AS bigint) AND deliveries.lease = $2
"""
_ORPHANS: Final = """
SELECT 1 FROM webhooks w WHERE w.is_active = 0 AND EXISTS (
  SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id AND d.status = 'PENDING'
) LIMIT 1
"""
_FAIL: Final = """
UPDATE deliveries SET status = 'FAILED', due_at = NULL, lease = NULL,
  error = 'the endpoint is not active'
WHERE status = 'PENDING' AND webhook_id IN (
  SELECT id FROM webhooks WHERE is_active = 0 AND ($1 = 0 OR id = $1)
) RETURNING 1
"""
_OLDEST: Final = """
SELECT min(d.due_at) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
WHERE d.status = 'PENDING' AND d.due_at <= $1
"""


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where something is due, and what signs it; secrets are sealed."""

    id: int
    client_id: int
    url: str
    failures: int
    """Attempts that failed since the last 2xx."""
    credential_id: int | None
    own_sealed: str | None
    signing_sealed: str | None
    older_sealed: str | None
    older_until: int | None


class Due(Struct, frozen=True, kw_only=True):
    """A delivery that was taken, to be attempted now."""

    id: int
    webhook_id: int
    event: OrderEvent
    attempts: int
    """Of this round, before this one."""


class Outcome(Struct, frozen=True, kw_only=True):
    """How an attempt ended, and what becomes of its delivery."""

    delivery_id: int
    webhook_id: int
    at: int
    milliseconds: int
    error: str | None
    """None: a 2xx."""
    status: str
    attempts: int
    due_at: int | None


def signing(endpoint: Endpoint, now: int) -> Endpoint:
    """The endpoint as far as it matters to who signs: equal ones have equal targets."""
    older = endpoint.older_sealed if now < (endpoint.older_until or 0) else None
    return replace(endpoint, failures=0, older_sealed=older, older_until=None)


def target_of(endpoint: Endpoint, vault: Vault) -> Target:
    """Where to and what signs: its credential's secrets, the older first, or its own.

    Raises Unsealable, MissingKey.
    """
    if endpoint.credential_id is None:
        sealed, purpose = [endpoint.own_sealed], secret_purpose(endpoint.id)
    else:
        sealed = [endpoint.older_sealed, endpoint.signing_sealed]
        purpose = signing_purpose(endpoint.credential_id)
    opened = [vault.open_secret(purpose, each) for each in sealed if each]
    return Target(address=endpoint.url, secrets=tuple(opened))


def due_endpoints(tx: Transaction, now: int) -> list[Endpoint]:
    """Active endpoints for which something is due."""
    return [
        Endpoint(
            id=number, client_id=client_id, url=url, failures=failures,
            credential_id=credential_id, own_sealed=own, signing_sealed=signing,
            older_sealed=older, older_until=until,
        )
        for number, client_id, url, failures, credential_id, own, signing, older, until in
        tx.execute(_ENDPOINTS, now)
    ]  # fmt: skip


def take_due(
    tx: Tx,
    lease: tuple[str, int],
    endpoints: Mapping[int, Endpoint],
    plan: Mapping[int, int],
    *,
    now: int,
) -> list[Due]:
    """So many due deliveries of each endpoint, the oldest, under a lease (token, until)."""
    statement = _TAKE.format(skip_locked=tx.skip_locked)
    rows: list[tuple[Any, ...]] = []
    for webhook_id, limit in plan.items():
        rows += sorted(tx.execute(statement, *lease, webhook_id, now, limit))
    named = json_rows((row[2],) for row in rows if row[5] is None)
    data = dict(tx.execute(_DATA, named)) if rows else {}
    return [_due(row, endpoints[row[1]].client_id, data) for row in rows]


def _due(row: Sequence[Any], client_id: int, data: Mapping[str, str]) -> Due:
    number, webhook_id, event_id, event_type, event_at, own, attempts = row
    event = OrderEvent(
        event_id=event_id, event_type=event_type, created_at=moment(event_at),
        client_id=client_id, data=msgspec.json.decode(data[event_id] if own is None else own),
    )  # fmt: skip
    return Due(id=number, webhook_id=webhook_id, event=event, attempts=attempts)


def settle(tx: Tx, token: str, outcomes: Sequence[Outcome]) -> None:
    """Write how attempts ended, in order of their ends.

    What another worker has taken over meanwhile, or an operator has changed, stays as it is.
    """
    if not outcomes:
        return
    answered = json_rows(_by_endpoint(outcomes))
    tx.execute(_LOCK.format(for_update=tx.for_update), answered)
    tx.execute(_ANSWERED, answered)
    rows = json_rows(
        (each.delivery_id, each.status, each.attempts, each.due_at, each.error,
         each.at if each.error is None else None)
        for each in outcomes
    )  # fmt: skip
    settled = {row[0] for row in tx.execute(_SETTLE, rows, token)}
    log = [
        (each.delivery_id, each.at, each.milliseconds, each.error)
        for each in outcomes
        if each.delivery_id in settled
    ]
    tx.execute(_LOG, json_rows(log))
    ended = Counter(each.status for each in outcomes if each.delivery_id in settled)
    count_ended(tx, delivered=ended["DELIVERED"], failed=ended["FAILED"])


def _by_endpoint(outcomes: Iterable[Outcome]) -> list[tuple[int, int | None, int, int | None]]:
    """(endpoint, last 2xx, failures after it, the first of these) each."""
    found: dict[int, tuple[int | None, int, int | None]] = {}
    for each in outcomes:
        success, failures, first = found.get(each.webhook_id, (None, 0, None))
        if each.error is None:
            found[each.webhook_id] = each.at, 0, None
        else:
            found[each.webhook_id] = success, failures + 1, each.at if first is None else first
    return [(webhook_id, *found[webhook_id]) for webhook_id in sorted(found)]


def release(tx: Transaction, token: str, delivery_ids: Iterable[int], now: int) -> None:
    """Give back what was taken and not attempted: it is due at once."""
    if listed := list(delivery_ids):
        tx.execute(_RELEASE, json_rows((each,) for each in listed), token, now)


def fail_inactive(tx: Transaction, webhook_id: int = 0) -> None:
    """What waits for an endpoint that is not active has failed, visibly; 0: for every such one."""
    count_ended(tx, failed=len(tx.execute(_FAIL, webhook_id)))


def any_for_inactive(tx: Transaction) -> bool:
    """Whether something waits for an endpoint that became inactive while it was relayed."""
    return bool(tx.execute(_ORPHANS))


def oldest_due(tx: Transaction, now: int) -> int | None:
    """When the delivery was due that has waited longest; None: nothing is due."""
    oldest: int | None = tx.execute(_OLDEST, now)[0][0]
    return oldest
