"""Many orders at the same moment, each on its own connection, signed as examples/client does."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from shop import Customer
from starship_client import canonical, signature

TARGET = "/api/v1/orders"
_SPARE_FILES = 200


class Timed(NamedTuple):
    """One order's answer, and how long its client waited for it."""

    order: dict[str, Any]
    seconds: float


def room_for(connections: int) -> int:
    """Raise this process' limit of open files as far as needed and allowed; what then fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft - _SPARE_FILES)


class Burst:
    """`orders` times the same body, the customers taking turns; who has to wait asks again."""

    def __init__(self, customers: Sequence[Customer], body: dict[str, Any], *, orders: int) -> None:
        self._customers = customers
        self._body = json.dumps(body).encode()
        self._orders = orders
        self._left = deque(range(orders))
        self._done: list[Timed] = []
        self._go = asyncio.Event()
        self._half = asyncio.Event()

    async def run(self, *, connections: int, halfway: Callable[[], None]) -> list[Timed]:
        """All answers. `halfway` is called once, when half of them have come and half have not."""
        where = urlsplit(self._customers[0].url)
        lines = [
            await asyncio.open_connection(where.hostname, where.port) for _ in range(connections)
        ]
        async with asyncio.TaskGroup() as tasks:
            middle = tasks.create_task(self._in_the_middle(halfway))
            sending = [tasks.create_task(self._orders_on(*line)) for line in lines]
            self._go.set()
            await asyncio.wait(sending)
            if not self._half.is_set():
                middle.cancel()
        return self._done

    async def _orders_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._go.wait()
        while self._left:
            number = self._left.popleft()
            customer = self._customers[number % len(self._customers)]
            began = time.perf_counter()
            while True:
                writer.write(self._request(customer, f"burst-{number:05}"))
                status, headers, body = await _answer(reader)
                if status not in (429, 503):
                    break
                await asyncio.sleep(float(headers.get("retry-after", "1")))
            if status != 200:
                raise RuntimeError(f"{status}: {body}")
            self._done.append(Timed(body, time.perf_counter() - began))
            if len(self._done) * 2 >= self._orders:
                self._half.set()
        writer.close()

    async def _in_the_middle(self, halfway: Callable[[], None]) -> None:
        await self._half.wait()
        await asyncio.to_thread(halfway)

    def _request(self, customer: Customer, key: str) -> bytes:
        now = str(int(time.time()))
        signed = signature(customer.signing_secret, canonical("POST", TARGET, self._body, now))
        head = (
            f"POST {TARGET} HTTP/1.1\r\nHost: {urlsplit(customer.url).netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self._body)}\r\n"
            f"X-API-Key: {customer.key}\r\nX-API-Secret: {customer.secret}\r\n"
            f"X-Signature: t={now},v1={signed}\r\nIdempotency-Key: {key}\r\n\r\n"
        )
        return head.encode() + self._body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    body = json.loads(await reader.readexactly(int(headers["content-length"])))
    return int(head[0].split()[1]), headers, body
