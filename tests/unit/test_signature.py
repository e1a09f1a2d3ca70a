"""The canonical string, the header and the check of a signature."""

import json
from pathlib import Path
from typing import Any

import pytest

from starship_core.signature import Request, Signature, parse, sign, sorted_query, verify

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "signature-vectors.json").read_text())
SECRET = b"whsec_b2gsIG5vdCBhIHNlY3JldD8+IHRoYXQncyBmaW5lIQ+/AAEC/w=="
OTHER = b"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
REQUEST = Request("POST", b"/api/v1/orders", b"b=2&a=1", b'{"quantity":1}')
NOW = 1_767_225_600


def signed(request: Request = REQUEST, *, secret: bytes = SECRET, at: int = NOW) -> Signature:
    found = parse(sign(secret, request, at).encode())
    assert found is not None
    return found


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_published_vectors_are_accepted(vector: Any) -> None:
    """What the documentation publishes is what the server accepts, byte for byte."""
    path, _, query = vector["target"].partition("?")
    body = vector["body"].encode()
    request = Request(vector["method"], path.encode(), query.encode(), body)
    signature = parse(vector["header"].encode())
    assert signature is not None
    now = int(vector["timestamp"])
    assert verify(request, signature, [vector["signing_secret"].encode()], now=now) is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", b""),
        (b"&&", b""),
        (b"b=2&a=1", b"a=1&b=2"),
        (b"a=2&a=1", b"a=1&a=2"),
        (b"a", b"a="),
        (b"a=", b"a="),
        (b"a=b=c", b"a=b%3Dc"),
        (b"q=a+b", b"q=a%20b"),
        (b"q=a%20b", b"q=a%20b"),
        (b"q=a%2Bb", b"q=a%2Bb"),
        (b"q=%7e~", b"q=~~"),
        (b"q=%c3%a9", b"q=%C3%A9"),
        (b"q=\xc3\xa9", b"q=%C3%A9"),
        (b"q=%ff", b"q=%FF"),
        (b"q=%zz", b"q=%25zz"),
        (b"B=1&a=1", b"B=1&a=1"),
        (b"a%00=1&a=2", b"a=2&a%00=1"),
    ],
)
def test_query_is_decoded_sorted_by_bytes_and_encoded(query: Any, expected: Any) -> None:
    """SORTED_QUERY by its rule: + is a blank, empty values stay, upper-case escapes, bytes sort."""
    assert sorted_query(query) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"t=1,v1=" + b"a" * 64, Signature("1", ("a" * 64,))),
        (b"v1=" + b"a" * 64 + b",t=1", Signature("1", ("a" * 64,))),
        (b"t=1,v0=zz,v1=" + b"a" * 64, Signature("1", ("a" * 64,))),
        (b"t=1,v1=" + b"a" * 64 + b",v1=" + b"b" * 64, Signature("1", ("a" * 64, "b" * 64))),
        (b"", None),
        (b"t=1", None),
        (b"v1=" + b"a" * 64, None),
        (b"t=1,t=2,v1=" + b"a" * 64, None),
        (b"t=-1,v1=" + b"a" * 64, None),
        (b"t=1.5,v1=" + b"a" * 64, None),
        (b"t=" + b"9" * 13 + b",v1=" + b"a" * 64, None),
        (b"t=\xd9\xa1,v1=" + b"a" * 64, None),
        (b"t=1,v1=" + b"A" * 64, None),
        (b"t=1,v1=" + b"a" * 63, None),
        (b"t=1, v1=" + b"a" * 64, None),
        (b"t=1,v1=" + b"a" * 64 + b"," + b"x" * 1024, None),
    ],
)
def test_header_is_read_strictly(header: Any, expected: Any) -> None:
    """A header is either understood whole, or refused."""
    assert parse(header) == expected


@pytest.mark.parametrize(
    "changed",
    [
        REQUEST._replace(method="PUT"),
        REQUEST._replace(raw_path=b"/api/v1/orders/"),
        REQUEST._replace(query=b"b=2&a=2"),
        REQUEST._replace(body=b'{"quantity":2}'),
        REQUEST._replace(body=b""),
    ],
)
def test_every_part_is_signed(changed: Any) -> None:
    """Nothing of a request can be changed under its signature."""
    assert verify(changed, signed(), [SECRET], now=NOW) == "signature does not match"


def test_timestamp_is_signed() -> None:
    """A signature cannot be given another time."""
    younger = signed()._replace(timestamp=str(NOW + 1))
    assert verify(REQUEST, younger, [SECRET], now=NOW) == "signature does not match"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOW - 300, None),
        (NOW + 300, None),
        (NOW - 301, "signature is stale"),
        (NOW + 301, "signature is stale"),
    ],
)
def test_tolerance_is_300_seconds_either_way(at: Any, expected: Any) -> None:
    """Clocks may differ by five minutes and not by a second more."""
    assert verify(REQUEST, signed(at=at), [SECRET], now=NOW) == expected


def test_one_of_several_values_is_enough() -> None:
    """During a rotation a client may send both signatures, in any order."""
    right, wrong = signed(), signed(secret=OTHER)
    both = Signature(right.timestamp, wrong.values + right.values)
    assert verify(REQUEST, both, [SECRET], now=NOW) is None


def test_older_secret_is_accepted_within_its_grace() -> None:
    """Whoever holds two secrets accepts a signature by either."""
    assert verify(REQUEST, signed(secret=OTHER), [SECRET, OTHER], now=NOW) is None
    assert verify(REQUEST, signed(secret=OTHER), [SECRET], now=NOW) == "signature does not match"


def test_no_secret_accepts_nothing() -> None:
    """A credential without a signing secret cannot be signed for."""
    assert verify(REQUEST, signed(), [], now=NOW) == "signature does not match"
