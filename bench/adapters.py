"""What an adapter costs: its import over the core's, and our own CPU for each call of a purchase.

    .venv/bin/python bench/adapters.py

measures these lines alone. A purchase goes to the adapter's sandbox over HTTP, which has a process
of its own. What is compared with are the same requests, byte for byte but for their references,
from an HTTP client alone; both in turn, both by the CPU that this process used.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple
from unittest import mock

import httpx2
from floors import FLOORS, Line, broken, table
from rich.console import Console

from starship_core import (
    Accepted,
    Bought,
    Money,
    Purchase,
    Secret,
    Sku,
    Unavailable,
    VendorRegistration,
)
from starship_core.plugins import GROUP, take
from starship_core.testing.plug_case import fitted
from starship_core.testing.plugs import toolbox
from starship_core.testing.stage import reference


class Goods(NamedTuple):
    """What is bought, one unit at a time."""

    product: str
    face: Money


GOODS: Final = {
    "bamboo": Goods("910001", Money.of("50", "AED")),
    "pinelabs": Goods("CNPIN", Money.of("1000", "INR")),
    "voucherkart": Goods("DEMO1", Money.of("100", "INR")),
}
ROUNDS: Final = 5
_COST: Final = """
import sys, time, starship_core
began = time.process_time()
import {module}
print((time.process_time() - began) * 1000)
heavy = {{"httpx", "httpx2", "litestar", "uvicorn"}} & set(sys.modules)
assert not heavy, f"only opening it may load {{heavy}}"
"""


class Counter(NamedTuple):
    """An adapter that is open, with a client beside it, at one sandbox."""

    name: str
    vendor: Any
    registration: VendorRegistration[Any]
    client: httpx2.AsyncClient


class Cost(NamedTuple):
    """Milliseconds of CPU a call."""

    ours: float
    bare: float


async def measure(*, quick: bool) -> list[Line]:
    """Two lines an adapter."""
    lines = [_imported(name, 3 if quick else 7) for name in GOODS]
    for name in GOODS:
        async with _open(name) as counter:
            lines.append(await _bought(counter, 40 if quick else 200))
    return lines


def _imported(name: str, times: int) -> Line:
    """In fresh processes, each of which has the core already."""
    (point,) = entry_points(group=GROUP, name=name)
    costs = []
    for _ in range(times):
        code = _COST.format(module=point.value)
        done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
        costs.append(float(done.stdout))
    ms = median(costs)
    return Line(f"import_{name}", f"{name}: import over the core's", ms, f"{ms:.1f} ms")


async def _bought(counter: Counter, count: int) -> Line:
    """Rounds of purchases, each through the adapter and then bare; the median of the rounds."""
    late = isinstance(await _whole(counter, f"{counter.name} first"), Accepted)
    costs = [await _round(counter, number, count, late=late) for number in range(ROUNDS)]
    added = median(cost.ours - cost.bare for cost in costs)
    ratio = median(cost.ours / cost.bare for cost in costs)
    bare = median(cost.bare for cost in costs)
    calls = "a purchase and its look-up" if late else "a purchase"
    return Line(
        f"buy_{counter.name}",
        f"{counter.name}: CPU added to each call",
        added,
        f"{added:.2f} ms",
        f"{calls}; a bare client's {bare:.2f} ms, ratio {ratio:.2f}",
    )


async def _round(counter: Counter, number: int, count: int, *, late: bool) -> Cost:
    names = [f"{counter.name} {number} {one}" for one in range(count)]
    requests = [await _written(counter, f"{name} bare", late=late) for name in names]
    purchases = [_purchase(counter, name) for name in names]
    began = time.process_time()
    for purchase in purchases:
        reply = await counter.vendor.buy(purchase)
        if late:
            reply = await counter.vendor.find(purchase)
        _held(counter.name, reply)
    ours = time.process_time() - began
    began = time.process_time()
    for request in chain(*requests):
        answer = await counter.client.request(
            request.method, request.url, headers=request.headers, content=request.content
        )
        if answer.status_code not in (200, 201):
            raise SystemExit(f"{counter.name}: the bare client was answered {answer!r}")
    bare = time.process_time() - began
    calls = sum(map(len, requests))
    return Cost(ours * 1000 / calls, bare * 1000 / calls)


async def _written(counter: Counter, name: str, *, late: bool) -> list[httpx2.Request]:
    """The requests of another purchase, of which none goes out."""
    purchase = _purchase(counter, name)
    asked = (counter.vendor.buy, counter.vendor.find) if late else (counter.vendor.buy,)
    with _captured() as requests:
        for call in asked:
            with suppress(Unavailable):
                await call(purchase)
    if len(requests) != len(asked):
        raise SystemExit(f"{counter.name}: {len(requests)} requests for {len(asked)} calls")
    return requests


async def _whole(counter: Counter, name: str) -> Any:
    """Connections are made, a token is fetched; the answer to `buy`."""
    purchase = _purchase(counter, name)
    reply = await counter.vendor.buy(purchase)
    if isinstance(reply, Accepted):
        _held(counter.name, await counter.vendor.find(purchase))
    return reply


def _held(name: str, reply: Any) -> None:
    if not isinstance(reply, Bought) or len(reply.vouchers) != 1:
        raise SystemExit(f"{name}: a purchase ended as {type(reply).__name__}")


def _purchase(counter: Counter, name: str) -> Purchase:
    digest = name.encode().hex().ljust(64, "0")
    goods = GOODS[counter.name]
    return Purchase(
        reference=reference(counter.registration.traits.reference, digest),
        sku=Sku(1, goods.face.minor, goods.face.currency),
        quantity=1,
        vendor_product=goods.product,
        ceiling=Money(10**9, goods.face.currency),
        planned_at=datetime.now(UTC),
    )


@contextmanager
def _captured() -> Iterator[list[httpx2.Request]]:
    """Requests are kept as they would have gone out, and none does."""
    kept: list[httpx2.Request] = []

    async def keep(_: object, request: httpx2.Request) -> httpx2.Response:
        kept.append(request)
        raise httpx2.ConnectError("kept")

    with mock.patch.object(httpx2.AsyncHTTPTransport, "handle_async_request", keep):
        yield kept


@asynccontextmanager
async def _open(name: str) -> AsyncIterator[Counter]:
    with _sandbox(name) as section, tempfile.TemporaryDirectory() as folder:
        use = str(section.pop("use", name))
        plugged = [one for plugin in take([name]).installed for one in plugin.registrations]
        registration = next(one for one in plugged if one.name == use)
        assert isinstance(registration, VendorRegistration)
        fields = {key: Secret(v) if isinstance(v, str) else v for key, v in section.items()}
        config = fitted(registration, fields)
        async with AsyncExitStack() as stack:
            client = httpx2.AsyncClient(trust_env=False, timeout=30)
            tools = toolbox(Path(folder), name)
            yield Counter(
                name=name,
                vendor=await stack.enter_async_context(registration.open(config, tools)),
                registration=registration,
                client=await stack.enter_async_context(client),
            )


@contextmanager
def _sandbox(name: str) -> Iterator[dict[str, Any]]:
    """The section that it lets in."""
    script = str(Path(__file__).with_name("sandbox.py"))
    with subprocess.Popen(
        [sys.executable, script, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


def main() -> None:
    say = Console(width=110)
    lines = asyncio.run(measure(quick=os.environ.get("QUICK") == "1"))
    say.print(table(lines))
    for line in broken(lines):
        say.print(f"floor missed: {line.name}: {line.text} (floor {FLOORS[line.key].text})")


if __name__ == "__main__":
    main()
