import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import starship_fx_fixed
from hypothesis import given
from hypothesis import strategies as st
from starship_fx_fixed import PRECISION, FixedConfig, FixedRates

from starship_core import PLUGIN_API, FxTable, NotFound, Toolbox
from starship_core.fx import checked
from starship_core.testing.clock import START, ManualClock
from starship_core.testing.plugs import NoDatabase

CODES = ("USD", "EUR", "GBP", "JPY", "KWD")


def read(section: str) -> FixedConfig:
    """As the core does: from TOML into the registration's own type."""
    (registration,) = starship_fx_fixed.register_fx_providers()
    config: FixedConfig = msgspec.convert(tomllib.loads(section), registration.config)
    return config


async def test_seen_from_the_base_rates_are_as_written(clock: ManualClock) -> None:
    """Not one digit is touched, trailing zeros included, and a day later they are as fresh."""
    fixed = FixedRates(read('rates = {EUR = "0.920", JPY = "151.37"}'), clock)
    later = clock.advance(days=1)
    assert await fixed.rates("USD") == FxTable(
        base="USD",
        rates={"USD": Decimal(1), "EUR": Decimal("0.920"), "JPY": Decimal("151.37")},
        source="fx-fixed",
        as_of=later,
    )


async def test_seen_from_another_currency_they_are_quotients(clock: ManualClock) -> None:
    """Exact where the division ends, else 28 significant digits; to itself exactly 1."""
    section = 'base = "EUR"\nrates = {GBP = "0.8", USD = "1.25", JPY = "0.3"}'
    table = await FixedRates(read(section), clock).rates("GBP")
    assert table.rates == {
        "EUR": Decimal("1.25"),
        "GBP": Decimal(1),
        "USD": Decimal("1.5625"),
        "JPY": Decimal("0.375"),
    }
    from_yen = await FixedRates(read(section), clock).rates("JPY")
    assert from_yen.rates["EUR"] == Decimal("3.333333333333333333333333333")


async def test_a_time_in_the_section_is_kept(clock: ManualClock) -> None:
    """So that a deployer who wants stale rates refused gets that; TOML's own times and strings."""
    as_of = datetime(2026, 12, 31, 16, tzinfo=UTC)
    for written in ("2026-12-31T16:00:00Z", '"2026-12-31T16:00:00Z"'):
        fixed = FixedRates(read(f'as_of = {written}\nrates = {{EUR = "0.92"}}'), clock)
        assert (await fixed.rates("EUR")).as_of == as_of


async def test_a_currency_outside_the_table_is_not_found(clock: ManualClock) -> None:
    """Which the core tells apart from being away for a while."""
    with pytest.raises(NotFound, match="there is no exchange rate for CHF"):
        await FixedRates(read('rates = {EUR = "0.92"}'), clock).rates("CHF")


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("rates = {EUR = 0.92}", r"Expected `str`, got `float` - at `\$.rates"),
        ("rates = {EUR = 1}", r"Expected `str`, got `int` - at `\$.rates"),
        ('rates = {EUR = "0"}', "the rate of EUR is '0'; write a positive decimal such as '0.92'"),
        ('rates = {EUR = "0.000"}', "the rate of EUR is '0.000'"),
        ('rates = {EUR = "-0.92"}', "the rate of EUR is '-0.92'"),
        ('rates = {EUR = "NaN"}', "the rate of EUR is 'NaN'"),
        ('rates = {EUR = "1e3"}', "the rate of EUR is '1e3'"),
        ('rates = {EUR = "0,92"}', "the rate of EUR is '0,92'"),
        ('rates = {EUR = "٣"}', "the rate of EUR is '٣'"),
        ('rates = {EUR = ""}', "the rate of EUR is ''"),
        ('rates = {eur = "0.92"}', "'eur' is not a currency code such as EUR"),
        ('base = "EURO"\nrates = {}', "'EURO' is not a currency code"),
        ('rates = {USD = "1.1"}', "the rate of USD to itself is 1; leave it out"),
        ('base = "USD"', "missing required field `rates`"),
        ('rates = {}\nrate = "1"', "unknown field `rate`"),
        ("as_of = 2026-12-31T16:00:00\nrates = {}", r"timezone component - at `\$.as_of`"),
    ],
)
def test_a_section_that_is_wrong_is_refused_by_name(section: str, complaint: str) -> None:
    """Before anything has started, saying which rate and what to write."""
    with pytest.raises(msgspec.ValidationError, match=complaint):
        read(section)


amounts = st.decimals(Decimal("0.000000000001"), Decimal(999_999_999_999), places=12)


@given(st.fixed_dictionaries(dict.fromkeys(CODES[1:], amounts)), st.sampled_from(CODES))
async def test_every_table_passes_the_core_and_agrees_with_the_section(
    written: dict[str, Decimal], base: str
) -> None:
    """A quotient times its divisor is the written rate again, but for the last of 28 digits."""
    config = FixedConfig(rates={code: format(rate, "f") for code, rate in written.items()})
    table = await FixedRates(config, lambda: START).rates(base)
    checked(table, base, START)
    exact = {"USD": Decimal(1)} | written
    for code, rate in table.rates.items():
        back = rate * exact[base]
        assert abs(back - exact[code]) <= exact[code] * Decimal(10) ** (2 - PRECISION)


async def test_what_the_hook_hands_over(clock: ManualClock) -> None:
    """One registration of this plugin API."""
    (registration,) = starship_fx_fixed.register_fx_providers()
    toolbox = Toolbox(
        instance="fx",
        environment="test",
        now=clock,
        log=print,
        database=NoDatabase(),
        data_dir=Path(),
    )
    async with registration.open(read('rates = {EUR = "0.92"}'), toolbox) as fixed:
        assert (await fixed.rates("USD")).as_of == START
    assert (registration.name, registration.kind) == ("fx-fixed", "fx")
    assert registration.api == PLUGIN_API
