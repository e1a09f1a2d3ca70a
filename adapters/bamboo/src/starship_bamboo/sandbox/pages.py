"""The sandbox's answers: JSON as Bamboo writes it, with its inconsistencies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from starship_bamboo.sandbox.goods import RATES, Brand, Product
from starship_bamboo.sandbox.world import Order, World


def stamp(moment: datetime) -> str:
    """No zone, seven decimals."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}7"


def order(world: World, one: Order) -> dict[str, Any]:
    """Get Order."""
    status = world.status(one)
    ended = status in ("Succeeded", "Failed", "PartialFailed")
    brand = one.product.brand
    item = {
        "brandCode": brand.code, "productId": one.product.id, "productFaceValue": one.face,
        "quantity": one.quantity, "pictureUrl": "https://img.example/demo.png",
        "countryCode": brand.country, "currencyCode": brand.currency,
        "cards": [_card(world, one, place, status) for place in range(one.quantity)],
    }  # fmt: skip
    if one.id % 2:  # it is not always there
        item["status"] = status
    return {
        "orderId": one.id, "requestId": one.reference, "items": [item], "status": status,
        "createdDate": stamp(one.made), "total": one.charged if ended else Decimal(0),
        "errorMessage": None, "orderType": "Sandbox", "currency": one.account.currency,
    }  # fmt: skip


def _card(world: World, one: Order, place: int, status: str) -> dict[str, Any]:
    number = one.first_card + place
    card: dict[str, Any] = {
        "id": number, "serialNumber": None, "cardCode": None, "pin": None, "expirationDate": None,
        "status": status,
    }  # fmt: skip
    if status in ("Created", "Processing"):
        last = place == one.quantity - 1
        if one.outcome.life == "paused" and status == "Processing" and last:
            card["status"] = "Paused"
        return card
    if place >= one.quantity - one.failing:
        return card | {"status": "Failed"}
    card["status"] = "Sold"
    unshown = one.outcome.life == "unshown" and place == one.quantity - 1
    if unshown and one.looks <= world.settings.steps:
        return card
    code, pin, serial = world.code(number)
    link = one.outcome.life == "link"
    even = place % 2 == 0
    return card | {
        "cardCode": f"https://redeem.example/{code}" if link else code,
        "pin": pin if even and not link else None,
        "serialNumber": serial if even else None,
        "expirationDate": f"{one.made.year + 2}-12-31T00:00:00" if even else None,
    }


def catalogue(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Version 2: pages of brands, counted from 0; the key of the page's number is misspelt."""
    size, index = int(query.get("pagesize", 100)), int(query.get("pageindex", 0))
    brands = [one for one in _brands(world) if _wanted(one, query)]
    tombstones = "modifieddate" in query
    items = [
        _brand(world, one, tombstones=tombstones)
        | {"categories": [{"id": 4, "name": "Fashion", "description": None}]}
        for one in brands[index * size : (index + 1) * size]
    ]
    return {"pageindex": index, "pageSize": size, "count": len(brands), "items": items}


def whole_catalogue(world: World) -> dict[str, Any]:
    """Version 1."""
    return {"brands": [_brand(world, one, tombstones=False) for one in _brands(world)]}


def _brands(world: World) -> list[Brand]:
    return list(dict.fromkeys(product.brand for product in world.goods.values()))


def _wanted(brand: Brand, query: Mapping[str, str]) -> bool:
    return (
        query.get("currencycode", brand.currency) == brand.currency
        and query.get("countrycode", brand.country) == brand.country
        and query.get("name", "").lower() in brand.name.lower()
    )


def _brand(world: World, brand: Brand, *, tombstones: bool) -> dict[str, Any]:
    return {
        "internalId": brand.code, "name": brand.name, "countryCode": brand.country,
        "currencyCode": brand.currency, "description": None, "disclaimer": None,
        "redemptionInstructions": None, "terms": None, "logoUrl": None,
        "modifiedDate": "2024-02-11T08:00:00",
        "products": [
            _product(world, one)
            for one in world.goods.values()
            if one.brand == brand and (tombstones or not one.deleted)
        ],
    }  # fmt: skip


def _product(world: World, one: Product) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "minFaceValue": one.least, "maxFaceValue": one.most,
        "count": world.stock[one.id], "modifiedDate": "2024-02-11T08:00:00",
        "isDeleted": one.deleted,
        "price": {
            "min": world.price(one, one.least), "max": world.price(one, one.most),
            "currencyCode": "USD",
        },
    }  # fmt: skip


def accounts(world: World) -> dict[str, Any]:
    return {
        "accounts": [
            {
                "id": one.id, "currency": one.currency, "balance": one.balance,
                "isActive": one.active, "sandboxMode": one.sandbox,
            }
            for one in world.accounts.values()
        ]
    }  # fmt: skip


def rates(query: Mapping[str, str]) -> dict[str, Any] | None:
    """None: a base that nobody knows."""
    base, wanted = query.get("basecurrency", "USD"), query.get("currency")
    if base not in RATES:
        return None
    return {
        "baseCurrencyCode": base,
        "rates": [
            {"currencyCode": code, "value": round(rate / RATES[base], 6)}
            for code, rate in RATES.items()
            if code != base and wanted in (None, code)
        ],
    }


def order_lines(world: World, since: date, until: date) -> list[dict[str, Any]]:
    """One row for each product of each order."""
    return [
        {
            "clientName": "Demo Ltd", "orderNumber": f"O-{one.id:06}",
            "orderDate": f"{one.made:%Y-%m-%dT%H:%M:%S}", "clientReferenceNumber": one.reference,
            "channel": "Sandbox", "productName": one.product.name,
            "denomination": f"{one.product.brand.currency} {one.face.normalize():f}",
            "quantity": one.quantity, "unitPrice": one.cost, "subTotal": one.cost * one.quantity,
            "total": one.charged, "accountCurrency": one.account.currency,
            "status": world.status(one),
        }
        for one in world.orders.values()
        if since <= one.made.date() <= until
    ]  # fmt: skip


def transactions(world: World, since: date, until: date) -> dict[str, Any]:
    """With a blank behind each id, and nulls where one would not expect them."""
    booked = [
        {
            "orderId": one.id, "requestId": one.reference, "productId": one.product.id,
            "orderNumber": f"O-{one.id:06}", "currencyCode": None,
            "orderTotal": {"value": one.charged, "currencyCode": one.account.currency},
            "orderDate": f"{one.made:%Y-%m-%dT%H:%M:%S}", "transactionId": f"T-{one.id:06} ",
            "transactionType": "Order", "comment": None, "notes": None,
            "availableBalance": {
                "value": one.account.balance, "currencyCode": one.account.currency
            },
            "transactionAmount": {"value": -one.charged, "currencyCode": one.account.currency},
            "transactionDate": f"{one.made:%Y-%m-%dT%H:%M:%S}",
            "orderItems": [{"createdDate": "0001-01-01T00:00:00", "quantity": one.quantity}],
            "clientName": None, "orderType": None, "xeroCreditNoteNumber": None,
        }
        for one in world.orders.values()
        if since <= one.made.date() <= until
    ]  # fmt: skip
    return {
        "startDate": f"{since}T00:00:00", "endDate": f"{until}T00:00:00",
        "clients": [{"clientName": "Demo Ltd", "transactions": booked}],
    }  # fmt: skip


def callback(world: World, one: Order) -> dict[str, Any]:
    """Not signed: the secret is echoed. The status is in small letters here."""
    return {
        "orderId": one.id, "status": world.status(one).lower(), "totalCards": one.quantity,
        "createdOn": stamp(one.made), "completedOn": stamp(world.now()),
        "secretKey": world.notification.get("secretKey", ""), "requestId": one.reference,
    }  # fmt: skip
