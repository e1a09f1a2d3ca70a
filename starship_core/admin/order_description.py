"""What the routes of orders say of themselves, and which ability each asks for."""

from __future__ import annotations

from typing import Any, Final

from starship_core.admin.abilities import does, reads
from starship_core.admin.bodies import ReasonBody, RefundBody, ReplaceBody
from starship_core.admin.order_answer import OrderAnswer, WaitingOrder, WholeOrder
from starship_core.flows.explain_order import Explained
from starship_core.http.openapi import ID, Operation, Parameter, paged
from starship_core.operators import Ability

_TAG: Final = "Orders"
ORDER: Final = {
    "id": 4411, "reference_code": "acme-77", "client_id": 3, "wallet_id": 12, "status": "PENDING",
    "sub_status": "VENDOR_ORDER_PENDING", "product_id": 310, "product_name": "Sample Store Card",
    "sku": "310/20.00/GBP", "denomination": "20.00", "quantity": 3, "amount": "58.80",
    "amount_currency": "GBP", "refunded_amount": "0.00", "delivered_quantity": 0,
    "pendingItems": 3, "fulfilledFromCache": 0, "revision": 1,
    "placed_at": "2027-01-01T09:30:00Z", "delivered_at": None,
}  # fmt: skip
_DELIVERED: Final = ORDER | {
    "status": "DELIVERED", "sub_status": "COMPLETED", "delivered_quantity": 3, "pendingItems": 0,
    "fulfilledFromCache": 3, "revision": 2, "delivered_at": "2027-01-01T10:00:00Z",
}  # fmt: skip
_CANCELLED: Final = ORDER | {
    "status": "CANCELLED", "sub_status": None, "pendingItems": 0, "refunded_amount": "58.80",
    "revision": 2,
}  # fmt: skip

QUEUE: Final = reads(
    Operation(
        tag=_TAG,
        summary="Orders that wait, oldest first, with what the pool holds for each",
        answer=list[WaitingOrder],
        example=[
            ORDER | {"missing": 3, "pool_holds": 2, "refused_by": None, "refused_because": None}
        ],
        query=(
            *paged(50, 100),
            Parameter("client_id", "Only this client's.", ID),
            Parameter("product_id", "Only of this product.", ID),
        ),
    )
)
SHOW: Final = reads(
    Operation(
        tag=_TAG,
        summary="One order with its items, without codes",
        answer=WholeOrder,
        example=ORDER
        | {"items": [{"id": 1, "status": "PENDING", "share": "19.60", "refunded": "0.00"}]},
    )
)
EXPLAIN: Final = reads(
    Operation(
        tag=_TAG,
        summary="What happened to an order, whose hands it went through, and what can be done",
        answer=Explained,
        example={
            "order_id": 4411, "reference_code": "acme-77", "client_id": 3, "client": "acme",
            "status": "PENDING", "sub_status": "VENDOR_ORDER_PENDING",
            "product": "Sample Store Card", "sku": "310/20.00/GBP", "quantity": 3,
            "delivered": 0, "pending": 3, "wallet_id": 12, "charged": "58.80 GBP",
            "refunded": "0.00 GBP", "why": "the pool did not hold all of it",
            "stock": {"servable": 3, "too_short": 0, "received": 0, "held_back": 0},
            "steps": [], "money": [], "hands": [],
            "next": [{"what": "deliver it", "command": "starship order retry 4411"}],
        },
    )
)  # fmt: skip


def _change(
    ability: Ability, summary: str, about: str, example: Any, body: Any = ReasonBody
) -> dict[str, Any]:
    sent: dict[str, Any] = {"reason": "the client asked"}
    if body is RefundBody:
        sent["items"] = [2]
    if body is ReplaceBody:
        sent["item"] = 1
    return does(
        ability,
        Operation(
            tag=_TAG,
            summary=summary,
            about=about,
            body=body,
            body_example=sent,
            answer=OrderAnswer,
            example=example,
            errors=("INVALID_INPUT", "WRONG_STATE", "PURCHASE_OPEN"),
        ),
    )


RETRY: Final = _change(
    "retry",
    "Allocate what the pool has now; never calls a vendor",
    "Partial is allowed. Again: allocates what came since; 409 once nothing waits.",
    _DELIVERED,
)
CANCEL: Final = _change(
    "cancel",
    "Cancel what is not delivered, and refund it",
    "Again: 409 with the status found; the refund is made once.",
    _CANCELLED,
)
REFUND: Final = _change(
    "refund",
    "Refund delivered items; the status stays",
    "Again: 409; an item is refunded once.",
    _DELIVERED | {"refunded_amount": "19.60", "revision": 3},
    RefundBody,
)
REPLACE: Final = _change(
    "replace",
    "Give an item another voucher; the bad one is blocked for good",
    "Again: replaces the replacement. After a lost answer look at the order's `revision` first.",
    _DELIVERED | {"revision": 3},
    ReplaceBody,
)
