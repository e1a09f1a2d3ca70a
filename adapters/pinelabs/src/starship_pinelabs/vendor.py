"""How Pine Labs is reached: signed calls under a token, each order sent once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from starship_core import (
    Accepted,
    Ambiguous,
    Money,
    Purchase,
    Refused,
    Secret,
    Token,
    Toolbox,
    Unavailable,
    VendorFulfiller,
    VendorProduct,
    VendorReply,
)
from starship_pinelabs import wire
from starship_pinelabs.answers import Answer, turned_away
from starship_pinelabs.config import PineLabsConfig
from starship_pinelabs.signature import canonical, signed
from starship_pinelabs.wire import Card

if TYPE_CHECKING:
    import httpx2

MOST_UNITS: Final = 100
"""In one order: what one page of cards holds. A product's own limit may be lower (5337)."""
SLOWEST: Final = 120.0
"""Seconds after which an order has ended one way or another, a token's renewal included."""
_PAGE: Final = 100
_OAUTH: Final = "oauth"


class Calls:
    """Signed HTTP. A stale token is renewed once, and what it refused is sent once more."""

    def __init__(
        self, client: httpx2.AsyncClient, config: PineLabsConfig, toolbox: Toolbox
    ) -> None:
        self._client = client
        self._config = config
        self._now = toolbox.now
        self._tokens = toolbox.tokens
        self._url = config.base_url.rstrip("/")

    async def read(self, path: str) -> Answer:
        """A question that changes nothing. Raises Unavailable when no answer came."""
        try:
            return await self._signed("GET", path, None)
        except Ambiguous as error:
            raise Unavailable(str(error), retry_after=5) from None

    async def send(self, path: str, body: Any) -> Answer:
        """Raises Unavailable when nothing was sent, Ambiguous when no answer came."""
        return await self._signed("POST", path, canonical(body))

    async def _signed(self, method: str, path: str, body: bytes | None) -> Answer:
        """401 is answered before anything is processed."""
        token = await self._tokens.get(_OAUTH, self._renewed)
        answer = await self._request(method, path, body, token)
        if answer.status != 401:
            return answer
        token = await self._tokens.get(_OAUTH, self._renewed, stale=token)
        return await self._request(method, path, body, token)

    async def _renewed(self) -> Token:
        """Pine Labs does not say how long it holds; 401 tells. Raises Unavailable."""
        config = self._config
        try:
            code = await self._asked(
                "/oauth2/verify",
                {
                    "clientId": config.client_id,
                    "username": config.username,
                    "password": config.password.reveal(),
                },
                "authorizationCode",
            )
            token = await self._asked(
                "/oauth2/token",
                {
                    "clientId": config.client_id,
                    "clientSecret": config.client_secret.reveal(),
                    "authorizationCode": code,
                },
                "token",
            )
        except Ambiguous as error:  # no order was sent yet
            raise Unavailable(f"no token: {error}", retry_after=5) from None
        return Token(value=Secret(token))

    async def _asked(self, path: str, body: dict[str, str], wanted: str) -> str:
        answer = await self._request("POST", path, canonical(body), None)
        turned_away(answer)
        try:
            found = msgspec.json.decode(answer.body)[wanted] if answer.status == 200 else None
        except (msgspec.DecodeError, KeyError, TypeError):
            found = None
        if not isinstance(found, str) or not found:
            raise Unavailable(f"no token: HTTP {answer.status}", retry_after=60)
        return found

    async def _request(
        self, method: str, path: str, body: bytes | None, token: Secret | None
    ) -> Answer:
        import httpx2  # noqa: PLC0415  # loaded by `open_vendor`

        url = self._url + path
        headers = {"Content-Type": "application/json", "Accept": "*/*"}
        if token is not None:
            now = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
            headers |= {
                "Authorization": f"Bearer {token.reveal()}",
                "dateAtClient": now.replace("+00:00", "Z"),
                "signature": signed(method, url, body, self._config.client_secret.reveal()),
            }
        try:
            response = await self._client.request(method, url, content=body, headers=headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            told = f"pinelabs cannot be reached ({type(error).__name__})"
            raise Unavailable(told, retry_after=5) from None
        except httpx2.HTTPError as error:
            raise Ambiguous(f"pinelabs gave no answer ({type(error).__name__})") from None
        return Answer(response.status_code, response.content)


class PineLabs:
    """A `VendorFulfiller` that can also take an order back."""

    def __init__(self, config: PineLabsConfig, calls: Calls) -> None:
        self._config = config
        self._calls = calls

    async def buy(self, purchase: Purchase) -> VendorReply:
        """One order. Its cards come in the same answer, or later: then it is `Accepted`."""
        if problem := wire.unsendable(purchase, most=MOST_UNITS):
            return Refused(reason=problem)
        body = wire.order(purchase, self._config)
        return wire.ordered(await self._calls.send("/rest/v3/orders", body), purchase)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        """The order under our reference; once it is complete, its cards."""
        answer = await self._calls.read(f"/rest/v3/order/{purchase.reference}/status")
        found = wire.looked_up(answer, purchase)
        if not isinstance(found, wire.Order):
            return found
        return await self._cards(found.order_id, purchase)

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        """The category's products, page by page; one that slips onto the next page comes once."""
        seen: set[str] = set()
        size = self._config.page_size
        offset = 0
        while True:
            path = f"/rest/v3/catalog/categories/{self._config.category}/products"
            answer = await self._calls.read(f"{path}?limit={size}&offset={offset}")
            total, products = wire.page(answer)
            for product in products:
                if product.vendor_product not in seen:
                    seen.add(product.vendor_product)
                    yield product
            offset += size
            if not products or offset >= total:
                return
            await asyncio.sleep(self._config.page_seconds)

    async def reverse(self, purchase: Purchase) -> VendorReply:
        """Asks for the order to be cancelled; `find` tells when it was. Operators only."""
        body = wire.order(purchase, self._config)
        return wire.reversed_(await self._calls.send("/rest/v3/orders/reverse", body))

    async def card_balance(self, number: Secret, pin: Secret | None) -> Money | None:
        """What is left on a card that was sold, for who looks into a complaint; None: Pine Labs
        does not know it, or knows it by another PIN. Raises Unavailable.
        """
        card = number.reveal()
        body = wire.held(card, pin.reveal() if pin else None)
        try:
            return wire.balance(await self._calls.send("/rest/v3/balance", body), card)
        except Ambiguous as error:
            raise Unavailable(str(error), retry_after=60) from None

    async def _cards(self, order_id: str, purchase: Purchase) -> VendorReply:
        found: list[Card] = []
        offset = 0
        while True:
            path = f"/rest/v3/order/{order_id}/cards/?limit={_PAGE}&offset={offset}"
            answer = await self._calls.read(path)
            page = wire.cards(answer, order_id)
            if not isinstance(page, wire.Cards):
                return page
            found += page.cards
            offset += _PAGE
            if not page.cards or offset >= page.total:
                break
        if not found:
            return Accepted(vendor_reference=order_id)
        return wire.bought(found, page.currency.code, purchase, order_id=order_id, answer=answer)


@asynccontextmanager
async def open_vendor(config: PineLabsConfig, toolbox: Toolbox) -> AsyncIterator[VendorFulfiller]:
    """Connects, and fetches a token, with the first call."""
    import httpx2  # noqa: PLC0415  # opened, not imported, is when it is needed

    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(config.timeout, connect=10.0, pool=5.0),
        headers={"User-Agent": "starship-pinelabs"},
        trust_env=False,
        verify=_certificates(),
    ) as client:
        yield PineLabs(config, Calls(client, config, toolbox))


@cache
def _certificates() -> ssl.SSLContext:
    """Whom we believe to be Pine Labs: read once, as it takes tens of milliseconds."""
    import httpx2  # noqa: PLC0415

    return httpx2.create_ssl_context(trust_env=False)
