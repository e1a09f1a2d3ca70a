"""Bodies, keys, media types: what is wrong is told in the contract's order, by code and field."""

from typing import Annotated, Any

import msgspec
import pytest
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from starship_core.errors import (
    ConfigError,
    InsufficientFunds,
    InvalidInput,
    KeyReused,
    NotFound,
    ReferenceTaken,
    Unavailable,
    WrongState,
)
from starship_core.http.errors import (
    Problem,
    decode,
    idempotency_key,
    problem_of,
    require_json,
)
from starship_core.model import Secret
from starship_core.vault import MissingKey, Unsealable


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: int = 0


class Body(msgspec.Struct, forbid_unknown_fields=True):
    quantity: Annotated[int, msgspec.Meta(gt=0)]
    name: Annotated[str, msgspec.Meta(max_length=5, pattern="^[a-z]*$")] = ""
    inner: Inner | None = None
    metadata: dict[str, Any] = {}


BODY = msgspec.json.Decoder(Body)


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(body, BODY)
    return caught.value


def nested(depth: int) -> bytes:
    """A body whose deepest object or list is the `depth`-th."""
    inside = depth - 1
    return b'{"quantity":1,"metadata":' + b'{"a":' * inside + b"1" + b"}" * inside + b"}"


def test_a_right_body_is_decoded() -> None:
    """Defaults are filled in, and what looks odd but is right passes."""
    body = rb'{"quantity":1,"metadata":{"a":"\\u0000 [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}}'
    assert decode(body, BODY).metadata["a"].startswith("\\u0000 [")
    assert decode(b'{"quantity":1}', BODY) == Body(1)
    assert decode(nested(32), BODY).quantity == 1


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"{", b'{"quantity":1}x', b'{"quantity":1,}', b"\xef\xbb\xbf{}", b"\xff",
        b'{"quantity":NaN}', b'{"quantity":1,"name":"\xff"}',
        b'{"quantity":1,"name":"\xed\xa0\x80"}',
        b'{"quantity":1,"name":"\x00"}', b'{"quantity":1,"name":"\\u0000"}',
        b'{"quantity":1,"metadata":{"\\u0000":1}}', b'{"quantity":1,"metadata":["\\u0000"]}',
        b'{"quantity":1,"name":"\\ud800"}', nested(33), nested(100_000), b"[" * 100_000,
        b'{"quantity":"x","name":', b'{"unknown":1,',
    ],
)  # fmt: skip
def test_what_is_not_json_is_a_syntax_error(body: Any) -> None:
    """Broken, not UTF-8, NUL, too deep: before anything is said about fields."""
    problem = refused(body)
    assert (problem.http, problem.code, problem.messages) == (400, "SYNTAX_ERROR", ())


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        (b"[]", "body", "type"),
        (b"1", "body", "type"),
        (b"{}", "quantity", "required"),
        (b'{"quantity":"1"}', "quantity", "type"),
        (b'{"quantity":1.5}', "quantity", "type"),
        (b'{"quantity":true}', "quantity", "type"),
        (b'{"quantity":null}', "quantity", "type"),
        (b'{"quantity":0}', "quantity", "range"),
        (b'{"quantity":1,"nmae":"x"}', "nmae", "unknown"),
        (b'{"quantity":1,"inner":{"sise":1}}', "inner.sise", "unknown"),
        (b'{"quantity":1,"inner":{"size":"1"}}', "inner.size", "type"),
        (b'{"quantity":1,"name":"abcdef"}', "name", "length"),
        (b'{"quantity":1,"name":"A"}', "name", "format"),
        (b'{"quantity":1e999999999}', "quantity", "value"),
        (b'{"quantity":1,"metadata":{"a":1e999999999}}', "metadata[...]", "value"),
    ],
)
def test_a_wrong_field_is_named_with_its_rule(body: Any, field: Any, rule: Any) -> None:
    """Which field, which rule, and words for whoever reads it."""
    problem = refused(body)
    assert (problem.http, problem.code) == (400, "E_VALIDATION_FAILURE")
    (message,) = problem.messages
    assert (message.field, message.rule) == (field, rule)
    assert message.message
    told = msgspec.json.decode(problem.body("r-1"))["error"]
    assert told["messages"] == {field: [message._asdict()]}
    assert told["request_id"] == "r-1"


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ([(b"content-type", b"application/json")], True),
        ([(b"content-type", b"Application/JSON; charset=UTF-8")], True),
        ([(b"content-type", b'application/json;charset="utf-8"')], True),
        ([(b"content-type", b"application/json"), (b"content-encoding", b"identity")], True),
        ([], False),
        ([(b"content-type", b"")], False),
        ([(b"content-type", b"text/json")], False),
        ([(b"content-type", b"application/jsonp")], False),
        ([(b"content-type", b"application/x-www-form-urlencoded")], False),
        ([(b"content-type", b"application/json; charset=latin-1")], False),
        ([(b"content-type", b"application/json"), (b"content-encoding", b"gzip")], False),
    ],
)
def test_only_plain_json_is_taken(headers: Any, passes: Any) -> None:
    """415 for any other type, another charset, or a compressed body."""
    if passes:
        require_json(headers)
        return
    with pytest.raises(Problem) as caught:
        require_json(headers)
    assert (caught.value.http, caught.value.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (b"12345678", None),
        (b"x" * 256, None),
        (b"a b~c!d{e", None),
        (None, "IDEMPOTENCY_KEY_REQUIRED"),
        (b"", "IDEMPOTENCY_KEY_REQUIRED"),
        (b"1234567\xff", "IDEMPOTENCY_KEY_REQUIRED"),
        (b"1234567\x7f", "IDEMPOTENCY_KEY_REQUIRED"),
        (b"1234567", "IDEMPOTENCY_KEY_TOO_SHORT"),
        (b"x" * 257, "IDEMPOTENCY_KEY_TOO_LONG"),
    ],
)
def test_an_idempotency_key_has_8_to_256_characters(key: Any, code: Any) -> None:
    """Printable ASCII, and each way of being wrong has its own code."""
    headers = [] if key is None else [(b"idempotency-key", key)]
    if code is None:
        assert idempotency_key(headers) == key.decode()
        return
    with pytest.raises(Problem) as caught:
        idempotency_key(headers)
    assert (caught.value.http, caught.value.code) == (400, code)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidInput("no", field="quantity"), (400, "INVALID_INPUT", {"field": "quantity"}, {})),
        (InvalidInput("no", reason="quote_expired"),
         (400, "INVALID_INPUT", {"reason": "quote_expired"}, {})),
        (InsufficientFunds("no"), (402, "INSUFFICIENT_BALANCE", None, {})),
        (NotFound("order", 7), (404, "NOT_FOUND", None, {})),
        (ReferenceTaken("no"), (409, "DUPLICATE_REFERENCE", None, {})),
        (KeyReused("no"), (422, "IDEMPOTENCY_KEY_REUSED", None, {})),
        (WrongState("no", found="DELIVERED"), (409, "WRONG_STATE", {"found": "DELIVERED"}, {})),
        (WrongState("no", found="SENT", code="PURCHASE_OPEN"),
         (409, "PURCHASE_OPEN", {"found": "SENT"}, {})),
        (WrongState("no", found="x", code="NEVER_HEARD_OF"),
         (409, "WRONG_STATE", {"found": "x"}, {})),
        (Unavailable("away", retry_after=0.2), (503, "UNAVAILABLE", None, {"Retry-After": "1"})),
        (MissingKey("no key", retry_after=60), (503, "UNAVAILABLE", None, {"Retry-After": "60"})),
        (NotFoundException(), (404, "NOT_FOUND", None, {})),
        (MethodNotAllowedException(headers={"allow": "GET, POST"}),
         (405, "METHOD_NOT_ALLOWED", None, {"Allow": "GET, POST"})),
    ],
)  # fmt: skip
def test_what_was_foreseen_has_its_code(error: Any, expected: Any) -> None:
    """Each exception of ours is one line of the catalogue, with the facts a client can act on."""
    problem = problem_of(error, "r-1")
    assert (problem.http, problem.code, problem.details, problem.headers) == expected


@pytest.mark.parametrize(
    "error",
    [ValueError("CANARY"), KeyError(Secret("CANARY")), Unsealable("CANARY"), ConfigError("CANARY")],
)
def test_what_was_not_foreseen_is_told_without_its_text(error: Any) -> None:
    """Faults of ours, and errors that no client can cause, say nothing of themselves."""
    problem = problem_of(error, "r-1")
    assert (problem.http, problem.code) == (500, "INTERNAL_ERROR")
    assert b"CANARY" not in problem.body("r-1")
