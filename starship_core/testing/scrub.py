"""Secrets and codes in recordings: replaced by fakes of the same shape, and a scan that trusts
nobody.

A fake can be told from a code: its letters say FAKE again and again (FACE in hexadecimal), its
digits are zeros, and only its last characters count. So the scan needs no list of real ones.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, quote_plus

import yaml

MARK: Final = "FAKE"
"""Stands for the whole value of a secret header."""
HEADERS: Final = frozenset((
    "authorization", "proxy-authorization", "cookie", "set-cookie", "signature", "token",
    "api-key", "apikey", "x-api-key", "x-auth-token",
))  # fmt: skip
_HEXADECIMAL: Final = frozenset("abcdefABCDEF")
SHORTEST: Final = 5
"""Characters. Anything shorter is replaced by its key only: `0821` is found in every number."""
_DEPTH: Final = 5
_URL: Final = re.compile(r"(https?://[^/?#]*)(.*)", re.DOTALL)
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_STANDARD: Final = str.maketrans("-_", "+/")
_JWT: Final = re.compile(r"\beyJ[\w-]{10,}(?:\.[\w-]+){1,2}")
_LEAKS: Final = {
    "a bearer token": re.compile(r"\bBearer\s+(?!FAKE)[\w.~+/=-]{8,}"),
    "credentials of HTTP Basic": re.compile(r"\bBasic\s+(?!FAKE)[A-Za-z0-9+/]{8,}={0,2}"),
    "a JSON web token": _JWT,
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}


class Envelope(NamedTuple):
    """How a vendor encrypts: `open` gives None for what is not sealed, `seal` the same form."""

    open: Callable[[str], str | None]
    seal: Callable[[str], str]


def unsealed(text: str, envelopes: Sequence[Envelope]) -> str:
    """`text`, and after it what is sealed in it."""
    found = (one.open(token) for token in _TOKEN.findall(text) for one in envelopes)
    return "\n".join([text, *(inner for inner in found if inner is not None)])


def fake(value: str, ordinal: int) -> str:
    """A value of the same shape that nobody can redeem; another one for each ordinal."""
    if url := _URL.fullmatch(value):
        return url[1] + fake(url[2], ordinal)
    places = [place for place, character in enumerate(value) if character.isalnum()]
    counting = _counting(len(places))
    word = "FACE" if _hexadecimal(value) else "FAKE"
    letters = 0
    made = list(value)
    for place in places[: len(places) - counting]:
        if value[place].isalpha():
            made[place] = _cased(word[letters % 4], value[place])
            letters += 1
        else:
            made[place] = "0"
    for place in reversed(places[len(places) - counting :]):
        alphabet = "ABCDEF" if value[place].isalpha() else "0123456789"
        ordinal, digit = divmod(ordinal, len(alphabet))
        made[place] = _cased(alphabet[digit], value[place])
    return "".join(made)


def is_fake(value: str) -> bool:
    """Whether it can have come from `fake`."""
    if url := _URL.fullmatch(value):
        return is_fake(url[2])
    places = [place for place, character in enumerate(value) if character.isalnum()]
    kept = len(places) - _counting(len(places))
    pattern = fake(value, 0)
    return all(value[place] == pattern[place] for place in places[:kept])


class Scrubber:
    """Replaces while recording: what it was told, what stands under a secret key, and what it
    finds in base64, in JSON within JSON and in sealed envelopes.
    """

    def __init__(
        self,
        keys: Collection[str],
        swaps: Mapping[str, str] | None = None,
        envelopes: Sequence[Envelope] = (),
    ) -> None:
        names = "|".join(re.escape(key) for key in sorted(keys)) or r"(?!)"
        self._at_key = re.compile(
            rf'(?P<before>(?P<quote>\\*")(?:{names})(?P=quote)\s*:\s*)'
            rf"(?:(?P=quote)(?P<text>.*?)(?P=quote)|(?P<number>\d+))",
            re.IGNORECASE | re.DOTALL,
        )
        self._in_query = re.compile(
            rf"(?P<before>(?:^|[?&])(?:{names})=)(?P<text>[^&#\s]+)", re.IGNORECASE
        )
        self._swaps = dict(swaps or {})
        self._envelopes = envelopes

    def learn(self, value: str) -> str:
        """From now on `value` is replaced wherever it stands; the fake it becomes."""
        if value not in self._swaps:
            self._swaps[value] = value if is_fake(value) else fake(value, len(self._swaps) + 1)
        return self._swaps[value]

    def text(self, text: str, depth: int = 0) -> str:
        """`text` without a secret that is known, or that a key gives away."""
        cleaned = self._known(_JWT.sub(lambda found: self.learn(found[0]), self._keyed(text)))
        if depth >= _DEPTH:
            return cleaned
        for envelope in self._envelopes:
            if (inner := envelope.open(cleaned)) is not None:
                return envelope.seal(self.text(inner, depth + 1))
        return _TOKEN.sub(lambda found: self._token(found[0], depth), cleaned)

    def _keyed(self, text: str) -> str:
        def swap(found: re.Match[str]) -> str:
            value = found.group("text")
            if value is None:
                return found["before"] + str(int(self.learn(found["number"])))
            if not value:
                return found[0]
            quoted = found.groupdict().get("quote") or ""
            return f"{found['before']}{quoted}{self.learn(value)}{quoted}"

        return self._in_query.sub(swap, self._at_key.sub(swap, text))

    def _known(self, text: str) -> str:
        for value in sorted(self._swaps, key=len, reverse=True):
            if len(value) >= SHORTEST:
                swapped = self._swaps[value]
                for written in (str, quote, quote_plus, _escaped):
                    text = text.replace(written(value), written(swapped))
        return text

    def _token(self, token: str, depth: int) -> str:
        for envelope in self._envelopes:
            if (inner := envelope.open(token)) is not None:
                return envelope.seal(self.text(inner, depth + 1))
        inner = _decoded(token)
        if inner is None:
            return token
        cleaned = self.text(inner, depth + 1)
        if cleaned == inner:
            return token
        url_safe = "-" in token or "_" in token
        encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
        encoded = encode(cleaned.encode()).decode()
        return encoded if token.endswith("=") else encoded.rstrip("=")


def assert_clean(
    folder: Path,
    keys: Collection[str],
    *,
    secrets: Collection[str] = (),
    envelopes: Sequence[Envelope] = (),
) -> None:
    """Every cassette in `folder` holds nothing but fakes; says where not, and never what."""
    scan = Scan(frozenset(key.lower() for key in keys), tuple(secrets), tuple(envelopes))
    found = [
        f"{file.name}: {finding}"
        for file in sorted(folder.rglob("*.yaml"))
        for finding in scan.cassette(file.read_text(encoding="utf-8"))
    ]
    assert not found, "not clean:\n" + "\n".join(found)


class Scan(NamedTuple):
    """Reads what was recorded as one who wants to find something."""

    keys: frozenset[str]
    secrets: tuple[str, ...] = ()
    envelopes: tuple[Envelope, ...] = ()

    def cassette(self, text: str) -> Iterator[str]:
        """A finding is where it stands and what kind it is."""
        for number, interaction in enumerate(yaml.safe_load(text)["interactions"], 1):
            for side in ("request", "response"):
                at = f"{side} {number}"
                part = interaction[side]
                yield from self._headers(at, part["headers"])
                body = part["body"]
                body = body.get("string") if isinstance(body, dict) else body
                if isinstance(body, bytes):
                    body = body.decode(errors="replace")
                yield from self.text(f"{at}, body", body or "")
                yield from self.text(f"{at}, address", part.get("uri") or "")

    def _headers(self, at: str, headers: Mapping[str, Any]) -> Iterator[str]:
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                if name.lower() in HEADERS and value != MARK:
                    yield f"{at}, header {name}: is not {MARK}"
                yield from self.text(f"{at}, header {name}", str(value))

    def text(self, at: str, text: str, depth: int = 0) -> Iterator[str]:
        """Plain, then as JSON, then whatever is encoded or sealed in it."""
        for what, pattern in _LEAKS.items():
            if pattern.search(text):
                yield f"{at}: {what}"
        yield from (f"{at}: a known secret" for secret in self.secrets if secret in text)
        for key, value in re.findall(r"[?&](\w+)=([^&#\s]+)", text):
            yield from self._leaf(at, key, value)
        if depth >= _DEPTH:
            return
        document = _document(text)
        if document is not None:
            yield from self._document(at, "", document, depth)
            return
        for token in (text, *_TOKEN.findall(text)):
            for inner in (_decoded(token), *(one.open(token) for one in self.envelopes)):
                if inner is not None and inner != text:
                    yield from self.text(f"{at}, encoded", inner, depth + 1)

    def _document(self, at: str, key: str, value: Any, depth: int) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from self._document(at, name, inner, depth)
        elif isinstance(value, list):
            for inner in value:
                yield from self._document(at, key, inner, depth)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            yield from self._leaf(at, key, str(value))
            if isinstance(value, str):
                yield from self.text(f"{at}, {key}" if key else at, value, depth + 1)

    def _leaf(self, at: str, key: str, value: str) -> Iterator[str]:
        if key.lower() in self.keys and value and not is_fake(value):
            yield f"{at}, {key}: is no fake"


def _counting(length: int) -> int:
    """How many of the last characters count; a PIN of four keeps two that show it is a fake."""
    return min(length, 2 if length <= 6 else 4)


def _cased(letter: str, like: str) -> str:
    return letter.lower() if like.islower() else letter


def _hexadecimal(value: str) -> bool:
    return all(character in _HEXADECIMAL for character in value if character.isalpha())


def _escaped(value: str) -> str:
    return json.dumps(value)[1:-1]


def _document(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def _decoded(token: str) -> str | None:
    """What base64 holds, if it is text."""
    try:
        padded = token.translate(_STANDARD) + "=" * (-len(token) % 4)
        text = base64.b64decode(padded).decode()
    except (binascii.Error, ValueError):
        return None
    return text if len(text) >= SHORTEST and text.isprintable() else None
