"""A vendor over HTTP that counts the requests that buy, and its port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx2

from starship_core.errors import Ambiguous
from starship_core.model import Purchase, VendorProduct, VendorReply
from starship_core.ship import Vendor
from tests.integration.scripted import CAREFUL, goods

NAME = "counter"
QUICK = replace(CAREFUL, buy_timeout=1, settle_seconds=1)


@dataclass
class Counter:
    """What the vendor's books say: references, once for each request that bought."""

    sold: list[str] = field(default_factory=list)
    address: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        reference = path.removeprefix("/")
        known = reference in self.sold
        if method == "POST":
            self.sold.append(reference)
        status = "404 Not Found" if method == "GET" and not known else "200 OK"
        told = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        writer.write(told.encode())
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Counter]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self


@dataclass(frozen=True)
class Till:
    """The port: every call is one request on a connection of its own."""

    address: str

    async def buy(self, purchase: Purchase) -> VendorReply:
        async with httpx2.AsyncClient() as client:
            reply = await client.post(f"{self.address}/{purchase.reference}")
        if reply.status_code != httpx2.codes.OK:
            raise Ambiguous(f"HTTP {reply.status_code}")
        return goods(purchase)

    async def find(self, purchase: Purchase) -> VendorReply | None:
        async with httpx2.AsyncClient() as client:
            reply = await client.get(f"{self.address}/{purchase.reference}")
        return goods(purchase) if reply.status_code == httpx2.codes.OK else None

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        raise AssertionError("nobody asked for it")
        yield


def at_counter(address: str) -> Mapping[str, Vendor]:
    """The vendors of a ship that buys there."""
    return {NAME: Vendor(name=NAME, plugin="test", port=Till(address), traits=QUICK)}
