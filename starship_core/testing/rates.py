"""The kit of exchange rates: what we promise about providers."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final

import pytest

from starship_core import (
    FxProvider,
    FxRegistration,
    FxTable,
    InvalidInput,
    NotFound,
    Unavailable,
)
from starship_core.fx import PROVIDER_SECONDS
from starship_core.testing.hearing import heard
from starship_core.testing.kit import Conformance
from starship_core.testing.network import without_network
from starship_core.testing.player import (
    CUT,
    GARBAGE,
    PLANTED,
    SERVER_ERRORS,
    SILENCE,
    STRANGE,
    TOO_MANY,
    Fault,
    going_wrong,
)
from starship_core.testing.plug_case import PlugCase, PlugStage, called, raised
from starship_core.testing.plug_facts import PlugChecks
from starship_core.testing.serving import served

__all__ = ["FxCase", "FxConformance"]

MOST_DIGITS: Final = 40
"""Of a rate: longer ones are a broken division, and every price is computed exactly."""
_CODE: Final = re.compile(r"[A-Z]{3}")
_ERRORS: Final = (*CUT, *SERVER_ERRORS, *STRANGE, TOO_MANY)
each = pytest.mark.parametrize


@dataclass(frozen=True, kw_only=True)
class FxCase(PlugCase):
    """A provider, and what it must say."""

    registers: ClassVar = FxRegistration
    port: ClassVar = FxProvider

    registration: FxRegistration[Any]
    base: str
    """A currency that it knows, …"""
    rates: Mapping[str, Decimal]
    """… what one unit of it buys, of some currencies, …"""
    other: str
    """… and another currency that it knows."""
    unknown: str = "XXX"
    """One that it does not know."""
    service: Callable[[], Any] | None = None
    """Whom it asks, as an ASGI application; None: nobody."""
    url: str = "base_url"
    """The field of the section that holds the address."""
    timeout: str = "timeout"
    """The field that holds the seconds without an answer."""


FxStage = PlugStage[FxCase]


class RateChecks(Conformance):
    """Prices are made of these numbers."""

    pytestmark = pytest.mark.asyncio

    async def test_rates_are_those_that_are_there(self, stage: FxStage) -> None:
        """What one unit of the base buys, exactly.

        If this fails: make a `Decimal` of the answer's text; look which way round the rate is.
        """
        table = await _told(stage, stage.case.base)
        assert {code: _exact(table.rates[code]) for code in stage.case.rates} == stage.case.rates

    async def test_rates_are_positive_decimals(self, stage: FxStage) -> None:
        """Never a float, which loses cents; never zero, infinite or NaN; currencies as ISO writes.

        If this fails: parse with `Decimal`, and leave out what is no rate.
        """
        table = await _told(stage, stage.case.base)
        wrong = [
            code
            for code, rate in table.rates.items()
            if type(rate) is not Decimal or not rate.is_finite() or rate <= 0
        ]
        assert wrong == []
        assert [code for code in table.rates if not _CODE.fullmatch(code)] == []

    async def test_quotients_are_short(self, stage: FxStage) -> None:
        """A rate that had to be divided is rounded, once: the core refuses more than 40 digits.

        If this fails: divide in a `decimal.Context(prec=28)`.
        """
        for base in (stage.case.base, stage.case.other):
            table = await _told(stage, base)
            sizes = [len(_exact(rate).as_tuple().digits) for rate in table.rates.values()]
            assert max(sizes) <= MOST_DIGITS

    async def test_the_table_is_of_the_base(self, stage: FxStage) -> None:
        """Of each currency that was asked for; where the base is among the rates, it is 1.

        If this fails: cross the rates through the base that was asked for.
        """
        for base in (stage.case.base, stage.case.other):
            table = await _told(stage, base)
            assert table.base == base
            assert _exact(table.rates.get(base, 1)) == 1

    async def test_there_and_back_is_the_same(self, stage: FxStage) -> None:
        """The rates of two currencies to each other are each other's inverse, but for a spread.

        If this fails: one of the two is the wrong way round.
        """
        base, other = stage.case.base, stage.case.other
        there, back = await _told(stage, base), await _told(stage, other)
        round_trip = _exact(there.rates[other]) * _exact(back.rates[base])
        assert Decimal("0.9") < round_trip < Decimal("1.1")

    async def test_where_and_when_are_told(self, stage: FxStage) -> None:
        """A source, and an aware time that is not ahead of the clock.

        If this fails: `as_of` is when the rates were true, or `toolbox.now()`.
        """
        table = await _told(stage, stage.case.base)
        assert table.source.strip()
        assert table.as_of.utcoffset() is not None, "a naive time"
        assert table.as_of <= stage.clock()

    async def test_an_unknown_base_has_no_table(self, stage: FxStage) -> None:
        """NotFound or InvalidInput: there is no such currency; Unavailable: not at present.

        If this fails: do not answer with the rates of another base, nor with none.
        """
        async with _open(stage) as provider:
            error = await raised(provider.rates(stage.case.unknown))
        assert isinstance(error, NotFound | InvalidInput | Unavailable)

    async def test_two_at_once_do_not_mix(self, stage: FxStage) -> None:
        """Each asker gets the table of his base.

        If this fails: keep nothing of a question on the provider, or keep it by base.
        """
        asked = 4 * [stage.case.base, stage.case.other]
        async with _open(stage) as provider:
            tables = await asyncio.gather(*(called(provider.rates(base)) for base in asked))
        assert [table.base for table in tables] == asked

    async def test_a_table_belongs_to_who_asked(self, stage: FxStage) -> None:
        """Whoever writes into one changes no other.

        If this fails: make a new dictionary for each answer.
        """
        base = stage.case.base
        async with _open(stage) as provider:
            first = await called(provider.rates(base))
            kept = dict(first.rates)
            first.rates.clear()
            assert (await called(provider.rates(base))).rates == kept


class RateFaultChecks(Conformance):
    """Of a provider that asks somebody: whatever comes, the core goes on with what it has."""

    pytestmark = pytest.mark.asyncio

    async def test_a_refused_connection_is_unavailable(self, stage: FxStage) -> None:
        """And the time to wait is told.

        If this fails: map the HTTP client's errors to `Unavailable`.
        """
        async with going_wrong(SILENCE) as gone:
            pass
        if stage.case.service is not None:
            error = await _asked(stage, gone.url)
            assert isinstance(error, Unavailable)
            assert error.retry_after > 0

    async def test_no_answer_is_unavailable(self, stage: FxStage) -> None:
        """After the section's time-out.

        If this fails: give the HTTP client a time-out, and map its error.
        """
        assert isinstance(await _wrong(stage, SILENCE), Unavailable)

    @each("fault", _ERRORS, ids=lambda fault: fault.name)
    async def test_an_error_is_unavailable(self, stage: FxStage, fault: Fault) -> None:
        """Whatever the status, and whatever is cut.

        If this fails: only 200 holds rates; all else is `Unavailable`, and so are cut connections.
        """
        assert isinstance(await _wrong(stage, fault), Unavailable)

    @each("fault", GARBAGE, ids=lambda fault: fault.name)
    async def test_an_unreadable_200_is_unavailable(self, stage: FxStage, fault: Fault) -> None:
        """No table is made of it, not even an empty one.

        If this fails: decode into a Struct, and raise `Unavailable` where that fails.
        """
        assert isinstance(await _wrong(stage, fault), Unavailable)

    @each("fault", (SILENCE, *_ERRORS, *GARBAGE), ids=lambda fault: fault.name)
    async def test_errors_tell_no_secret(self, stage: FxStage, fault: Fault) -> None:
        """Not what was answered, not a credential: not in the text, not in what is logged.

        If this fails: write the message yourself, and `raise … from None`.
        """
        with heard() as log:
            error = await _wrong(stage, fault)
        told = "".join(traceback.format_exception(error)) + str(log) + str(stage.logged)
        hidden = [PLANTED, *stage.case.secrets().values()]
        assert [secret for secret in hidden if secret in told] == []

    async def test_it_gives_up_before_the_core_does(self, stage: FxStage) -> None:
        """Its time-out ends within 5 seconds, so that the end of a question is told.

        If this fails: lower the section's default, and bound it.
        """
        if stage.case.service is not None:
            assert 0 < getattr(stage.case.config(), stage.case.timeout) < PROVIDER_SECONDS

    async def test_closing_leaves_nothing_open(self, stage: FxStage) -> None:
        """Connections are closed with the provider.

        If this fails: `async with` the HTTP client around the `yield` of `open`.
        """
        if stage.case.service is None:
            return
        async with going_wrong(SERVER_ERRORS[0]) as server:
            await _asked(stage, server.url)
            for _ in range(100):
                if not server.open:
                    break
                await asyncio.sleep(0.01)
            assert server.hit == 1
            assert server.open == 0


class FxConformance(PlugChecks, RateChecks, RateFaultChecks):
    """Inherit it with an empty body. Needs the fixture `case`."""


@asynccontextmanager
async def _open(stage: FxStage) -> AsyncIterator[FxProvider]:
    """The provider, open; with somebody to ask, if it asks."""
    if stage.case.service is None:
        with without_network():
            async with stage.opened() as provider:
                yield provider
        return
    async with served(stage.case.service()) as url, stage.opened(**{stage.case.url: url}) as one:
        yield one


def _exact(rate: Any) -> Decimal:
    """As it prints: another check sees to its type."""
    return Decimal(str(rate))


async def _told(stage: FxStage, base: str) -> FxTable:
    async with _open(stage) as provider:
        table: FxTable = await called(provider.rates(base))
        return table


async def _asked(stage: FxStage, url: str) -> BaseException | None:
    """What is raised by a question to this address."""
    changed: dict[str, Any] = {stage.case.url: url, stage.case.timeout: 0.2}
    async with stage.opened(**changed) as provider:
        return await raised(provider.rates(stage.case.base))


async def _wrong(stage: FxStage, fault: Fault) -> BaseException | None:
    """What is raised when whoever is asked goes wrong; nothing goes wrong where nobody is asked."""
    if stage.case.service is None:
        return Unavailable()
    async with going_wrong(fault) as server:
        return await _asked(stage, server.url)
