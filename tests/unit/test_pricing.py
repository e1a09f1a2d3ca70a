from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from starship_core.clock import moment
from starship_core.config import PricingSection
from starship_core.errors import InvalidInput
from starship_core.model import Money, Price, digits, share
from starship_core.pricing import LARGEST, Conversion, cascade, discount_for
from starship_core.snapshot import Denomination, Product, Snapshot

AS_OF = datetime(2027, 1, 1, 6, tzinfo=UTC)
NO_FEES = PricingSection()
FEES = PricingSection(
    handling_percent=Decimal("1.5"),
    convenience_percent=Decimal("0.25"),
    conversion_percent=Decimal(2),
    tax_percent=Decimal(18),
)


def at(rate: str) -> Conversion:
    return Conversion(rate=Decimal(rate), source="fixed", as_of=AS_OF)


def lines(price: Price) -> dict[str, int]:
    return {
        "total": price.non_discounted_total,
        "discount_amount": price.discount_amount,
        "after_discount": price.total_amount,
        "handling": price.handling_fee,
        "convenience": price.convenience_fee,
        "conversion": price.conversion_fee,
        "net": price.net_amount,
        "tax": price.tax,
        "payable": price.total_payable,
    }


def test_every_step_of_the_cascade_in_its_order() -> None:
    """The whole cascade, worked by hand: 3 × 20.00 GBP at 1.17342199, 2.5 % off, fees, tax."""
    price = cascade(
        Money(2000, "GBP"),
        3,
        wallet_currency="EUR",
        conversion=at("1.17342199"),
        discount=Decimal("2.5"),
        fees=FEES,
    )
    # 60 GBP = 70.4053194 EUR; × 0.975 = 68.645186415; fees on that: 1.029677…, 0.171612…, 1.372903…
    # tax 18 % of 2.574194490… = 0.463355…
    assert lines(price) == {
        "total": 7041,
        "discount_amount": 176,
        "after_discount": 6865,
        "handling": 103,
        "convenience": 17,
        "conversion": 137,
        "net": 7122,
        "tax": 46,
        "payable": 7168,
    }
    assert (price.forex_rate, price.forex_source, price.forex_as_of, price.discount) == (
        "1.17342199",
        "fixed",
        AS_OF,
        "2.5",
    )


def test_one_currency_has_no_conversion_and_no_surcharge() -> None:
    """The FX surcharge exists only where currencies differ, even when a rate is handed in."""
    price = cascade(
        Money(2000, "EUR"),
        1,
        wallet_currency="EUR",
        conversion=at("1"),
        discount=Decimal(0),
        fees=FEES,
    )
    assert (price.total_amount, price.handling_fee, price.conversion_fee) == (2000, 30, 0)
    assert (price.forex_rate, price.forex_source, price.forex_as_of) == (None, None, None)


@pytest.mark.parametrize(
    ("face", "wallet", "rate", "expected"),
    [
        (Money(5000, "JPY"), "EUR", "0.00612", 3060),
        (Money(5000, "JPY"), "KWD", "0.00201", 10050),
        (Money(1250, "KWD"), "JPY", "497.5", 622),
        (Money(1250, "KWD"), "EUR", "3.0", 375),
        (Money(1000, "EUR"), "JPY", "163.45", 1635),
        (Money(1000, "EUR"), "KWD", "0.3333", 3333),
    ],
)
def test_conversion_between_currencies_of_0_2_and_3_decimals(
    face: Money, wallet: str, rate: str, expected: int
) -> None:
    """Minor units are scaled by the decimals of both currencies; half a unit goes up."""
    price = cascade(
        face, 1, wallet_currency=wallet, conversion=at(rate), discount=Decimal(0), fees=NO_FEES
    )
    assert price.total_payable == expected


def test_half_a_minor_unit_rounds_up() -> None:
    """Half up, not half even: 0.5 and 2.5 yen become 1 and 3."""
    halves = [
        cascade(
            Money(amount, "EUR"),
            1,
            wallet_currency="JPY",
            conversion=at("1"),
            discount=Decimal(0),
            fees=NO_FEES,
        ).total_payable
        for amount in (50, 150, 250)
    ]
    assert halves == [1, 2, 3]


def test_a_price_below_half_a_minor_unit_is_refused() -> None:
    """A voucher is never given away because its value rounds to nothing."""
    with pytest.raises(InvalidInput) as refused:
        cascade(
            Money(1, "VND"),
            1,
            wallet_currency="EUR",
            conversion=at("0.00004"),
            discount=Decimal(0),
            fees=NO_FEES,
        )
    assert refused.value.reason == "too_small"


def test_a_price_beyond_what_can_be_kept_is_refused() -> None:
    """The debit fits the ledger's 64-bit column, or there is no price."""
    with pytest.raises(InvalidInput) as refused:
        cascade(
            Money(LARGEST, "EUR"),
            2,
            wallet_currency="EUR",
            conversion=None,
            discount=Decimal(0),
            fees=NO_FEES,
        )
    assert refused.value.reason == "too_large"


def test_two_currencies_without_a_rate_are_a_programming_error() -> None:
    """A missing conversion is never taken for a rate of one."""
    with pytest.raises(TypeError, match="GBP to EUR needs a conversion"):
        cascade(
            Money(1, "GBP"),
            1,
            wallet_currency="EUR",
            conversion=None,
            discount=Decimal(0),
            fees=NO_FEES,
        )


# --- laws -----------------------------------------------------------------------------------------
currencies = st.sampled_from(["JPY", "EUR", "KWD"])
percentages = st.decimals(min_value=0, max_value=100, places=4)
fee_percentages = st.decimals(min_value=0, max_value=30, places=3)
rates = st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(100_000), places=8)
sections = st.builds(
    PricingSection,
    handling_percent=fee_percentages,
    convenience_percent=fee_percentages,
    conversion_percent=fee_percentages,
    tax_percent=fee_percentages,
)


def nearest(exact: Fraction) -> int:
    """Half up, by another road than the one under test."""
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


@given(
    minor=st.integers(min_value=1000, max_value=10**12),
    source=currencies,
    target=currencies,
    quantity=st.integers(min_value=1, max_value=10_000),
    rate=rates,
    discount=percentages,
    fees=sections,
)
def test_each_line_is_the_exact_value_rounded_once_and_the_lines_add_up(
    *,
    minor: int,
    source: str,
    target: str,
    quantity: int,
    rate: Decimal,
    discount: Decimal,
    fees: PricingSection,
) -> None:
    """Against rational arithmetic, for 0-, 2- and 3-decimal currencies in every combination."""
    converted = source != target
    factor = Fraction(rate) * Fraction(10) ** (digits(target) - digits(source)) if converted else 1
    exact = Fraction(minor) * quantity * factor
    if not nearest(exact) or nearest(exact) > LARGEST // 2:
        return
    price = cascade(
        Money(minor, source),
        quantity,
        wallet_currency=target,
        conversion=at(str(rate)),
        discount=discount,
        fees=fees,
    )
    discounted = exact * (100 - Fraction(discount)) / 100
    handling = discounted * Fraction(fees.handling_percent) / 100
    convenience = discounted * Fraction(fees.convenience_percent) / 100
    conversion = discounted * Fraction(fees.conversion_percent) / 100 if converted else Fraction(0)
    tax = (handling + convenience + conversion) * Fraction(fees.tax_percent) / 100
    found = lines(price)
    assert found == {
        "total": nearest(exact),
        "discount_amount": nearest(exact) - nearest(discounted),
        "after_discount": nearest(discounted),
        "handling": nearest(handling),
        "convenience": nearest(convenience),
        "conversion": nearest(conversion),
        "net": nearest(discounted) + nearest(handling) + nearest(convenience) + nearest(conversion),
        "tax": nearest(tax),
        "payable": sum(map(nearest, (discounted, handling, convenience, conversion, tax))),
    }
    assert found["total"] - found["discount_amount"] == found["after_discount"]
    assert found["net"] + found["tax"] == found["payable"]
    assert all(line >= 0 for line in found.values())


@given(
    total=st.integers(min_value=0, max_value=LARGEST),
    count=st.integers(min_value=1, max_value=200),
)
def test_shares_sum_to_the_debit_and_differ_by_one_minor_unit_at_most(
    total: int, count: int
) -> None:
    """I3: what the items carry is what was charged, to the minor unit."""
    shares = [share(total, ordinal, count) for ordinal in range(1, count + 1)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@given(amount=st.decimals(min_value=0, max_value=10**9, places=6), currency=currencies)
def test_money_text_is_the_amount_with_exactly_the_currencys_decimals(
    amount: Decimal, currency: str
) -> None:
    """What is printed reads back as the same amount, and always has the currency's decimals."""
    places = digits(currency)
    rounded = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    money = Money.of(rounded, currency)
    assert Decimal(money.text) == rounded
    assert len(money.text.partition(".")[2]) == places


# --- whose discount -------------------------------------------------------------------------------
def product(discount: str | None) -> Product:
    return Product(
        id=310, code="P310", name="Card", brand=None, category_id=1, subcategory_id=None,
        country_id=None, currency="GBP", description="", terms="", image_url=None,
        delivery_type="code", validity=None, vendors=(), is_active=True, denominations=(),
        discount=None if discount is None else Decimal(discount),
    )  # fmt: skip


def catalogue(client_discounts: dict[tuple[int, int], Decimal]) -> Snapshot:
    return Snapshot(
        version=1, read_at=moment(0), products={}, client_discounts=client_discounts,
        categories={}, countries={}, currencies={}, currency_ids={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("own", "denomination", "of_product", "expected"),
    [
        ("4", "3", "2", Decimal(4)),
        ("0", "3", "2", Decimal(0)),
        (None, "3", "2", Decimal(3)),
        (None, "0", "2", Decimal(0)),
        (None, None, "2", Decimal(2)),
        (None, None, None, None),
    ],
)
def test_the_clients_own_discount_then_the_denominations_then_the_products(
    own: str | None, denomination: str | None, of_product: str | None, expected: Decimal | None
) -> None:
    """Exactly one discount applies; a discount of 0 that somebody set is one."""
    discounts = {} if own is None else {(7, 310): Decimal(own)}
    offer = Denomination(2000, 2000, None if denomination is None else Decimal(denomination))
    assert discount_for(catalogue(discounts), 7, product(of_product), offer) == expected


def test_another_clients_discount_is_not_given() -> None:
    """A discount belongs to one client and one product."""
    others = {(8, 310): Decimal(50), (7, 311): Decimal(50)}
    assert discount_for(catalogue(others), 7, product(None), Denomination(1, 1)) is None


def test_without_any_discount_the_deployments_is_given() -> None:
    """`[pricing] discount` is what is left when nobody set one."""
    price = cascade(
        Money(2000, "EUR"),
        1,
        wallet_currency="EUR",
        conversion=None,
        discount=None,
        fees=PricingSection(discount=Decimal("1.5")),
    )
    assert (price.discount, price.discount_amount, price.total_payable) == ("1.5", 30, 1970)


# --- what a product offers ------------------------------------------------------------------------
def test_a_fixed_denomination_wins_over_a_range_that_holds_it() -> None:
    """Its own discount must not be lost because a range was listed first."""
    fixed, wide = Denomination(2000, 2000, Decimal(5)), Denomination(1000, 5000)
    assert (
        found_among(wide, fixed, asked=2000),
        found_among(wide, fixed, asked=2001),
        found_among(wide, fixed, asked=999),
        found_among(wide, fixed, asked=5001),
    ) == (fixed, wide, None, None)


def found_among(*offers: Denomination, asked: int) -> Denomination | None:
    return replace(product(None), denominations=offers).offers(asked)
