"""The rates of the ECB's daily file, fetched at most every few minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import httpx2

from starship_core import FxTable, NotFound, Unavailable
from starship_fx_ecb.daily import Daily, read

PRECISION: Final = 28
"""Significant digits of a rate that had to be divided; the last one is rounded half to even."""
LARGEST: Final = 64 * 1024
"""Bytes. The file has about 2,000."""
AGAIN_AFTER: Final = timedelta(seconds=5)
"""A failure is told again for as long before the file is asked for anew."""

_ONE: Final = Decimal(1)
_context: Final = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)


class EcbRates:
    """The newest file, seen from any currency in it.

    Several questions at once are one download, and so are those that come until `every` is over.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Daily]],
        *,
        every: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._fetch = fetch
        self._every = every
        self._now = now
        self._one_at_a_time = asyncio.Lock()
        self._held: Daily | Unavailable = Unavailable()
        self._until: datetime | None = None

    async def rates(self, base: str) -> FxTable:
        """One unit of `base` in every currency of the file.

        Raises NotFound for a base that is not in it, Unavailable when it cannot be had.
        """
        daily = await self._daily()
        euro = {"EUR": _ONE} | daily.rates
        own = euro.get(base)
        if own is None:
            raise NotFound("exchange rate of the ECB for", base)
        return FxTable(
            base=base,
            rates={
                code: rate if own == _ONE else _context.divide(rate, own)
                for code, rate in euro.items()
            },
            source="ecb",
            as_of=daily.published,
        )

    async def _daily(self) -> Daily:
        async with self._one_at_a_time:
            now = self._now()
            if self._until is None or now >= self._until:
                await self._renew(now)
            if isinstance(self._held, Unavailable):
                raise Unavailable(str(self._held), retry_after=self._held.retry_after)
            return self._held

    async def _renew(self, now: datetime) -> None:
        try:
            self._held = await self._fetch()
            self._until = now + self._every
        except Unavailable as error:
            self._held = error
            self._until = now + AGAIN_AFTER


async def fetch(client: httpx2.AsyncClient, url: str, seconds: float) -> Daily:
    """The file as it is now. Raises Unavailable, which says what came instead."""
    try:
        async with asyncio.timeout(seconds):
            content = await _download(client, url)
    except (httpx2.HTTPError, TimeoutError) as error:
        raise _unavailable(f"gave no answer ({type(error).__name__})") from None
    try:
        return read(content)
    except ValueError as error:
        raise _unavailable(f"cannot be used: {error}") from None


async def _download(client: httpx2.AsyncClient, url: str) -> bytes:
    content = bytearray()
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise _unavailable(f"was answered with HTTP {response.status_code}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _unavailable("came compressed, which was not asked for")
        async for piece in response.aiter_raw():
            content += piece
            if len(content) > LARGEST:
                raise _unavailable(f"is larger than {LARGEST} bytes")
    return bytes(content)


def _unavailable(what: str) -> Unavailable:
    return Unavailable(f"the ECB's daily file {what}", retry_after=AGAIN_AFTER.total_seconds())
