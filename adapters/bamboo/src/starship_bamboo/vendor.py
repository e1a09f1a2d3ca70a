"""How Bamboo is reached: every call goes out once, and what comes back is sorted in `wire`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Final

from starship_bamboo import reads, wire
from starship_bamboo.answers import Answer
from starship_bamboo.config import BambooConfig, RatesConfig
from starship_bamboo.reads import Booking, OrderLine
from starship_core import (
    Ambiguous,
    FxProvider,
    FxTable,
    Money,
    Purchase,
    Refused,
    Toolbox,
    Unavailable,
    VendorFulfiller,
    VendorProduct,
    VendorReply,
)

if TYPE_CHECKING:
    import httpx2

MOST_CARDS: Final = 500
"""In one order (`CardsLimitExceeded`)."""
SLOWEST: Final = 180.0
"""Seconds after which a checkout has ended one way or another: a little over `timeout`."""

_CHECKOUT: Final = "/api/integration/v1.0/orders/checkout"
_ORDER: Final = "/api/integration/v1.0/orders/"
_ORDERS: Final = "/api/integration/v1.0/orders"
_TRANSACTIONS: Final = "/api/integration/v1.0/transactions"
_ACCOUNTS: Final = "/api/integration/v1.0/accounts"
_CATALOGUE: Final = "/api/integration/v2.0/catalog"
_RATES: Final = "/api/integration/v1.0/exchange-rates"


class Calls:
    """HTTP with Bamboo. Nothing is sent a second time, whatever came of it."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def read(self, path: str, **query: str | int) -> Answer:
        """A question that changes nothing. Raises Unavailable when no answer came."""
        import httpx2  # noqa: PLC0415  # loaded by `_calls`

        try:
            response = await self._client.get(path, params=query)
        except httpx2.HTTPError as error:
            told = f"bamboo gave no answer ({type(error).__name__})"
            raise Unavailable(told, retry_after=5) from None  # its request holds the password
        return Answer(response.status_code, response.content)

    async def send(self, path: str, body: bytes) -> Answer:
        """Raises Unavailable when no byte was sent, Ambiguous when no answer came."""
        import httpx2  # noqa: PLC0415

        headers = {"Content-Type": "application/json"}
        try:
            response = await self._client.post(path, content=body, headers=headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            told = f"bamboo cannot be reached ({type(error).__name__})"
            raise Unavailable(told, retry_after=5) from None
        except httpx2.HTTPError as error:
            raise Ambiguous(f"bamboo gave no answer ({type(error).__name__})") from None
        return Answer(response.status_code, response.content)


class Bamboo:
    """A `VendorFulfiller` that also tells its balance and reads callbacks."""

    def __init__(self, config: BambooConfig, calls: Calls) -> None:
        self._config = config
        self._calls = calls

    async def buy(self, purchase: Purchase) -> VendorReply:
        """One checkout. Its codes come later, so a success is `Accepted`."""
        if problem := wire.unsendable(purchase, most=MOST_CARDS):
            return Refused(reason=problem)
        body = wire.checkout(purchase, self._config.account_id)
        return wire.checked_out(await self._calls.send(_CHECKOUT, body), purchase)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        """The order under our reference, as it is now: never from a cache."""
        answer = await self._calls.read(_ORDER + purchase.reference)
        return wire.found(answer, purchase)

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        """Page by page, a pause between two; a product that slips onto the next page comes once."""
        seen: set[str] = set()
        size = self._config.page_size
        index = 0
        while True:
            page = reads.page(await self._calls.read(_CATALOGUE, PageSize=size, PageIndex=index))
            for product in reads.products(page.items):
                if product.vendor_product not in seen:
                    seen.add(product.vendor_product)
                    yield product
            index += 1
            if not page.items or index * size >= page.count:
                return
            await asyncio.sleep(self._config.page_seconds)

    async def balance(self) -> Sequence[Money]:
        """Of the account that pays; the others of these credentials buy nothing for us."""
        return [reads.balance(await self._calls.read(_ACCOUNTS), self._config.account_id)]

    def reference(self, headers: Mapping[str, str], body: bytes) -> str | None:  # noqa: ARG002  # the port's signature
        """A callback is believed when it knows our secret, and even then it is only a hint."""
        return reads.reference(body, self._config.callback_secret)

    async def order_lines(self, since: date, until: date) -> tuple[OrderLine, ...]:
        """Bamboo's list of our orders, to reconcile with."""
        return reads.order_lines(await self._calls.read(_ORDERS, **_days(since, until)))

    async def transactions(self, since: date, until: date) -> tuple[Booking, ...]:
        """Bamboo's statement of our account, to reconcile with. Four calls an hour are allowed."""
        return reads.bookings(await self._calls.read(_TRANSACTIONS, **_days(since, until)))


class BambooRates:
    """The rates that Bamboo publishes; what it charges with are its own."""

    def __init__(self, calls: Calls, now: Callable[[], datetime]) -> None:
        self._calls = calls
        self._now = now

    async def rates(self, base: str) -> FxTable:
        """Raises Unavailable, also for an answer that says nothing: no money hangs on it."""
        answer = await self._calls.read(_RATES, baseCurrency=base)
        try:
            return reads.rates(answer, base, self._now())
        except Ambiguous as error:
            raise Unavailable(str(error), retry_after=300) from None


@asynccontextmanager
async def open_vendor(config: BambooConfig, _toolbox: Toolbox) -> AsyncIterator[VendorFulfiller]:
    """Connects with the first call."""
    async with _calls(config) as calls:
        yield Bamboo(config, calls)


@asynccontextmanager
async def open_rates(config: RatesConfig, toolbox: Toolbox) -> AsyncIterator[FxProvider]:
    """Connects with the first call."""
    async with _calls(config) as calls:
        yield BambooRates(calls, toolbox.now)


@asynccontextmanager
async def _calls(config: BambooConfig | RatesConfig) -> AsyncIterator[Calls]:
    import httpx2  # noqa: PLC0415  # opened, not imported, is when it is needed

    async with httpx2.AsyncClient(
        base_url=config.base_url.rstrip("/"),
        auth=(config.client_id, config.client_secret.reveal()),
        timeout=httpx2.Timeout(config.timeout, connect=10.0, pool=5.0),
        headers={"Accept": "application/json", "User-Agent": "starship-bamboo"},
        trust_env=False,  # a proxy's headers are answered with 400
        verify=_certificates(),
    ) as client:
        yield Calls(client)


@cache
def _certificates() -> ssl.SSLContext:
    """Whom we believe to be Bamboo: read once, as it takes tens of milliseconds."""
    import httpx2  # noqa: PLC0415

    return httpx2.create_ssl_context(trust_env=False)


def _days(since: date, until: date) -> dict[str, str]:
    return {"startDate": since.isoformat(), "endDate": until.isoformat()}
