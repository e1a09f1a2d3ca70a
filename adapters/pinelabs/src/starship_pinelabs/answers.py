"""Reading one answer of Pine Labs'."""

from __future__ import annotations

import json
from typing import NamedTuple, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from starship_core import Ambiguous, Secret, Unavailable

T = TypeVar("T")


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes


class Wire(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keys in camelCase; what is not read is not described."""


def turned_away(answer: Answer) -> None:
    """Raises Unavailable for an answer given before anything was processed.

    The edge answers 403 with a page of HTML.
    """
    if answer.status == 429:
        raise Unavailable("pinelabs' rate limit is reached", retry_after=60)
    if answer.status in (401, 403):
        raise Unavailable(f"pinelabs does not let us in ({answer.status})", retry_after=300)


def error_code(answer: Answer) -> int | None:
    """The number in `code`, which some answers write as text."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    code = body.get("code") if isinstance(body, dict) else None
    if isinstance(code, bool) or not isinstance(code, int | str):
        return None
    return int(code) if str(code).isascii() and str(code).isdigit() else None


def read(answer: Answer, shape: type[T]) -> T:
    """The body in the shape it must have. Raises Ambiguous, without a word of what it was."""
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (msgspec.DecodeError, RecursionError, ValueError):
        unclear("an answer that is not in the documented shape", answer)


def unclear(what: str, answer: Answer) -> NoReturn:
    """Raises Ambiguous, which keeps the answer."""
    raise Ambiguous(what, Secret(answer.body.decode(errors="replace"))) from None


def answered(answer: Answer) -> Answer:
    turned_away(answer)
    if answer.status >= 500:
        raise Unavailable(f"pinelabs answered with HTTP {answer.status}", retry_after=5)
    if answer.status != 200:
        unclear(f"pinelabs answered with HTTP {answer.status}", answer)
    return answer
