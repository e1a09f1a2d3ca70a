from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from starship_core import fx
from starship_core.clock import micros
from starship_core.errors import InvalidInput, NotFound, Unavailable
from starship_core.fx import Rates
from starship_core.model import FxTable
from starship_core.testing.clock import START, ManualClock

HOUR = timedelta(hours=1)


class Provider:
    """Gives the table it was last given, or raises; counts how often it was asked."""

    def __init__(self) -> None:
        self.answer: FxTable | Exception = table("0.85")
        self.asked: list[str] = []
        self.hang = False

    async def rates(self, base: str) -> FxTable:
        self.asked.append(base)
        if self.hang:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def table(gbp: str, *, as_of: datetime = START, base: str = "EUR", source: str = "ecb") -> FxTable:
    rates = {"EUR": Decimal(1), "GBP": Decimal(gbp)}
    return FxTable(base=base, rates=rates, source=source, as_of=as_of)


@pytest.fixture
def world(database: Any, clock: ManualClock) -> SimpleNamespace:
    """Rates no older than 48 hours, refreshed every 60 seconds; time and provider by hand."""
    provider, watch = Provider(), Watch()

    def rates() -> Rates:
        return Rates(provider, database, clock, max_age=48 * HOUR, monotonic=watch)

    return SimpleNamespace(
        provider=provider, watch=watch, clock=clock, database=database, new=rates, rates=rates()
    )


async def answered(rates: Rates) -> None:
    """Until the question under way has its answer."""
    asking = {held.asking for held in rates._held.values() if held.asking}
    if asking:
        await asyncio.wait(asking)


async def stored(world: SimpleNamespace) -> list[tuple[Any, ...]]:
    rows = await world.database.read(
        lambda tx: tx.execute("SELECT base, rates, source, as_of FROM fx_tables ORDER BY id")
    )
    return [tuple(row) for row in rows]


async def test_a_rate_with_its_source_and_time(world: SimpleNamespace) -> None:
    """What an order is priced with can be told from the answer alone."""
    found = await world.rates.rate("EUR", "GBP")
    assert (found.rate, found.source, found.as_of) == (Decimal("0.85"), "ecb", START)


async def test_one_currency_needs_no_table(world: SimpleNamespace) -> None:
    """Most orders are paid in the product's currency; no provider is asked for those."""
    world.provider.answer = Unavailable("down")
    assert (await world.rates.rate("XAU", "XAU")).rate == Decimal(1)
    assert world.provider.asked == []


async def test_the_provider_is_asked_once_a_minute_and_nobody_waits_for_it(
    world: SimpleNamespace,
) -> None:
    """The first price waits for the first table; later ones use it while the next is fetched."""
    found = await asyncio.gather(*(world.rates.rate("EUR", "GBP") for _ in range(20)))
    assert ({each.rate for each in found}, world.provider.asked) == ({Decimal("0.85")}, ["EUR"])
    world.provider.answer = table("0.90", as_of=START + HOUR)
    world.watch.seconds += 59
    await world.rates.rate("EUR", "GBP")
    assert world.provider.asked == ["EUR"]
    world.watch.seconds += 2
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.85")
    await answered(world.rates)
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.90")
    assert world.provider.asked == ["EUR", "EUR"]


@pytest.mark.parametrize("fault", [Unavailable("down"), RuntimeError("secret text"), OSError()])
async def test_a_provider_that_fails_leaves_the_last_good_table(
    world: SimpleNamespace, fault: Exception
) -> None:
    """Whatever escapes the plugin, orders are priced on, and it is asked again after 5 seconds."""
    await world.rates.rate("EUR", "GBP")
    world.provider.answer = fault
    world.watch.seconds += 61
    await world.rates.rate("EUR", "GBP")
    await answered(world.rates)
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.85")
    assert len(world.provider.asked) == 2
    world.watch.seconds += 5
    await world.rates.rate("EUR", "GBP")
    await answered(world.rates)
    assert len(world.provider.asked) == 3


async def test_rates_that_are_too_old_price_nothing(world: SimpleNamespace) -> None:
    """At 48 hours they still do; a moment later the order is refused with what to know about it."""
    await world.rates.rate("EUR", "GBP")
    world.clock.advance(hours=48)
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.85")
    world.clock.advance(seconds=1)
    with pytest.raises(Unavailable) as refused:
        await world.rates.rate("EUR", "GBP")
    assert str(refused.value) == (
        "the exchange rates for EUR are of 2027-01-01 00:00 UTC, too old to price with"
    )
    world.provider.answer = table("0.90", as_of=world.clock())
    world.watch.seconds += 61
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.90"), "waits when it must"


@pytest.mark.parametrize("unknown", [NotFound("rate for", "XXX"), InvalidInput("unknown")])
async def test_a_currency_that_the_provider_does_not_know(
    world: SimpleNamespace, unknown: Exception
) -> None:
    """A meaning error of the request, remembered for 5 seconds: not a question an order."""
    world.provider.answer = unknown
    for _ in range(3):
        with pytest.raises(InvalidInput, match="there are no exchange rates for XXX"):
            await world.rates.rate("XXX", "EUR")
    assert world.provider.asked == ["XXX"]


async def test_a_target_that_the_table_does_not_have(world: SimpleNamespace) -> None:
    """The other half of the same refusal."""
    with pytest.raises(InvalidInput, match="there is no exchange rate from EUR to JPY"):
        await world.rates.rate("EUR", "JPY")


async def test_a_restart_while_the_provider_is_away_uses_the_stored_table(
    world: SimpleNamespace,
) -> None:
    """The last good table is in the database, and its age counts as any other's."""
    await world.rates.rate("EUR", "GBP")
    world.provider.answer = Unavailable("down")
    found = await world.new().rate("EUR", "GBP")
    assert (found.rate, found.source, found.as_of) == (Decimal("0.85"), "ecb", START)
    world.clock.advance(hours=49)
    with pytest.raises(Unavailable, match="too old"):
        await world.new().rate("EUR", "GBP")


async def test_without_any_table_there_is_no_price(world: SimpleNamespace) -> None:
    """Nothing stored and the provider away: 503, never a guess."""
    world.provider.answer = Unavailable("down")
    with pytest.raises(Unavailable, match="there are no exchange rates for EUR at present"):
        await world.rates.rate("EUR", "GBP")


async def test_a_provider_that_hangs_is_given_up(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every question has a deadline."""
    monkeypatch.setattr(fx, "PROVIDER_SECONDS", 0.01)
    world.provider.hang = True
    with pytest.raises(Unavailable, match="at present"):
        await world.rates.rate("EUR", "GBP")


@pytest.mark.parametrize(
    "wrong",
    [
        table("0.85", base="USD"),
        table("0.85", as_of=START + 2 * HOUR),
        table("0.85", as_of=datetime(2027, 1, 1)),  # noqa: DTZ001  # naive on purpose
        table("0"),
        table("-1"),
        table("NaN"),
        table("Infinity"),
        table("1." + "3" * 60),
        table("1E-50"),
        replace(table("1"), rates={"GBP": 0.85}),
    ],
)
async def test_a_table_that_cannot_be_right_is_not_taken(
    world: SimpleNamespace, wrong: FxTable
) -> None:
    """What a plugin hands over is checked before anybody pays by it."""
    await world.rates.rate("EUR", "GBP")
    world.provider.answer = wrong
    world.watch.seconds += 61
    await world.rates.rate("EUR", "GBP")
    await answered(world.rates)
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.85")
    assert [row[1] for row in await stored(world)] == ['{"EUR":"1","GBP":"0.85"}']


async def test_unchanged_rates_add_no_row_and_changed_ones_do(world: SimpleNamespace) -> None:
    """A provider that dates every answer now would fill the table otherwise."""
    for gbp, hours in (("0.85", 0), ("0.85", 1), ("0.90", 2), ("0.85", 3)):
        world.clock.set(START + hours * HOUR)
        world.provider.answer = table(gbp, as_of=world.clock())
        await world.rates.rate("EUR", "GBP")
        await answered(world.rates)
        world.watch.seconds += 61
    assert [(row[1], row[3]) for row in await stored(world)] == [
        ('{"EUR":"1","GBP":"0.85"}', micros(START + HOUR)),
        ('{"EUR":"1","GBP":"0.90"}', micros(START + 2 * HOUR)),
        ('{"EUR":"1","GBP":"0.85"}', micros(START + 3 * HOUR)),
    ]


async def test_a_table_corrected_under_the_same_time_replaces_it(world: SimpleNamespace) -> None:
    """A provider may correct what it published; the price uses what it says now."""
    await world.rates.rate("EUR", "GBP")
    world.provider.answer = table("0.86")
    world.watch.seconds += 61
    await world.rates.rate("EUR", "GBP")
    await answered(world.rates)
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.86")
    assert [row[1] for row in await stored(world)] == ['{"EUR":"1","GBP":"0.86"}']


async def test_a_database_that_is_away_does_not_keep_a_fresh_table_from_use(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storing is for the next restart; pricing does not depend on it."""

    async def away(*_: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(world.database, "run", away)
    assert (await world.rates.rate("EUR", "GBP")).rate == Decimal("0.85")
