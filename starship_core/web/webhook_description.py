"""What the routes of webhooks and of the feed say of themselves, and the bodies they take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from starship_core.http.openapi import ID, Operation, Parameter, documented, paged
from starship_core.store.delivery_log import Delivery
from starship_core.store.feed import FeedEvent

_LARGEST: Final = 2**63 - 1
STATUSES: Final = ("PENDING", "DELIVERED", "FAILED")
FEED_LIMIT: Final = 1_000

Id = Annotated[int, Meta(gt=0, le=_LARGEST)]
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
Event = Literal[
    "order.created", "order.pending", "order.delivered", "order.partially_delivered",
    "order.cancelled", "order.failed", "order.refunded", "order.replaced", "order.*",
]  # fmt: skip
Events = Annotated[list[Event], Meta(min_length=1, max_length=16)]


class WebhookBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where you want to be told, and of what."""

    name: Name
    url: Url
    """https, to a public address; in a test deployment also http to its own machine."""
    events: Events
    """`order.*` is all of them."""
    credential_id: Id | None = None
    """Of yours, whose signing secret signs; left out: the webhook gets a secret of its own."""


class WebhookChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    name: Name | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    credential_id: Id | UnsetType | None = UNSET
    """null: the webhook gets a secret of its own, which this answer shows."""
    is_active: bool | UnsetType = UNSET


class RedeliverBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events."""

    since: Annotated[datetime, Meta(tz=True)] | None = None
    """Of events since then; left out: of all."""


class WebhookAnswer(Struct, frozen=True):
    """A webhook."""

    id: int
    name: str
    url: str
    events: tuple[str, ...]
    credential_id: int | None
    secret: str | None
    """Its own, only in the answer that made it; else null."""
    is_active: bool
    inactive_reason: str | None
    failures: int
    """Attempts that failed since the last 2xx."""
    failing_since: str | None
    last_success_at: str | None
    created_at: str
    updated_at: str


class Queued(Struct, frozen=True):
    """How many deliveries are due again."""

    queued: int


_WEBHOOK: Final = {
    "id": 7, "name": "orders", "url": "https://shop.example.com/hooks/starship",
    "events": ["order.*"], "credential_id": None, "secret": None, "is_active": True,
    "inactive_reason": None, "failures": 0, "failing_since": None,
    "last_success_at": "2027-01-01T09:30:01Z", "created_at": "2027-01-01T09:00:00Z",
    "updated_at": "2027-01-01T09:00:00Z",
}  # fmt: skip
_MADE: Final = _WEBHOOK | {
    "secret": "whsec_c3RhcnNoaXAtdGVzdC1zZWNyZXQtMzItYnl0ZXMhISE=", "last_success_at": None,
}  # fmt: skip
_BODY: Final = {
    "name": "orders", "url": "https://shop.example.com/hooks/starship", "events": ["order.*"],
}  # fmt: skip
_DELIVERY: Final = {
    "id": 120, "webhook_id": 7, "event_id": "evt_4411_1_order.delivered",
    "event_type": "order.delivered", "event_at": "2027-01-01T09:30:00Z", "status": "PENDING",
    "attempts": [
        {
            "number": 1, "at": "2027-01-01T09:30:01Z", "milliseconds": 38,
            "error": "the receiver answered with HTTP 500",
        },
    ],
    "next_attempt_at": "2027-01-01T09:30:30Z", "error": "the receiver answered with HTTP 500",
    "created_at": "2027-01-01T09:30:00Z", "delivered_at": None,
}  # fmt: skip
_FEED: Final = {
    "position": 18, "event_id": "evt_4411_1_order.delivered", "event_type": "order.delivered",
    "created_at": "2027-01-01T09:30:00Z",
    "data": {
        "id": 4411, "reference_code": "acme-77", "status": "DELIVERED", "sub_status": "COMPLETED",
        "product_id": 310, "denomination": "20.00", "quantity": 3, "amount": "58.80",
        "amount_currency": "GBP", "refunded_amount": "0.00", "delivered_quantity": 3,
        "pendingItems": 0, "fulfilledFromCache": 3, "revision": 1,
    },
}  # fmt: skip


def _webhook(summary: str, about: str = "", **more: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"answer": WebhookAnswer, "example": _WEBHOOK} | more
    return documented(Operation(tag="Webhooks", summary=summary, about=about, **facts))


REGISTER: Final = _webhook(
    "Register a webhook",
    "The same url, events and credential again is the same webhook, left as it is and without its "
    "secret. A secret of its own is shown once.",
    body=WebhookBody, body_example=_BODY, example=_MADE, errors=("INVALID_INPUT",),
)  # fmt: skip
LIST: Final = _webhook(
    "Your webhooks", answer=list[WebhookAnswer], example=[_WEBHOOK], query=paged()
)
READ: Final = _webhook("One webhook")
CHANGE: Final = _webhook(
    "Change a webhook",
    "`is_active: true` starts an endpoint anew that was set inactive after days without a 2xx; "
    "what failed meanwhile can be redelivered. Set inactive, its events are marked failed at once "
    "and stay in the feed.",
    body=WebhookChanges, body_example={"is_active": True}, errors=("INVALID_INPUT",),
)  # fmt: skip
DELETE: Final = _webhook(
    "Delete a webhook", "What waits for it is not sent.",
    example=_WEBHOOK | {"is_active": False, "inactive_reason": "deleted"},
)  # fmt: skip
TEST: Final = _webhook(
    "Send a test event",
    "An event of the type `webhook.test`, signed as all are, attempted once; look at the delivery "
    "for what came of it.",
    answer=Delivery,
    example=_DELIVERY
    | {
        "event_id": "evt_test_7_5f0c1c9e2a7b4d10", "event_type": "webhook.test", "attempts": [],
        "next_attempt_at": "2027-01-01T09:30:00Z", "error": None,
    },
    errors=("WRONG_STATE",),
)  # fmt: skip
DELIVERIES: Final = _webhook(
    "What became of a webhook's deliveries",
    "Newest first, each with every attempt.",
    answer=list[Delivery], example=[_DELIVERY],
    query=(
        *paged(50, 500),
        Parameter("status", "In any case.", {"type": "string", "enum": list(STATUSES)}),
    ),
)  # fmt: skip
REDELIVER: Final = _webhook(
    "Deliver an event again",
    "Under the same id, with a whole round of attempts, whatever became of it before.",
    answer=Delivery, example=_DELIVERY, errors=("WRONG_STATE",),
)  # fmt: skip
REDELIVER_SINCE: Final = _webhook(
    "Deliver all that failed since a time again",
    "Each once, under the same id; what waits for its next attempt is due at once. What was "
    "delivered is not sent again.",
    body=RedeliverBody, body_example={"since": "2027-01-01T00:00:00Z"}, answer=Queued,
    example={"queued": 41}, errors=("WRONG_STATE",),
)  # fmt: skip
FEED: Final = documented(
    Operation(
        tag="Events",
        summary="Your events, in order, without gaps",
        about=(
            "What webhooks are sent, with its `position` in your feed. Ask again with the last "
            "position you saw: no event is ever put in before it. `X-Has-More` says whether there "
            "is more right now."
        ),
        answer=list[FeedEvent],
        example=[_FEED],
        query=(
            Parameter(
                "after", "Only events past this position.",
                {"type": "integer", "minimum": 0, "maximum": _LARGEST, "default": 0},
            ),
            Parameter("limit", "At most so many.", {**ID, "maximum": FEED_LIMIT, "default": 100}),
        ),
    )
)  # fmt: skip
