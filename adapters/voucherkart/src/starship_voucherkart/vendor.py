"""How VoucherKart is reached: calls under a token, each order sent once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from starship_core import (
    Ambiguous,
    ConfigError,
    Money,
    Purchase,
    Refused,
    Toolbox,
    Unavailable,
    VendorFulfiller,
    VendorProduct,
    VendorReply,
)
from starship_voucherkart import wire
from starship_voucherkart.answers import Answer, stale
from starship_voucherkart.config import VoucherKartConfig
from starship_voucherkart.dialect import Call, Dialect
from starship_voucherkart.seal import Seal

if TYPE_CHECKING:
    import httpx2

MOST_UNITS: Final = 10
"""In one order."""
SLOWEST: Final = 120.0
"""Seconds after which an order has ended one way or another, a token's renewal included."""


class Calls:
    """HTTP under a token. A stale one is renewed once, and what it refused is sent once more."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        config: VoucherKartConfig,
        *,
        dialect: Dialect,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._config = config
        self._dialect = dialect
        self._now = now
        self._token: str | None = None
        self._until = now()
        self._renewing = asyncio.Lock()

    async def read(self, call: Call, fields: Mapping[str, str]) -> Answer:
        """A question that changes nothing. Raises Unavailable when no answer came."""
        try:
            return await self.send(call, fields)
        except Ambiguous as error:
            raise Unavailable(str(error), retry_after=5) from None

    async def send(self, call: Call, fields: Mapping[str, str]) -> Answer:
        """Raises Unavailable when nothing was sent, Ambiguous when no answer came."""
        body = self._dialect.body(call, fields)
        token = await self._fresh(None)
        answer = await self._posted(call, body, token)
        if not stale(answer, self._dialect):
            return answer
        return await self._posted(call, body, await self._fresh(token))

    async def _posted(self, call: Call, body: bytes, token: str) -> Answer:
        headers = {"Content-Type": "application/json", self._dialect.name("token"): token}
        return await self._request("POST", call, headers, body)

    async def _fresh(self, refused: str | None) -> str:
        """The token, a new one if it is still the refused one. Raises Unavailable."""
        async with self._renewing:
            if self._token in (None, refused) or self._now() >= self._until:
                self._token = None
                self._token = await self._renewed()
                self._until = self._now() + timedelta(minutes=self._config.login_minutes)
            return self._token or ""

    async def _renewed(self) -> str:
        headers = {
            self._dialect.name("username"): self._config.username,
            self._dialect.name("password"): self._config.password.reveal(),
        }
        try:
            return wire.token(await self._request("GET", "token", headers, None), self._dialect)
        except Ambiguous as error:  # no order was sent yet
            raise Unavailable(f"no token: {error}", retry_after=60) from None

    async def _request(
        self, method: str, call: Call, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        import httpx2  # noqa: PLC0415  # loaded by `open_vendor`

        url = f"{self._config.base_url.rstrip('/')}/{self._dialect.path(call)}"
        try:
            response = await self._client.request(method, url, content=body, headers=headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            told = f"voucherkart cannot be reached ({type(error).__name__})"
            raise Unavailable(told, retry_after=5) from None
        except httpx2.HTTPError as error:
            raise Ambiguous(f"voucherkart gave no answer ({type(error).__name__})") from None
        return Answer(response.status_code, response.content)


class VoucherKart:
    """A `VendorFulfiller` that also tells its balance and what is in stock."""

    def __init__(self, calls: Calls, dialect: Dialect) -> None:
        self._calls = calls
        self._dialect = dialect

    async def buy(self, purchase: Purchase) -> VendorReply:
        """One order. Its vouchers come in the same answer."""
        if problem := wire.unsendable(purchase, most=MOST_UNITS):
            return Refused(reason=problem)
        answer = await self._calls.send("pull", wire.pull(purchase))
        return wire.pulled(answer, purchase, self._dialect)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        """The order under our reference, as it is now."""
        answer = await self._calls.read("status", wire.status(purchase))
        return wire.looked_up(answer, purchase, self._dialect)

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        """All brands, in one answer; a brand that is listed twice comes once."""
        seen: set[str] = set()
        answer = await self._calls.read("brands", wire.brands())
        for product in wire.products(answer, self._dialect):
            if product.vendor_product not in seen:
                seen.add(product.vendor_product)
                yield product

    async def balance(self) -> Sequence[Money]:
        """Of our wallet."""
        return [wire.balance(await self._calls.read("balance", {}), self._dialect)]

    async def stock(self, vendor_product: str, face: Money) -> int:
        """How many there are at this moment; a pull may find fewer."""
        answer = await self._calls.read("stock", wire.stock(vendor_product, face))
        return wire.in_stock(answer, self._dialect)


@asynccontextmanager
async def open_vendor(
    config: VoucherKartConfig, toolbox: Toolbox
) -> AsyncIterator[VendorFulfiller]:
    """Connects, and fetches a token, with the first call. Raises ConfigError for a key or a
    credential that cannot be used.
    """
    import httpx2  # noqa: PLC0415  # opened, not imported, is when it is needed

    dialect = _dialect(config)
    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(config.timeout, connect=10.0, pool=5.0),
        headers={"Accept": "application/json", "User-Agent": "starship-voucherkart"},
        trust_env=False,
        verify=_certificates(),
    ) as client:
        yield VoucherKart(Calls(client, config, dialect=dialect, now=toolbox.now), dialect)


def _dialect(config: VoucherKartConfig) -> Dialect:
    for name, value in (("username", config.username), ("password", config.password.reveal())):
        if not (value.isascii() and value.isprintable() and value.strip() == value != ""):
            raise ConfigError(f"{name}: must be fit for a header: printable ASCII")
    try:
        seal = Seal(config.aes_key.reveal(), config.aes_iv.reveal())
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Dialect(
        seal=seal,
        paths=config.paths,
        names=config.names,
        plain_requests=config.plain_requests,
        plain_answers=config.plain_answers,
        refusals=config.refusals,
    )


@cache
def _certificates() -> ssl.SSLContext:
    """Whom we believe to be VoucherKart: read once, as it takes tens of milliseconds."""
    import httpx2  # noqa: PLC0415

    return httpx2.create_ssl_context(trust_env=False)
