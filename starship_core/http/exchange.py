"""One HTTP exchange as ASGI has it: the headers that matter here, the body, the answer."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request

from starship_core.access import Client
from starship_core.http.errors import JSON, Problem
from starship_core.metrics import Metrics
from starship_core.ship import Ship

# Litestar's own types are unions of TypedDicts, of no use where one message is one dictionary
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


LARGEST: Final = 1 << 20
_LINGER: Final = 1.0
_LINGER_BYTES: Final = 16 << 20
_WANTED: Final = frozenset(
    {
        b"x-api-key",
        b"x-api-secret",
        b"x-signature",
        b"authorization",
        b"x-request-id",
        b"x-forwarded-for",
        b"content-length",
    }
)
_JSON: Final = (b"content-type", JSON.encode())
_encode = msgspec.json.Encoder().encode
_REQUEST_ID: Final = re.compile(rb"[\x20-\x7e]{1,128}")


class Gone(Exception):
    """The caller hung up before the body was whole."""


class Answer:
    """`send`, with our headers; remembers what was answered."""

    __slots__ = ("_extra", "_send", "_without_body", "request_id", "status")

    def __init__(
        self,
        send: Send,
        request_id: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        head: bool,
    ) -> None:
        self._send = send
        self._without_body = head
        self.request_id = request_id.decode("ascii")
        self.status = 0
        self._extra = [(b"x-request-id", request_id), *headers]

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._extra]
        elif self._without_body and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    async def problem(self, problem: Problem, receive: Receive) -> None:
        body = problem.body(self.request_id)
        headers = [
            *(
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in problem.headers.items()
            ),
            _JSON,
            (b"content-length", b"%d" % len(body)),
        ]
        await self({"type": "http.response.start", "status": problem.http, "headers": headers})
        if "Connection" in problem.headers:
            await self({"type": "http.response.body", "body": body, "more_body": True})
            await discard(receive)
            body = b""
        await self({"type": "http.response.body", "body": body, "more_body": False})


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers that matter here; one that is repeated is joined, and then fits nothing."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _WANTED:
            found[name] = value if name not in found else found[name] + b"," + value
    return found


def request_id_of(found: dict[bytes, bytes]) -> bytes:
    given = found.get(b"x-request-id")
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return os.urandom(12).hex().encode()


async def read_body(found: dict[bytes, bytes], receive: Receive) -> bytes:
    """The whole body, of at most 1 MiB; one that is or gets larger is not read further."""
    announced = found.get(b"content-length")
    if announced and (
        len(announced) > 16 or int(announced) > LARGEST
    ):  # the server checks its form
        raise _too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request" and message.get("more_body"):
        if len(body) > LARGEST:
            raise _too_large()
        message = await receive()
        body += message.get("body", b"")
    if message["type"] != "http.request":
        raise Gone
    if len(body) > LARGEST:
        raise _too_large()
    return body


async def discard(receive: Receive) -> None:
    """Let what is on its way run into nothing, for a moment: closing at once would reset the
    connection, and the answer would be lost with it.
    """
    seen = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while seen < _LINGER_BYTES:
                message = await receive()
                seen += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body again, once, and then whatever comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _too_large() -> Problem:
    return Problem(
        "PAYLOAD_TOO_LARGE", "the body may have at most 1 MiB", headers={"Connection": "close"}
    )


# --- for handlers ---------------------------------------------------------------------------------


class Reply:
    """An answer whose bytes are made: an ASGI application, so that Litestar has nothing left to do.

    Handlers say `-> ASGIApp`; any other annotation costs two layers of response classes.
    """

    __slots__ = ("_body", "_headers", "_status")

    def __init__(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        status: int = 200,
        media_type: bytes | None = None,
    ) -> None:
        self._body = body
        self._status = status
        kind = (b"content-type", media_type) if media_type else _JSON
        # an answer without content has neither
        self._headers = [kind, (b"content-length", b"%d" % len(body))] if status != 204 else []
        if headers:
            for name, value in headers.items():
                self._headers.append((name.lower().encode(), value.encode("latin-1")))

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def json_reply(answer: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """200 with what msgspec makes of `answer`."""
    return Reply(_encode(answer), headers)


AnyRequest = Request[Any, Any, Any]


class Serving(NamedTuple):
    """Whose request it is to answer: the routes themselves belong to no deployment."""

    ship: Ship
    metrics: Metrics
    """What this process counts."""
    readiness: Any
    """Of the status page, which knows its type."""


def serving(request: AnyRequest) -> Serving:
    """What the application put beside each request before any gate."""
    found: Serving = request.scope["state"]["starship"]
    return found


def ship_of(request: AnyRequest) -> Ship:
    """The deployment this server runs."""
    return serving(request).ship


def caller(request: AnyRequest) -> Client:
    """Whose request this is; the gate knows."""
    client: Client = request.scope["state"]["starship_client"]
    return client


def request_id(request: AnyRequest) -> str:
    """As it is echoed, and as it goes into logs and audit rows."""
    found: str = request.scope["state"]["starship_request_id"]
    return found


def body_of(request: AnyRequest) -> bytes:
    """The raw body, read by the gate."""
    body: bytes = request.scope["state"]["starship_body"]
    return body
