"""The adapters of the matrix: how each is configured, and how its sandbox writes what it sold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import starship_bamboo.sandbox as bamboo
import starship_pinelabs.sandbox as pinelabs
import starship_voucherkart.sandbox as voucherkart
from starship_voucherkart.sandbox.cipher import decrypted, encrypted
from starship_voucherkart.sandbox.world import Duplicates

from starship_core.clock import Clock
from starship_core.model import Money, Sku

PRODUCTS: Final = """\
code,name,category,currency,denominations
store-aed,Demo Store,Shops,AED,50.00
card-inr,Card,Shops,INR,100;1000
"""


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes
    media: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """An adapter and its sandbox."""

    use: str
    plugin: str
    section: str
    """Of `starship.toml`, without the address."""
    product: str
    code: str
    """Of our product that is mapped to it."""
    sku: Sku
    ceiling: Money
    world: Callable[[Clock], Any]
    app: Callable[[Any], Any]
    sold: Callable[[Any], Sequence[tuple[str, str]]]
    """(reference, code) of each unit that was ever sold in a world."""
    buys: str
    """The request that buys."""
    shows: re.Pattern[str]
    """Requests whose answers show an order, or what was sold."""
    word: str
    """The field of an order that says how it stands."""
    cards: Callable[[Any], list[dict[str, Any]]]
    codes: tuple[str, ...]
    """A unit's fields that hold its code."""
    dearer: Callable[[Any], None]
    duplicate: Answer
    """A reference that was used before."""
    error: Answer
    """An error that says nothing of the order, as a 200."""
    opened: Callable[[bytes], Any]
    """An answer that shows an order, decoded; None for any other."""
    closed: Callable[[bytes, Any], bytes]
    """The same answer with its order changed."""
    parts: bool = True
    """Whether the sandbox can sell fewer than it was asked for."""


def _decoded(field: str) -> Callable[[bytes], Any]:
    def opened(body: bytes) -> Any:
        found = json.loads(body)
        return found if isinstance(found, dict) and field in found else None

    return opened


def _encoded(_: bytes, order: Any) -> bytes:
    return json.dumps(order).encode()


def _bamboo_sold(world: bamboo.World) -> list[tuple[str, str]]:
    return [
        (one.reference, world.code(one.first_card + place)[0])
        for one in world.orders.values()
        for place in range(one.quantity - one.failing)
    ]


def _total(order: Any) -> None:
    order["total"] *= 100


BAMBOO: Final = Shop(
    use="bamboo",
    plugin="bamboo",
    section="""
client_id = "sandbox-client"
client_secret = "FAKE-FAKE-0001"
account_id = 4001
""",
    product="910001",
    code="store-aed",
    sku=Sku(1, 5000, "AED"),
    ceiling=Money.of("30", "USD"),
    world=lambda now: bamboo.World(bamboo.Settings(limits=False, unknown=404), now=now),
    app=bamboo.sandbox_app,
    sold=_bamboo_sold,
    buys="POST /api/integration/v1.0/orders/checkout",
    shows=re.compile(r"GET /api/integration/v1\.0/orders/.+"),
    word="status",
    cards=lambda order: [card for item in order["items"] for card in item["cards"]],
    codes=("cardCode", "pin", "serialNumber"),
    dearer=_total,
    duplicate=Answer(400, b'{"message": "OrderAlreadyExists"}'),
    error=Answer(200, b'{"message": "InternalError"}'),
    opened=_decoded("requestId"),
    closed=_encoded,
)


def _pinelabs_sold(world: pinelabs.World) -> list[tuple[str, str]]:
    return [
        (one.refno, world.card(one.first_card + place)[0])
        for one in world.orders.values()
        for place in range(one.quantity)
    ]


def _tenfold(name: str) -> Callable[[list[dict[str, Any]]], None]:
    def raised(cards: list[dict[str, Any]]) -> None:
        for card in cards:
            card[name] = f"{float(card[name]) * 10:.2f}"

    return raised


PINELABS: Final = Shop(
    use="pinelabs",
    plugin="pinelabs",
    section="""
client_id = "sandbox-client"
client_secret = "FAKE-FAKE-0001"
username = "sandbox-user"
password = "FAKE-FAKE-0002"
category = "121"
firstname = "Asha"
lastname = "Rao"
email = "asha@example.com"
telephone = "+919800000001"
""",
    product="CNPIN",
    code="card-inr",
    sku=Sku(2, 100_000, "INR"),
    ceiling=Money.of("2000", "INR"),
    world=lambda now: pinelabs.World(now=now),
    app=pinelabs.sandbox_app,
    sold=_pinelabs_sold,
    buys="POST /rest/v3/orders",
    shows=re.compile(r"POST /rest/v3/orders|GET /rest/v3/orders?/[^/]+/cards/?"),
    word="status",
    cards=lambda order: order["cards"],
    codes=("cardNumber", "cardPin"),
    dearer=lambda order: _tenfold("amount")(order["cards"]),
    duplicate=Answer(400, b'{"code": 5313, "message": "Error 5313", "messages": []}'),
    error=Answer(200, b'{"code": 6053, "message": "Error 6053", "messages": []}'),
    opened=_decoded("cards"),
    closed=_encoded,
    parts=False,
)

_KEYS: Final = voucherkart.Settings()


def _unsealed(body: bytes) -> Any:
    envelope = json.loads(body)
    if envelope["code"] != "0000":
        return None
    return json.loads(decrypted(envelope["data"], _KEYS.aes_key, _KEYS.aes_iv))


def _sealed(body: bytes, order: Any) -> bytes:
    data = encrypted(json.dumps(order), _KEYS.aes_key, _KEYS.aes_iv)
    return json.dumps(json.loads(body) | {"data": data}).encode()


def _voucherkart_sold(world: voucherkart.World) -> list[tuple[str, str]]:
    return [
        (one.id, world.voucher(one.first + place)[0])
        for one in world.orders
        for place in range(one.quantity)
    ]


def _units(order: Any) -> list[dict[str, Any]]:
    return [unit for group in order["PullVouchers"] for unit in group["Vouchers"]]


def _failed(code: str, text: str) -> Answer:
    body = {"status": "failed", "data": "", "desc": text, "code": code}
    return Answer(200, json.dumps(body).encode())


def _kart(use: str, duplicates: Duplicates) -> Shop:
    return Shop(
        use=use,
        plugin="voucherkart",
        section=f"""
username = "{_KEYS.username}"
password = "{_KEYS.password}"
aes_key = "{_KEYS.aes_key}"
aes_iv = "{_KEYS.aes_iv}"
""",
        product="DEMO1",
        code="card-inr",
        sku=Sku(2, 10_000, "INR"),
        ceiling=Money.of("200", "INR"),
        world=lambda now: voucherkart.World(replace(_KEYS, duplicates=duplicates), now=now),
        app=voucherkart.sandbox_app,
        sold=_voucherkart_sold,
        buys="POST /API/v1/pullvoucher",
        shows=re.compile(r"POST /API/v1/pullvoucher(/checkstatus)?"),
        word="ResultType",
        cards=_units,
        codes=("VoucherNo", "Voucherpin", "VoucherGCcode"),
        dearer=lambda order: _tenfold("Value")(_units(order)),
        duplicate=_failed("ER048", "Order already processed"),
        error=_failed("1051", "Request timeout"),
        opened=_unsealed,
        closed=_sealed,
    )


SHOPS: Final = {
    shop.use: shop
    for shop in (
        BAMBOO,
        PINELABS,
        _kart("voucherkart", "sells again"),
        _kart("voucherkart-rejects", "rejects"),
        _kart("voucherkart-replays", "rejects and replays"),
    )
}
"""By registration. VoucherKart's first is the cautious one, at a sandbox that would sell again."""
