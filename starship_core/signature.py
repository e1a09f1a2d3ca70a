"""Request signatures: the canonical string, its HMAC, and the check (client API, section 2)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

TOLERANCE: Final = 300
"""Seconds that a timestamp may lie in the past or in the future."""
_LONGEST: Final = 1024
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_VALUE: Final = re.compile(r"[0-9a-f]{64}")


class Signature(NamedTuple):
    """What `X-Signature` says: the digits of `t=` as sent, and every `v1=`."""

    timestamp: str
    values: tuple[str, ...]


class Request(NamedTuple):
    """The signed parts of a request, as they were sent."""

    method: str
    raw_path: bytes
    query: bytes
    body: bytes


def parse(header: bytes) -> Signature | None:
    """Read `t=<digits>,v1=<hex>[,v1=<hex>…]`, passing over other schemes; None: it is not that."""
    if len(header) > _LONGEST:
        return None
    timestamp = ""
    values = []
    for part in header.decode("latin-1").split(","):
        name, _, value = part.partition("=")
        if name == "t":
            if timestamp or not _TIMESTAMP.fullmatch(value):
                return None
            timestamp = value
        elif name == "v1" and _VALUE.fullmatch(value):
            values.append(value)
    return Signature(timestamp, tuple(values)) if timestamp and values else None


def sorted_query(query: bytes) -> bytes:
    """Decode the pairs (`+` is a blank, empty values stay), sort by bytes, encode by RFC 3986."""
    if not query:
        return b""
    pairs = []
    for piece in query.split(b"&"):
        if piece:
            key, _, value = piece.replace(b"+", b" ").partition(b"=")
            pairs.append((unquote_to_bytes(key), unquote_to_bytes(value)))
    return "&".join(
        f"{quote_from_bytes(key, '')}={quote_from_bytes(value, '')}" for key, value in sorted(pairs)
    ).encode()


def canonical(request: Request, timestamp: str) -> bytes:
    """Join what is signed, a line each: METHOD, PATH, SORTED_QUERY, BODY_HASH, TIMESTAMP."""
    return b"\n".join(
        (
            request.method.upper().encode(),
            request.raw_path,
            sorted_query(request.query),
            hashlib.sha256(request.body).hexdigest().encode(),
            timestamp.encode(),
        )
    )


def sign(secret: bytes, request: Request, timestamp: int) -> str:
    """Make the header that `verify` accepts."""
    value = _mac(secret, canonical(request, str(timestamp)))
    return f"t={timestamp},v1={value}"


def verify(
    request: Request, signature: Signature, secrets: Sequence[bytes], *, now: float
) -> str | None:
    """Return why the signature does not hold, for the log only, or None when it does.

    Every value is compared with every secret's, whatever the others gave, so that the time taken
    tells nothing.
    """
    text = canonical(request, signature.timestamp)
    matched = False
    for secret in secrets:
        expected = _mac(secret, text)
        for value in signature.values:
            matched |= hmac.compare_digest(expected, value)
    if not matched:
        return "signature does not match"
    if abs(now - int(signature.timestamp)) > TOLERANCE:
        return "signature is stale"
    return None


def _mac(secret: bytes, text: bytes) -> str:
    return hmac.digest(secret, text, "sha256").hex()
