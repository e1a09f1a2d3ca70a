"""The sandbox's answers: JSON as Pine Labs writes it, with its inconsistencies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starship_pinelabs.sandbox.world import Order, Product, World

RUPEE = {"code": "INR", "numericCode": "356", "symbol": "₹"}
_LABELS = {
    "cardNumber": "Card Number", "cardPin": "Card Pin", "activationCode": "Activation Code",
    "sequenceNumber": "Sequence Number", "validity": "Validity",
}  # fmt: skip
_BLANK = (
    "cardNumber", "cardPin", "merchantCardNumber", "activationCode", "barcode", "activationUrl",
    "senderName", "redemptionStartDate", "sequenceNumber",
)  # fmt: skip
NONE_SUCH = {"image": None, "thumbnail": None}


def order(world: World, one: Order) -> dict[str, Any]:
    """The answer to an order: with cards when it is complete."""
    head: dict[str, Any] = {
        "status": one.status, "orderId": one.id, "refno": one.refno, "cancel": {"allowed": False},
        "currency": RUPEE, "payments": [{"code": "svc", "balance": f"{world.wallet:.4f}"}],
    }  # fmt: skip
    if one.status != "COMPLETE":
        return head
    return head | {
        "cancel": {"allowed": True, "allowedWithIn": world.settings.reverse_minutes},
        "cards": [card(world, one, place) for place in range(one.quantity)],
        "products": {one.product.sku: {"sku": one.product.sku, "specialInstruction": ""}},
        "additionalTxnFields": [],
    }


def card(world: World, one: Order, place: int) -> dict[str, Any]:
    """Which field holds the code depends on the product's kind."""
    number, pin, code = world.card(one.first_card + place)
    kind = one.product.layout
    labels = _LABELS | ({"cardPin": "Voucher Code"} if kind == "VOUCHERCODE" else {})
    held = {
        "CNPIN": {"cardNumber": number, "cardPin": pin},
        "VOUCHERCODE": {"cardPin": code},
        "CLAIMCODE": {"activationCode": code},
        "UBEFLOW": {"activationUrl": f"https://activate.example/{code}"},
    }[kind]
    blank = dict.fromkeys(_BLANK)
    until = (one.made + timedelta(days=365)).strftime("%Y-%m-%dT23:59:59+05:30")
    return {
        "sku": one.product.sku, "productName": one.product.name, "labels": labels, **blank, **held,
        "redemptionUrl": {"label": "", "url": ""}, "formats": [], "amount": f"{one.price:.2f}",
        "validity": until, "issuanceDate": one.made.isoformat(timespec="seconds"),
        "cardId": one.first_card + place, "theme": "",
    }  # fmt: skip


def status(one: Order, word: str) -> dict[str, Any]:
    return {
        "status": word, "statusLabel": word.capitalize(), "statusImage": "", "statusLevel": "",
        "orderId": one.id, "refno": one.refno, "cancel": {"allowed": False, "allowedWithIn": 15},
    }  # fmt: skip


def cards(world: World, one: Order, *, offset: int, limit: int) -> dict[str, Any]:
    """A page of cards; the key of their number is in snake case."""
    shown = range(offset, min(offset + limit, one.quantity))
    return {
        "products": {}, "cards": [card(world, one, place) for place in shown], "currency": RUPEE,
        "deliveryMode": "API", "total_cards": one.quantity,
    }  # fmt: skip


def categories() -> dict[str, Any]:
    return {
        "id": "121", "name": "Demo Root", "url": "/demo-root", "description": None,
        "images": NONE_SUCH, "subcategoriesCount": 0, "subcategories": [],
    }  # fmt: skip


def products(world: World, *, offset: int, limit: int) -> dict[str, Any]:
    """A row position, not a page; the second product lacks most keys."""
    goods = list(world.goods.values())
    shown = [_listed(one, full=place != 1) for place, one in enumerate(goods)]
    return {
        "id": "121", "name": "Demo Root", "url": "/demo-root", "description": None,
        "images": NONE_SUCH, "productsCount": len(goods),
        "products": shown[offset : offset + limit],
    }  # fmt: skip


def _listed(one: Product, *, full: bool) -> dict[str, Any]:
    head: dict[str, Any] = {
        "sku": one.sku, "name": one.name, "currency": RUPEE, "minPrice": str(one.least),
        "maxPrice": str(one.most),
    }  # fmt: skip
    return head | {"price": {"cpg": _cpg(one)}, "offerShortDesc": ""} if full else head


def _cpg(one: Product) -> Any:
    """An empty list, or an object."""
    if not one.denominations:
        return []
    slabs = [str(value) for value in one.denominations]
    return {"INR": {"type": "SLAB", "min": slabs[0], "max": slabs[-1], "denominations": slabs}}


def product(one: Product) -> dict[str, Any]:
    kind = "SLAB" if one.denominations else "RANGE"
    price = {
        "price": kind, "type": kind, "min": str(one.least), "max": str(one.most),
        "denominations": [str(value) for value in one.denominations], "currency": RUPEE, "cpg": [],
    }  # fmt: skip
    return _listed(one, full=True) | {"id": "901", "price": price, "type": "DIGITAL"}
