"""What the routes of orders say of themselves, and the body that `POST /orders` takes."""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import Meta, Struct

from starship_core.flows.explain_order import Timeline
from starship_core.http.amounts import Amount
from starship_core.http.openapi import ID, Operation, Parameter, documented, paged
from starship_core.model import Status
from starship_core.web.order_answer import OrderAnswer, OrderSummary

_LARGEST: Final = 2**63 - 1
STATUSES: Final[tuple[str, ...]] = get_args(Status)

Id = Annotated[int, Meta(gt=0, le=_LARGEST)]


class OrderBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is ordered."""

    product_id: Id
    denomination: Amount
    """Face value of one unit, in the product's currency: a decimal string or a number."""
    quantity: Annotated[int, Meta(gt=0, le=1_000_000)]
    """From 1 to your bulk limit; above 50 the order is parked, and its items come later."""
    wallet_id: Id | None = None
    """Left out: the wallet in the product's currency, else your default wallet."""
    ref: (
        Annotated[str, Meta(min_length=1, max_length=255, pattern=r'^[ !"$&-.0->@-~]*$(?!\n)')]
        | None
    ) = None
    """Yours, unique among your orders: printable ASCII without `/ ? # %`. Left out: made."""
    email: (
        Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$(?!\n)")] | None
    ) = None
    """Kept and echoed; nothing is mailed."""
    mobile: Annotated[str, Meta(pattern=r"^\+?[0-9][0-9 ()-]{4,24}$(?!\n)")] | None = None
    """Kept and echoed."""
    customer_info: dict[str, Any] | None = None
    """Kept and echoed."""
    quote: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    """From the charges of exactly this order: then it is charged exactly that."""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    """Kept and echoed; at most 4 KiB."""


_SUMMARY: Final = {
    "id": 4411, "ref": "acme-77", "reference_code": "acme-77", "transaction_id": 9021,
    "product_id": 310, "product_name": "Sample Store Card", "currency": "GBP",
    "denomination": "20.00", "quantity": 1, "amount": "19.60", "amount_currency": "GBP",
    "discount": "0.40", "refunded_amount": "0.00", "wallet_id": 12, "status": "DELIVERED",
    "sub_status": "COMPLETED", "delivery_time": "INSTANT", "pendingItems": 0,
    "fulfilledFromCache": 1, "delivered_quantity": 1, "revision": 1, "email": None,
    "mobile": None, "customer_info": None, "metadata": {"cart": "c-7"},
    "placed_at": "2027-01-01T09:30:00Z", "delivered_at": "2027-01-01T09:30:00Z",
}  # fmt: skip
_ORDER: Final = {
    **_SUMMARY,
    "items": [{"id": 1, "status": "DELIVERED", "denomination": "20.00"}],
    "vouchers": [
        {
            "item_id": 1, "card_number": "6003 7100 0000 0001", "pin_code": "4711",
            "claim_url": None, "voucher_reference_number": "VR-55",
            "expires_at": "2028-06-30T23:59:59Z",
        },
    ],
}  # fmt: skip
_KEY: Final = Parameter(
    "Idempotency-Key",
    "8 to 256 printable ASCII characters; one key is one order, for as long as the order exists.",
    {"type": "string", "minLength": 8, "maxLength": 256, "pattern": r"^[\x20-\x7e]*$"},
    required=True,
)
_REF: Final = Parameter(
    "ref", "The order's `ref`, percent-encoded.", {"type": "string", "minLength": 1}
)
_TIME: Final = {"type": "string", "format": "date-time"}
_VOUCHERS_PAGE: Final = Parameter(
    "vouchers_page", "Only these 1,000 vouchers, from 1; left out: all of them.", ID
)

PLACE: Final = documented(
    Operation(
        tag="Orders",
        summary="Place an order",
        about=(
            "`DELIVERED` with its vouchers when the pool holds all of them; else `PENDING`, paid, "
            "and no vendor is called. The same key and body again: the same order as it stands "
            "now, with `Idempotency-Replayed: true`."
        ),
        body=OrderBody,
        body_example={"product_id": 310, "denomination": "20.00", "quantity": 1, "ref": "acme-77"},
        headers=(_KEY,),
        answer=OrderAnswer,
        example=_ORDER,
        errors=(
            "INVALID_INPUT", "IDEMPOTENCY_KEY_REQUIRED", "IDEMPOTENCY_KEY_TOO_SHORT",
            "IDEMPOTENCY_KEY_TOO_LONG", "INSUFFICIENT_BALANCE", "DUPLICATE_REFERENCE",
            "IDEMPOTENCY_KEY_REUSED",
        ),
    )
)  # fmt: skip
LIST: Final = documented(
    Operation(
        tag="Orders",
        summary="Your orders",
        about="Newest first, without items and vouchers.",
        answer=list[OrderSummary],
        example=[_SUMMARY],
        query=(
            *paged(10, 100),
            Parameter("status", "In any case.", {"type": "string", "enum": list(STATUSES)}),
            Parameter("product_id", "Only of this product.", ID),
            Parameter("reference_code", "Only the one with this reference."),
            Parameter("placed_after", "Later than this time.", _TIME),
            Parameter("placed_before", "Earlier than this time.", _TIME),
            Parameter(
                "older_than",
                "Placed longer ago than this: a number and s, m, h or d. `24h` and "
                "`status=PENDING` are the daily reconciliation.",
                {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smhd]$", "examples": ["24h"]},
            ),
        ),
    )
)
READ: Final = documented(
    Operation(
        tag="Orders",
        summary="One order, with its vouchers",
        about="Every reading of codes is audited.",
        answer=OrderAnswer,
        example=_ORDER,
        query=(_VOUCHERS_PAGE,),
    )
)
READ_BY_REFERENCE: Final = documented(
    Operation(
        tag="Orders",
        summary="One order, by your reference",
        answer=OrderAnswer,
        example=_ORDER,
        path=(_REF,),
        query=(_VOUCHERS_PAGE,),
    )
)
TIMELINE: Final = documented(
    Operation(
        tag="Orders",
        summary="What happened to an order, why, and what is next",
        answer=Timeline,
        example={
            "order_id": 4411, "reference_code": "acme-77", "status": "PENDING",
            "sub_status": "VENDOR_ORDER_PENDING",
            "steps": [
                {
                    "at": "2027-01-01T09:30:00Z", "what": "order.created",
                    "why": "accepted; the wallet was debited", "revision": 1,
                },
            ],
            "next": "waits for stock and a retry, for an approved vendor purchase, or for a cancel",
        },
    )
)  # fmt: skip
