"""The sandbox's answers, under their seal: numbers and truths as text, dates as `31 Dec 2025`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from starship_voucherkart.sandbox.goods import Product
from starship_voucherkart.sandbox.world import Order, World

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
                  "Dec")  # fmt: skip


def order(world: World, one: Order) -> dict[str, Any]:
    """The answer to a pull, and to a question after it."""
    product = one.product
    return {
        "ErrorCode": "", "ErrorMessage": "", "Message": "Vouchers pulled",
        "ResultType": "SUCCESS", "ExternalOrderIdOut": one.id, "BrandProductCode": product.code,
        "PullVouchers": [{
            "ProductGuid": world.voucher(0)[3], "ProductName": f"{product.name} {one.value}",
            "VoucherName": product.name,
            "Vouchers": [_voucher(world, one, place) for place in range(one.quantity)],
        }],
    }  # fmt: skip


def _voucher(world: World, one: Order, place: int) -> dict[str, str]:
    number, pin, code, guid = world.voucher(one.first + place)
    held = {
        "number and pin": {"VoucherNo": number, "Voucherpin": pin},
        "gc code": {"VoucherGCcode": code},
        "pin only": {"Voucherpin": pin},
        "address": {"VoucherGCcode": f"https://claim.example/{code}"},
    }[one.product.layout]
    return {
        "VoucherNo": "", "Voucherpin": "", "VoucherGCcode": "", **held, "VoucherGuid": guid,
        "EndDate": _date(one.made + timedelta(days=365)) if one.product.expires else "",
        "Value": f"{one.value:.2f}", "ProductDenomination": f"{one.value}",
    }  # fmt: skip


def brands(world: World, code: str) -> list[dict[str, str]]:
    """One, or with a blank code all; a code that nobody knows: none."""
    return [_brand(world, one) for one in world.goods.values() if code in ("", one.code)]


def _brand(world: World, one: Product) -> dict[str, str]:
    fixed = bool(one.denominations)
    return {
        "BrandProductCode": one.code, "BrandName": one.name, "Brandtype": "VOUCHER",
        "RedemptionType": "3", "OnlineRedemptionUrl": "",
        "BrandImage": "https://images.example/demo.png",
        "denominationList": ",".join(str(value) for value in one.denominations),
        "MinValue": "" if fixed else "10", "MaxValue": "" if fixed else "10000",
        "DenomType": "F" if fixed else "D",
        "stockAvailable": "true" if world.left(one) > 0 else "false", "Category": "Fashion",
        "Descriptions": "", "tnc": "", "importantInstruction": "", "redeemSteps": "",
        "updated_at": "2024-02-11 09:30:05", "ServiceType": one.service,
        "EpayMinValue": "", "EpayMaxValue": "", "EpayDiscount": "",
    }  # fmt: skip


def stock(world: World, one: Product) -> dict[str, str]:
    return {"AvailableQuantity": str(world.left(one)), "BrandName": one.name}


def balance(world: World) -> dict[str, str]:
    return {"Balance": f"{world.wallet:.2f}"}


def _date(moment: datetime) -> str:
    return f"{moment.day:02} {_MONTHS[moment.month - 1]} {moment.year}"
