"""Receivers of webhooks: one that records in memory, and real HTTP servers on this machine."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from starship_core.access import Client
from starship_core.errors import Unavailable
from starship_core.flows.manage_webhooks import NewWebhook, Registered, register_webhook
from starship_core.model import OrderEvent, Target
from tests.integration.ships import ANA, Dock


@dataclass
class Recorder:
    """A notifier that takes everything, except for addresses that are down."""

    down: set[str] = field(default_factory=set)
    told: list[tuple[str, str]] = field(default_factory=list)
    """(address, event id), in order, of what was taken."""
    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    pause: float = 0.0
    now: int = 0
    most: Counter[str] = field(default_factory=Counter)
    """At once, by address."""
    under_way: Counter[str] = field(default_factory=Counter)

    async def notify(self, event: OrderEvent, to: Target) -> None:
        address = to.address
        self.tried[address, event.event_id] += 1
        self.under_way[address] += 1
        self.most[address] = max(self.most[address], self.under_way[address])
        try:
            await asyncio.sleep(self.pause)
            if address in self.down:
                raise Unavailable("the receiver answered with HTTP 503")
            self.told.append((address, event.event_id))
        finally:
            self.under_way[address] -= 1


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for it, and fail when it does not come."""
    ends = time.monotonic() + seconds
    for _ in iter(condition, True):
        assert time.monotonic() < ends, "waited in vain"
        await asyncio.sleep(0.005)


def recorded(dock: Dock, recorder: Recorder) -> Dock:
    """The same deployment, whose webhooks end in the recorder."""
    return replace(dock, ship=replace(dock.ship, notifiers={"webhooks": recorder}))


async def hook(
    dock: Dock, client: Client, url: str = "https://example.com/hook", *events: str
) -> Registered:
    """A webhook of the client."""
    new = NewWebhook(name="hook", url=url, events=list(events) or ["order.*"])
    return await register_webhook(client.id, new, ANA, dock.ship)


@dataclass
class Received:
    """One request, as it came."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers every request with what `respond` says; None: never."""

    respond: Callable[[], str | None]
    received: list[Received] = field(default_factory=list)
    port: int = 0
    talks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.add(asyncio.create_task(self.talk(reader, writer)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # it went away, or the test is over
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
            body = await reader.readexactly(int(headers["Content-Length"]))
            self.received.append(Received(headers, body))
            answer = self.respond()
            if answer is None:
                await reader.read()
                break
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()


@asynccontextmanager
async def listening(respond: Callable[[], str | None] = lambda: "204 X") -> AsyncIterator[Server]:
    server = Server(respond)
    async with await asyncio.start_server(server.accept, "127.0.0.1", 0) as sockets:
        server.port = sockets.sockets[0].getsockname()[1]
        yield server
        for talk in server.talks:
            talk.cancel()
        await asyncio.gather(*server.talks, return_exceptions=True)
