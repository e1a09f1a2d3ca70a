"""Secrets and codes in recordings: absent after recording, and found by the scan if not."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from starship_core.testing import scrub
from starship_core.testing.scrub import Envelope, Scan, Scrubber, assert_clean, fake, is_fake

CODE = "QX7R-93KD-5T/W"
SECRET = "s3cr3t of/the+vendor"
KEYS = frozenset({"cardCode", "pin", "token"})


def turned(text: str) -> str:
    """Stands for a cipher."""
    return "".join(chr(ord(one) ^ 1) for one in text)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def unsealed(text: str) -> str | None:
    """What a vendor's envelope holds."""
    try:
        inner = turned(base64.b64decode(text, validate=True).decode())
    except ValueError:
        return None
    return inner.removeprefix("sealed:") if inner.startswith("sealed:") else None


SEALED = Envelope(open=unsealed, seal=lambda text: b64(turned("sealed:" + text)))


def sealed_or_not(text: str) -> str:
    """All that a reader with the key sees."""
    return scrub.unsealed(text, (SEALED,))


def cassette(**places: Any) -> str:
    """One exchange, with things in places."""
    given: dict[str, Any] = {
        "uri": "https://v.example/orders", "asked": "", "sent": {}, "got": {}, "body": "",
    } | places  # fmt: skip
    request = {
        "method": "GET", "uri": given["uri"], "body": given["asked"], "headers": given["sent"],
    }  # fmt: skip
    response = {"status": {}, "headers": given["got"], "body": {"string": given["body"]}}
    return str(yaml.safe_dump({"interactions": [{"request": request, "response": response}]}))


CARD = json.dumps({"cards": [{"cardCode": CODE, "pin": "4821"}]})
PLACES: dict[str, dict[str, Any]] = {
    "body": {"body": CARD},
    "request": {"asked": CARD},
    "bytes": {"body": CARD.encode()},
    "another spelling of the key": {"body": CARD.replace("cardCode", "CARDCODE")},
    "number": {"body": '{"pin": 4821}'},
    "list": {"body": json.dumps({"pin": ["4821"]})},
    "JSON in JSON": {"body": json.dumps({"data": CARD})},
    "JSON in JSON in JSON": {"body": json.dumps({"data": json.dumps({"more": CARD})})},
    "base64": {"body": b64(CARD)},
    "base64 in JSON": {"body": json.dumps({"data": b64(CARD)})},
    "base64 without padding": {"body": b64(CARD + " ").rstrip("=")},
    "base64 of base64": {"body": b64(b64(CARD))},
    "base64 for addresses": {"body": base64.urlsafe_b64encode(CARD.encode()).decode()},
    "query": {"uri": "https://v.example/orders?token=abcdefgh1234"},
    "header": {"got": {"X-Data": [CARD]}},
    "sealed": {"body": SEALED.seal(CARD)},
    "sealed in JSON": {"body": json.dumps({"data": SEALED.seal(CARD)})},
}


def findings(text: str, *secrets: str) -> list[str]:
    scan = Scan(frozenset(key.lower() for key in KEYS), secrets, (SEALED,))
    return list(scan.cassette(text))


@pytest.mark.parametrize("place", PLACES)
def test_a_code_is_found_by_its_key(place: str) -> None:
    """Wherever it stands, without knowing it; the finding does not repeat it."""
    found = findings(cassette(**PLACES[place]))
    assert found
    assert CODE not in str(found)
    assert "4821" not in str(found)


ANYWHERE: dict[str, Any] = {
    "body": {"body": f"the code is {CODE}."},
    "address": {"uri": f"https://v.example/{CODE}"},
    "header": {"sent": {"X-Note": CODE}},
    "list of headers": {"got": {"X-Note": ["a", CODE]}},
    "base64": {"body": json.dumps({"x": b64(f"the code is {CODE}")})},
    "JSON in JSON": {"body": json.dumps({"x": json.dumps({"y": f"it is {CODE}"})})},
    "sealed": {"body": SEALED.seal(f"the code is {CODE}")},
}


@pytest.mark.parametrize("place", ANYWHERE)
def test_a_known_secret_is_found_without_a_key(place: str) -> None:
    """As the kit looks for what it has just bought."""
    assert findings(cassette(**ANYWHERE[place])) == []
    assert findings(cassette(**ANYWHERE[place]), CODE) != []


@pytest.mark.parametrize(
    ("places", "what"),
    [
        (
            {"sent": {"Authorization": "Basic QWxhZGRpbjpvcGVu"}},
            "header Authorization: is not FAKE",
        ),
        ({"got": {"Set-Cookie": ["session=1"]}}, "header Set-Cookie: is not FAKE"),
        ({"sent": {"signature": "ab" * 64}}, "header signature: is not FAKE"),
        ({"body": "Bearer abcdef1234567"}, "a bearer token"),
        ({"body": "Basic QWxhZGRpbjpvcGVu"}, "credentials of HTTP Basic"),
        ({"body": '{"t": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x"}'}, "a JSON web token"),
        ({"asked": "-----BEGIN RSA PRIVATE KEY-----"}, "a private key"),
    ],
)
def test_what_nobody_named_is_found_by_its_look(places: dict[str, Any], what: str) -> None:
    """Tokens and keys have shapes of their own."""
    assert what in str(findings(cassette(**places)))


def test_fakes_are_clean() -> None:
    """Or no cassette would ever be."""
    body = {"cardCode": fake(CODE, 1), "pin": fake("4821", 2), "token": "", "other": "4821"}
    text = cassette(body=json.dumps(body), sent={"authorization": "FAKE"})
    assert findings(text, CODE) == []


def test_a_folder_is_scanned_whole(tmp_path: Path) -> None:
    """Every finding with its file."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "bad.yaml").write_text(cassette(body=CARD))
    (tmp_path / "good.yaml").write_text(cassette(body="{}"))
    with pytest.raises(AssertionError, match=r"bad\.yaml: response 1, body, cardCode: is no fake"):
        assert_clean(tmp_path, KEYS)


@pytest.mark.parametrize("place", [name for name in PLACES if name != "list"])
def test_recording_leaves_no_code(place: str) -> None:
    """What was in each place is gone; the shape is kept; the scan agrees."""
    scrubber = Scrubber(KEYS, {}, (SEALED,))
    given = PLACES[place]
    cleaned = {
        name: scrubber.text(value.decode() if isinstance(value, bytes) else value)
        if not isinstance(value, dict)
        else {key: [scrubber.text(one) for one in values] for key, values in value.items()}
        for name, value in given.items()
    }
    assert findings(cassette(**cleaned), CODE) == []


@pytest.mark.parametrize(
    "written", [str, quote, b64, json.dumps, lambda text: json.dumps(json.dumps({"a": text}))]
)
def test_a_given_secret_is_replaced_however_it_is_written(written: Any) -> None:
    """By what the test file has in its place."""
    text = f"before {written(f'{SECRET} and more')} after"
    cleaned = Scrubber(KEYS, {SECRET: "FAKE-FAKE-0001"}).text(text)
    for form in (str, quote, b64):
        assert form(SECRET) not in cleaned
    assert cleaned != text
    assert "before" in cleaned


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkZW1vIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize("text", [TOKEN, json.dumps({"t": TOKEN}), SEALED.seal(TOKEN)])
def test_a_token_becomes_a_fake_by_its_look(text: str) -> None:
    """Nobody names it beforehand; where it comes again, it is the same fake."""
    scrubber = Scrubber(KEYS, {}, (SEALED,))
    cleaned = scrubber.text(text)
    assert TOKEN not in sealed_or_not(cleaned)
    assert is_fake(scrubber.text(TOKEN))
    assert scrubber.text(TOKEN) in sealed_or_not(cleaned)
    assert findings(cassette(body=cleaned)) == []


def test_what_is_sealed_can_be_looked_for() -> None:
    """The text as it travels, and after it all that is sealed in it."""
    body = json.dumps(
        {"payload": SEALED.seal('{"id": "R-1"}'), "other": "bm90IHNlYWxlZCBhdCBhbGw="}
    )
    assert sealed_or_not(body) == body + '\n{"id": "R-1"}'
    assert scrub.unsealed(body, ()) == body


def test_one_code_becomes_one_fake() -> None:
    """So that what belongs together stays together, and two stay two."""
    scrubber = Scrubber(KEYS)
    first = scrubber.text('{"cardCode": "AB-12-CD-34"}')
    again = scrubber.text('{"note": "of AB-12-CD-34", "cardCode": "AB-12-CD-35"}')
    one = json.loads(first)["cardCode"]
    two = json.loads(again)["cardCode"]
    assert json.loads(again)["note"] == f"of {one}"
    assert one != two
    assert (is_fake(one), is_fake(two)) == (True, True)


def test_numbers_stay_numbers_and_texts_untouched() -> None:
    """Not one character outside the values changes, decimals included."""
    text = '{"pin":4821, "total": 50.00, "note":"pin", "cardCode":null, "other":"4821"}'
    cleaned = Scrubber(KEYS).text(text)
    assert cleaned.replace(str(json.loads(cleaned)["pin"]), "4821", 1) == text
    assert json.loads(cleaned)["pin"] != 4821


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("DEMO-7F3A-11C0", "FAKE-0F0A-00A7"),
        ("4821", "0007"),
        ("https://v.example/r/DEMO-77D4?x", "https://v.example/r/FAKE-00A7?x".replace("r", "F", 0)),
        ("", ""),
    ],
)
def test_fakes_have_the_shape_of_the_real(value: str, expected: str) -> None:
    """Letters, digits and all that is between them stay where they are."""
    made = fake(value, 7)
    assert len(made) == len(value)
    assert is_fake(made)
    if "://" in value:
        assert made.startswith("https://v.example/")
        assert not is_fake(value)
    else:
        assert made == expected


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=40))
def test_every_fake_can_be_told(value: str) -> None:
    """Whatever the code looked like."""
    assert is_fake(fake(value, 3))
    assert fake(fake(value, 3), 3) == fake(value, 3)


@given(st.integers(10**11, 10**12 - 1))
def test_a_real_number_is_no_fake(number: int) -> None:
    """Twelve digits that begin with one are never taken for a fake."""
    assert not is_fake(str(number))


def test_ordinals_make_different_fakes() -> None:
    """A thousand codes of one shape stay a thousand."""
    assert len({fake("DEMO-7F3A-1100", one) for one in range(1000)}) == 1000


def test_uuids_stay_hexadecimal() -> None:
    """An adapter that reads them as such goes on doing so."""
    made = fake("a0e1c3d4-5b6f-4f62-9a55-0d7c3c9d0001", 12)
    assert int(made.replace("-", ""), 16)
    assert made.islower()
    assert msgspec.json.decode(f'"{made}"') == made
