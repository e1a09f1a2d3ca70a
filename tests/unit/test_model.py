"""Nouns: exact money, digits of currencies, secrets that do not come out, shares that add up."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import structlog
from babel import Locale
from babel.numbers import get_currency_precision, get_territory_currencies
from hypothesis import given
from hypothesis import strategies as st

from starship_core.model import (
    BULK_ABOVE,
    NO_EXPIRY,
    Money,
    Order,
    Price,
    Secret,
    Sku,
    Voucher,
    digits,
    minor_text,
    share,
)

CURRENCIES = st.sampled_from(["JPY", "EUR", "KWD"])
MINOR = st.integers(-(10**18), 10**18)
CODE = "ABCD-1234-EFGH"


# --- money ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.50", "EUR", 1250),
        ("12.5", "EUR", 1250),
        ("12.500", "EUR", 1250),
        (12, "EUR", 1200),
        (Decimal("-0.01"), "EUR", -1),
        ("127", "JPY", 127),
        ("1.250", "KWD", 1250),
        ("0.001", "KWD", 1),
        ("0", "EUR", 0),
        ("999999999999.999", "KWD", 999_999_999_999_999),
        ("123456789012345678901234567890.12", "EUR", 12345678901234567890123456789012),
    ],
)
def test_minor_units_of_an_amount(amount: Any, currency: str, minor: int) -> None:
    """Exactly, however many digits there are."""
    assert Money.of(amount, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("0.001", "EUR"), ("0.5", "JPY"), ("1.2345", "KWD"),
     ("1.00000000000000000000000000000001", "EUR")],
)  # fmt: skip
def test_more_decimals_than_the_currency_has(amount: str, currency: str) -> None:
    """Are refused, never rounded."""
    with pytest.raises(ValueError, match=r"has more than the .* decimals of"):
        Money.of(amount, currency)


@pytest.mark.parametrize(
    "amount",
    ["", "abc", "NaN", "sNaN", "-Infinity", "1e999999999", "1e-999999999", "9" * 41,
     "1." + 40 * "0" + "1"],
)  # fmt: skip
def test_what_is_no_amount(amount: str) -> None:
    """One kind of exception, at once, whatever the text is."""
    with pytest.raises(ValueError, match=r"is not an amount of EUR|decimals of EUR"):
        Money.of(amount, "EUR")


@given(MINOR, CURRENCIES)
def test_money_and_its_text_are_one(minor: int, currency: str) -> None:
    """There and back, and the text has exactly the currency's decimals."""
    money = Money(minor, currency)
    _, _, decimals = money.text.partition(".")
    assert Money.of(money.text, currency) == money
    assert Money.of(money.amount, currency) == money
    assert len(decimals) == digits(currency)
    assert str(money) == f"{money.text} {currency}"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (12750, "EUR", "127.50"),
        (127, "JPY", "127"),
        (1250, "KWD", "1.250"),
        (-5, "EUR", "-0.05"),
        (-1250, "KWD", "-1.250"),
        (-127, "JPY", "-127"),
        (0, "EUR", "0.00"),
        (0, "JPY", "0"),
        (10**18, "EUR", "10000000000000000.00"),
    ],
)
def test_minor_text(minor: int, currency: str, text: str) -> None:
    """As the API writes an amount."""
    assert minor_text(minor, currency) == text


def test_money_is_ordered_within_a_currency() -> None:
    """By amount."""
    assert sorted([Money(3, "EUR"), Money(-1, "EUR"), Money(2, "EUR")]) == [
        Money(-1, "EUR"), Money(2, "EUR"), Money(3, "EUR"),
    ]  # fmt: skip


# CLDR tells how many decimals people use; ISO 4217, which the API promises, how many there are.
ISO_4217 = dict.fromkeys(
    ("AFN", "ALL", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"), 2
) | {"IQD": 3}


def test_digits_of_every_currency_in_use() -> None:
    """Of all legal tenders of today, by an independent table."""
    tenders = {
        currency
        for territory in map(str, Locale("en").territories)
        for currency in get_territory_currencies(territory)
    }
    assert len(tenders) > 150
    assert {currency: digits(currency) for currency in tenders} == {
        currency: ISO_4217.get(currency, get_currency_precision(currency)) for currency in tenders
    }


# --- secrets -------------------------------------------------------------------------------------
class Holder(msgspec.Struct):
    card: Secret


@dataclasses.dataclass
class Box:
    card: Secret


def _logged(secret: Secret) -> str:
    """By the standard library's logging: as an argument, in the message, beside it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(card)s"))
    log = logging.Logger("test", logging.DEBUG)  # noqa: LOG001  # no trace of it is left
    log.addHandler(handler)
    log.warning("card %s %r", secret, secret, extra={"card": secret})
    return stream.getvalue()


def _structured(secret: Secret) -> str:
    """By structlog, as lines and as JSON."""
    event = {"event": "told", "card": secret, "all": [secret]}
    lines = structlog.dev.ConsoleRenderer(colors=False)(None, "info", dict(event))
    return str(lines) + str(structlog.processors.JSONRenderer()(None, "info", dict(event)))


def _traced(secret: Secret) -> str:
    """In a traceback that shows local variables."""

    def fail(secret: Secret) -> None:
        raise RuntimeError(secret)

    with pytest.raises(RuntimeError) as caught:
        fail(secret)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    return "".join(told.format())


SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s} {secret:>20}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # the way under test
    "format": "{0} {0!r:>40}".format,
    "in a struct": lambda secret: repr(Holder(secret)),
    "in a dataclass": lambda secret: repr(Box(secret)),
    "in a voucher": lambda secret: repr(
        Voucher(sku=Sku(1, 1000, "EUR"), reference="r", card_number=secret)
    ),
    "in a list": lambda secret: f"{[secret]} {(secret,)} { ({1: secret}) }",
    "pretty": lambda secret: pprint.pformat({"card": [secret]}),
    "logging": _logged,
    "structlog": _structured,
    "traceback": _traced,
}
REFUSED: dict[str, Callable[[Any], Any]] = {
    "pickle": pickle.dumps,
    "copy": copy.deepcopy,
    "json": json.dumps,
    "msgspec json": lambda secret: msgspec.json.encode(Holder(secret)),
    "msgspec msgpack": msgspec.msgpack.encode,
    "msgspec builtins": lambda secret: msgspec.to_builtins(Holder(secret)),
    "dataclass to dict": lambda secret: dataclasses.asdict(Box(secret)),
    "a key": lambda secret: {secret: 1},
    "in a set": lambda secret: {secret},
    "iteration": list,
    "length": len,
    "concatenation": lambda secret: "card " + secret,
    "order": lambda secret: sorted([secret, secret]),
    "bytes": bytes,
}


@pytest.mark.parametrize("how", SHOWN)
def test_a_secret_shows_nothing(how: str) -> None:
    """Wherever text is made of it."""
    text = SHOWN[how](Secret(CODE))
    assert "Secret(•••)" in text or "Secret(\\u2022\\u2022\\u2022)" in text
    assert CODE not in text
    assert CODE[:4] not in text


@pytest.mark.parametrize("how", REFUSED)
def test_a_secret_goes_nowhere(how: str) -> None:
    """A TypeError, which does not tell it either."""
    with pytest.raises(TypeError) as caught:
        REFUSED[how](Secret(CODE))
    assert CODE[:4] not in "".join(traceback.format_exception(caught.value))


def test_a_secret_is_revealed_on_purpose_and_equals_its_like() -> None:
    """And nothing else, a plain text of the same letters least of all."""
    assert Secret(CODE).reveal() == CODE
    assert Secret(CODE) == Secret(CODE)
    assert Secret("é") == Secret("é")
    assert Secret(CODE) != Secret(CODE.lower())
    assert Secret(CODE) != CODE
    assert not hasattr(Secret(CODE), "__dict__")


# --- shares, prices, skus ------------------------------------------------------------------------
@given(st.integers(0, 10**16), st.integers(1, 10_000))
def test_shares_sum_to_the_total_and_are_as_even_as_can_be(total: int, count: int) -> None:
    """To the minor unit, in any currency; the first of n and the last of n included."""
    shares = [share(total, n, count) for n in range(1, count + 1)]
    assert sum(shares) == total
    assert min(shares) == total // count
    assert max(shares) == -(-total // count)


def test_shares_of_a_yen() -> None:
    """The last item carries what cannot be divided."""
    assert [share(100, n, 3) for n in (1, 2, 3)] == [33, 33, 34]
    assert [share(1, n, 3) for n in (1, 2, 3)] == [0, 0, 1]


def test_lines_of_a_price_add_up() -> None:
    """Each total is the sum of the lines above it."""
    price = Price(
        currency="EUR", non_discounted_total=6000, discount="2", total_amount=5880,
        handling_fee=90, convenience_fee=15, conversion_fee=118, tax=40,
    )  # fmt: skip
    assert (price.discount_amount, price.net_amount, price.total_payable) == (120, 6103, 6143)


@pytest.mark.parametrize(("quantity", "bulk"), [(1, False), (BULK_ABOVE, False), (51, True)])
def test_bulk_begins_above_fifty(quantity: int, *, bulk: bool) -> None:
    """As the fulfilment model says."""
    price = Price(currency="EUR", non_discounted_total=100, discount="0", total_amount=100)
    now = datetime(2027, 1, 1, tzinfo=UTC)
    order = Order(
        client_id=1, key="key-0001", fingerprint="f", ref="r", sku=Sku(1, 1000, "JPY"),
        product_name="p", quantity=quantity, wallet_id=1, account="wallet:1", price=price,
        min_expiry=now, placed_at=now,
    )  # fmt: skip
    assert order.bulk is bulk
    assert order.charged == Money(100, "EUR")
    assert (str(order.sku), order.sku.face) == ("1/1000/JPY", Money(1000, "JPY"))


def test_never_is_the_last_moment() -> None:
    """So that it sorts behind every date, and is aware."""
    assert max(datetime(9999, 12, 31, tzinfo=UTC), NO_EXPIRY) == NO_EXPIRY
    assert NO_EXPIRY.utcoffset() == datetime.now(UTC).utcoffset()
