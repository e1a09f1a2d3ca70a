"""Endpoints that nobody answers at: set inactive, with everybody told who must know."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.config_telling import WebhooksSection
from starship_core.database import Database, Tx
from starship_core.store.deliveries import any_for_inactive, fail_inactive
from starship_core.store.notices import notify
from starship_core.store.webhooks import (
    Webhook,
    facts_of,
    find_webhook,
    lost_webhooks,
    save_webhook,
)

_WORKER = By(actor="worker", reason="no 2xx for too long")


async def give_up_lost(database: Database, section: WebhooksSection, now: datetime) -> None:
    """Endpoints that gave no 2xx for days become inactive; what waits for inactive ones fails."""
    patience = timedelta(days=section.disable_after_days)
    for webhook in await database.read(lost_webhooks, micros(now - patience)):
        await database.run(disable_lost, webhook.id, patience, now)
    if await database.read(any_for_inactive):
        await database.run(fail_inactive)


def disable_lost(tx: Tx, webhook_id: int, patience: timedelta, at: datetime) -> None:
    """Set it inactive if it has failed for so long without a 2xx; what waits for it fails at once.

    Counted from the first failure after its last 2xx: an endpoint without events is not lost.
    """
    before = find_webhook(tx, webhook_id, None, lock=True)
    if not before.is_active or not is_lost(before, micros(at - patience)):
        return
    reason = f"no 2xx for {patience / timedelta(days=1):g} days"
    after = replace(before, is_active=False, inactive_reason=reason)
    save_webhook(tx, after)
    fail_inactive(tx, webhook_id)
    subject = f"webhook:{webhook_id}"
    record(
        tx, _WORKER, "webhook.disabled", subject, at=at, before=facts_of(before),
        after=facts_of(after),
    )  # fmt: skip
    notify(
        tx,
        "webhook.disabled",
        subject=subject,
        summary=f"webhook {webhook_id} of client {before.client_id} is inactive: {reason}",
        text=(
            "Its events are marked failed at once; they stay in the client's feed. Once it answers "
            f"again:\nstarship webhook enable {webhook_id}\n"
            f"starship webhook redeliver {webhook_id} --since TIME"
        ),
        data={"client_id": before.client_id, "webhook_id": webhook_id, "url": before.url},
        key=f"{subject}:disabled:{before.failing_since}",
        at=at,
    )


def is_lost(webhook: Webhook, since: int) -> bool:
    return webhook.failing_since is not None and webhook.failing_since <= since
