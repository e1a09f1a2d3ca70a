"""What stands between an adapter and its sandbox, and goes wrong: a proxy of raw bytes.

A fault meets the first purchase that comes, or alters the answers that show what was sold; all else
is passed on as it is.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from starship_core.testing.player import request_of
from tests.matrix.shops import Answer, Shop

DRIP: Final = 0.05
"""Seconds between two bytes that come too slowly."""


@dataclass
class Exchange:
    """One request, and all that can be done with it."""

    front: Front
    request: bytes
    writer: asyncio.StreamWriter

    @property
    def shop(self) -> Shop:
        return self.front.shop

    @property
    def what(self) -> str:
        """`POST /rest/v3/orders`: without a query."""
        method, target, _ = self.request.split(b"\r\n", 1)[0].decode().split(" ", 2)
        return f"{method} {urlsplit(target).path}"

    async def forward(self, outcome: str = "") -> Answer:
        """What the sandbox answers; `outcome` is what it is told to do with an order."""
        head, _, body = self.request.partition(b"\r\n\r\n")
        lines = [one for one in head.split(b"\r\n") if not one.lower().startswith(b"connection:")]
        lines.append(b"Connection: close")
        if outcome:
            lines.append(f"X-Sandbox-Outcome: {outcome}".encode())
        self.front.reached += self.what == self.shop.buys
        port = urlsplit(self.front.upstream).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = _parsed(await reader.read())
        writer.close()
        await writer.wait_closed()
        return answer

    async def answer(self, answer: Answer) -> None:
        self.front.shown |= self._codes(answer)
        self.writer.write(_written(answer))
        await self.writer.drain()

    async def drip(self, answer: Answer) -> None:
        """Byte by byte, so that the connection is never silent, until nobody listens any more."""
        while True:
            for byte in _written(answer):
                self.writer.write(bytes([byte]))
                await self.writer.drain()
                await asyncio.sleep(DRIP)
            await asyncio.sleep(3600)

    def cut(self) -> None:
        self.writer.close()

    def _codes(self, answer: Answer) -> set[str]:
        """What is shown with it, as far as it can be read."""
        if not self.shop.shows.fullmatch(self.what):
            return set()
        try:
            goods = self.shop.opened(answer.body)
        except ValueError:
            return set()
        units = self.shop.cards(goods) if goods else []
        return {unit[self.shop.codes[0]] for unit in units} - {None}


class Fault(NamedTuple):
    """`meets` happens to the first purchase; `alters` to what is sold, in every answer that shows
    it, or in the `first` only.
    """

    about: str
    meets: Callable[[Exchange], Awaitable[None]] | None = None
    alters: Callable[[Shop, Any], None] | None = None
    first: bool = False
    absent: bool = False
    """Nobody listens at first."""
    seconds: float | None = None
    """How long the core waits for `buy`."""


@dataclass
class Front:
    """Where the adapter thinks that the vendor is."""

    shop: Shop
    fault: Fault
    upstream: str
    url: str
    purchases: int = 0
    """Requests to buy that arrived here."""
    reached: int = 0
    """Requests to buy that the sandbox was given."""
    altered: int = 0
    shown: set[str] = field(default_factory=set)
    """Codes that the adapter was told."""
    talks: list[asyncio.Task[None]] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await request_of(reader):
                await self._answer(Exchange(self, request, writer))
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, exchange: Exchange) -> None:
        self.purchases += exchange.what == self.shop.buys
        if exchange.what == self.shop.buys and self.fault.meets and self.purchases == 1:
            await self.fault.meets(exchange)
            return
        await exchange.answer(self._shown(exchange.what, await exchange.forward()))

    def _shown(self, what: str, answer: Answer) -> Answer:
        alters, shop = self.fault.alters, self.shop
        if alters is None or not shop.shows.fullmatch(what) or (self.fault.first and self.altered):
            return answer
        goods = shop.opened(answer.body)
        if goods is None:
            return answer
        alters(shop, goods)
        self.altered += 1
        return Answer(answer.status, shop.closed(answer.body, goods), answer.media)


@asynccontextmanager
async def fronted(
    shop: Shop, fault: Fault, upstream: str
) -> AsyncIterator[tuple[Front, Callable[[], Awaitable[None]]]]:
    """A front, and what opens it: until then its port is taken, and nobody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as taken:
        taken.bind(("127.0.0.1", 0))
        front = Front(shop, fault, upstream, f"http://127.0.0.1:{taken.getsockname()[1]}")
        servers: list[asyncio.Server] = []

        async def listen() -> None:
            servers.append(await asyncio.start_server(front.accept, sock=taken))

        try:
            yield front, listen
        finally:
            for server in servers:
                server.close()
            for talk in front.talks:
                talk.cancel()
            await asyncio.gather(*front.talks, return_exceptions=True)


def _parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    return Answer(int(first.split(" ")[1]), body, headers.get("content-type", ""))


def _written(answer: Answer) -> bytes:
    head = f"HTTP/1.1 {answer.status} Status\r\nContent-Length: {len(answer.body)}\r\n"
    return f"{head}Content-Type: {answer.media}\r\n\r\n".encode() + answer.body
