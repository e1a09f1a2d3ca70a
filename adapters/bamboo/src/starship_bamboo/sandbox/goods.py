"""What the sandbox sells, and what becomes of an order for each product."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

Life = Literal["sold", "failed", "partial", "paused", "endless", "hidden", "link", "unshown"]
Reply = Literal["string", "object", "slow", "html", "junk", "500", "503", "cut-500", "429", "403"]


@dataclass(frozen=True)
class Outcome:
    """What a checkout does. `reply` is said after the order was made, but for those in `BEFORE`."""

    about: str
    life: Life = "sold"
    reply: Reply = "string"
    refusal: str | None = None


BEFORE: Final = ("cut-500", "429", "403")
"""Replies that are given instead of making the order."""

OUTCOMES: Final = {
    "succeed": Outcome("Created, Processing, Succeeded"),
    "object": Outcome("as succeed; the checkout is answered with an object", reply="object"),
    "link": Outcome("as succeed; the code is an address", life="link"),
    "fail": Outcome("every card fails, and the money comes back", life="failed"),
    "partial": Outcome("the last card fails, and its money comes back", life="partial"),
    "paused": Outcome("a card is Paused for a while, then sold", life="paused"),
    "endless": Outcome("stays Processing", life="endless"),
    "hidden": Outcome("Get Order does not know it at first", life="hidden"),
    "unshown": Outcome("Succeeded before the last card shows its code", life="unshown"),
    "slow": Outcome("made, and answered too late", reply="slow"),
    "html": Outcome("made, and answered 200 with a page of HTML", reply="html"),
    "junk": Outcome("made, and answered 200 with half an object", reply="junk"),
    "error": Outcome("made, and answered 500", reply="500"),
    "unavailable": Outcome("made, and answered 503", reply="503"),
    "error-before": Outcome("not made, and answered 500", reply="cut-500"),
    "too-many": Outcome("not made, and answered 429", reply="429"),
    "forbidden": Outcome("not made, and answered 403", reply="403"),
    "no-stock": Outcome("refused", refusal="ProductIsOutOfStock"),
    "no-price": Outcome("refused", refusal="ClientPriceInvalid"),
    "user-off": Outcome("refused", refusal="UserNotEnabled"),
    "no-catalogue": Outcome("refused", refusal="ClientCatalogNotExist"),
}
"""By name: of a product below, or in the header `X-Sandbox-Outcome` of a checkout."""


@dataclass(frozen=True)
class Brand:
    code: str
    name: str
    country: str
    currency: str


@dataclass(frozen=True)
class Product:
    """`share` of the face value is what it costs us, in the account's currency by our rate."""

    id: int
    brand: Brand
    name: str
    least: Decimal
    most: Decimal
    outcome: str = "succeed"
    count: int | None = None
    deleted: bool = False
    share: Decimal = Decimal("0.95")


RATES: Final = {"USD": Decimal(1), "AED": Decimal("3.6725"), "INR": Decimal("83.1")}
"""What one US dollar is."""

_STORE: Final = Brand("DEMO-AE", "Demo Store UAE", "AE", "AED")
_GAMES: Final = Brand("DEMO-GLC", "Demo Games", "GLC", "USD")
_SPARE: Final = Brand("DEMO-IN", "Demo Bazaar India", "IN", "INR")


def _fixed(number: int, brand: Brand, face: str, outcome: str = "succeed") -> Product:
    value = Decimal(face)
    return Product(
        number, brand, f"{brand.name} {face} {brand.currency}", value, value, outcome=outcome
    )


GOODS: Final = (
    _fixed(910001, _STORE, "50"),
    Product(910002, _STORE, "Demo Store AED", Decimal(10), Decimal(500), count=1000),
    _fixed(910003, _STORE, "75"),
    Product(910004, _STORE, "Demo Store, sold out", Decimal(20), Decimal(20), count=0),
    Product(910005, _STORE, "Demo Store, gone", Decimal(30), Decimal(30), deleted=True),
    Product(910006, _GAMES, "Demo Games 12.50 USD", Decimal("12.5"), Decimal("12.5")),
    *(
        _fixed(920001 + place, _GAMES if place % 2 else _SPARE, "25", name)
        for place, name in enumerate(OUTCOMES)
    ),
)
"""The products from 920001 on do one thing each, in the order of `OUTCOMES`."""
