"""Amounts on the wire: the raw token is looked at before a Decimal is made of it.

A JSON number and a decimal string are both taken, and nothing else that Decimal would understand:
no exponent, sign, NaN, underscore, blank or other alphabet's digits.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, Raw

from starship_core.http.errors import invalid

_TOKEN: Final = re.compile(rb'"(\d{1,12}(?:\.\d{1,3})?)"|(\d{1,12}(?:\.\d{1,3})?)')

Amount = Annotated[
    Raw,
    Meta(
        extra_json_schema={
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,3})?$"},
                {"type": "number", "exclusiveMinimum": 0},
            ]
        }
    ),
]
"""As the description has it; `read_amount` is stricter, and says so."""


def read_amount(raw: Raw, field: str) -> Decimal:
    """A positive amount of at most three decimals; how many its currency has is checked later.

    Raises the 400 of the schema, naming `field`.
    """
    token = _TOKEN.fullmatch(bytes(raw))
    if token is None:
        raise invalid(field, "format", "must be a decimal such as 20 or 20.00, or it as a string")
    value = Decimal((token[1] or token[2]).decode())
    if not value:
        raise invalid(field, "range", "must be more than 0")
    return value


def percent_text(percent: Decimal) -> str:
    """A percentage as it was set, without an exponent: `2.5`."""
    return format(percent, "f")
