"""The bytes and their signatures, held against others' computations."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from starship_notify_webhook.signing import body, headers

from starship_core import InvalidInput, OrderEvent, Secret

SECRET = "whsec_c3RhcnNoaXAtdGVzdC1zZWNyZXQtMzItYnl0ZXMhISE="
NEWER = "whsec_YW5vdGhlciBvbmUsIHRoYXQgaXMgMzIgYnl0ZXMgdG9v"
AT = datetime(2027, 1, 1, 9, tzinfo=UTC)
EVENT = OrderEvent(
    event_id="evt_1_1_order.created",
    event_type="order.created",
    created_at=AT,
    client_id=3,
    data={"id": 1, "status": "PENDING"},
)
BODY = (
    b'{"event_id":"evt_1_1_order.created","event_type":"order.created",'
    b'"created_at":"2027-01-01T09:00:00Z","data":{"id":1,"status":"PENDING"}}'
)


def signed(content: bytes = BODY, *secrets: str, at: datetime = AT) -> dict[str, str]:
    kept = [Secret(secret) for secret in secrets or (SECRET,)]
    return dict(headers("evt_1_1_order.created", content, kept, at=at))


def test_a_body_and_its_headers_byte_for_byte() -> None:
    """Both signatures were computed with `openssl dgst -sha256` over these bytes."""
    assert body(EVENT) == BODY
    assert headers(EVENT.event_id, BODY, [Secret(SECRET)], at=AT) == [
        ("Content-Type", "application/json"),
        ("User-Agent", "starship-webhook"),
        ("X-Timestamp", "1798794000"),
        ("X-Signature", "3d7c1bd680d75642e078e6f5c18f85f4f1d07b16798bd861a9b9e3e41c3ceb6f"),
        ("webhook-id", "evt_1_1_order.created"),
        ("webhook-timestamp", "1798794000"),
        ("webhook-signature", "v1,53UVtvDWGI9MZH7xa0JKjlQZy0lQ68wfey0ZhKZ+RqM="),
    ]


def test_a_fraction_of_a_second_is_not_told() -> None:
    """Seconds, rounded down, as both families have them."""
    told = signed(at=AT + timedelta(microseconds=999_999))
    assert (told["X-Timestamp"], told["webhook-timestamp"]) == ("1798794000", "1798794000")


def test_the_stock_verifier_accepts_it_and_nothing_else() -> None:
    """The `standardwebhooks` package as it is published; one byte more, and it refuses."""
    told = signed(at=datetime.now(UTC))
    assert Webhook(SECRET).verify(BODY, told) == json.loads(BODY)
    for content, secret in ((BODY + b" ", SECRET), (BODY, NEWER)):
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Webhook(secret).verify(content, told)


def test_while_two_secrets_are_live_either_verifies() -> None:
    """The Standard header with both; the legacy one, which holds one signature, with the older."""
    told = signed(BODY, SECRET, NEWER, at=datetime.now(UTC))
    assert len(told["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, NEWER):
        assert Webhook(secret).verify(BODY, told) == json.loads(BODY)
    assert legacy(SECRET, told, BODY) == told["X-Signature"] != legacy(NEWER, told, BODY)


def legacy(secret: str, told: dict[str, str], content: bytes) -> str:
    """As a receiver computes it that knows nothing of us: the whole string is the key."""
    text = told["X-Timestamp"].encode() + b"." + content
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


keys = st.binary(min_size=24, max_size=64)
flat = st.dictionaries(st.text(max_size=10), st.text() | st.integers(-(2**53), 2**53) | st.none())


@given(st.lists(keys, min_size=1, max_size=2), flat)
def test_what_is_sent_verifies_for_every_secret_and_body(
    chosen: list[bytes], data: dict[str, Any]
) -> None:
    """Held against the verifier and against an HMAC of our own reading of the contract."""
    written = [f"whsec_{base64.b64encode(key).decode()}" for key in chosen]
    content = body(msgspec.structs.replace(EVENT, data=data))
    told = signed(content, *written, at=datetime.now(UTC))
    for secret in written:
        assert Webhook(secret).verify(content, told)["data"] == data
    assert legacy(written[0], told, content) == told["X-Signature"]
    text = b".".join((b"evt_1_1_order.created", told["webhook-timestamp"].encode(), content))
    expected = [base64.b64encode(hmac.new(key, text, "sha256").digest()) for key in chosen]
    assert told["webhook-signature"].encode() == b" ".join(b"v1," + value for value in expected)


@given(st.permutations(["id", "status", "amount", "nested"]))
def test_the_same_event_is_the_same_bytes(order: list[str]) -> None:
    """However its data came: a database that reorders keys changes no signature."""
    values = {"id": 1, "status": "PENDING", "amount": "1.250", "nested": {"b": 1, "a": [2, None]}}
    data = {key: values[key] for key in order}
    assert body(msgspec.structs.replace(EVENT, data=data)).partition(b'"data":')[2] == (
        b'{"amount":"1.250","id":1,"nested":{"a":[2,null],"b":1},"status":"PENDING"}}'
    )


@pytest.mark.parametrize(
    ("created_at", "written"),
    [
        (AT + timedelta(microseconds=1), "2027-01-01T09:00:00.000001Z"),
        (datetime(2027, 1, 1, 11, tzinfo=timezone(timedelta(hours=2))), "2027-01-01T09:00:00Z"),
    ],
)
def test_times_are_utc(created_at: datetime, written: str) -> None:
    """RFC 3339 with Z, as everywhere in the API."""
    content = body(msgspec.structs.replace(EVENT, created_at=created_at))
    assert json.loads(content)["created_at"] == written


def test_a_secret_cannot_get_into_a_body() -> None:
    """Whoever puts a code into an event is stopped by its type, and the code is in no message."""
    event = msgspec.structs.replace(EVENT, data={"code": Secret("GIFT-1234")})
    with pytest.raises(TypeError, match="Secret") as caught:
        body(event)
    assert "GIFT" not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_?", "whsec_c3RhcnNoaXA", "c3RhcnNoaXA=", "WHSEC_c3RhcnNoaXA=", "whsec_é"],
)
def test_what_is_no_secret_signs_nothing(secret: str) -> None:
    """Nothing leaves with half a signature, and the message does not repeat what it was given."""
    with pytest.raises(InvalidInput, match="a webhook's secret is whsec_ and base64") as caught:
        signed(BODY, SECRET, secret)
    assert caught.value.__cause__ is None
    assert str(caught.value) == "a webhook's secret is whsec_ and base64"


def test_nothing_is_sent_unsigned() -> None:
    """A target without a secret is a mistake of ours."""
    with pytest.raises(InvalidInput, match="cannot be signed"):
        headers("evt_1", BODY, [], at=AT)


@pytest.mark.parametrize("event_id", ["", "evt 1", "evt\r\nX: y", "évt", "e" * 257])
def test_an_id_that_no_header_can_hold(event_id: str) -> None:
    """Refused, before a header is made of it."""
    with pytest.raises(InvalidInput, match="an event's id is"):
        headers(event_id, BODY, [Secret(SECRET)], at=AT)
