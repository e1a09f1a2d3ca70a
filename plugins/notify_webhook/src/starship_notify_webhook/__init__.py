"""notify-webhook: events to clients' own servers, signed, and only to addresses that are public."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from starship_core import Notifier, NotifierRegistration, Toolbox, hookimpl
from starship_notify_webhook.addresses import network


class WebhookConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[notifiers.NAME] use = "notify-webhook"`: there is nothing that must be set."""

    timeout: Annotated[float, Meta(gt=0, le=60)] = 15.0
    """Seconds until a receiver must have answered, the look-up of its name included."""
    refuse: list[str] = field(default_factory=list)
    """Networks that are never sent to, besides those that are not public: your own public ones."""
    ca_file: Path | None = None
    """Further certificate authorities (PEM) that receivers' certificates may come from."""

    def __post_init__(self) -> None:
        for text in self.refuse:
            network(text)


@asynccontextmanager
async def open_webhook(config: WebhookConfig, toolbox: Toolbox) -> AsyncIterator[Notifier]:
    """Connects with the first event."""
    from starship_notify_webhook.delivery import (  # noqa: PLC0415  # only who opens it pays for it
        open_webhooks,
    )

    async with open_webhooks(config, toolbox) as webhooks:
        yield webhooks


@hookimpl
def register_notifiers() -> Iterable[NotifierRegistration[Any]]:
    return [
        NotifierRegistration(name="notify-webhook", api=1, config=WebhookConfig, open=open_webhook)
    ]
