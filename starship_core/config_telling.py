"""Sections on who is told what: `[events]`, `[webhooks]`, `[notices]`, `[reconcile]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, field

from starship_core.config_section import Count, Section
from starship_core.model import Money

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class EventsSection(Section, frozen=True):
    """`[events]`: which notifiers tell whom."""

    webhooks: str | None = None
    """The `[notifiers.NAME]` that sends webhooks; left out: `webhooks`, if there is one."""
    operators: list[str] | None = None
    """Those that tell operators; left out: `operators`, if there is one. [] for nobody."""


class WebhooksSection(Section, frozen=True):
    """`[webhooks]`: how clients' endpoints are told, and how often it is tried again."""

    retry_seconds: list[float] = field(
        default_factory=lambda: [30.0, 120.0, 600.0, 3600.0, 21600.0]
    )
    """From each failed attempt to the next, the first being made at once; then it has failed."""
    jitter: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    """By up to this part an attempt is made earlier, so that they do not come all at once."""
    answer_seconds: Annotated[float, Meta(gt=0, le=60)] = 15.0
    """No answer by then is a failure."""
    concurrency: Count = 256
    """Attempts at a time in one worker."""
    per_endpoint: Count = 8
    """Of these, to one endpoint: it is given more only while it answers."""
    disable_after_days: Annotated[float, Meta(gt=0)] = 5.0
    """An endpoint that failed and gave no 2xx for so long is set inactive."""
    per_client: Count = 100
    """Webhooks that a client may have."""
    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    """The log of deliveries and their attempts is kept for so long; what is still due always."""

    def __post_init__(self) -> None:
        if any(not 0 <= each <= 30 * 86_400 for each in self.retry_seconds):
            raise ValueError("retry_seconds: each is between 0 and 2592000 (30 days)")


class NoticesSection(Section, frozen=True):
    """`[notices]`: what operators are told of before they ask."""

    low_balance: dict[str, Decimal] = field(default_factory=dict)
    """By currency: a client who can spend less than this, `{ EUR = "500" }`."""
    low_stock: Annotated[int, Meta(ge=0)] = 0
    """A fixed denomination, once stocked, of which fewer vouchers are in the pool; 0: none."""

    def __post_init__(self) -> None:
        _amounts("low_balance", self.low_balance)


class ReconcileSection(Section, frozen=True):
    """`[reconcile]`: from when on the daily reconciliation tells of what is stuck or low."""

    order_hours: Count = 24
    """An order that waits for longer."""
    purchase_hours: Count = 24
    """A purchase of which nobody knows for longer what became of it."""
    days: Annotated[int, Meta(ge=1, le=31)] = 3
    """How far back vendors' lists of our orders and failed deliveries are looked through."""
    low_float: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    """By vendor and currency: less money of ours there, `{ bamboo-eu = { EUR = "500" } }`."""

    def __post_init__(self) -> None:
        for vendor, amounts in self.low_float.items():
            _amounts(f"low_float: {vendor}", amounts)


def _amounts(name: str, least: Mapping[str, Decimal]) -> None:
    for currency, amount in least.items():
        if not _CURRENCY.fullmatch(currency) or not 0 <= amount < 10**12:
            raise ValueError(f"{name}: {currency} = {amount} is no amount of a currency")
        Money.of(amount, currency)
