"""The other end of a notifier: what arrives there, and one that speaks HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from starship_core import Secret, Target

Manner = Literal["takes", "refuses", "silent", "redirects"]
"""What it does with a delivery; silent: it takes the connection and never answers."""

_ANSWERS: Final[Mapping[Manner, bytes]] = {
    "takes": b"HTTP/1.1 204 No Content\r\n\r\n",
    "refuses": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "redirects": b"HTTP/1.1 307 Elsewhere\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
}


@dataclass(frozen=True)
class Message:
    """What arrived."""

    to: str
    """The target's address, as it arrived."""
    body: str
    """All that tells of the event, as text, and nothing that may differ from one attempt to the
    next.
    """


class Inbox(Protocol):
    """A server on this machine that a notifier delivers to."""

    @property
    def section(self) -> Mapping[str, Any]:
        """Fields of the section that lead there."""
        ...

    @property
    def targets(self) -> Sequence[Target]:
        """Two that it delivers for."""
        ...

    @property
    def messages(self) -> Sequence[Message]:
        """Those it took, in order of arrival."""
        ...

    @property
    def attempts(self) -> int:
        """Deliveries that were begun, taken or not."""
        ...

    @property
    def open(self) -> int:
        """Connections that are open."""
        ...


@dataclass
class HttpInbox:
    """Takes each request, on connections that it keeps."""

    manner: Manner
    secrets: tuple[Secret, ...]
    section: Mapping[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    attempts: int = 0
    open: int = 0
    url: str = ""
    talks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def targets(self) -> Sequence[Target]:
        """Two paths."""
        return [
            Target(address=f"{self.url}{path}", secrets=self.secrets)
            for path in ("/first?shop=1", "/second")
        ]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while await self._answered(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.split("\r\n")[:-2]
        named = {name.lower(): value for name, _, value in (one.partition(": ") for one in fields)}
        body = await reader.readexactly(int(named.get("content-length", "0")))
        self.attempts += 1
        if self.manner == "silent":
            await reader.read()  # until the other side gives up
            return False
        if self.manner == "takes":
            self.messages.append(Message(f"{self.url}{line.split(' ')[1]}", body.decode()))
        writer.write(_ANSWERS[self.manner])
        await writer.drain()
        return True


@asynccontextmanager
async def http_inbox(manner: Manner, *secrets: Secret) -> AsyncIterator[HttpInbox]:
    """On a free port of this machine, without TLS."""
    inbox = HttpInbox(manner, secrets)
    async with await asyncio.start_server(inbox.accept, "127.0.0.1", 0) as server:
        inbox.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield inbox
        for talk in inbox.talks:
            talk.cancel()
    await asyncio.gather(*inbox.talks, return_exceptions=True)
