"""Providers of rates that are wrong in one thing each, made from Bamboo's, which is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import starship_bamboo
from starship_bamboo.config import RatesConfig
from starship_bamboo.sandbox import Settings, World, sandbox_app

from starship_core import FxTable, Unavailable
from starship_core.testing.rates import FxCase

FAKE = "FAKE-FAKE-0001"
LEFT_OPEN = AsyncExitStack()
(GOOD,) = starship_bamboo.register_fx_providers()
CASE = FxCase(
    registration=GOOD,
    section={"client_id": "sandbox-client", "client_secret": FAKE},
    base="USD",
    rates={"AED": Decimal("3.6725"), "INR": Decimal("83.1")},
    other="AED",
    service=lambda: sandbox_app(World(Settings(client_secret=FAKE, limits=False))),
)


class Around:
    """Bamboo's rates; a bad one replaces the method."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def rates(self, base: str) -> FxTable:
        table: FxTable = await self.inner.rates(base)
        return table


def acting(cls: type[Around]) -> FxCase:
    """The case with a provider of this class."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Any) -> AsyncIterator[Any]:
        async with GOOD.open(config, toolbox) as inner:
            yield cls(inner)

    return replace(CASE, registration=replace(GOOD, open=opened))


def changing(other: Callable[[FxTable], dict[str, Any]]) -> FxCase:
    """A provider whose tables differ in these fields."""

    class Changed(Around):
        async def rates(self, base: str) -> FxTable:
            table = await super().rates(base)
            return msgspec.structs.replace(table, **other(table))

    return acting(Changed)


def rupees(value: Any) -> FxCase:
    return changing(
        lambda table: {"rates": table.rates | ({"INR": value} if table.base == "USD" else {})}
    )


def sorting(word: str, into: Callable[[Exception], Exception]) -> FxCase:
    """A provider that raises something else where the text has this word."""

    class Sorts(Around):
        async def rates(self, base: str) -> FxTable:
            try:
                return await super().rates(base)
            except Unavailable as error:
                if word not in str(error) or base == CASE.unknown:
                    raise
                other = into(error)
            raise other

    return acting(Sorts)


def upside_down(table: FxTable) -> dict[str, Any]:
    if table.base == "USD":
        return {}
    return {"rates": {code: 1 / rate for code, rate in table.rates.items()}}


class Knowing(Around):
    """Has a table of everything, if need be an empty one."""

    async def rates(self, base: str) -> FxTable:
        if base == CASE.unknown:
            table = await super().rates("USD")
            return msgspec.structs.replace(table, base=base, rates={})
        return await super().rates(base)


class Shared(Around):
    """Keeps a question on itself."""

    base = ""

    async def rates(self, base: str) -> FxTable:
        self.base = base
        await asyncio.sleep(0)
        return await super().rates(self.base)


class Keeping(Around):
    """Gives everybody the same object."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.kept: dict[str, FxTable] = {}

    async def rates(self, base: str) -> FxTable:
        if base not in self.kept:
            self.kept[base] = await super().rates(base)
        return self.kept[base]


class Patient(RatesConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    timeout: float = 10.0


def configured(config: Any) -> FxCase:
    return replace(CASE, registration=replace(GOOD, config=config))


def leaking() -> FxCase:
    """Never closes what it opened."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Any) -> AsyncIterator[Any]:
        yield await LEFT_OPEN.enter_async_context(GOOD.open(config, toolbox))

    return replace(CASE, registration=replace(GOOD, open=opened))


def broken(error: Exception) -> Exception:
    return RuntimeError(str(error))


BAD: dict[str, FxCase] = {
    "rates_are_those_that_are_there": rupees(Decimal("166.2")),
    "rates_are_positive_decimals": rupees(83.1),
    "quotients_are_short": rupees(Decimal("83.1" + 50 * "0")),
    "the_table_is_of_the_base": changing(
        lambda table: {"rates": table.rates | {table.base: Decimal(2)}}
    ),
    "there_and_back_is_the_same": changing(upside_down),
    "where_and_when_are_told": changing(lambda table: {"as_of": table.as_of.replace(tzinfo=None)}),
    "an_unknown_base_has_no_table": acting(Knowing),
    "two_at_once_do_not_mix": acting(Shared),
    "a_table_belongs_to_who_asked": acting(Keeping),
    "a_refused_connection_is_unavailable": sorting("ConnectError", broken),
    "no_answer_is_unavailable": sorting("ReadTimeout", broken),
    "an_error_is_unavailable": sorting("RemoteProtocolError", broken),
    "an_unreadable_200_is_unavailable": sorting("not in the shape", broken),
    "errors_tell_no_secret": sorting("ReadTimeout", lambda error: Unavailable(f"{error} {FAKE}")),
    "it_gives_up_before_the_core_does": configured(Patient),
    "closing_leaves_nothing_open": leaking(),
}
"""The check's name → the provider that only this check fails."""
