"""Reading one answer of VoucherKart's: HTTP, the envelope, its code; then what is sealed in it."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from starship_core import Ambiguous, Secret, Unavailable
from starship_voucherkart.codes import OK, Says
from starship_voucherkart.dialect import Call, Dialect

T = TypeVar("T")
_CODE: Final = re.compile(r"[A-Za-z0-9]{1,12}")


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes


class Told(NamedTuple):
    """An envelope; `says` and `meaning` are of its code together with its text."""

    answer: Answer
    ok: bool
    says: Says
    meaning: str
    data: Any


class Envelope(Struct, frozen=True, kw_only=True):
    """Of every answer, HTTP 200 whether it went well or not."""

    status: str
    code: str | int
    desc: str | None = None
    data: Any = None


def turned_away(answer: Answer) -> None:
    """Raises Unavailable for an answer given before anything was processed."""
    if answer.status == 429:
        raise Unavailable("voucherkart's rate limit is reached", retry_after=60)
    if answer.status in (401, 403):
        raise Unavailable(f"voucherkart does not let us in ({answer.status})", retry_after=300)


def stale(answer: Answer, dialect: Dialect) -> bool:
    """Whether the token was refused, and with it the request, before anything was processed."""
    if answer.status == 401:
        return True
    try:
        return answer.status == 200 and told(answer, dialect).says == "stale"
    except Ambiguous:
        return False


def told(answer: Answer, dialect: Dialect) -> Told:
    """The envelope. Raises Unavailable when we were not let in, Ambiguous for what is none."""
    turned_away(answer)
    if answer.status != 200:
        unclear(f"voucherkart answered with HTTP {answer.status}", answer)
    try:
        document = dialect.read(msgspec.json.decode(answer.body))
        found = msgspec.convert(document, Envelope)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        unclear("an answer that is not in the documented shape", answer)
    code, good = str(found.code), found.status.lower() == "success"
    if good and code == OK:
        return Told(answer, ok=True, says="unknown", meaning="", data=found.data)
    known = None if good or code == OK else dialect.meaning(code, found.desc or "")
    named = code if _CODE.fullmatch(code) else "a code that is none"
    if known is None:
        meaning = f"{named}, which says nothing here"
        return Told(answer, ok=False, says="unknown", meaning=meaning, data=found.data)
    return Told(answer, False, known.says, f"{named}: {known.meaning}", found.data)


def asked(answer: Answer, dialect: Dialect) -> Told:
    """Of a question that changes nothing: a server's error is asked again."""
    if answer.status >= 500:
        raise Unavailable(f"voucherkart answered with HTTP {answer.status}", retry_after=5)
    return let_in(told(answer, dialect))


def let_in(envelope: Told) -> Told:
    """Raises Unavailable where the code says that nothing was looked at."""
    if envelope.says in ("door", "stale"):
        raise Unavailable(f"voucherkart does not let us in ({envelope.meaning})", retry_after=300)
    return envelope


def read(envelope: Told, call: Call, shape: type[T], dialect: Dialect) -> T:
    """What is sealed in it. Raises Ambiguous, which keeps it unsealed if it can be."""
    try:
        opened = dialect.opened(call, envelope.data)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):
        unclear("data that cannot be opened: is the key the right one?", envelope.answer)
    try:
        return msgspec.convert(opened, shape)
    except msgspec.ValidationError:
        unclear("data that is not in the documented shape", envelope.answer, opened)


def unclear(what: str, answer: Answer, opened: Any = None) -> NoReturn:
    """Raises Ambiguous, which keeps the answer, and what was sealed in it."""
    kept = answer.body.decode(errors="replace")
    if opened is not None:
        kept += "\n" + msgspec.json.encode(opened).decode()
    raise Ambiguous(what, Secret(kept)) from None
