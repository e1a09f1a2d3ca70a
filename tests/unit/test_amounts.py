from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from starship_core.http.amounts import percent_text, read_amount
from starship_core.http.errors import Problem


class Body(Struct):
    amount: Raw


def read(token: str) -> Decimal:
    body = msgspec.json.decode(f'{{"amount": {token} }}'.encode(), type=Body)
    return read_amount(body.amount, "amount")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("20", "20"), ('"20"', "20"), ("20.00", "20.00"), ('"20.00"', "20.00"),
        ('"0.001"', "0.001"), ("0.5", "0.5"), ('"999999999999.999"', "999999999999.999"),
        ('"007.50"', "7.50"),
    ],
)  # fmt: skip
def test_numbers_and_strings_are_read_as_written(token: str, expected: str) -> None:
    """A JSON number never passes through a float."""
    assert str(read(token)) == expected


@pytest.mark.parametrize(
    "token",
    [
        "1e2", "1E2", "1.5e1", "-20", "true", "null", "[20]", '{"a": 1}', '"20,00"', '" 20"',
        '"20 "', '"+20"', '"-20"', '"2e1"', '"٢٠"', '"２０"', '"20.0001"', "20.0001",
        '"1234567890123"', "1234567890123", '""', '"."', '"20."', '".5"', '"NaN"', '"Infinity"',
        '"0x14"', '"1_000"', '"\\u0032\\u0030"', '"20\\n"', "0", '"0.00"', '"20.00.00"',
    ],
)  # fmt: skip
def test_everything_else_is_refused_by_field(token: str) -> None:
    """Whatever Decimal would make of it, and whatever the alphabet."""
    with pytest.raises(Problem) as refused:
        read(token)
    assert refused.value.code == "E_VALIDATION_FAILURE"
    assert [each.field for each in refused.value.messages] == ["amount"]


@given(st.text(max_size=20))
def test_no_text_gets_through_that_is_no_plain_decimal(text: str) -> None:
    """Only what reads back as the very same plain decimal is an amount."""
    try:
        found = read_amount(Raw(msgspec.json.encode(text)), "amount")
    except Problem:
        return
    assert (text.isascii(), Decimal(text)) == (True, found)
    assert set(text) <= set("0123456789.")


def test_a_percentage_is_written_without_an_exponent() -> None:
    """As it was set, zeros included."""
    assert [percent_text(Decimal(p)) for p in ("2.50", "0", "1E+2")] == ["2.50", "0", "100"]
