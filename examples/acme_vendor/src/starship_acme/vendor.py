"""How Acme is reached: every call goes out once, and `wire` says what came back."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from starship_core import (
    Ambiguous,
    Purchase,
    Refused,
    Toolbox,
    Unavailable,
    VendorFulfiller,
    VendorProduct,
    VendorReply,
)

from starship_acme import wire
from starship_acme.config import AcmeConfig
from starship_acme.wire import Answer

if TYPE_CHECKING:
    import httpx2

MOST_UNITS: Final = 20
"""In one order."""
SLOWEST: Final = 75.0
"""Seconds after which an order has ended one way or another: more than `timeout` can be."""


class AcmeVendor:
    """A `VendorFulfiller`. It keeps nothing: whatever a call needs is in the purchase."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def buy(self, purchase: Purchase) -> VendorReply:
        """One order. The same reference again is answered with the same order."""
        if purchase.quantity > MOST_UNITS:
            return Refused(reason=f"acme sells at most {MOST_UNITS} units an order")
        return wire.ordered(await self._send("/v1/orders", wire.order(purchase)), purchase)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        """The order under our reference, as it is now."""
        return wire.found(await self._read(f"/v1/orders/{purchase.reference}"), purchase)

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        """Page by page."""
        number, pages = 1, 1
        while number <= pages:
            page = wire.page(await self._read("/v1/products", page=number))
            for product in page.products:
                yield wire.listed(product)
            number, pages = number + 1, page.pages

    async def _read(self, path: str, **query: str | int) -> Answer:
        """A question that changes nothing. Raises Unavailable when no answer came."""
        import httpx2

        try:
            response = await self._client.get(path, params=query)
        except httpx2.HTTPError as error:
            told = f"acme gave no answer ({type(error).__name__})"
            raise Unavailable(told, retry_after=5) from None  # its request holds credentials
        return Answer(response.status_code, response.content)

    async def _send(self, path: str, body: bytes) -> Answer:
        """Raises Unavailable when no byte was sent, Ambiguous when no answer came."""
        import httpx2

        headers = {"Content-Type": "application/json"}
        try:
            response = await self._client.post(path, content=body, headers=headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            told = f"acme cannot be reached ({type(error).__name__})"
            raise Unavailable(told, retry_after=5) from None
        except httpx2.HTTPError as error:
            told = f"acme gave no answer ({type(error).__name__})"
            raise Ambiguous(told) from None
        return Answer(response.status_code, response.content)


@asynccontextmanager
async def open_vendor(config: AcmeConfig, _toolbox: Toolbox) -> AsyncIterator[VendorFulfiller]:
    """Connects with the first call."""
    import httpx2  # a plugin that is only listed loads no HTTP client

    async with httpx2.AsyncClient(
        base_url=config.base_url.rstrip("/"),
        timeout=httpx2.Timeout(config.timeout, connect=10.0, pool=5.0),
        headers={"Authorization": f"Bearer {config.api_key.reveal()}"},
        trust_env=False,
        verify=_certificates(),
    ) as client:
        yield AcmeVendor(client)


@cache
def _certificates() -> ssl.SSLContext:
    """Whom we believe to be Acme: read once, as it takes tens of milliseconds."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)
