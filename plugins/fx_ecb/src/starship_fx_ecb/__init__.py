"""fx-ecb: the European Central Bank's reference rates, crossed through the euro."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from starship_core import FxProvider, FxRegistration, Toolbox, hookimpl

DAILY: Final = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"

_HERE: Final = ("127.0.0.1", "::1", "localhost")


class EcbConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[fx] use = "fx-ecb"`: there is nothing that must be set."""

    url: str = DAILY
    """Of the daily file or a copy of it; `http://` only on this machine."""
    every_minutes: Annotated[int, Meta(ge=1, le=1440)] = 10
    """The file is fetched at most this often, however many currencies are asked for."""
    timeout: Annotated[float, Meta(gt=0, le=4.5)] = 4.0
    """Seconds for a whole download; the core waits for 5."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError(f"url: {self.url!r} is no https:// address")
        if parts.scheme == "http" and parts.hostname not in _HERE:
            raise ValueError("url: rates are money; without https:// anyone on the way sets them")


@asynccontextmanager
async def open_ecb(config: EcbConfig, toolbox: Toolbox) -> AsyncIterator[FxProvider]:
    """Connects with the first question."""
    import httpx2  # noqa: PLC0415  # only who opens it pays for it

    from starship_fx_ecb.provider import EcbRates, fetch  # noqa: PLC0415

    headers = {
        "Accept": "application/xml, text/xml",
        "Accept-Encoding": "identity",
        "User-Agent": "starship-fx-ecb",
    }
    async with httpx2.AsyncClient(headers=headers, timeout=None) as client:  # the whole has one
        yield EcbRates(
            partial(fetch, client, config.url, config.timeout),
            every=timedelta(minutes=config.every_minutes),
            now=toolbox.now,
        )


@hookimpl
def register_fx_providers() -> Iterable[FxRegistration[Any]]:
    return [FxRegistration(name="fx-ecb", api=1, config=EcbConfig, open=open_ecb)]
