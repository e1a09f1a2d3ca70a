"""Acme's API on this machine, written after its documentation and not after the adapter.

Nothing here is imported by the adapter, and nothing of the adapter here: a mistake in one of them
shows against the other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from litestar import Litestar, Request, Response, get, post

Answer = Response[dict[str, Any]]
PER_PAGE = 2
LISTED = ("id", "name", "currency", "least", "most")


@dataclass(frozen=True)
class Good:
    """A product; `count` is how many there are, None for as many as anybody wants."""

    id: str
    name: str
    currency: str
    least: str
    most: str
    count: int | None = None


GOODS = (
    Good("COFFEE", "Acme Coffee", "EUR", "5.00", "100.00"),
    Good("BOOKS", "Acme Books", "GBP", "10.00", "50.00"),
    Good("RARE", "Acme Rarities", "GBP", "10.00", "10.00", count=0),
)


@dataclass
class World:
    """All that the sandbox knows; `orders` is the log of purchases."""

    api_key: str = "FAKE-FAKE-0001"
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)


class Refusal(Exception):
    """HTTP 422 with a word."""


def start(_url: str) -> tuple[Litestar, list[str]]:
    """For `starship sandbox acme`: the application, and what its visitor has to know."""
    world = World()
    goods = [f"{one.id}: {one.least} to {one.most} {one.currency}" for one in GOODS]
    return sandbox_app(world), [f"api_key {world.api_key}", *goods]


def sandbox_app(world: World | None = None) -> Litestar:
    """An ASGI application; `world` may be looked into and changed while it runs."""
    known = world or World()

    def let_in(request: Request[Any, Any, Any]) -> Answer | None:
        if request.headers.get("authorization") == f"Bearer {known.api_key}":
            return None
        return Response({"error": "WHO_ARE_YOU"}, status_code=401)

    @post("/v1/orders")
    async def buy(request: Request[Any, Any, Any]) -> Answer:
        try:
            asked = json.loads(await request.body())
            if asked["reference"] in known.orders:
                return Response(known.orders[asked["reference"]], status_code=200)
            sold = order(asked, first=sum(len(one["cards"]) for one in known.orders.values()))
        except Refusal as refusal:
            return Response({"error": str(refusal)}, status_code=422)
        except (ValueError, KeyError, TypeError, InvalidOperation):
            return Response({"error": "UNREADABLE"}, status_code=400)
        known.orders[sold["reference"]] = sold
        return Response(sold, status_code=201)

    @get("/v1/orders/{reference:str}", sync_to_thread=False)
    def find(request: Request[Any, Any, Any]) -> Answer:
        reference = request.path_params["reference"]
        if reference not in known.orders:
            return Response({"error": "UNKNOWN_REFERENCE"}, status_code=404)
        return Response(known.orders[reference])

    @get("/v1/products", sync_to_thread=False)
    def products(request: Request[Any, Any, Any]) -> Answer:
        page = int(request.query_params.get("page", 1))
        shown = GOODS[(page - 1) * PER_PAGE : page * PER_PAGE]
        lines = [{name: getattr(one, name) for name in LISTED} for one in shown]
        return Response({"products": lines, "pages": -(-len(GOODS) // PER_PAGE)})

    return Litestar([buy, find, products], before_request=let_in, openapi_config=None)


def order(asked: dict[str, Any], *, first: int) -> dict[str, Any]:
    """An order that is complete at once. Raises Refusal."""
    good = next((one for one in GOODS if one.id == asked["product"]), None)
    value, quantity = Decimal(asked["value"]), int(asked["quantity"])
    if good is None or asked["currency"] != good.currency:
        raise Refusal("UNKNOWN_PRODUCT")
    if not Decimal(good.least) <= value <= Decimal(good.most):
        raise Refusal("BAD_VALUE")
    if good.count is not None and good.count < quantity:
        raise Refusal("OUT_OF_STOCK")
    return {
        "reference": asked["reference"],
        "value": f"{value:.2f}",
        "currency": good.currency,
        "charged": f"{value * quantity * Decimal('0.95'):.2f}",
        "cards": [card(first + place) for place in range(quantity)],
    }


def card(number: int) -> dict[str, str]:
    digest = hashlib.sha256(f"acme:{number}".encode()).hexdigest().upper()
    return {
        "id": f"card-{number + 1}",
        "code": f"ACME-{digest[:4]}-{digest[4:8]}-{digest[8:12]}",
        "pin": f"{int(digest[12:18], 16) % 10_000:04}",
        "expires": "2031-12-31",
    }
