"""Webhooks: register, change, delete and test them; each change one transaction with its audit row.

`client_id` is whose webhook it must be; None: an operator's hand, anybody's.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import InvalidInput
from starship_core.faults import RaceLost
from starship_core.model import Secret
from starship_core.receiver import require_receiver
from starship_core.ship import Ship
from starship_core.store import delivery_log
from starship_core.store.clients import new_signing_secret
from starship_core.store.deliveries import fail_inactive
from starship_core.store.delivery_log import Delivery
from starship_core.store.webhooks import (
    Webhook,
    count_webhooks,
    delete_webhook,
    facts_of,
    find_webhook,
    insert_webhook,
    require_active,
    same_webhook,
    save_webhook,
    seal_secret,
)

_CREDENTIAL = """
SELECT id FROM credentials WHERE id = $1 AND client_id = $2 AND revoked_at IS NULL
"""


class NewWebhook(Struct, frozen=True, kw_only=True):
    """What a client asks for."""

    name: str
    url: str
    events: Sequence[str]
    credential_id: int | None = None
    """Whose signing secret signs; None: the webhook gets one of its own."""


class Changes(Struct, frozen=True, kw_only=True):
    """What is to be different; unset: stays."""

    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    events: Sequence[str] | UnsetType = UNSET
    credential_id: int | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET


class Registered(Struct, frozen=True, kw_only=True):
    """A webhook, and its own secret at the one moment it can be read."""

    webhook: Webhook
    secret: Secret | None


async def register_webhook(client_id: int, new: NewWebhook, by: By, ship: Ship) -> Registered:
    """The client's webhook for this url, events and credential: made now, or the one there is.

    One that there was is left as it is, and its secret is not shown again. Raises InvalidInput.
    """
    require_receiver(new.url, ship.config.deployment.environment)
    return await ship.database.run(_register, client_id, new, by, ship)


def _register(tx: Tx, client_id: int, new: NewWebhook, by: By, ship: Ship) -> Registered:
    at = ship.now()
    asked = Webhook(
        client_id=client_id, name=new.name, url=new.url, events=tuple(dict.fromkeys(new.events)),
        credential_id=new.credential_id, created_at=micros(at), updated_at=micros(at),
    )  # fmt: skip
    _require_own_credential(tx, asked)
    if earlier := same_webhook(tx, asked):
        return Registered(webhook=earlier, secret=None)
    most = ship.config.webhooks.per_client
    if count_webhooks(tx, client_id) >= most:
        raise InvalidInput(f"a client may have {most} webhooks", reason="too_many_webhooks")
    number = insert_webhook(tx, asked)
    if number is None:
        raise RaceLost  # the same one, made by another request: seen when this runs again
    made = replace(asked, id=number)
    record(tx, by, "webhook.created", f"webhook:{number}", at=at, after=facts_of(made))
    return Registered(webhook=made, secret=_own_secret(tx, made, ship))


def _own_secret(tx: Tx, webhook: Webhook, ship: Ship) -> Secret | None:
    """A new one, if no credential signs."""
    secret = new_signing_secret() if webhook.credential_id is None else None
    seal_secret(tx, ship.vault, webhook.id, secret)
    return secret


async def change_webhook(
    webhook_id: int, changes: Changes, by: By, ship: Ship, *, client_id: int | None
) -> Registered:
    """Change what is set. Set active, it starts anew; inactive, what waits for it fails at once.

    Raises NotFound, InvalidInput (also when the client has the same webhook already).
    """
    if changes.url is not UNSET:
        require_receiver(changes.url, ship.config.deployment.environment)
    return await ship.database.run(_change, (webhook_id, client_id), changes, by, ship)


def _change(
    tx: Tx, which: tuple[int, int | None], changes: Changes, by: By, ship: Ship
) -> Registered:
    before, at = find_webhook(tx, *which, lock=True), ship.now()
    after = _changed(before, changes)
    if after == before:
        return Registered(webhook=before, secret=None)
    after = replace(after, updated_at=micros(at))
    if after.credential_id != before.credential_id:
        _require_own_credential(tx, after)
    other = same_webhook(tx, after)
    if other and other.id != after.id:
        told = f"webhook {other.id} has this url, these events and this credential already"
        raise InvalidInput(told, reason="same_webhook")
    save_webhook(tx, after)
    if not after.is_active:
        fail_inactive(tx, after.id)
    secret = None
    if after.credential_id != before.credential_id:
        secret = _own_secret(tx, after, ship)
    record(
        tx, by, "webhook.changed", f"webhook:{after.id}", at=at, before=facts_of(before),
        after=facts_of(after),
    )  # fmt: skip
    return Registered(webhook=after, secret=secret)


def _changed(webhook: Webhook, changes: Changes) -> Webhook:
    fields: dict[str, Any] = {
        name: value for name, value in asdict(changes).items() if value is not UNSET
    }
    if "events" in fields:
        fields["events"] = tuple(dict.fromkeys(fields["events"]))
    if fields.get("is_active") is True:
        fields |= {"inactive_reason": None, "failures": 0, "failing_since": None}
    elif fields.get("is_active") is False and webhook.is_active:
        fields["inactive_reason"] = "set inactive"
    return replace(webhook, **fields)


async def remove_webhook(webhook_id: int, by: By, ship: Ship, *, client_id: int | None) -> Webhook:
    """Nothing goes there any more; what waited for it has failed. Raises NotFound."""
    return await ship.database.run(_remove, (webhook_id, client_id), by, ship)


def _remove(tx: Tx, which: tuple[int, int | None], by: By, ship: Ship) -> Webhook:
    webhook, at = find_webhook(tx, *which, lock=True), ship.now()
    delete_webhook(tx, webhook.id, micros(at))
    fail_inactive(tx, webhook.id)
    record(tx, by, "webhook.deleted", f"webhook:{webhook.id}", at=at, before=facts_of(webhook))
    return replace(webhook, is_active=False, inactive_reason="deleted")


async def send_test(webhook_id: int, by: By, ship: Ship, *, client_id: int | None) -> Delivery:
    """Queue an event of the type `webhook.test`, attempted once. Raises NotFound, WrongState."""
    return await ship.database.run(_test, (webhook_id, client_id), by, ship)


def _test(tx: Tx, which: tuple[int, int | None], by: By, ship: Ship) -> Delivery:
    webhook, at = find_webhook(tx, *which, lock=True), ship.now()
    require_active(webhook)
    number = delivery_log.queue_test(tx, webhook, secrets.token_hex(8), micros(at))
    record(tx, by, "webhook.test", f"webhook:{webhook.id}", at=at, after={"delivery": number})
    return delivery_log.read_delivery(tx, number)


def _require_own_credential(tx: Tx, webhook: Webhook) -> None:
    number = webhook.credential_id
    if number is not None and not tx.execute(_CREDENTIAL, number, webhook.client_id):
        raise InvalidInput(f"there is no credential {number} of yours", field="credential_id")
