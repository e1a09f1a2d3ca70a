"""What a client is told when something is wrong, in one shape (client API, section 3)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from starship_core.errors import (
    InsufficientFunds,
    InvalidInput,
    KeyReused,
    NotFound,
    ReferenceTaken,
    StarshipError,
    Unavailable,
    WrongState,
)
from starship_core.http.codes import CATALOGUE
from starship_core.logs import fault

T = TypeVar("T")
JSON: Final = "application/json"
Headers = Iterable[tuple[bytes, bytes]]
_DEEPEST: Final = 32
_MESSAGE: Final = re.compile(r"(?P<text>.*?)(?: - at `(?P<path>.*)`)?", re.DOTALL)
_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_RULES: Final = (  # how msgspec words it → what the rule is called
    ("matching regex", "format"),
    ("of length", "length"),
    ("Invalid enum", "enum"),
    ("Expected `int` ", "range"),
    ("Expected `float` ", "range"),
    ("Expected", "type"),
)
_log = structlog.get_logger("starship.web")
_encode = msgspec.json.Encoder().encode


class Messages(NamedTuple):
    """One line of `messages`."""

    rule: str
    field: str
    message: str


class Problem(Exception):
    """Raised by the web layer itself; everything else is translated into one by `problem_of`."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        messages: Sequence[Messages] = (),
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.messages = messages
        self.details = details
        self.headers = dict(headers or {})
        super().__init__(message)

    @property
    def http(self) -> int:
        return CATALOGUE[self.code].http

    def body(self, request_id: str) -> bytes:
        """The answer's JSON."""
        error: dict[str, Any] = {
            "name": CATALOGUE[self.code].name,
            "code": self.code,
            "message": str(self),
        }
        if self.messages:
            by_field: dict[str, list[dict[str, str]]] = {}
            error["messages"] = by_field
            for each in self.messages:
                by_field.setdefault(each.field, []).append(each._asdict())
        if self.details:
            error["details"] = self.details
        error["request_id"] = request_id
        return _encode({"error": error})


def invalid(field: str, rule: str, message: str) -> Problem:
    """400 `E_VALIDATION_FAILURE` about one field."""
    return Problem(
        "E_VALIDATION_FAILURE", f"{field}: {message}", messages=[Messages(rule, field, message)]
    )


def unavailable(message: str, retry_after: float) -> Problem:
    """503, with the header that says when to ask again."""
    return Problem("UNAVAILABLE", message, headers={"Retry-After": whole_seconds(retry_after)})


def whole_seconds(seconds: float) -> str:
    """As `Retry-After` wants it: at least one."""
    return str(max(1, math.ceil(seconds)))


_PLAIN: Final[dict[type[StarshipError], str]] = {
    InsufficientFunds: "INSUFFICIENT_BALANCE",
    NotFound: "NOT_FOUND",
    KeyReused: "IDEMPOTENCY_KEY_REUSED",
    ReferenceTaken: "DUPLICATE_REFERENCE",
}


def problem_of(error: Exception, request_id: str) -> Problem:
    """Translate; what nobody foresaw is logged by class and place, and told as a fault of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, StarshipError):
        known = _of_ours(error)
    elif isinstance(error, HTTPException):
        known = _of_litestar(error)
    else:
        known = None
    if known is None:
        log_fault(error, request_id)
        return Problem("INTERNAL_ERROR", "something went wrong on our side")
    return known


def _of_ours(error: StarshipError) -> Problem | None:
    if isinstance(error, InvalidInput):
        facts = {"field": error.field, "reason": error.reason}
        told = {name: fact for name, fact in facts.items() if fact is not None}
        return Problem("INVALID_INPUT", str(error), details=told)
    if isinstance(error, WrongState):
        code = error.code if error.code in CATALOGUE else "WRONG_STATE"
        return Problem(code, str(error), details={"found": error.found})
    if isinstance(error, Unavailable):
        return unavailable(str(error), error.retry_after)
    for kind, code in _PLAIN.items():
        if isinstance(error, kind):
            return Problem(code, str(error))
    return None


def _of_litestar(error: HTTPException) -> Problem | None:
    """Routing is all that Litestar decides here."""
    if error.status_code == 404:
        return Problem("NOT_FOUND", "there is nothing at this path")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "")
        return Problem("METHOD_NOT_ALLOWED", f"allowed here: {allowed}", headers={"Allow": allowed})
    if error.status_code < 500:
        return Problem("SYNTAX_ERROR", error.detail)
    return None


def log_fault(error: BaseException, request_id: str) -> None:
    """Class and place only: texts and locals may hold what must not be in a log."""
    _log.error("request.failed", request_id=request_id, **fault(error))


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler for everything."""
    request_id = request.scope["state"]["starship_request_id"]
    problem = problem_of(error, request_id)
    return Response(
        problem.body(request_id),
        status_code=problem.http,
        headers=problem.headers,
        media_type=JSON,
    )


# --- what a request may get wrong before anything is looked up ------------------------------------


def header(headers: Headers, name: bytes) -> bytes | None:
    """The header of this name, in lower case; one that is repeated fits nothing."""
    found = [value for each, value in headers if each == name]
    return b"\n".join(found) if found else None


def require_json(headers: Headers) -> None:
    """Raises 415 unless the body says that it is JSON in UTF-8, not compressed."""
    kind, _, parameters = (header(headers, b"content-type") or b"").lower().partition(b";")
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    if kind.strip() != b"application/json" or charset not in (b"", b"charset=utf-8"):
        raise Problem("UNSUPPORTED_MEDIA_TYPE", "send Content-Type: application/json")
    if (header(headers, b"content-encoding") or b"identity") != b"identity":
        raise Problem("UNSUPPORTED_MEDIA_TYPE", "send the body without a Content-Encoding")


def idempotency_key(headers: Headers) -> str:
    """8 to 256 printable ASCII characters; raises the 400 that says what is wrong with it."""
    given = header(headers, b"idempotency-key")
    if not given:
        raise Problem("IDEMPOTENCY_KEY_REQUIRED", "send the header Idempotency-Key")
    key = given.decode("latin-1")
    if not (key.isascii() and key.isprintable()):
        raise Problem("IDEMPOTENCY_KEY_REQUIRED", "Idempotency-Key must be printable ASCII")
    if len(key) < 8:
        raise Problem("IDEMPOTENCY_KEY_TOO_SHORT", "Idempotency-Key must have 8 characters or more")
    if len(key) > 256:
        raise Problem(
            "IDEMPOTENCY_KEY_TOO_LONG", "Idempotency-Key must have 256 characters or less"
        )
    return key


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """First JSON, then schema; `require_json` comes before. Raises nothing but `Problem` 400."""
    try:
        if b"\\u0000" in body or body.count(b"[") + body.count(b"{") > _DEEPEST:
            _look_inside(body)
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        _require_syntax(body)  # a broken end counts before a wrong field
        raise _validation(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _syntax("the body is not JSON in UTF-8") from None


def _require_syntax(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        return  # a number beyond every range is still JSON
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _syntax("the body is not JSON in UTF-8") from None


def _look_inside(body: bytes) -> None:
    """Rare: something in the text may be NUL or too deep; only its value tells."""
    waiting: list[tuple[Any, int]] = [(msgspec.json.decode(body), 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict | list):
            if depth > _DEEPEST:
                raise _syntax(f"the body is nested deeper than {_DEEPEST}")
            children = [*value, *value.values()] if isinstance(value, dict) else value
            waiting.extend((child, depth + 1) for child in children)
        elif isinstance(value, str) and "\x00" in value:
            raise _syntax("the body holds \\u0000")


def _syntax(message: str) -> Problem:
    return Problem("SYNTAX_ERROR", message)


def _validation(text: str) -> Problem:
    """From msgspec's words: ``Expected `int`, got `str` - at `$.quantity` ``."""
    found = _MESSAGE.fullmatch(text)
    message, path = (found["text"], found["path"] or "$") if found else (text, "$")
    field = path.removeprefix("$").removeprefix(".")
    if named := _FIELD.fullmatch(message):
        missing = named[1] == "missing required"
        field = f"{field}.{named[2]}" if field else named[2]
        return invalid(
            field, *(("required", "missing") if missing else ("unknown", "no such field"))
        )
    rule = next((rule for words, rule in _RULES if words in message), "value")
    return invalid(field or "body", rule, message)
