"""`POST /orders` past the router is answered as by the router, to the byte."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import structlog
from litestar import Litestar

from starship_core.config import Config, RedisSection
from starship_core.errors import Unavailable
from starship_core.flows.place_order import place_order
from starship_core.http.exchange import App
from starship_core.http.express import Express
from starship_core.new_order import NewOrder
from starship_core.testing.clock import ManualClock
from tests.e2e.servers import Caller, opened_shop, written

from .conftest import PRODUCTS

HIT = b'{"product_id":1,"denomination":"20.00","quantity":1,"metadata":{"b":1,"a":"\xc3\xa9"}}'
MISS = HIT.replace(b'"quantity":1', b'"quantity":7')
BULK = HIT.replace(b'"quantity":1', b'"quantity":51')
JSON = {"Content-Type": "application/json"}
ORDERS = "/api/v1/orders"


class Asked(NamedTuple):
    """One request; `key` None: without the header."""

    status: int
    key: str | None = "key-00001"
    body: bytes = HIT
    headers: Mapping[str, str] = {}
    path: str = ORDERS
    method: str = "POST"


ASKED = [
    Asked(200),
    Asked(200),  # a replay
    Asked(422, body=MISS),
    Asked(200, "key-00002", MISS),
    Asked(200, "key-00003", BULK),
    Asked(200, "key-00004", b'{"product_id":1,"denomination":"20.00","quantity":1,"ref":"mine"}'),
    Asked(409, "key-00005", b'{"product_id":1,"denomination":"20.00","quantity":1,"ref":"mine"}'),
    Asked(402, "key-00006", b'{"product_id":1,"denomination":"50.00","quantity":50}'),
    Asked(400, "key-00007", b'{"product_id":9,"denomination":"20.00","quantity":1}'),
    Asked(400, None),
    Asked(400, "short"),
    Asked(400, body=b'{"product_id":1'),
    Asked(400, body=b'{"product_id":1,"denomination":"20.00","quantity":0}'),
    Asked(400, body=b'{"product_id":1,"denomination":"-1","quantity":1}'),
    Asked(400, body=b""),
    Asked(415, headers={"Content-Type": "text/plain"}),
    Asked(415, headers=JSON | {"Content-Encoding": "gzip"}),
    Asked(500, "key-fault"),
    Asked(503, "key-away-"),
    Asked(400, path=ORDERS + "?sort=id"),
    Asked(400, path=ORDERS + "?%ff=1"),
    Asked(200, path=ORDERS + "?"),
    Asked(200, path=ORDERS + "/"),
    Asked(200, path="/api/v1//orders"),
    Asked(200, path="/api/v1/%6frders"),
    Asked(400, headers=JSON | {"Host": "a b"}),
    Asked(200, headers=JSON | {"Host": "[::1]:80"}),
    Asked(200, headers=JSON | {"Host": ""}),
    Asked(404, path="/api/v1/Orders"),
    Asked(405, method="PUT"),
    Asked(204, method="OPTIONS"),
    Asked(200, method="HEAD", body=b""),
    Asked(200, method="GET", body=b""),
]


@pytest.fixture
def database_kind() -> str:
    """The way of a request does not depend on which database there is."""
    return "sqlite"


def alone(folder: Path, database_url: str) -> Config:
    """A deployment of its own, without Redis, on a copy of the empty database."""
    folder.mkdir()
    shutil.copy(database_url.removeprefix("sqlite:///"), folder / "shop.db")
    config = written(folder, database="sqlite:///shop.db", redis="unix:///nowhere")
    return msgspec.structs.replace(config, redis=RedisSection())


async def told(acme: Caller, asked: Asked) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers in their order, and body of the answer, whole but for the date."""
    given = {"X-Request-Id": "the-same", **(asked.headers or JSON)}
    if asked.key is not None:
        given["Idempotency-Key"] = asked.key
    answer = await acme.http.request(asked.method, asked.path, content=asked.body, headers=given)
    headers = [each for each in answer.headers.raw if each[0].lower() != b"date"]
    return answer.status_code, headers, answer.content


async def counted(acme: Caller) -> list[str]:
    """What was answered, as the metrics have it."""
    text = (await acme.http.get("/metrics")).text
    return re.findall(r"^starship_(?:orders|http_requests)_total.*$", text, re.MULTILINE)


def noting(app: App, seen: list[str]) -> App:
    """`app`; each POST that reaches it is noted with its path."""

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            seen.append(scope["raw_path"].decode())
        await app(scope, receive, send)

    return noted


def with_express(app: Litestar, seen: list[str]) -> App:
    """As in a server, the router behind it watched."""
    express = Express(app)
    express._app = noting(app, seen)
    return express


async def sometimes(new: NewOrder, client: Any, ship: Any) -> Any:
    """`place_order`, with a fault and an outage under two keys."""
    if new.key == "key-fault":
        raise RuntimeError("a card number")
    if new.key == "key-away-":
        raise Unavailable("the database is away", retry_after=2)
    return await place_order(new, client, ship)


async def test_both_ways_are_one(
    tmp_path: Path, database_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hits, misses, replays, refusals, faults, spellings of the path: status, headers, body, log
    and metrics.
    """
    monkeypatch.setattr("starship_core.web.orders.place_order", sometimes)
    found = []
    routed: list[list[str]] = []
    for way in (with_express, noting):
        routed.append([])
        monkeypatch.setattr("starship_core.web.app.Express", partial(way, seen=routed[-1]))
        config = alone(tmp_path / way.__name__, database_url)
        async with opened_shop(config, clock) as shop:
            await shop.products(PRODUCTS)
            await shop.stock(1, "20.00", 3)
            acme = await shop.client("acme", {"GBP": "2000.00"})
            with structlog.testing.capture_logs() as logs:
                answers = [await told(acme, asked) for asked in ASKED]
            faults = [(each["error"], each["at"][-1]) for each in logs if "at" in each]
            found.append((answers, faults, await counted(acme)))
    express, router = found
    for asked, one, other in zip(ASKED, express[0], router[0], strict=True):
        assert (asked, one) == (asked, other)
        assert one[0] == asked.status, (asked, one)
    assert express == router
    assert [name for name, _ in express[1]] == ["RuntimeError"]
    odd_hosts = [ORDERS, ORDERS]
    assert routed[0] == [ORDERS + "/", "/api/v1//orders", *odd_hosts, "/api/v1/Orders"]
    assert len(routed[1]) == sum(each.method == "POST" for each in ASKED)
