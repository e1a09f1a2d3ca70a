# ruff: noqa: INP001  # docs is no package
"""The worked examples of the pricing page, computed by the very functions that price orders."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from starship_core.config import PricingSection
from starship_core.model import Money, Price, minor_text
from starship_core.pricing import Conversion, cascade

FEES: Final = PricingSection(
    handling_percent=Decimal("1.5"),
    convenience_percent=Decimal("0.25"),
    conversion_percent=Decimal(2),
    tax_percent=Decimal(18),
)
AS_OF: Final = datetime(2027, 1, 1, 6, tzinfo=UTC)


class Case(NamedTuple):
    face: Money
    quantity: int
    wallet: str
    rate: str | None
    discount: str


CASES: Final = (
    Case(Money.of("20.00", "GBP"), 3, "GBP", None, "2.5"),
    Case(Money.of("20.00", "GBP"), 3, "EUR", "1.17342199", "2.5"),
    Case(Money.of("20.00", "GBP"), 3, "JPY", "191.5", "2.5"),
    Case(Money.of("20.00", "GBP"), 3, "KWD", "0.39012", "2.5"),
    Case(Money.of(1000, "JPY"), 3, "KWD", "0.00203716", "2.5"),
)


def worked() -> str:
    """One column a case, one row a printed line."""
    prices = [_price(case) for case in CASES]
    rows = [
        ("face value × quantity", [f"{c.face} × {c.quantity}" for c in CASES]),
        ("`forex_rate`", [price.forex_rate or "–" for price in prices]),
        ("`non_discounted_total`", _lines(prices, "non_discounted_total")),
        ("`discount`, percent", [price.discount for price in prices]),
        ("− `discount_amount`", _lines(prices, "discount_amount")),
        ("= `total_amount`", _lines(prices, "total_amount")),
        ("+ `handling_fee_amount`, 1.5 %", _lines(prices, "handling_fee")),
        ("+ `convenience_fee_amount`, 0.25 %", _lines(prices, "convenience_fee")),
        ("+ `conversion_fee`, 2 %", _lines(prices, "conversion_fee")),
        ("= `net_amount`", _lines(prices, "net_amount")),
        ("+ `gst_amount`, 18 % of the fees", _lines(prices, "tax")),
        ("= `total_payable`, the debit", _lines(prices, "total_payable")),
    ]
    head = ["wallet in", *(case.wallet for case in CASES)]
    table = [head, ["---", *("---:" for _ in CASES)], *([name, *cells] for name, cells in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in table) + "\n"


def _price(case: Case) -> Price:
    conversion = None
    if case.rate is not None:
        conversion = Conversion(rate=Decimal(case.rate), source="example", as_of=AS_OF)
    return cascade(
        case.face,
        case.quantity,
        wallet_currency=case.wallet,
        conversion=conversion,
        discount=Decimal(case.discount),
        fees=FEES,
    )


def _lines(prices: Iterable[Price], line: str) -> list[str]:
    return [minor_text(getattr(price, line), price.currency) for price in prices]
