"""Cassettes: what a vendor was asked and answered once, and every later run is held against.

Requests match on method, scheme, host, port, path, query *and body*, and each answer is played
once. Whatever a cassette holds was scrubbed before it was written, and its first lines say where
it comes from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import vcr
from msgspec import Struct
from vcr.persisters.filesystem import FilesystemPersister
from vcr.serialize import serialize

from starship_core.testing.network import without_network
from starship_core.testing.scrub import HEADERS, MARK, Scrubber

MATCH: Final = ("method", "scheme", "host", "port", "path", "query", "body")
_PROVENANCE: Final = "# provenance: "
_FACTS: Final = "# facts: "
_VOLATILE: Final = frozenset((
    "accept-encoding", "connection", "content-length", "date", "host", "server",
    "transfer-encoding",
))  # fmt: skip
logging.getLogger("vcr").setLevel(logging.WARNING)  # below it, vcr logs bodies


class Facts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a later run must know to ask the same questions again."""

    url: str
    """Where the questions went."""
    salt: str
    """References are made from it, so that each recording has its own."""
    now: str
    """The clock's time, for vendors that want it in a request."""
    section: dict[str, Any] = {}
    """Fields of the configuration that were given for this recording; never a secret."""
    lines: dict[str, str] = {}
    """Purchases that were given for this recording."""


def facts_of(file: Path) -> tuple[str, Facts]:
    """Where a cassette comes from, and its facts. Raises ValueError for one that does not say."""
    lines = file.read_text(encoding="utf-8").splitlines()[:2]
    if len(lines) < 2 or not (lines[0].startswith(_PROVENANCE) and lines[1].startswith(_FACTS)):
        raise ValueError(f"{file.name} does not say where it comes from; record it with the kit")
    facts = msgspec.json.decode(lines[1].removeprefix(_FACTS), type=Facts)
    return lines[0].removeprefix(_PROVENANCE), facts


@contextmanager
def recorded(
    file: Path, provenance: str, facts: Facts, *, scrubber: Scrubber, asked: str
) -> Iterator[None]:
    """Writes `file` anew with all that goes to `asked` in the block, as if it went to `facts.url`.

    A block that fails writes nothing.
    """
    file.unlink(missing_ok=True)
    persister = _Written(f"{_PROVENANCE}{provenance}\n{_FACTS}{_json(facts)}\n", scrubber)
    swap = _elsewhere(asked, facts.url)
    with _vcr(file, "all", persister, swap, record_on_exception=False):
        yield


@contextmanager
def replayed(file: Path) -> Iterator[None]:
    """Plays `file`; no socket can be opened meanwhile, and at its end nothing may be left over."""
    with without_network(), _vcr(file, "none", FilesystemPersister, str) as cassette:
        yield
    left = [request for number, request in enumerate(cassette.requests)
            if not cassette.play_counts[number]]  # fmt: skip
    told = ", ".join(f"{request.method} {request.path}" for request in left)
    assert not left, f"{file.name} holds what nobody asks for any more: {told}; record it again"


def exchanges(file: Path) -> Sequence[tuple[Any, dict[str, Any]]]:
    """The requests of a cassette, each with its answer."""
    return _exchanges(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _exchanges(file: Path, _written: int) -> Sequence[tuple[Any, dict[str, Any]]]:
    found = FilesystemPersister.load_cassette(file, vcr.VCR().serializers["yaml"])
    return tuple(zip(found[0], found[1], strict=True))


def _vcr(
    file: Path, mode: str, persister: Any, cleaned: Callable[[str], str], **options: Any
) -> Any:
    tape = vcr.VCR(
        match_on=MATCH,
        before_record_request=lambda request: _as_recorded(request, cleaned),
        before_record_response=_answer_as_recorded,
        decode_compressed_response=True,
    )
    tape.register_persister(persister)
    return tape.use_cassette(str(file), record_mode=mode, allow_playback_repeats=False, **options)


def _as_recorded(request: Any, cleaned: Callable[[str], str]) -> Any:
    request.uri = cleaned(request.uri)
    request.headers = {
        name: MARK if name.lower() in HEADERS else value
        for name, value in request.headers.items()
        if name.lower() not in _VOLATILE
    }
    return request


def _answer_as_recorded(response: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: [MARK] if name.lower() in HEADERS else values
        for name, values in response["headers"].items()
        if name.lower() not in _VOLATILE
    }
    return response | {"headers": kept}


def _elsewhere(asked: str, told: str) -> Callable[[str], str]:
    """The address that is written down instead of the one that was asked."""
    real, written = urlsplit(asked), urlsplit(told)

    def swap(uri: str) -> str:
        return uri.replace(f"{real.scheme}://{real.netloc}", f"{written.scheme}://{written.netloc}")

    return swap


class _Written:
    """Writes a cassette: first where it comes from, then what was said, scrubbed."""

    def __init__(self, head: str, scrubber: Scrubber) -> None:
        self._head = head
        self._scrubber = scrubber

    def load_cassette(self, path: str, serializer: Any) -> Any:
        return FilesystemPersister.load_cassette(path, serializer)

    def save_cassette(self, path: str, cassette: dict[str, Any], serializer: Any) -> None:
        for request, response in zip(cassette["requests"], cassette["responses"], strict=True):
            request.uri = self._scrubber.text(request.uri)
            request.body = self._body(request.body)
            response["body"]["string"] = self._body(response["body"]["string"])
            headers = response["headers"]
            for name, values in headers.items():
                headers[name] = [self._scrubber.text(value) for value in values]
            request.headers = {
                name: self._scrubber.text(str(value)) for name, value in request.headers.items()
            }
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = self._head + serialize(cassette, serializer)
        file.write_text(text, encoding="utf-8")

    def _body(self, body: Any) -> Any:
        if not body:
            return body
        text = body.decode(errors="surrogateescape") if isinstance(body, bytes) else body
        return self._scrubber.text(text).encode(errors="surrogateescape")


def _json(facts: Facts) -> str:
    return msgspec.json.encode(facts, order="sorted").decode()
