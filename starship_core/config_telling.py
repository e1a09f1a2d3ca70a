"""Sections on who is told what: `[events]`, `[webhooks]`, `[notices]`."""

from __future__ import annotations

import re
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
        for currency, amount in self.low_balance.items():
            if not _CURRENCY.fullmatch(currency) or not 0 <= amount < 10**12:
                raise ValueError(f"low_balance: {currency} = {amount} is no amount of a currency")
            Money.of(amount, currency)
