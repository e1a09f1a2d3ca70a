"""An event as a letter to an operator: pure, and the same event is the same letter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final

import msgspec

from starship_core import OrderEvent

SUBJECT: Final = 160
"""Characters; what is longer is cut."""
SUMMARY: Final = "summary"
"""The field of an event's data that says in one line what is the matter: it ends the subject."""
TEXT: Final = "text"
"""The field that says it in full, over several lines, with the command that mends it."""

_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_-]")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a letter needs besides the event."""

    label: str
    """`starship`, `starship test`"""
    sender: str
    to: Sequence[str]
    at: datetime


def letter(event: OrderEvent, envelope: Envelope) -> bytes:
    """Raises TypeError for an event that holds a `Secret`, and then nothing is sent."""
    data: dict[str, Any] = msgspec.to_builtins(event.data)
    message = EmailMessage(policy=SMTP)
    message["From"] = envelope.sender
    message["To"] = ", ".join(envelope.to)
    message["Subject"] = _subject(event.event_type, data, envelope.label)
    message["Date"] = format_datetime(envelope.at.astimezone(UTC))
    message["Message-ID"] = _message_id(event.event_id, envelope.sender)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(event, data)), cte="quoted-printable")
    return message.as_bytes()


def _subject(event_type: str, data: Mapping[str, Any], label: str) -> str:
    summary = data.get(SUMMARY)
    told = f"[{label}] {event_type}" + (f": {summary}" if summary else "")
    line = " ".join(_printable(told).split())
    return line if len(line) <= SUBJECT else f"{line[: SUBJECT - 1]}…"


def _message_id(event_id: str, sender: str) -> str:
    """Another attempt has the same, so that a mailbox which got both shows one."""
    return f"<event-{_NOT_IN_AN_ID.sub('-', event_id)}@{sender.partition('@')[2]}>"


def _lines(event: OrderEvent, data: Mapping[str, Any]) -> Iterator[str]:
    if summary := data.get(SUMMARY):
        yield _printable(str(summary))
        yield ""
    if text := data.get(TEXT):
        yield from (_printable(line) for line in str(text).splitlines())
        yield ""
    for name, value in data.items():
        if name not in (SUMMARY, TEXT):
            yield f"{_printable(name)}: {_written(value)}"
    created_at = event.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    yield f"event: {_printable(event.event_id)}, {_printable(event.event_type)}, {created_at}"
    yield ""


def _written(value: Any) -> str:
    """Text as it is, if it is one line; everything else as JSON."""
    if isinstance(value, str) and value.isprintable():
        return value
    return _printable(msgspec.json.encode(value).decode())


def _printable(text: str) -> str:
    """No line break, no control character: nothing that would start another header or line."""
    return "".join(character if character.isprintable() else " " for character in text)
