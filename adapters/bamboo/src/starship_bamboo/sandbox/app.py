"""The sandbox's doors: who may come in, how often, and which question is asked."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Response, get, route

from starship_bamboo.sandbox import pages
from starship_bamboo.sandbox.goods import BEFORE, OUTCOMES, Outcome
from starship_bamboo.sandbox.world import Order, Refusal, World

Answer = Response[bytes]
_PREFIX: Final = "/api/integration/"
_PROXIES: Final = ("x-forwarded-for", "x-forwarded-host", "forwarded", "via")
_HTML: Final = b"<!DOCTYPE html><html><body><h1>OK</h1></body></html>"
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_log: Final = logging.getLogger("starship_bamboo.sandbox")


_READS: Final[dict[str, Callable[[World, Mapping[str, str]], object]]] = {
    "v2 GET catalog": pages.catalogue,
    "v1 GET catalog": lambda world, _: pages.whole_catalogue(world),
    "v1 GET accounts": lambda world, _: pages.accounts(world),
    "v1 GET exchange-rates": lambda _, query: pages.rates(query),
    "v1 GET orders": lambda world, query: pages.order_lines(world, *_days(query)),
    "v1 GET transactions": lambda world, query: pages.transactions(world, *_days(query)),
    "v1 GET notification": lambda world, _: world.notification,
}


class Malformed(Exception):
    """HTTP 400 of the model binding: no word, a list of fields."""


def sandbox_app(world: World | None = None) -> Litestar:
    """An ASGI application; `world` may be looked into and changed while it runs."""
    known = world or World()
    doors = Doors(known)

    @route("/{path:path}", http_method=["GET", "POST"])
    async def bamboo(request: Request[Any, Any, Any]) -> Answer:
        return await doors.answer(request)

    @get("/_sandbox/purchases", sync_to_thread=False)
    def purchases() -> Answer:
        """What was bought, to count: no door of Bamboo's."""
        return _json([{"reference": one.reference, "quantity": one.quantity,
                       "status": known.status(one)} for one in known.orders.values()])  # fmt: skip

    return Litestar([bamboo, purchases], openapi_config=None, logging_config=None)


class Doors:
    """One request at a time: address, credentials, limit, question."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, request: Request[Any, Any, Any]) -> Answer:
        if refused := self._refused(request):
            return refused
        version, _, rest = _path(request).partition("/")
        name, _, last = rest.partition("/")
        if name == "orders" and last not in ("", "checkout"):
            name, last = "order", last.removeprefix("checkout/")
        elif last == "checkout":
            name = "checkout"
        limited = "everything" if (version, name) == ("v2", "catalog") else name
        if seconds := self.world.wait(limited):
            return _too_many(seconds)
        try:
            return await self._asked(request, f"{version} {request.method} {name}", last)
        except Refusal as refusal:
            return _json({"message": str(refusal)}, 400)
        except (Malformed, ValueError, KeyError, ArithmeticError) as error:
            problem = {"title": "One or more validation errors occurred.", "status": 400}
            return _json(problem | {"errors": {"$": [type(error).__name__]}}, 400)

    def _refused(self, request: Request[Any, Any, Any]) -> Answer | None:
        settings = self.world.settings
        host = request.client.host if request.client else ""
        if settings.addresses is not None and host not in settings.addresses:
            return _json({"error": "Your IP address is not allowed"}, 403)
        if any(name in request.headers for name in _PROXIES):
            return _json({"message": "Bad Request"}, 400)
        expected = f"{settings.client_id}:{settings.client_secret}"
        if not _basic(request.headers.get("authorization", ""), expected):
            return Response(b"", status_code=401, headers={"WWW-Authenticate": "Basic"})
        return None

    async def _asked(self, request: Request[Any, Any, Any], what: str, last: str) -> Answer:
        if what == "v1 POST checkout":
            return await self._checkout(request)
        if what == "v1 GET order":
            return self._order(last)
        if what == "v1 POST notification":
            given = await _body(request)
            self.world.notification = {key: str(value) for key, value in given.items()}
            return _json(self.world.notification)
        if what not in _READS:
            return Response(_HTML, status_code=404, media_type="text/html")
        query = {key.lower(): value for key, value in request.query_params.items()}
        found = _READS[what](self.world, query)
        return _json({"message": "Bad Request"}, 400) if found is None else _json(found)

    async def _checkout(self, request: Request[Any, Any, Any]) -> Answer:
        body = {key.lower(): value for key, value in (await _body(request)).items()}
        reference = str(uuid.UUID(body["requestid"]))
        self.world.checkouts.append(reference)
        chosen = request.headers.get("x-sandbox-outcome")
        if not body["products"]:
            raise Refusal("NoProducts")
        if len(body["products"]) > 1:
            raise Malformed  # the sandbox sells one product at a time
        line = {key.lower(): value for key, value in body["products"][0].items()}
        number, quantity, face = line["productid"], line["quantity"], Decimal(line["value"])
        if not isinstance(number, int) or not isinstance(quantity, int) or quantity < 1:
            raise Malformed
        product = self.world.goods.get(number)
        script = OUTCOMES[chosen or (product.outcome if product else "succeed")]
        if script.reply in BEFORE:
            return _instead(script)
        order = self.world.buy(reference, body["accountid"], (number, quantity, face), chosen)
        self._tell_later(order)
        return await self._said(order)

    async def _said(self, order: Order) -> Answer:
        """What the checkout of an order is answered; the order is made, whatever it is."""
        match order.outcome.reply:
            case "object":
                return _json({"requestId": order.reference})
            case "slow":
                await asyncio.sleep(self.world.settings.slow_seconds)
            case "html":
                return Response(_HTML, status_code=200, media_type="text/html")
            case "junk":
                return Response(b'{"requestId": "', status_code=200)
            case "500" | "503":
                return Response(b"", status_code=int(order.outcome.reply))
        return _json(order.reference)

    def _order(self, reference: str) -> Answer:
        order = self.world.orders.get(reference.lower())
        if order is None or (order.outcome.life == "hidden" and order.looks == 0):
            if order is not None:
                order.looks += 1
            return _json({"message": "OrderNotFound"}, self.world.settings.unknown)
        body = pages.order(self.world, order)
        order.looks += 1
        return _json(body)

    def _tell_later(self, order: Order) -> None:
        """Bamboo calls back when an order has ended."""
        url = self.world.notification.get("notificationUrlSandbox")
        if url:
            task = asyncio.create_task(self._tell(url, order))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, url: str, order: Order) -> None:
        import httpx2  # noqa: PLC0415  # only a sandbox that calls back needs it

        settings = self.world.settings
        await asyncio.sleep(settings.step_seconds * settings.steps)
        body = json.dumps(pages.callback(self.world, order))
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            try:
                await client.post(url, content=body, headers={"Content-Type": "application/json"})
            except httpx2.HTTPError:
                _log.warning("nobody answered the callback")


def _path(request: Request[Any, Any, Any]) -> str:
    """`v1/orders`: in any case, with either spelling of the version."""
    path = request.url.path.lower().rstrip("/")
    if not path.startswith(_PREFIX):
        return "unknown"
    return path.removeprefix(_PREFIX).replace("v1.0/", "v1/").replace("v2.0/", "v2/")


def _basic(header: str, expected: str) -> bool:
    scheme, _, encoded = header.partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True)
    except ValueError:  # not base64, or not even ASCII
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, expected.encode())


def _instead(script: Outcome) -> Answer:
    """The answer of a checkout that made no order."""
    if script.reply == "429":
        return _too_many(7)
    if script.reply == "403":
        return _json({"error": "Forbidden"}, 403)
    return Response(b"", status_code=500)


def _too_many(seconds: int) -> Answer:
    text = f"Too many requests. Please wait for {seconds} seconds."
    return Response(text.encode(), status_code=429, media_type="text/plain")


def _days(query: Mapping[str, str]) -> tuple[date, date]:
    return date.fromisoformat(query["startdate"]), date.fromisoformat(query["enddate"])


async def _body(request: Request[Any, Any, Any]) -> dict[str, Any]:
    body = json.loads(await request.body(), parse_float=Decimal)
    if not isinstance(body, dict):
        raise Malformed
    return body


def _json(body: object, status: int = 200) -> Answer:
    return Response(_encode(body), status_code=status, media_type="application/json; charset=utf-8")
