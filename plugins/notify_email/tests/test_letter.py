"""What an operator reads."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starship_notify_email.letter import SUBJECT, Envelope, letter

from starship_core import OrderEvent, Secret

ENVELOPE = Envelope(
    label="starship test",
    sender="starship@shop.example",
    to=["ops@shop.example", "night@shop.example"],
    at=datetime(2027, 1, 4, 11, 30, tzinfo=timezone(timedelta(hours=2))),
)
EVENT = OrderEvent(
    event_id="ntc_12_stock.low",
    event_type="stock.low",
    created_at=datetime(2027, 1, 4, 9, 29, 59, tzinfo=UTC),
    client_id=0,
    data={
        "summary": "310/20.00/GBP has 7 units left, its minimum is 50",
        "text": "The next pump is at 10:00.\nNow: starship pump --sku 310/20.00/GBP",
        "product_id": 310,
        "denomination": "20.00",
        "since": datetime(2027, 1, 4, 9, tzinfo=UTC),
        "price": Decimal("1.50"),
        "vendors": ["bamboo-eu", "acme"],
        "pump": None,
    },
)


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, _class=EmailMessage, policy=SMTP)


def subject(message: EmailMessage) -> str:
    """Without the blank that a folded header begins with."""
    return str(message["Subject"]).lstrip()


def written(**data: Any) -> EmailMessage:
    return read(letter(msgspec.structs.replace(EVENT, data=data), ENVELOPE))


def test_a_letter_as_it_arrives() -> None:
    """What is the matter, then in full, then every figure, then which event it was."""
    message = read(letter(EVENT, ENVELOPE))
    assert dict(message.items()) | {"Subject": subject(message)} == {
        "From": "starship@shop.example",
        "To": "ops@shop.example, night@shop.example",
        "Subject": ("[starship test] stock.low: 310/20.00/GBP has 7 units left, its minimum is 50"),
        "Date": "Mon, 04 Jan 2027 09:30:00 +0000",
        "Message-ID": "<event-ntc_12_stock-low@shop.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert message.get_content().splitlines() == [
        "310/20.00/GBP has 7 units left, its minimum is 50",
        "",
        "The next pump is at 10:00.",
        "Now: starship pump --sku 310/20.00/GBP",
        "",
        "product_id: 310",
        "denomination: 20.00",
        "since: 2027-01-04T09:00:00Z",
        "price: 1.50",
        'vendors: ["bamboo-eu","acme"]',
        "pump: null",
        "event: ntc_12_stock.low, stock.low, 2027-01-04T09:29:59Z",
    ]


def test_an_event_of_an_order_needs_no_summary() -> None:
    """Its data is the letter."""
    message = written(id=4411, status="PENDING", sub_status="NEEDS_REVIEW")
    assert message["Subject"] == "[starship test] stock.low"
    assert message.get_content().splitlines()[:3] == [
        "id: 4411", "status: PENDING", "sub_status: NEEDS_REVIEW",
    ]  # fmt: skip


def test_the_same_event_is_the_same_letter() -> None:
    """So that a mailbox that got two attempts shows one."""
    assert letter(EVENT, ENVELOPE) == letter(EVENT, ENVELOPE)


def test_a_code_cannot_get_into_a_letter() -> None:
    """Wherever in the data it is, its type stops it, and no message repeats it."""
    for data in ({"code": Secret("GIFT-1234")}, {"deep": [{"pin": Secret("GIFT-1234")}]}):
        with pytest.raises(TypeError) as caught:
            written(**data)
        assert "GIFT" not in str(caught.value)


@pytest.mark.parametrize("line", ["\r\nBcc: x@y", "\nBcc: x@y", "\u2028Bcc: x@y", "\x00\x1b[2J"])
def test_nothing_starts_another_header_or_line(line: str) -> None:
    """Texts may come from clients and vendors; only `text`, which is ours, has lines."""
    message = written(summary=f"low{line}", reference_code=f"a{line}")
    assert list(message) == list(read(letter(EVENT, ENVELOPE)))
    assert subject(message).startswith("[starship test] stock.low: low ")
    first, empty, reference, event = message.get_content().splitlines()
    assert first.startswith("low ")
    assert empty == ""
    assert reference.startswith('reference_code: "a')
    assert event.startswith("event: ntc_12_stock.low")
    assert all(text.isprintable() for text in (subject(message), first, reference))


def test_a_long_subject_is_cut() -> None:
    """And says so; the whole of it is in the letter."""
    message = written(summary="x" * 500)
    assert len(subject(message)) == SUBJECT
    assert subject(message).endswith("x…")
    assert message.get_content().splitlines()[0] == "x" * 500


texts = st.text(max_size=20)
values = st.none() | st.booleans() | st.integers() | texts | st.lists(texts, max_size=2)
trees = st.dictionaries(texts | st.sampled_from(("summary", "text")), values, max_size=3)


@given(trees, st.text(max_size=30), st.text(max_size=30))
def test_whatever_an_event_holds_the_letter_can_be_sent(
    data: dict[str, Any], event_id: str, event_type: str
) -> None:
    """ASCII with CRLF throughout, lines within the limit of SMTP, our headers and no other."""
    event = OrderEvent(
        event_id=event_id, event_type=event_type, created_at=EVENT.created_at, client_id=0,
        data=data,
    )  # fmt: skip
    content = letter(event, ENVELOPE)
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert list(read(content)) == list(read(letter(EVENT, ENVELOPE)))
