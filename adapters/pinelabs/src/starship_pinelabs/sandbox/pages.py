"""The sandbox's answers: JSON as Pine Labs writes it, with its inconsistencies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starship_pinelabs.sandbox.world import Order, Product, World

RUPEE = {"code": "INR", "numericCode": "356", "symbol": "₹"}
_LABELS = {
    "cardNumber": "Card Number", "cardPin": "Card Pin",
    "merchantCardNumber": "Merchant Card Number", "activationCode": "Activation Code",
    "samsungWalletLabel": "Samsung Wallet", "sequenceNumber": "Sequence Number",
    "validity": "Validity",
}  # fmt: skip
_BLANK = (
    "cardNumber", "cardPin", "merchantCardNumber", "activationCode", "barcode", "activationUrl",
    "senderName", "redemptionStartDate", "sequenceNumber", "addToSamsungWallet",
)  # fmt: skip
_IMAGES = {"thumbnail": "", "mobile": "", "base": "", "small": ""}
_UNSENT = {"status": "NA", "reason": "NA"}
NONE_SUCH = {"image": None, "thumbnail": None}


_BRANDS = {
    "id": "122", "name": "Brands", "url": "brands", "description": None, "colorCode": "#34282C",
    "offerDescription": "", "images": NONE_SUCH, "subcategoriesCount": 0,
}  # fmt: skip
_SLAB = {
    "type": "slab", "startDate": "2025-01-23T06:30:00", "endDate": "2035-12-31T18:29:00",
    "slabs": [{"amount": 2.5, "minAmount": 1, "maxAmount": 200}],
}  # fmt: skip
_FULL = {
    "url": "demo", "offerShortDesc": "", "images": _IMAGES,
    "relatedProductOptions": {"PROMO": False, "DESIGNS": False},
    "createdAt": "2023-01-02T03:04:05+00:00", "updatedAt": "2024-01-02T03:04:05+00:00",
    "campaigns": None,
    "corporateDiscounts": {"sku": "demo", "discount": [_SLAB]},
}  # fmt: skip
"""What a product may lack."""


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
        "products": {one.product.sku: _sold(one.product)},
        "additionalTxnFields": [],
    }


def _sold(product: Product) -> dict[str, Any]:
    return {
        "sku": product.sku, "name": product.name, "balanceEnquiryInstruction": None,
        "specialInstruction": "", "images": _IMAGES, "cardBehaviour": "QC",
    }  # fmt: skip


def _recipient(body: dict[str, Any]) -> dict[str, Any]:
    """Who ordered; nothing is sent to them when the codes are asked for here."""
    person = body.get("billing") or {}
    first, last = person.get("firstname", ""), person.get("lastname", "")
    return {
        "salutation": None, "name": f"{first} {last}".strip(), "firstname": first,
        "lastname": last, "email": person.get("email", ""),
        "mobileNumber": person.get("telephone", ""), "status": "", "failureReason": "",
        "delivery": {"mode": "API", "status": {"sms": _UNSENT, "email": _UNSENT}},
    }  # fmt: skip


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
        "redemptionUrl": {"label": "", "url": ""},
        "formats": [{"key": "CNONLY", "value": next(iter(held.values()))}],
        "amount": f"{one.price:.2f}", "recipientDetails": _recipient(one.body),
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
    none = dict.fromkeys(("delivered", "failed", "inProgress"), 0)
    way = none | {"totalCount": 0}
    summary = none | {"sent": 0, "email": way, "sms": way, "totalCardsCount": one.quantity}
    return {
        "products": {}, "cards": [card(world, one, place) for place in shown], "currency": RUPEE,
        "deliveryMode": "API", "egvDeliveryType": "MULTIPLE", "delivery": {"summary": summary},
        "total_cards": one.quantity,
    }  # fmt: skip


def balance(world: World, one: Order, place: int) -> dict[str, Any]:
    """Of a card, of which nothing was spent."""
    shown = card(world, one, place)
    return {
        "cardNumber": shown["cardNumber"], "balance": shown["amount"], "expiry": shown["validity"],
        "status": "ACTIVATED", "currency": RUPEE,
        "additionalTxnFields": {"designCode": "", "responseCode": 0},
    }  # fmt: skip


def categories() -> dict[str, Any]:
    return {
        "id": "121", "name": "Demo Root", "url": "/demo-root", "description": None,
        "images": NONE_SUCH, "subcategoriesCount": 1, "subcategories": [_BRANDS],
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
    return head | _FULL | {"price": {"cpg": _cpg(one)}} if full else head


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
