"""Reading one answer of Bamboo's: JSON with quirks, dates without zones, exact amounts."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final, NamedTuple, NoReturn, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from starship_core import Ambiguous, Money, Secret, Unavailable, digits

T = TypeVar("T")

_WAIT: Final = re.compile(r"wait(?: for)? (\d{1,6}) seconds", re.IGNORECASE)
_FRACTION: Final = re.compile(r"(?<=\.\d{6})\d+")
_LARGEST: Final = 15
"""Digits before the point, less one."""
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
"""How .NET writes a date that nobody set."""


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes


class Folded(Struct, frozen=True, kw_only=True, rename=lambda name: name.replace("_", "")):
    """Keys as `folded` leaves them: Bamboo's own samples spell one key in two ways."""


def turned_away(answer: Answer) -> None:
    """Raises Unavailable for an answer given before anything was processed."""
    if answer.status == 429:
        wait = _WAIT.search(answer.body.decode(errors="replace"))
        raise Unavailable(
            "bamboo's rate limit is reached", retry_after=float(wait[1]) if wait else 60.0
        )
    if answer.status in (401, 403):
        who = "the credentials" if answer.status == 401 else "this address, or what it asks for,"
        raise Unavailable(f"bamboo does not accept {who}", retry_after=300)


def reason(answer: Answer) -> str:
    """The word in `message`; empty when there is none."""
    try:
        body = folded(answer.body)
    except ValueError:
        return ""
    word = body.get("message") if isinstance(body, dict) else None
    return word.strip() if isinstance(word, str) else ""


def read(answer: Answer, shape: type[T]) -> T:
    """The body in the shape it must have. Raises Ambiguous, without a word of what it was."""
    try:
        return msgspec.convert(folded(answer.body), shape)
    except ValueError:  # msgspec's ValidationError is one, too
        unclear("an answer that is not in the shape Bamboo documents", answer)


def folded(body: bytes) -> Any:
    """JSON with its keys in small letters and its numbers exact. Raises ValueError."""
    try:
        return json.loads(
            body,
            parse_float=Decimal,
            parse_constant=_no_number,
            object_pairs_hook=lambda pairs: {key.lower(): value for key, value in pairs},
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def unclear(what: str, answer: Answer) -> NoReturn:
    """Raises Ambiguous, which keeps the answer."""
    raise Ambiguous(what, Secret(answer.body.decode(errors="replace"))) from None


def guid(text: str) -> str | None:
    """A GUID in its usual spelling; None for anything else."""
    try:
        return str(UUID(text)) if len(text) == 36 else None
    except ValueError:
        return None


def instant(text: str | None) -> datetime | None:
    """A date without a zone, with up to seven decimals, is UTC; .NET's zero is no date at all."""
    if not text:
        return None
    parsed = datetime.fromisoformat(_FRACTION.sub("", text))
    moment = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    return None if moment == _NEVER else moment


def money(amount: Decimal, currency: str, *, rounding: str) -> Money:
    """Bamboo counts in ten-thousandths; we in minor units. Raises ValueError for no amount."""
    scaled = possible(amount).scaleb(digits(currency))
    return Money(int(scaled.to_integral_value(rounding=rounding)), currency)


def possible(amount: Decimal) -> Decimal:
    """Raises ValueError for what is no amount of money, such as 1e999999999."""
    if not amount.is_finite() or amount.adjusted() > _LARGEST:
        raise ValueError("no amount")
    return amount


up: Final = ROUND_CEILING
"""What we paid is at least what was charged."""
down: Final = ROUND_FLOOR
"""What we have is at most what is there."""


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
