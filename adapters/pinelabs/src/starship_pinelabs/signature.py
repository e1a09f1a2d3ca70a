"""Pine Labs' signature: HMAC-SHA512 over method, address and body, each in one canonical form."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final
from urllib.parse import quote

import msgspec

_encode: Final = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


def canonical(body: Any) -> bytes:
    """JSON with its keys sorted at every depth, compact, nothing escaped without need.

    What is signed is what is sent, so that no number can be written in two ways.
    """
    return _encode(body)


def base_string(method: str, url: str, body: bytes | None) -> str:
    """What is signed; the query's `k=v` are sorted as they are written."""
    address, mark, query = url.partition("?")
    parts = [method.upper(), _quoted(address + mark + "&".join(sorted(query.split("&"))))]
    if body is not None:
        parts.append(_quoted(body.decode()))
    return "&".join(parts)


def signed(method: str, url: str, body: bytes | None, secret: str) -> str:
    """The header `signature`."""
    message = base_string(method, url, body).encode()
    return hmac.new(secret.encode(), message, hashlib.sha512).hexdigest()


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
