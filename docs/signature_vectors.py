# ruff: noqa: INP001  # docs is no package
"""Writes docs/signature-vectors.json: what a client's signing code is tested against.

python docs/signature_vectors.py

Computed by the example client, which was written from the contract's text; a test has bash with
openssl, and Node, compute the same from the requests, and another holds the server against it.
"""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
FILE = HERE / "signature-vectors.json"
SECRET = "whsec_b2gsIG5vdCBhIHNlY3JldD8+IHRoYXQncyBmaW5lIQ+/AAEC/w=="  # noqa: S105  # a published one
OTHER_SECRET = "whsec_c2Vjb25kIG9mIHR3bywgZHVyaW5nIGEgcm90YXRpb24uLi4uLg=="  # noqa: S105  # a published one
TIMESTAMP = "1767225600"


class Case(NamedTuple):
    name: str
    why: str
    method: str
    target: str
    body: str = ""
    timestamp: str = TIMESTAMP
    secret: str = SECRET


CASES = (
    Case("no query, no body", "the hash is that of zero bytes", "GET", "/api/v1/products"),
    Case("method in lower case", "it is signed in upper case", "get", "/api/v1/products"),
    Case("query without pairs", "a lone ? changes nothing", "GET", "/api/v1/products?"),
    Case("one pair", "nothing to sort", "GET", "/api/v1/products?limit=10"),
    Case(
        "pairs out of order",
        "sorted by key",
        "GET",
        "/api/v1/orders?page=2&limit=10&status=PENDING",
    ),
    Case(
        "equal keys",
        "sorted by value",
        "GET",
        "/api/v1/orders?status=PENDING&status=DELIVERED&status=",
    ),
    Case("a key that begins another", "the shorter first", "GET", "/api/v1/x?ab=1&a=2&abc=3&a-b=4"),
    Case("empty values", "kept, with and without =", "GET", "/api/v1/products?search=&category"),
    Case("= in a value", "only the first = divides", "GET", "/api/v1/products?search=a=b=c"),
    Case("empty parts", "&& is one &", "GET", "/api/v1/products?&limit=10&&page=1&"),
    Case("+ is a blank", "signed as %20", "GET", "/api/v1/products?search=gift+card"),
    Case("%20 is a blank", "the same as +", "GET", "/api/v1/products?search=gift%20card"),
    Case("%2B is a plus", "signed as %2B", "GET", "/api/v1/products?search=a%2Bb"),
    Case(
        "~ is unreserved",
        "signed as ~, sent either way",
        "GET",
        "/api/v1/products?search=~a%7Eb%7e",
    ),
    Case(
        "- . _ are unreserved",
        "sent encoded, signed bare",
        "GET",
        "/api/v1/products?search=%2D%2E%5F",
    ),
    Case("é in UTF-8", "two bytes, upper-case hex", "GET", "/api/v1/products?search=caf%c3%a9"),
    Case(
        "sorted after decoding",
        "z (7A) before é (C3 A9), though %C3 sorts before z",
        "GET",
        "/api/v1/x?%C3%A9=1&z=2&~=3&%7B=4&A=5&a=6",
    ),
    Case(
        "reserved characters", "all of them encoded", "GET", "/api/v1/x?q=!*'();:@,/?%23[]$%26%3D"
    ),
    Case(
        "JSON in a value",
        "the catalogue's sort",
        "GET",
        "/api/v1/products?sort=%7B%22field%22%3A%22id%22%2C%22direction%22%3A%22DESC%22%7D",
    ),
    Case("NUL in a value", "a byte like any other", "GET", "/api/v1/products?search=a%00b"),
    Case(
        "encoded path",
        "as sent: neither decoded nor re-encoded",
        "GET",
        "/api/v1/orders/by-reference/march%20run~1%7e2",
    ),
    Case(
        "an order",
        "the body's bytes as sent",
        "POST",
        "/api/v1/orders",
        '{"product_id": 310, "denomination": "20.00", "quantity": 3}',
    ),
    Case(
        "the same order, written tighter",
        "another body, although equal as JSON",
        "POST",
        "/api/v1/orders",
        '{"product_id":310,"denomination":"20.00","quantity":3}',
    ),
    Case(
        "body in UTF-8",
        "hashed as bytes, not as characters",
        "POST",
        "/api/v1/orders",
        '{"product_id": 310, "denomination": "20.00", "metadata": {"to": "Zoë 🎁 名"}}',
    ),
    Case("body with a line end", "it counts", "POST", "/api/v1/orders", '{"product_id": 310}\r\n'),
    Case("query and body", "both", "PUT", "/api/v1/x?b=2&a=1", "{}"),
    Case(
        "another timestamp", "the digits of t=", "GET", "/api/v1/products", timestamp="1767225601"
    ),
    Case(
        "another secret", "the whole whsec_… string", "GET", "/api/v1/products", secret=OTHER_SECRET
    ),
)


def vectors() -> dict[str, Any]:
    """The file's content."""
    client = runpy.run_path(str(HERE.parent / "examples" / "client" / "starship_client.py"))
    found = []
    for case in CASES:
        body = case.body.encode()
        text = client["canonical"](case.method, case.target, body, case.timestamp)
        digest = client["signature"](case.secret, text)
        found.append(
            {
                "name": case.name,
                "why": case.why,
                "method": case.method,
                "target": case.target,
                "body": case.body,
                "body_sha256": hashlib.sha256(body).hexdigest(),
                "timestamp": case.timestamp,
                "signing_secret": case.secret,
                "canonical": text,
                "signature": digest,
                "header": f"t={case.timestamp},v1={digest}",
            }
        )
    return {
        "about": "The signing of requests, see client-api.md. `target` is path and query as sent, "
        "`body` is UTF-8 text, empty when there is none. The secrets are published: use them for "
        "nothing else.",
        "vectors": found,
    }


def text() -> str:
    return json.dumps(vectors(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
