"""HTTP by hand: requests that no client library would send, and what comes back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from starship_core.http.codes import CATALOGUE

PATIENCE = 30.0


class Answer(NamedTuple):
    """What the server said; `headers` by lower-case name, repeated ones joined."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Error(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    code: str
    message: str
    request_id: str
    messages: dict[str, list[dict[str, str]]] | msgspec.UnsetType = msgspec.UNSET
    details: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    error: _Error


def problem_in(answer: Answer) -> str:
    """The code of an error that is in every part as the contract has it."""
    assert answer.headers["content-type"] == "application/json", answer
    error = msgspec.json.decode(answer.body, type=_Envelope).error
    kind = CATALOGUE[error.code]
    assert (kind.http, kind.name) == (answer.status, error.name), answer
    assert error.message, answer
    assert error.request_id == answer.headers["x-request-id"], answer
    if isinstance(error.messages, dict):
        assert error.code == "E_VALIDATION_FAILURE", answer
        for field, lines in error.messages.items():
            assert lines, answer
            assert all(set(line) == {"rule", "field", "message"} for line in lines), answer
            assert all(line["field"] == field for line in lines), answer
    else:
        assert error.code != "E_VALIDATION_FAILURE", answer
    return error.code


def request(method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """The bytes of a request that closes its connection; no length is added."""
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: shop", b"Connection: close"]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", body])


async def exchange(url: str, sent: bytes) -> Answer:
    """Send, and read until the server closes. Raises AssertionError when it says nothing."""
    where = urlsplit(url)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            with suppress(ConnectionError):
                writer.write(sent)
                await writer.drain()
            return _parsed(await _all(reader))
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _all(reader: asyncio.StreamReader) -> bytes:
    got = b""
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            got += piece
    return got


def _parsed(got: bytes) -> Answer:
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    assert first.startswith("HTTP/1.1 "), got[:200]
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(int(first[9:12]), headers, body)
