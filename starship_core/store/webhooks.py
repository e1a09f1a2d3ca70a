"""Rows of webhooks: where a client is told of its events."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.clock import moment, rfc3339
from starship_core.database import Tx
from starship_core.errors import NotFound, WrongState
from starship_core.model import Secret
from starship_core.ports import Transaction
from starship_core.vault import Vault

EVENTS: Final = (
    "order.created", "order.pending", "order.delivered", "order.partially_delivered",
    "order.cancelled", "order.failed", "order.refunded", "order.replaced", "order.*",
)  # fmt: skip
"""What a webhook may ask for; `order.*` is all of them."""
TEST_EVENT: Final = "webhook.test"
"""Sent when a client asks for it; in no feed."""

_COLUMNS: Final = """
id, client_id, name, url, events, credential_id, is_active, inactive_reason, failures,
failing_since, last_success_at, created_at, updated_at
"""
_FROM: Final = f"SELECT {_COLUMNS} FROM webhooks WHERE deleted_at IS NULL"
_MINE: Final = f"{_FROM} AND client_id = $1 ORDER BY id"
_ALL: Final = f"{_FROM} AND ($1 = 0 OR client_id = $1) ORDER BY id LIMIT $2"
_SAME: Final = f"{_FROM} AND client_id = $1 AND fingerprint = $2"
_COUNT: Final = "SELECT count(*) FROM webhooks WHERE client_id = $1 AND deleted_at IS NULL"
_INSERT: Final = """
INSERT INTO webhooks (client_id, name, url, events, credential_id, fingerprint, created_at,
  updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING RETURNING id
"""
_SAVE: Final = """
UPDATE webhooks SET name = $2, url = $3, events = $4, credential_id = $5, fingerprint = $6,
  is_active = $7, inactive_reason = $8, failures = $9, failing_since = $10, updated_at = $11
WHERE id = $1
"""
_SEAL: Final = "UPDATE webhooks SET secret_sealed = $2 WHERE id = $1"
_DELETE: Final = """
UPDATE webhooks SET deleted_at = $2, is_active = 0, inactive_reason = 'deleted',
  secret_sealed = NULL
WHERE id = $1
"""
_LOST: Final = f"{_FROM} AND is_active = 1 AND failing_since <= $1 ORDER BY id"


class Webhook(Struct, frozen=True, kw_only=True):
    """An endpoint of a client, without its secret."""

    id: int = 0
    client_id: int
    name: str
    url: str
    events: tuple[str, ...]
    credential_id: int | None
    """Whose signing secret signs; None: one of the webhook's own."""
    is_active: bool = True
    inactive_reason: str | None = None
    failures: int = 0
    """Attempts that failed since the last 2xx."""
    failing_since: int | None = None
    """Microseconds: the first of these."""
    last_success_at: int | None = None
    created_at: int
    updated_at: int

    @property
    def fingerprint(self) -> str:
        """The same for what is the same webhook: url, events and credential."""
        same = msgspec.json.encode([self.url, sorted(self.events), self.credential_id])
        return hashlib.sha256(same).hexdigest()


def secret_purpose(webhook_id: int) -> str:
    """What a webhook's own secret is sealed for."""
    return f"webhook:{webhook_id}"


def find_webhook(tx: Tx, webhook_id: int, client_id: int | None, *, lock: bool = False) -> Webhook:
    """Of this client; None: of any. Raises NotFound."""
    locked = tx.for_update if lock else ""
    rows = tx.execute(f"{_FROM} AND id = $1 {locked}", webhook_id)
    if not rows or client_id not in (None, rows[0][1]):
        raise NotFound("webhook", webhook_id)
    return _webhook(rows[0])


def same_webhook(tx: Transaction, webhook: Webhook) -> Webhook | None:
    """The client's webhook that is the same one, if there is."""
    rows = tx.execute(_SAME, webhook.client_id, webhook.fingerprint)
    return _webhook(rows[0]) if rows else None


def webhooks_of(tx: Transaction, client_id: int) -> list[Webhook]:
    return [_webhook(row) for row in tx.execute(_MINE, client_id)]


def all_webhooks(tx: Transaction, client_id: int, limit: int) -> list[Webhook]:
    """For operators; client 0: everybody's."""
    return [_webhook(row) for row in tx.execute(_ALL, client_id, limit)]


def lost_webhooks(tx: Transaction, since: int) -> list[Webhook]:
    """Active ones that have failed since before then, without a 2xx."""
    return [_webhook(row) for row in tx.execute(_LOST, since)]


def count_webhooks(tx: Transaction, client_id: int) -> int:
    count: int = tx.execute(_COUNT, client_id)[0][0]
    return count


def insert_webhook(tx: Transaction, new: Webhook) -> int | None:
    """Its id; None when another request has just made the same one."""
    rows = tx.execute(
        _INSERT, new.client_id, new.name, new.url, _events(new), new.credential_id,
        new.fingerprint, new.created_at,
    )  # fmt: skip
    return rows[0][0] if rows else None


def save_webhook(tx: Transaction, webhook: Webhook) -> None:
    tx.execute(
        _SAVE, webhook.id, webhook.name, webhook.url, _events(webhook), webhook.credential_id,
        webhook.fingerprint, int(webhook.is_active), webhook.inactive_reason, webhook.failures,
        webhook.failing_since, webhook.updated_at,
    )  # fmt: skip


def seal_secret(tx: Transaction, vault: Vault, webhook_id: int, secret: Secret | None) -> None:
    """Keep the webhook's own secret, sealed for it alone; None: it has none."""
    purpose = secret_purpose(webhook_id)
    sealed = None if secret is None else vault.seal_secret(purpose, secret.reveal())
    tx.execute(_SEAL, webhook_id, sealed)


def delete_webhook(tx: Transaction, webhook_id: int, at: int) -> None:
    """Its row stays, for the log of its deliveries; nobody finds it any more."""
    tx.execute(_DELETE, webhook_id, at)


def require_active(webhook: Webhook) -> None:
    """Raises WrongState for an endpoint to which nothing is sent."""
    if not webhook.is_active:
        raise WrongState(
            f"webhook {webhook.id} is not active ({webhook.inactive_reason}); "
            "set is_active to true first",
            found="inactive",
        )


def facts_of(webhook: Webhook) -> dict[str, Any]:
    """What an audit row keeps."""
    return {
        "name": webhook.name, "url": webhook.url, "events": webhook.events,
        "credential_id": webhook.credential_id, "is_active": webhook.is_active,
        "inactive_reason": webhook.inactive_reason,
    }  # fmt: skip


def time_of(stored: int | None) -> str | None:
    """As answers show it."""
    return None if stored is None else rfc3339(moment(stored))


def _events(webhook: Webhook) -> str:
    return msgspec.json.encode(webhook.events).decode()


def _webhook(row: Sequence[Any]) -> Webhook:
    (number, client_id, name, url, events, credential_id, active, reason, failures, failing_since,
     last_success_at, created_at, updated_at) = row  # fmt: skip
    return Webhook(
        id=number, client_id=client_id, name=name, url=url,
        events=msgspec.json.decode(events, type=tuple[str, ...]), credential_id=credential_id,
        is_active=bool(active), inactive_reason=reason, failures=failures,
        failing_since=failing_since, last_success_at=last_success_at, created_at=created_at,
        updated_at=updated_at,
    )  # fmt: skip
