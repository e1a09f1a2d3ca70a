"""The sandbox's doors: address, token, signature, question."""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any, Final

from litestar import Litestar, Request, Response, get, route

from starship_pinelabs.sandbox import pages
from starship_pinelabs.sandbox.world import Order, Outcome, Refusal, World, signature

Answer = Response[bytes]
_HTML: Final = b"<!DOCTYPE html><html><body><h1>Request blocked</h1></body></html>"
_REJECTED: Final = {
    "messages": {"error": [{"code": 401, "message": "oauth_problem=token_rejected"}]}
}
_STALE: Final = {"code": 401, "message": "OAuth authorization failed"}
_DUPLICATE: Final = 5313
_REVERSE: Final = ("payments", "products", "refno", "deliveryMode")


def sandbox_app(world: World | None = None) -> Litestar:
    """An ASGI application; `world` may be looked into and changed while it runs."""
    known = world or World()
    doors = Doors(known)

    @route("/{path:path}", http_method=["GET", "POST"])
    async def pinelabs(request: Request[Any, Any, Any]) -> Answer:
        return await doors.answer(request)

    @get("/_sandbox/purchases", sync_to_thread=False)
    def purchases() -> Answer:
        """What was bought, to count: no door of Pine Labs'."""
        return _json([{"reference": one.refno, "quantity": one.quantity, "status": one.status}
                      for one in known.orders.values()])  # fmt: skip

    return Litestar([pinelabs, purchases], openapi_config=None, logging_config=None)


class Doors:
    """One request at a time."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def answer(self, request: Request[Any, Any, Any]) -> Answer:
        settings = self.world.settings
        host = request.client.host if request.client else ""
        refused = settings.addresses is not None and host not in settings.addresses
        if refused or not request.headers.get("user-agent"):
            return Response(_HTML, status_code=403, media_type="text/html")
        body = await request.body()
        path = request.url.path
        try:
            if path.startswith("/oauth2/"):
                return self._token(path, json.loads(body))
            if rejected := self._rejected(request, body):
                return rejected
            return await self._asked(request, path.removeprefix("/rest/v3/"), body)
        except Refusal as refusal:
            return _error(refusal.code)
        except (ValueError, KeyError, TypeError, ArithmeticError):
            return _json({"code": 400, "message": "Decoding error."}, 400)

    def _token(self, path: str, body: dict[str, str]) -> Answer:
        """Two hops: who you are, then what for."""
        world, settings = self.world, self.world.settings
        if path == "/oauth2/verify":
            given = (body["clientId"], body["username"], body["password"])
            if given != (settings.client_id, settings.username, settings.password):
                return _json({"code": 401, "message": "Invalid credentials"}, 401)
            code = world.issue("code")
            world.codes.add(code)
            return _json({"authorizationCode": code})
        if body["clientSecret"] != settings.client_secret:
            return _json({"code": 401, "message": "Invalid credentials"}, 401)
        if body["authorizationCode"] not in world.codes:
            return _error(8321)
        world.codes.discard(body["authorizationCode"])
        token = world.issue("token")
        world.tokens.add(token)
        return _json({"token": token})

    def _rejected(self, request: Request[Any, Any, Any], body: bytes) -> Answer | None:
        """Who has no good token, or signed otherwise."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            return _error(6670)
        if token not in self.world.tokens:
            return _json(_REJECTED, 401)
        if not request.headers.get("dateatclient"):
            return _json(_STALE, 401)
        expected = signature(
            request.method, _asked_for(request), body, self.world.settings.client_secret
        )
        given = request.headers.get("signature", "")
        if not hmac.compare_digest(given.encode("latin-1"), expected.encode()):
            return _json(_STALE | {"message": "Signature mismatch"}, 401)
        return None

    async def _asked(self, request: Request[Any, Any, Any], path: str, body: bytes) -> Answer:
        match (request.method, *path.strip("/").split("/")):
            case ("POST", "orders"):
                return await self._order(request, json.loads(body))
            case ("POST", "orders", "reverse"):
                return self._reverse(json.loads(body))
            case ("POST", "balance"):
                return self._balance(json.loads(body))
            case ("GET", *rest):
                return self._read(rest, request.query_params)
        return Response(_HTML, status_code=404, media_type="text/html")

    def _read(self, path: list[str], query: Any) -> Answer:
        match path:
            case ["order", refno, "status"]:
                return self._status(refno)
            case ["order" | "orders", order_id, "cards"]:
                return self._cards(order_id, query)
            case ["catalog", *rest]:
                return self._catalogue(rest, query)
        return Response(_HTML, status_code=404, media_type="text/html")

    def _catalogue(self, rest: list[str], query: Any) -> Answer:
        match rest:
            case ["categories"] | ["categories", "121"]:
                return _json(pages.categories())
            case ["categories", "121", "products"]:
                limit, offset = int(query.get("limit", 100)), int(query.get("offset", 0))
                return _json(pages.products(self.world, offset=offset, limit=min(limit, 500)))
            case ["products", sku] if sku in self.world.goods:
                return _json(pages.product(self.world.goods[sku]))
            case ["products", _]:
                raise Refusal(1303)
        raise Refusal(6652)

    async def _order(self, request: Request[Any, Any, Any], body: dict[str, Any]) -> Answer:
        made, outcome = self.world.order(body, request.headers.get("x-sandbox-outcome"))
        if made is None:
            return _untold(outcome)
        if outcome.reply == "slow":
            await asyncio.sleep(self.world.settings.slow_seconds)
        elif outcome.reply != "order":
            return _untold(outcome)
        return _json(pages.order(self.world, made), 201 if made.status == "COMPLETE" else 202)

    def _status(self, refno: str) -> Answer:
        order = self.world.orders.get(refno)
        if order is None or order.looks < order.outcome.unknown:
            if order is not None:
                order.looks += 1
            raise Refusal(5320)
        return _json(pages.status(order, self.world.look(order)))

    def _cards(self, order_id: str, query: Any) -> Answer:
        order = next((one for one in self.world.orders.values() if one.id == order_id), None)
        if order is None:
            return _json({"code": 400, "message": "This order id isn't valid"}, 400)
        if order.status != "COMPLETE":
            state = {"state": order.status, "orderId": order.id, "refno": order.refno}
            return _json(state, 410 if order.status == "CANCELED" else 409)
        limit, offset = min(int(query.get("limit", 100)), 500), int(query.get("offset", 0))
        if offset % limit:
            raise ValueError(offset)
        return _json(pages.cards(self.world, order, offset=offset, limit=limit))

    def _balance(self, body: dict[str, str]) -> Answer:
        """201; its refusals write their code as text."""
        number, pin = body["cardNumber"], body.get("pin")
        for order in self.world.orders.values():
            for place in range(order.quantity if order.status == "COMPLETE" else 0):
                card = pages.card(self.world, order, place)
                if (card["cardNumber"], card["cardPin"]) == (number, pin):
                    return _json(pages.balance(self.world, order, place), 201)
        told = {"code": "6049", "message": "Balance Enquiry Failed : wrong number or pin"}
        return _json(told | {"additionalTxnFields": {"responseCode": 10086}}, 400)

    def _reverse(self, body: dict[str, Any]) -> Answer:
        """The order's own body again; it is cancelled at the next look."""
        order = self.world.orders.get(body["refno"])
        if order is None:
            raise Refusal(5320)
        if any(body.get(key) != order.body.get(key) for key in _REVERSE):
            raise Refusal(10466)
        if order.status == "CANCELED":
            return _reversal(order, 200, "Order has been already cancelled.")
        age = (self.world.now() - order.made).total_seconds()
        if age > 60 * self.world.settings.reverse_minutes:
            raise Refusal(10467)
        order.status, order.looks = "PROCESSING", 0
        order.outcome = Outcome("reversed", looks=1, end="CANCELED")
        return _reversal(order, 202, "Successfully accepted the order for reversal")


def _asked_for(request: Request[Any, Any, Any]) -> str:
    """The address as it was called: a slash at its end is part of what is signed."""
    path, query = request.scope["raw_path"].decode(), request.scope["query_string"].decode()
    address = f"{request.url.scheme}://{request.headers['host']}{path}"
    return f"{address}?{query}" if query else address


def _reversal(order: Order, status: int, message: str) -> Answer:
    inner = {"status": order.status, "orderId": order.id, "refno": order.refno}
    return _json({"code": 0, "message": message, "messages": [], "order": inner}, status)


def _untold(outcome: Outcome) -> Answer:
    """An answer that does not tell what became of the order."""
    match outcome.reply:
        case "html":
            return Response(_HTML, status_code=200, media_type="text/html")
        case "junk":
            return Response(b'{"status": "COMPL', status_code=200)
        case "429":
            return Response(b"Too Many Requests", status_code=429)
    return Response(b"", status_code=int(outcome.reply))


def _error(code: int) -> Answer:
    told = {"code": code, "message": f"Error {code}", "messages": []}
    return _json(told | ({"additionalTxnFields": []} if code == _DUPLICATE else {}), 400)


def _json(body: object, status: int = 200) -> Answer:
    text = json.dumps(body, ensure_ascii=False)
    return Response(text.encode(), status_code=status, media_type="application/json")
