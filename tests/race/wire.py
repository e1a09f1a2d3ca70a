"""Signed calls over plain connections: cheap enough to keep several servers busy from one loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.e2e.servers import ROOT, Credential


class NoAnswer(Exception):
    """The connection was refused, cut or silent: whether anything happened is not known."""


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def replayed(self) -> bool:
        return self.headers.get("idempotency-replayed") == "true"


class Line:
    """One connection, kept open, opened again when it is needed; one call at a time."""

    def __init__(self, port: int, *, patience: float = 60.0) -> None:
        self.port = port
        self.patience = patience
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self) -> None:
        if self._streams is not None:
            return
        self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        writer = self._streams[1]
        if writer.get_extra_info("sockname") == writer.get_extra_info("peername"):
            # nobody listens, and the kernel gave us that very port: we would talk to ourselves
            raise ConnectionRefusedError

    async def call(self, request: bytes) -> Answer:
        """Raises NoAnswer, also after half an answer."""
        try:
            async with asyncio.timeout(self.patience):
                await self.connect()
                return await self._exchange(request)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise NoAnswer(type(error).__name__) from error
        except BaseException:
            self.close()
            raise

    async def _exchange(self, request: bytes) -> Answer:
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(head[0].split(" ", 2)[1]), headers, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def signed(
    who: Credential, method: str, path: str, body: Any = None, *, key: str | None = None
) -> bytes:
    """A whole request, ready to be written; `path` is below /api/v1."""
    target = f"{ROOT}{path}".encode()
    content = b"" if body is None else json.dumps(body).encode()
    headers = who.headers(method, target, content, at=time.time())
    if body is not None:
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(content))
    if key is not None:
        headers["Idempotency-Key"] = key
    lines = [f"{method} {target.decode()} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content
