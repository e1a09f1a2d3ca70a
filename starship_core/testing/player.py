"""A server of raw bytes on this machine that plays a cassette, and goes wrong where it is told to.

A fault hits every request that carries the purchase's reference; all others are answered as they
were recorded. Real sockets, so that it does not matter which HTTP client an adapter uses.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from starship_core.testing.cassettes import exchanges
from starship_core.testing.scrub import Envelope, unsealed

PLANTED: Final = "PLANTED-CODE-7F3A-11C0"
"""Stands in answers that an adapter cannot understand; it must not come out anywhere."""


@dataclass(frozen=True)
class Fault:
    """What happens to a request. Without `status` there is no answer: the connection is cut, or,
    with `silent`, stays open.
    """

    name: str
    status: int | None = None
    body: bytes = b""
    media: str = "application/json"
    missing: int = 0
    """Bytes that are announced and never come."""
    silent: bool = False


def _page(status: int, name: str = "") -> Fault:
    html = f"<!DOCTYPE html><html><body>{PLANTED}</body></html>".encode()
    return Fault(name or f"{status} with a page of HTML", status, html, "text/html")


SILENCE: Final = Fault("no answer", silent=True)
CUT: Final = (
    Fault("the connection is cut"),
    Fault("the answer is cut", 200, b'{"id": "', missing=40),
)
SERVER_ERRORS: Final = tuple(
    Fault(f"{status}", status, body)
    for status in (500, 502, 503, 504)
    for body in (b'{"message": "%b"}' % PLANTED.encode(),)
)
GARBAGE: Final = (
    Fault("200 and nothing", 200),
    _page(200),
    Fault("200 and half of it", 200, b'{"code": "%b' % PLANTED.encode()),
    Fault("200 and null", 200, b"null"),
    Fault("200 and a list", 200, b"[[]]"),
    Fault("200 and another object", 200, b'{"planted": "%b"}' % PLANTED.encode()),
    Fault("200 and noise", 200, b"\xff\xfe\x00" + PLANTED.encode(), "application/octet-stream"),
)
STRANGE: Final = (
    Fault("299", 299, b"{}"),
    Fault("302", 302, b""),
    Fault("418", 418, b"{}"),
    _page(400),
    Fault("400 with an unknown word", 400, b'{"message": "%b"}' % PLANTED.encode()),
    Fault("422 and nothing", 422),
)
TOO_MANY: Final = Fault("429", 429, b"Too many requests")
UNKNOWN_TO_IT: Final = Fault("401", 401, b"{}")
EDGE: Final = _page(404, "404 of an edge")


@dataclass
class Player:
    """What it was asked, and how many connections are open."""

    tape: Sequence[tuple[Any, dict[str, Any]]]
    carries: str
    fault: Fault | None
    envelopes: Sequence[Envelope] = ()
    """How a request may hide the reference."""
    url: str = ""
    hit: int = 0
    """Requests that the fault met: those that carry the reference."""
    open: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    talks: list[asyncio.Task[None]] = field(default_factory=list)
    played: set[int] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while request := await request_of(reader):
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection stays open."""
        fault = self.fault
        if fault is None or not self._carries(request):
            writer.write(self._recorded(request))
            await writer.drain()
            return True
        self.hit += 1
        self.arrived.set()
        if fault.silent:
            await reader.read()  # until the other side gives up
        elif fault.status is not None:
            writer.write(_written(fault.status, fault.body, fault.media, fault.missing))
            await writer.drain()
        return fault.status is not None and not fault.missing

    def _carries(self, request: bytes) -> bool:
        text = unsealed(request.decode(errors="replace"), self.envelopes)
        return self.carries.lower() in text.lower()

    def _recorded(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
        alike = [
            number
            for number, (asked, _) in enumerate(self.tape)
            if asked.method == method
            and _target(asked.uri) == target
            and _same(asked.body or b"", body)
        ]
        fresh = [number for number in alike if number not in self.played] or alike[-1:]
        if not fresh:
            return _written(599, b"not in the cassette", "text/plain")
        self.played.add(fresh[0])
        answer = self.tape[fresh[0]][1]
        media = next(
            (v[0] for k, v in answer["headers"].items() if k.lower() == "content-type"), ""
        )
        return _written(answer["status"]["code"], answer["body"]["string"] or b"", media)


@asynccontextmanager
async def playing(
    file: Path,
    fault: Fault | None = None,
    *,
    carries: str = "",
    envelopes: Sequence[Envelope] = (),
) -> AsyncIterator[Player]:
    """A player of `file` on a free port."""
    async with listening(Player(exchanges(file), carries, fault, envelopes)) as player:
        yield player


@asynccontextmanager
async def going_wrong(fault: Fault) -> AsyncIterator[Player]:
    """A server whose every answer is the fault."""
    async with listening(Player((), "", fault)) as player:
        yield player


@asynccontextmanager
async def listening(player: Player) -> AsyncIterator[Player]:
    """A player on a free port."""
    async with await asyncio.start_server(player.accept, "127.0.0.1", 0) as server:
        player.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield player
        for talk in player.talks:
            talk.cancel()
    await asyncio.gather(*player.talks, return_exceptions=True)


async def request_of(reader: asyncio.StreamReader) -> bytes | None:
    """Head and body of the next one; None: the connection ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.lower().split(b"\r\n")
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length")]
    return head + (await reader.readexactly(lengths[0]) if lengths else b"")


def _written(status: int, body: bytes, media: str, missing: int = 0) -> bytes:
    head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body) + missing}\r\n"
    return f"{head}Content-Type: {media}\r\n\r\n".encode() + body


def _target(uri: str) -> str:
    parts = urlsplit(uri)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _same(recorded: bytes, sent: bytes) -> bool:
    if recorded == sent:
        return True
    try:
        return bool(json.loads(recorded) == json.loads(sent))
    except ValueError:
        return False
