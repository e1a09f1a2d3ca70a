"""Exchange rates in process: refreshed in the background, refused when they are too old.

The last good table of each base currency is kept in SQL (`fx_tables`), so that a restart while the
provider is away can still price.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from starship_core.clock import Clock, micros, moment
from starship_core.database import Database
from starship_core.errors import InvalidInput, NotFound, StarshipError, Unavailable
from starship_core.model import FxTable
from starship_core.ports import FxProvider, Transaction
from starship_core.pricing import Conversion

__all__ = ["Conversion", "Rates"]

REFRESH: Final = timedelta(seconds=60)
RECENT: Final = 2 * REFRESH + timedelta(seconds=30)
"""Rates that a worker fetched this lately are as good as asking for them."""
PROVIDER_SECONDS: Final = 5.0
"""The deadline of one question to the provider."""
AGAIN_AFTER: Final = 5.0
"""Seconds until the provider is asked again after it failed or did not know a currency."""
AHEAD: Final = timedelta(hours=1)
"""A table dated further ahead than this is refused: it would look fresh for ever."""
_LONGEST_RATE: Final = 40
"""Digits. Longer ones are a broken division in the provider, and the cascade is exact."""

_log = structlog.get_logger()

_LATEST: Final = """
SELECT id, rates, source, as_of, fetched_at FROM fx_tables
WHERE base = $1 ORDER BY as_of DESC, id DESC LIMIT 1
"""
_INSERT: Final = """
INSERT INTO fx_tables (base, rates, source, as_of, fetched_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (base, source, as_of) DO UPDATE
SET rates = excluded.rates, fetched_at = excluded.fetched_at
"""
_CONFIRM: Final = "UPDATE fx_tables SET as_of = $1, fetched_at = $2 WHERE id = $3"


class _Held(Struct):
    """What is known of one base currency, and when the provider is due to be asked again."""

    table: FxTable | None = None
    known: bool = True
    """False: the provider says that it has no such currency."""
    due: float = 0.0
    asking: asyncio.Task[None] | None = None
    looked: bool = False
    """Whether SQL was asked for what a worker fetched."""
    answered: bool = False
    """Whether the provider gave a table when it was last asked."""


class Rates:
    """Rates for pricing. In the common case `rate` waits for nothing."""

    def __init__(  # noqa: PLR0913  # what it is made of, and how old rates may be
        self,
        provider: FxProvider,
        database: Database,
        now: Clock,
        *,
        max_age: timedelta,
        refresh: timedelta = REFRESH,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._database = database
        self._now = now
        self._max_age = max_age
        self._refresh = refresh.total_seconds()
        self._monotonic = monotonic
        self._held: dict[str, _Held] = {}

    async def rate(self, source: str, target: str) -> Conversion:
        """What one unit of `source` buys in `target`; the same currency is 1, without any table.

        Raises InvalidInput for a currency that the provider does not know, Unavailable when there
        is no table or only one older than `max_age`.
        """
        if source == target:
            return Conversion(rate=Decimal(1), source="same currency", as_of=self._now())
        held = await self._fresh(source)
        table = self._priceable(source, held)
        rate = table.rates.get(target)
        if rate is None:
            raise InvalidInput(f"there is no exchange rate from {source} to {target}")
        return Conversion(rate=rate, source=table.source, as_of=table.as_of)

    async def table(self, base: str) -> FxTable:
        """All rates of one base currency, under the same rules as `rate`."""
        return self._priceable(base, await self._fresh(base))

    async def newest(self, base: str) -> FxTable:
        """All rates of one base currency, however old: to look at, never to price with."""
        return self._known(base, await self._fresh(base))

    async def refresh(self, base: str) -> bool:
        """Ask the provider now, before anybody needs it; whether it gave a table. Never raises."""
        held = self._held.setdefault(base, _Held())
        if held.asking is None:
            held.asking = asyncio.create_task(self._ask(base, held))
        await asyncio.wait({held.asking})
        return held.answered

    async def _fresh(self, base: str) -> _Held:
        held = self._held.setdefault(base, _Held())
        if not held.looked:
            held.looked = True
            await self._remember(base, held, since=self._now() - RECENT)
        if held.asking is None and self._monotonic() >= held.due:
            held.asking = asyncio.create_task(self._ask(base, held))
        if held.asking is not None and (held.table is None or self._stale(held.table)):
            await asyncio.wait({held.asking})
        return held

    def _stale(self, table: FxTable) -> bool:
        return self._now() - table.as_of > self._max_age

    def _priceable(self, base: str, held: _Held) -> FxTable:
        table = self._known(base, held)
        if self._stale(table):
            raise Unavailable(
                f"the exchange rates for {base} are of {table.as_of:%Y-%m-%d %H:%M} UTC, "
                f"too old to price with",
                retry_after=60,
            )
        return table

    @staticmethod
    def _known(base: str, held: _Held) -> FxTable:
        if not held.known:
            raise InvalidInput(f"there are no exchange rates for {base}")
        if held.table is None:
            raise Unavailable(f"there are no exchange rates for {base} at present", retry_after=5)
        return held.table

    async def _ask(self, base: str, held: _Held) -> None:
        """One question to the provider; a failure changes nothing but when to ask again."""
        pause = AGAIN_AFTER
        held.answered = False
        try:
            async with asyncio.timeout(PROVIDER_SECONDS):
                table = checked(await self._provider.rates(base), base, self._now())
            held.table, held.known, held.answered = table, True, True
            pause = self._refresh
            await self._database.run(keep, table, self._now())
        except (InvalidInput, NotFound):
            held.known = held.table is not None
        except Exception as error:  # noqa: BLE001  # whatever escapes a plugin or the database
            _log.warning("fx.refresh_failed", base=base, error=type(error).__name__)
            if held.table is None:
                await self._remember(base, held, since=None)
        finally:
            held.due = self._monotonic() + pause
            held.asking = None

    async def _remember(self, base: str, held: _Held, *, since: datetime | None) -> None:
        """The table that another process was given: a moment ago by a worker, so that nobody waits
        for the provider; or whenever it was, when the provider gives none.
        """
        try:
            kept = await self._database.read(last_kept, base, since)
        except StarshipError as error:
            _log.warning("fx.table_unreadable", base=base, error=type(error).__name__)
        else:
            if kept is not None and held.table is None:
                held.table = kept


def checked(table: FxTable, base: str, now: datetime) -> FxTable:
    """What a provider gave, held against what was asked. Raises ValueError."""
    if table.base != base:
        raise ValueError(f"asked for rates of {base}, got {table.base}")
    if table.as_of.tzinfo is None or table.as_of - now > AHEAD:
        raise ValueError("the table's time is naive or in the future")
    for currency, rate in table.rates.items():
        if not (isinstance(rate, Decimal) and rate.is_finite() and rate > 0):
            raise ValueError(f"the rate of {currency} is no positive decimal")
        if len(rate.as_tuple().digits) > _LONGEST_RATE or abs(rate.adjusted()) > _LONGEST_RATE:
            raise ValueError(f"the rate of {currency} has too many digits")
    return table


def keep(tx: Transaction, table: FxTable, fetched_at: datetime) -> None:
    """Store a table. Rates that did not change move the newest row's time instead of adding one."""
    rates = _encode(table.rates)
    latest = tx.execute(_LATEST, table.base)
    if latest and tuple(latest[0][1:3]) == (rates, table.source):
        if micros(table.as_of) >= latest[0][3]:
            tx.execute(_CONFIRM, micros(table.as_of), micros(fetched_at), latest[0][0])
        return
    tx.execute(_INSERT, table.base, rates, table.source, micros(table.as_of), micros(fetched_at))


def last_kept(tx: Transaction, base: str, since: datetime | None = None) -> FxTable | None:
    """The newest stored table of a base currency, if it was fetched `since` then."""
    rows = tx.execute(_LATEST, base)
    if not rows:
        return None
    _, rates, source, as_of, fetched_at = rows[0]
    if since is not None and fetched_at < micros(since):
        return None
    return FxTable(base=base, rates=_decode(rates), source=source, as_of=moment(as_of))


def _encode(rates: dict[str, Decimal]) -> str:
    plain = {currency: format(rates[currency], "f") for currency in sorted(rates)}
    return msgspec.json.encode(plain).decode()


_decode = msgspec.json.Decoder(dict[str, Decimal]).decode
