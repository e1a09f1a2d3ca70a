"""Whom we could not tell: endpoints given up, deliveries and notices that failed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from starship_core.clock import micros, moment, rfc3339
from starship_core.database import Tx
from starship_core.reconciliation.finding import MOST, Finding, patient, told
from starship_core.ship import Ship

_DISABLED: Final = """
SELECT id, client_id, coalesce(inactive_reason, ''), updated_at, count(*) OVER () FROM webhooks
WHERE is_active = 0 AND deleted_at IS NULL AND coalesce(inactive_reason, '') <> 'set inactive'
ORDER BY id LIMIT $1
"""
_FAILED: Final = """
SELECT w.id, w.client_id, min(d.event_at), count(*), count(*) OVER () FROM deliveries d
JOIN webhooks w ON w.id = d.webhook_id
WHERE d.status = 'FAILED' AND d.event_at >= $1 AND w.deleted_at IS NULL
GROUP BY w.id, w.client_id ORDER BY w.id LIMIT $2
"""
_NOTICES: Final = """
SELECT id, kind, subject, coalesce(error, ''), count(*) OVER () FROM notices
WHERE status = 'FAILED' AND created_at >= $1 ORDER BY id LIMIT $2
"""


async def disabled_webhooks(ship: Ship) -> list[Finding]:
    """Endpoints that we set inactive because they did not answer; not those of a client's will."""
    return await ship.database.read(lambda tx: told(tx.execute(_DISABLED, MOST), _disabled))


async def failed_deliveries(ship: Ship) -> list[Finding]:
    """Given up within `[reconcile] days`, an endpoint a finding; clients have them in the feed."""
    return await ship.database.read(_since, ship, _FAILED, _failed)


async def failed_notices(ship: Ship) -> list[Finding]:
    """Notices within `[reconcile] days` that reached no operator."""
    return await ship.database.read(_since, ship, _NOTICES, _unheard)


def _since(tx: Tx, ship: Ship, query: str, find: Any) -> list[Finding]:
    patient(tx)
    since = micros(ship.now() - timedelta(days=ship.config.reconcile.days))
    return told(tx.execute(query, since, MOST), find)


def _disabled(webhook: int, client: int, reason: str, at: int) -> Finding:
    return Finding(
        kind="webhook.disabled",
        subject=f"webhook:{webhook}",
        problem=f"the endpoint of client {client} is inactive since {rfc3339(moment(at))}: "
        f"{reason or 'no reason is kept'}",
        command=f"starship webhook enable {webhook} --as NAME",
    )


def _failed(webhook: int, client: int, first: int, count: int) -> Finding:
    since = rfc3339(moment(first))
    return Finding(
        kind="delivery.failed",
        subject=f"webhook:{webhook}",
        problem=f"{count} events from {since} on did not reach client {client}, and are given up",
        command=f"starship webhook redeliver {webhook} --since {since} --as NAME",
    )


def _unheard(notice: int, kind: str, subject: str, error: str) -> Finding:
    return Finding(
        kind="notice.failed",
        subject=f"notice:{notice}",
        problem=f"{kind} of {subject} reached no operator ({error})",
        command="starship notice list --status FAILED",
    )
