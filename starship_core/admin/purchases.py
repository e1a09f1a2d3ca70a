"""Buying, as operators see and decide it: approvals, purchases, and one in doubt that was not made.

The same flows as `starship order approve` and `starship purchase …`. What needs a file of codes, or
shows a vendor's raw reply, stays at the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.types import ASGIApp
from msgspec import Meta

from starship_core.admin.abilities import by, does, reads
from starship_core.admin.bodies import ReasonBody, read_body, read_reason
from starship_core.admin.order_answer import ApprovedOrder, OrderAnswer, approved, shown
from starship_core.admin.order_description import ORDER
from starship_core.admin.orders import order_id
from starship_core.errors import InvalidInput
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.read_purchases import facts_of, find_purchases, read_purchase
from starship_core.flows.refuse_fallback import refuse_fallback
from starship_core.flows.resolve_purchase import resolve_not_bought
from starship_core.flows.show_order import show_order
from starship_core.http.amounts import Amount, read_amount
from starship_core.http.errors import invalid
from starship_core.http.exchange import AnyRequest, json_reply, ship_of
from starship_core.http.openapi import ID, Operation, Parameter
from starship_core.http.paging import path_id, read_query, whole
from starship_core.model import Money
from starship_core.store.purchases import STATES, State

_TAG: Final = "Buying"
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ApproveBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A yes to buying what an order waits for; without a reason it is refused."""

    vendors: Annotated[list[Name], Meta(min_length=1, max_length=20)]
    """Instances in order: the next one is asked after a refusal."""
    ceiling: Amount
    """At most this for all of it."""
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")] | None = None
    """Of the ceiling; left out: the order's product's."""
    expires_hours: Annotated[int, Meta(gt=0, le=744)] = 24
    """Nothing is sent after that."""


class EvidenceBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it is known that nothing was bought."""

    evidence: Annotated[str, Meta(min_length=1, max_length=2000)]
    """Stands with the purchase, for who reads it later."""


class PurchaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase; no code is in it."""

    id: int
    order_id: int | None
    approval_id: int
    vendor: str
    vendor_product: str
    sku: str
    quantity: int
    received: int
    state: State
    reference: str
    vendor_reference: str | None
    ceiling: str
    charged: str | None
    price_flag: bool
    """Charged more than the ceiling."""
    attempts: int
    looks: int
    planned_at: str | None
    sent_at: str | None
    due_at: str | None
    closed_at: str | None


class WholePurchase(PurchaseAnswer, frozen=True, kw_only=True):
    """With what allowed it, and what is known of it."""

    items_waiting: Sequence[int]
    approved_by: str
    approved_because: str
    approval_expires_at: str
    evidence: Sequence[str]
    raw_reply_kept: bool
    """`starship purchase show ID --raw` reveals it, audited."""


_PURCHASE: Final = {
    "id": 12, "order_id": 4411, "approval_id": 7, "vendor": "bamboo-eu", "vendor_product": "4171",
    "sku": "310/20.00/GBP", "quantity": 3, "received": 0, "state": "NEEDS_REVIEW",
    "reference": "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001", "vendor_reference": None,
    "ceiling": "60.00 GBP", "charged": None, "price_flag": False, "attempts": 1, "looks": 7,
    "planned_at": "2027-01-01T09:30:00Z", "sent_at": "2027-01-01T09:30:01Z", "due_at": None,
    "closed_at": None,
}  # fmt: skip
APPROVE: Final = does(
    "approve",
    Operation(
        tag=_TAG,
        summary="Let what an order waits for be bought from a vendor",
        about=(
            "What the pool has by now is delivered first, and only the rest is planned; a worker "
            "sends it. Again: 409 `PURCHASE_OPEN` while it is being bought."
        ),
        body=ApproveBody,
        body_example={"vendors": ["bamboo-eu"], "ceiling": "60.00", "reason": "ticket 771"},
        answer=ApprovedOrder,
        example=ORDER | {"approval_id": 7, "purchases": [12]},
        errors=("INVALID_INPUT", "WRONG_STATE", "PURCHASE_OPEN"),
    ),
)
REFUSE: Final = does(
    "approve",
    Operation(
        tag=_TAG,
        summary="Have nothing bought for an order; it goes on waiting for stock",
        about=(
            "What was planned and not sent is voided, approvals end, and no policy allows it any "
            "more; an approval takes it back. The reason must not be empty. Again: 409."
        ),
        body=ReasonBody,
        body_example={"reason": "they can wait for Monday's stock"},
        answer=OrderAnswer,
        example=ORDER | {"revision": 2},
        errors=("INVALID_INPUT", "WRONG_STATE", "PURCHASE_OPEN"),
    ),
)
LIST: Final = reads(
    Operation(
        tag=_TAG,
        summary="Purchases, newest first",
        answer=list[PurchaseAnswer],
        example=[_PURCHASE],
        query=(
            Parameter("state", "Only in it, in any case.", {"type": "string", "enum": [*STATES]}),
            Parameter("vendor", "Only at this vendor instance."),
            Parameter("order_id", "Only of this order.", ID),
            Parameter("limit", "At most so many.", {**ID, "maximum": 10_000, "default": 50}),
        ),
    )
)
SHOW: Final = reads(
    Operation(
        tag=_TAG,
        summary="A purchase, who allowed it, and what is known of it",
        answer=WholePurchase,
        example=_PURCHASE
        | {
            "items_waiting": [1, 2, 3], "approved_by": "operator:ana",
            "approved_because": "ticket 771", "approval_expires_at": "2027-01-02T09:30:00Z",
            "evidence": ["the call ended without an answer"], "raw_reply_kept": False,
        },
    )
)  # fmt: skip
NOT_BOUGHT: Final = does(
    "resolve",
    Operation(
        tag=_TAG,
        summary="Settle a purchase in doubt: nothing was bought",
        about=(
            "Its items wait again. What *was* bought is settled with its vouchers, by `starship "
            "purchase resolve --bought FILE`. Again: 409 with the state found."
        ),
        body=EvidenceBody,
        body_example={"evidence": "their support says so, ticket 771"},
        answer=PurchaseAnswer,
        example=_PURCHASE | {"state": "NOT_BOUGHT", "closed_at": "2027-01-02T09:30:00Z"},
        errors=("INVALID_INPUT", "WRONG_STATE"),
    ),
)
_approve = msgspec.json.Decoder(ApproveBody)
_evidence = msgspec.json.Decoder(EvidenceBody)


@post("/orders/{order_id:str}/approve", status_code=200, opt=APPROVE)
async def approve(request: AnyRequest) -> ASGIApp:
    body, ship = read_body(request, _approve), ship_of(request)
    amount = read_amount(body.ceiling, "ceiling")
    order, _ = await show_order(order_id(request), ship)
    try:
        ceiling = Money.of(amount, body.currency or order.sku.currency)
    except ValueError as error:
        raise InvalidInput(str(error), field="ceiling") from None
    done = await approve_fallback(
        order.id,
        by(request, body.reason),
        ship,
        vendors=body.vendors,
        ceiling=ceiling,
        expires_at=ship.now() + timedelta(hours=body.expires_hours),
    )
    return json_reply(approved(done))


@post("/orders/{order_id:str}/refuse", status_code=200, opt=REFUSE)
async def refuse(request: AnyRequest) -> ASGIApp:
    hand = by(request, read_reason(request))
    return json_reply(shown(await refuse_fallback(order_id(request), hand, ship_of(request))))


@get("/purchases", opt=LIST)
async def get_purchases(request: AnyRequest) -> ASGIApp:
    query = read_query(request.scope["query_string"], ("state", "vendor", "order_id", "limit"))
    state = query["state"].upper() if "state" in query else None
    if state is not None and state not in STATES:
        raise invalid("state", "enum", f"must be one of {', '.join(STATES)}")
    found = await find_purchases(
        ship_of(request),
        state=state,
        vendor=query.get("vendor"),
        order_id=whole(query, "order_id"),
        limit=whole(query, "limit", largest=10_000) or 50,
    )
    return json_reply([PurchaseAnswer(**facts_of(one)) for one in found])


@get("/purchases/{purchase_id:str}", opt=SHOW)
async def get_purchase(request: AnyRequest) -> ASGIApp:
    read_query(request.scope["query_string"], ())
    view = await read_purchase(_purchase_id(request), ship_of(request))
    document: dict[str, Any] = view.document
    return json_reply(WholePurchase(**document))


@post("/purchases/{purchase_id:str}/not-bought", status_code=200, opt=NOT_BOUGHT)
async def not_bought(request: AnyRequest) -> ASGIApp:
    body = read_body(request, _evidence)
    hand, ship = by(request, body.reason), ship_of(request)
    settled = await resolve_not_bought(_purchase_id(request), body.evidence, hand, ship)
    return json_reply(PurchaseAnswer(**facts_of(settled)))


def _purchase_id(request: AnyRequest) -> int:
    return path_id(request.path_params["purchase_id"], "purchase")


ROUTES: Final = (approve, refuse, get_purchases, get_purchase, not_bought)
