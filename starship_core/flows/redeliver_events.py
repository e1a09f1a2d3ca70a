"""Redeliver: the same events under the same ids once more, one of them or all since a time."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from starship_core.audit import By, record
from starship_core.clock import micros, rfc3339
from starship_core.database import Tx
from starship_core.errors import NotFound
from starship_core.ship import Ship
from starship_core.store import delivery_log
from starship_core.store.delivery_log import Delivery
from starship_core.store.webhooks import find_webhook, require_active

CHUNK: Final = 1_000


async def redeliver(delivery_id: int, by: By, ship: Ship, *, client_id: int | None) -> Delivery:
    """Due at once with a whole round of attempts, whatever became of it before.

    One that is under way this moment is left to it. Raises NotFound, WrongState.
    """
    return await ship.database.run(_redeliver, delivery_id, client_id, by, ship)


def _redeliver(tx: Tx, delivery_id: int, client_id: int | None, by: By, ship: Ship) -> Delivery:
    at = ship.now()
    try:
        webhook = find_webhook(tx, delivery_log.webhook_of(tx, delivery_id), client_id, lock=True)
    except NotFound:
        raise NotFound("delivery", delivery_id) from None
    require_active(webhook)
    delivery_log.again(tx, delivery_id, micros(at))
    subject = f"webhook:{webhook.id}"
    record(tx, by, "webhook.redeliver", subject, at=at, after={"delivery": delivery_id})
    return delivery_log.read_delivery(tx, delivery_id)


async def redeliver_since(
    webhook_id: int, since: datetime, by: By, ship: Ship, *, client_id: int | None
) -> int:
    """Everything of events since then that failed, or waits for a next attempt; how many.

    What was delivered is not sent again. In chunks, each a transaction of its own: after a crash,
    run it again. Raises NotFound, WrongState.
    """
    queued = past = 0
    which = (webhook_id, client_id)
    at = ship.now()
    while ids := await ship.database.run(_chunk, which, (since, at, past), by):
        queued += len(ids)
        past = ids[-1]
    return queued


def _chunk(
    tx: Tx, which: tuple[int, int | None], when: tuple[datetime, datetime, int], by: By
) -> list[int]:
    since, at, past = when
    webhook = find_webhook(tx, *which, lock=True)
    require_active(webhook)
    ids = delivery_log.all_again(
        tx, webhook.id, since=micros(since), at=micros(at), after=(past, CHUNK)
    )
    if ids or not past:
        facts = {"since": rfc3339(since), "queued": len(ids)}
        record(tx, by, "webhook.redeliver", f"webhook:{webhook.id}", at=at, after=facts)
    return ids
