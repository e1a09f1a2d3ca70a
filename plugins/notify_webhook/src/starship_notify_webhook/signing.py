"""The bytes of a webhook: its body, and both families of headers that sign it. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from starship_core import InvalidInput, OrderEvent, Secret

PREFIX: Final = "whsec_"

_EVENT_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class _Body(msgspec.Struct):
    event_id: str
    event_type: str
    created_at: datetime
    data: dict[str, Any]


def body(event: OrderEvent) -> bytes:
    """The same bytes for the same event, whenever and wherever it is encoded: keys of `data` are
    sorted. A `Secret` in it is a TypeError.
    """
    created_at = event.created_at.astimezone(UTC)
    return _encode(_Body(event.event_id, event.event_type, created_at, event.data))


def headers(
    event_id: str, content: bytes, secrets: Sequence[Secret], *, at: datetime
) -> list[tuple[str, str]]:
    """What is sent along, signed at this moment. Raises InvalidInput for what cannot be signed.

    `X-Signature` holds one signature, so it is the older secret's while two are live; the Standard
    header holds one of each. A receiver that changes its secret in between loses nothing.
    """
    if not secrets:
        raise InvalidInput("a webhook without a secret cannot be signed, and is not sent")
    if not _EVENT_ID.fullmatch(event_id):
        raise InvalidInput("an event's id is up to 256 visible ASCII characters")
    timestamp = str(int(at.timestamp()))
    legacy = timestamp.encode() + b"." + content
    standard = f"{event_id}.{timestamp}.".encode() + content
    older = secrets[0].reveal().encode()
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", "starship-webhook"),
        ("X-Timestamp", timestamp),
        ("X-Signature", hmac.digest(older, legacy, "sha256").hex()),
        ("webhook-id", event_id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", " ".join(_standard(secret, standard) for secret in secrets)),
    ]


def _standard(secret: Secret, content: bytes) -> str:
    value = hmac.digest(_key(secret), content, "sha256")
    return f"v1,{base64.b64encode(value).decode()}"


def _key(secret: Secret) -> bytes:
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not key:
        raise InvalidInput(f"a webhook's secret is {PREFIX} and base64") from None
    return key
