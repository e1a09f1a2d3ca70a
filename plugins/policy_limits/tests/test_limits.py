import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import starship_policy_limits
from hypothesis import given
from hypothesis import strategies as st
from starship_policy_limits.limits import Limits, LimitsConfig

from starship_core import PLUGIN_API, FallbackCase, FulfilPolicy, Money, Sku, Verdict
from starship_core.config_file import Place
from starship_core.testing.plugs import toolbox

(REGISTRATION,) = starship_policy_limits.register_fulfil_policies()


def case(**changed: Any) -> FallbackCase:
    """Three cards of 20.00 GBP for 58.80, at a cost of 54.00; nothing bought today so far."""
    given = FallbackCase(
        order_id=4411,
        client_id=3,
        sku=Sku(310, 2000, "GBP"),
        quantity=3,
        charged=Money(5880, "GBP"),
        estimated_cost=Money(5400, "GBP"),
        spent_today=Money(0, "GBP"),
        at=datetime(2027, 1, 4, 9, 30, tzinfo=UTC),
    )
    return msgspec.structs.replace(given, **changed)


def limits(**settings: Any) -> Limits:
    return Limits(LimitsConfig(**settings))


def accepted(policy: Limits) -> FulfilPolicy:
    """For the type checker."""
    return policy


def test_within_every_limit_there_is_no_objection() -> None:
    """To the penny and to the minute: a limit itself is still within."""
    policy = limits(
        face_per_order={"GBP": Decimal("60.00")},
        face_per_client_day={"GBP": Decimal(100)},
        margin_floor_percent=Decimal("8.163"),
        hours=["mon-fri 09:30-18:00"],
    )
    assert policy.decide(case(spent_today=Money(4000, "GBP"))) == Verdict(
        says="NoObjection", reason="within the limits"
    )


@pytest.mark.parametrize("beyond", ["AskOperator", "Refuse"])
def test_every_limit_that_is_passed_is_named(beyond: Literal["AskOperator", "Refuse"]) -> None:
    """One penny, one hundredth of a percent or one minute is enough; the section says what then."""
    policy = limits(
        face_per_order={"GBP": Decimal("59.99")},
        face_per_client_day={"GBP": Decimal("60.00")},
        margin_floor_percent=Decimal("8.17"),
        hours=["00:00-09:30", "09:31-24:00"],
        beyond=beyond,
    )
    assert policy.decide(case(spent_today=Money(1, "GBP"))) == Verdict(
        says=beyond,
        reason=(
            "face value 60.00 GBP, at most 59.99 GBP an order; "
            "face value 60.00 GBP after 0.01 GBP today, at most 60.00 GBP a client and day; "
            "a cost of 54.00 GBP leaves less than 8.17 % of the 58.80 GBP charged; "
            "mon 09:30 UTC is outside the hours"
        ),
    )


@pytest.mark.parametrize(
    ("settings", "changed", "reason"),
    [
        ({"margin_floor_percent": Decimal(0)}, {"estimated_cost": None}, "the cost is not known"),
        (
            {"margin_floor_percent": Decimal(-100)},
            {"estimated_cost": Money(1, "USD")},
            "the cost is in USD, the charge in GBP",
        ),
        (
            {"face_per_order": {"EUR": Decimal(500)}},
            {},
            "face_per_order sets no limit for GBP",
        ),
        (
            {"face_per_client_day": {"EUR": Decimal(500)}},
            {},
            "face_per_client_day sets no limit for GBP",
        ),
        (
            {"face_per_client_day": {"GBP": Decimal(500)}},
            {"spent_today": Money(0, "EUR")},
            "today's total is in EUR, the order in GBP",
        ),
    ],
)
def test_what_cannot_be_told_is_asked(
    settings: dict[str, Any], changed: dict[str, Any], reason: str
) -> None:
    """An operator, also where a passed limit would be refused: unknown is not known to be bad."""
    policy = limits(**settings, beyond="Refuse")
    assert policy.decide(case(**changed)) == Verdict(says="AskOperator", reason=reason)


def test_a_limit_that_is_passed_outweighs_one_that_cannot_be_told() -> None:
    """Both are named, and the stricter answer is given."""
    policy = limits(
        face_per_order={"GBP": Decimal(1)}, margin_floor_percent=Decimal(0), beyond="Refuse"
    )
    assert policy.decide(case(estimated_cost=None)) == Verdict(
        says="Refuse",
        reason="face value 60.00 GBP, at most 1.00 GBP an order; the cost is not known",
    )


@pytest.mark.parametrize(
    ("charged", "cost", "floor", "says"),
    [
        (10000, 9000, "10", "NoObjection"),
        (10000, 9001, "10", "AskOperator"),
        (3, 2, "33.3333333333333333333333333333333333", "NoObjection"),
        (3, 2, "33.3333333333333333333333333333333334", "AskOperator"),
        (10000, 10500, "-5", "NoObjection"),
        (10000, 10501, "-5", "AskOperator"),
        (0, 0, "50", "NoObjection"),
        (0, 1, "-100", "AskOperator"),
    ],
)
def test_margins_are_exact(charged: int, cost: int, floor: str, says: str) -> None:
    """No rounding on either side, a loss where the floor is negative, and gifts cost nothing."""
    policy = limits(margin_floor_percent=Decimal(floor))
    given = case(charged=Money(charged, "GBP"), estimated_cost=Money(cost, "GBP"))
    assert policy.decide(given).says == says


def test_amounts_have_the_currencys_own_decimals() -> None:
    """1,000 yen are 1,000 minor units, one dinar as many."""
    policy = limits(face_per_order={"JPY": Decimal(1000), "KWD": Decimal("1.000")})
    says = [
        policy.decide(case(sku=Sku(1, minor, currency), quantity=1)).says
        for minor, currency in ((1000, "JPY"), (1001, "JPY"), (1000, "KWD"), (1001, "KWD"))
    ]
    assert says == ["NoObjection", "AskOperator", "NoObjection", "AskOperator"]


minor = st.integers(0, 10**6)
currencies = st.sampled_from(("GBP", "EUR", "JPY"))
cases = st.builds(
    case,
    sku=st.builds(Sku, st.just(310), st.integers(1, 10**5), currencies),
    quantity=st.integers(1, 100),
    charged=st.builds(Money, minor, currencies),
    estimated_cost=st.none() | st.builds(Money, minor, currencies),
    spent_today=st.builds(Money, minor, currencies),
    at=st.datetimes(timezones=st.just(UTC)),
)
tables = st.dictionaries(currencies, st.integers(0, 10**6).map(Decimal), max_size=2)
settings = st.fixed_dictionaries(
    {
        "face_per_order": tables,
        "face_per_client_day": tables,
        "margin_floor_percent": st.none() | st.decimals(-100, 100, places=2),
        "hours": st.lists(st.sampled_from(("08:00-18:00", "sat-sun 22:00-06:00")), max_size=2),
        "beyond": st.sampled_from(("AskOperator", "Refuse")),
    }
).filter(lambda written: any(v not in ({}, [], None) for k, v in written.items() if k != "beyond"))


@given(settings, cases)
def test_it_never_allows(written: dict[str, Any], given: FallbackCase) -> None:
    """Installing a limit opens nothing."""
    said = limits(**written).decide(given).says
    assert said in {"NoObjection", "AskOperator", written["beyond"]}


@given(settings, cases, st.integers(1, 100), st.integers(1, 10**6))
def test_more_is_never_met_with_less(
    written: dict[str, Any], given: FallbackCase, more: int, dearer: int
) -> None:
    """A larger order, a larger total, a higher cost: an objection never goes away."""
    policy = limits(**written)
    larger = msgspec.structs.replace(
        given,
        quantity=given.quantity + more,
        spent_today=Money(given.spent_today.minor + more, given.spent_today.currency),
        estimated_cost=given.estimated_cost
        and Money(given.estimated_cost.minor + dearer, given.estimated_cost.currency),
    )
    order = ("NoObjection", "AskOperator", "Refuse")
    assert order.index(policy.decide(larger).says) >= order.index(policy.decide(given).says)


@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 20))))
def test_a_day_never_passes_its_limit(limit: int, orders: list[tuple[int, int]]) -> None:
    """One decision after the other, each told what the earlier ones let through."""
    policy = limits(face_per_client_day={"JPY": Decimal(limit)})
    spent = 0
    for denomination, quantity in orders:
        given = case(
            sku=Sku(310, denomination, "JPY"), quantity=quantity, spent_today=Money(spent, "JPY")
        )
        face = denomination * quantity
        assert (policy.decide(given).says == "NoObjection") == (spent + face <= limit)
        spent += face if spent + face <= limit else 0
    assert spent <= limit


def read(section: str) -> tuple[LimitsConfig | None, list[str]]:
    """As the core does, from TOML into the registration's own type."""
    place = Place(file=Path("starship.toml"), section="policies.limits")
    return place.fit(tomllib.loads(section), REGISTRATION.config)


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("", " sets no limit; write at least one"),
        ('beyond = "Refuse"', " sets no limit; write at least one"),
        ('face_per_order = {gbp = "1"}', " face_per_order: 'gbp' is not a currency code"),
        (
            'face_per_order = {GBP = "1.001"}',
            " 1.001 has more than the 2 decimals of GBP",
        ),
        ("face_per_order = {GBP = 1.5}", ' face_per_order.GBP: write it as a string, "1.5"'),
        ('face_per_order = {GBP = "NaN"}', " face_per_order.GBP: must be a number"),
        ('face_per_client_day = {GBP = "-1"}', " face_per_client_day: -1 GBP is negative"),
        ('margin_floor_percent = "101"', " margin_floor_percent: 101 is not between -100 and 100"),
        ('hours = ["8-18"]', " '8-18' is no window such as"),
        ('hours = ["08:00-18:00"]\nbeyond = "Allow"', " beyond: invalid enum value 'Allow'"),
        ('hour = ["08:00-18:00"]', " hour: there is no such field; did you mean hours?"),
    ],
)
def test_a_section_that_is_wrong_is_refused_by_name(section: str, complaint: str) -> None:
    """Before anything has started; nothing can make it allow."""
    settings, problems = read(section)
    assert settings is None
    assert problems[0].startswith(f"starship.toml: [policies.limits]{complaint}")


async def test_the_section_of_the_readme_is_accepted(tmp_path: Path) -> None:
    """As the core reads it, into one registration of this plugin API, opened."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    section = readme.partition('[policies.limits]\nuse = "policy-limits"\n')[2].partition("```")[0]
    settings, problems = read(section)
    assert problems == []
    assert settings == LimitsConfig(
        face_per_order={"GBP": Decimal("500.00"), "EUR": Decimal("600.00")},
        face_per_client_day={"GBP": Decimal("2000.00"), "EUR": Decimal("2400.00")},
        margin_floor_percent=Decimal("1.5"),
        hours=["mon-fri 06:00-20:00", "sat 08:00-12:00"],
    )
    async with REGISTRATION.open(settings, toolbox(tmp_path, "limits")) as policy:
        assert policy.decide(case()).says == "NoObjection"
    assert (REGISTRATION.name, REGISTRATION.kind) == ("policy-limits", "policy")
    assert REGISTRATION.api == PLUGIN_API
    assert REGISTRATION.facts() == {"names_products": False}
