"""The sandbox's doors: address, token, seal, question. Almost all of it is HTTP 200."""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any, Final

from litestar import Litestar, Request, Response, get, route

from starship_voucherkart.sandbox import pages
from starship_voucherkart.sandbox.cipher import decrypted, encrypted
from starship_voucherkart.sandbox.goods import Outcome
from starship_voucherkart.sandbox.world import Order, Refusal, World

Answer = Response[bytes]
_HTML: Final = b"<!DOCTYPE html><html><body><h1>Request blocked</h1></body></html>"
_ROOT: Final = "/API/v1/"
_FIELDS: Final = {
    "getbrands": ("BrandProductCode",),
    "getstock": ("BrandProductCode", "Denomination"),
    "pullvoucher": ("BrandProductCode", "Denomination", "Quantity", "ExternalOrderId"),
    "pullvoucher/checkstatus": ("sv_ex_order_id",),
    "getwalletbalance": (),
}
"""Each call's, all of them text."""


def sandbox_app(world: World | None = None) -> Litestar:
    """An ASGI application; `world` may be looked into and changed while it runs."""
    known = world or World()
    doors = Doors(known)

    @route("/{path:path}", http_method=["GET", "POST"])
    async def voucherkart(request: Request[Any, Any, Any]) -> Answer:
        return await doors.answer(request)

    @get("/_sandbox/purchases", sync_to_thread=False)
    def purchases() -> Answer:
        """What was bought, to count: no door of VoucherKart's."""
        return _json([{"reference": one.id, "quantity": one.quantity} for one in known.orders])

    return Litestar([voucherkart, purchases], openapi_config=None, logging_config=None)


class Doors:
    """One request at a time."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def answer(self, request: Request[Any, Any, Any]) -> Answer:
        call = request.url.path.removeprefix(_ROOT)
        if not request.url.path.startswith(_ROOT) or call not in ("gettoken", *_FIELDS):
            return Response(_HTML, status_code=404, media_type="text/html")
        if request.method != ("GET" if call == "gettoken" else "POST"):
            return Response(b"", status_code=405)
        if self.world.crowded():
            return Response(b"Too Many Requests", status_code=429)
        try:
            self._known(request)
            if call == "gettoken":
                return self._token(request)
            self._admitted(request)
            return await self._asked(request, call, self._read(call, await request.body()))
        except Refusal as refusal:
            return self._refused(call, refusal)

    def _known(self, request: Request[Any, Any, Any]) -> None:
        """By address. Raises Refusal."""
        addresses = self.world.settings.addresses
        host = request.client.host if request.client else ""
        if addresses is not None and host not in addresses:
            raise Refusal("ER057", "IP is not whitelisted")

    def _admitted(self, request: Request[Any, Any, Any]) -> None:
        """By token. Raises Refusal."""
        if not self.world.good(request.headers.get("token", "")):
            raise Refusal("ER083", "Invalid token")

    def _token(self, request: Request[Any, Any, Any]) -> Answer:
        settings, headers = self.world.settings, request.headers
        if not _same(headers.get("username", ""), settings.username):
            raise Refusal("ER001", "Invalid username")
        if not _same(headers.get("password", ""), settings.password):
            raise Refusal("ER002", "Invalid password")
        return self._good("gettoken", self.world.issue())

    def _read(self, call: str, body: bytes) -> dict[str, str]:
        """The request's fields. Raises Refusal for what is not sealed, or is not as documented."""
        settings = self.world.settings
        try:
            asked = json.loads(body)
            if call not in settings.plain_requests:
                asked = self._unsealed(asked)
            return {name: _text(name, asked) for name in _FIELDS[call]}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Refusal("1007", "Invalid JSON") from None

    def _unsealed(self, asked: Any) -> Any:
        settings = self.world.settings
        try:
            text = decrypted(asked["payload"], settings.aes_key, settings.aes_iv)
        except (ValueError, TypeError, KeyError):
            raise Refusal("ER082", "Unable to decrypt the payload") from None
        return json.loads(text)

    async def _asked(
        self, request: Request[Any, Any, Any], call: str, asked: dict[str, str]
    ) -> Answer:
        world = self.world
        match call:
            case "getbrands":
                return self._good(call, pages.brands(world, asked["BrandProductCode"]))
            case "getstock":
                product, _ = world.priced(asked["BrandProductCode"], asked["Denomination"])
                return self._good(call, pages.stock(world, product))
            case "getwalletbalance":
                return self._good(call, pages.balance(world))
            case "pullvoucher/checkstatus":
                return self._good(call, pages.order(world, world.status(asked["sv_ex_order_id"])))
        made, outcome = world.pull(asked, request.headers.get("x-sandbox-outcome"))
        return await self._pulled(made, outcome)

    async def _pulled(self, made: Order | None, outcome: Outcome) -> Answer:
        if outcome.code is not None:
            raise Refusal(*outcome.code)
        match outcome.reply:
            case "html":
                return Response(_HTML, status_code=200, media_type="text/html")
            case "junk":
                return Response(b'{"status": "succ', status_code=200)
            case "429" | "500" | "503" as status:
                return Response(b"", status_code=int(status))
            case "slow":
                await asyncio.sleep(self.world.settings.slow_seconds)
        if made is None:
            raise ValueError(f"the outcome `{outcome.about}` answers an order that was not made")
        page = pages.order(self.world, made)
        if outcome.reply == "empty":
            page["PullVouchers"] = []
        if outcome.reply == "garbage":
            settings = self.world.settings
            other = settings.aes_key[::-1]
            return _envelope(encrypted(json.dumps(page), other, settings.aes_iv))
        return self._good("pullvoucher", page)

    def _good(self, call: str, data: Any) -> Answer:
        settings = self.world.settings
        if call in settings.plain_answers:
            return _envelope(data)
        text = data if isinstance(data, str) else json.dumps(data)
        return _envelope(encrypted(text, settings.aes_key, settings.aes_iv))

    def _refused(self, call: str, refusal: Refusal) -> Answer:
        """HTTP 200; a repeated order may come with its vouchers."""
        data: Any = ""
        if refusal.order is not None:
            settings = self.world.settings
            page = pages.order(self.world, refusal.order)
            sealed = encrypted(json.dumps(page), settings.aes_key, settings.aes_iv)
            data = page if call in settings.plain_answers else sealed
        body = {"status": "failed", "data": data, "desc": refusal.text, "code": refusal.code}
        return _json(body)


def _envelope(data: Any) -> Answer:
    return _json({"status": "success", "data": data, "desc": "Success", "code": "0000"})


def _text(name: str, asked: Any) -> str:
    """A field that is left out is empty; one that is no text is refused."""
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _json(body: object) -> Answer:
    text = json.dumps(body, ensure_ascii=False)
    return Response(text.encode(), status_code=200, media_type="application/json")
