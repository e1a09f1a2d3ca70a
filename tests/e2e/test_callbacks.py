"""POST /vendors/{instance}/callback: open to a vendor, and a hint at most."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import structlog

from starship_core.config import LimitsSection, PluginsSection
from starship_core.ship import Ship
from starship_core.store.callbacks import KEPT, list_heard, settle
from starship_core.testing.clock import ManualClock

SECRET = "FAKE-FAKE-0001"
OURS = "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"
PATH = "/vendors/bamboo-us/callback"
ENABLED = ["wallet-ledger", "fx-fixed", "bamboo", "pinelabs"]
BAMBOO = {
    "use": "bamboo", "base_url": "http://127.0.0.1:9", "client_id": "c", "client_secret": SECRET,
    "account_id": 1, "callback_secret": SECRET,
}  # fmt: skip
PINE = {
    "use": "pinelabs", "base_url": "http://127.0.0.1:9", "client_id": "c", "client_secret": SECRET,
    "username": "u", "password": SECRET, "category": "1", "firstname": "A", "lastname": "R",
    "email": "a@example.com", "telephone": "+91",
}  # fmt: skip


@pytest.fixture
async def ship(configure: Any, clock: ManualClock) -> AsyncIterator[Ship]:
    """With a vendor that reads callbacks and one that does not; four callbacks a minute."""
    config = configure(
        plugins=PluginsSection(enabled=ENABLED),
        vendors={"bamboo-us": BAMBOO, "pine": PINE},
        limits=LimitsSection(callbacks=4, failed_authentications=100_000),
    )
    async with Ship.open(config, now=clock) as ship:
        yield ship


@pytest.fixture
async def http(ship: Ship, start: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Anybody."""
    async with httpx2.AsyncClient(base_url=await start(ship), timeout=30) as http:
        yield http


def body(reference: str = OURS, secret: str = SECRET) -> bytes:
    return json.dumps({"requestId": reference, "secretKey": secret, "status": "SUCCESS"}).encode()


async def heard(ship: Ship) -> list[tuple[str, str]]:
    """What is to be looked up."""
    return [(one[0], one[1]) for one in await ship.database.read(list_heard)]


async def test_a_callback_makes_its_purchase_worth_a_look(
    http: httpx2.AsyncClient, ship: Ship
) -> None:
    """The reference is remembered once, however often it is told; nothing else is done."""
    answers = [await http.post(PATH, content=body()) for _ in range(2)]
    assert [(each.status_code, each.content) for each in answers] == [(204, b"")] * 2
    assert await heard(ship) == [("bamboo-us", OURS)]


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "content", [body(secret="another"), b"", b"{", b"[" * 50_000, b"\xff", b"x" * (1 << 20)]
)
async def test_what_is_not_the_vendor_is_answered_alike(
    http: httpx2.AsyncClient, ship: Ship, content: bytes
) -> None:
    """A wrong secret, nothing, nonsense, a mebibyte: 204, and nothing is remembered."""
    answer = await http.post(PATH, content=content)
    assert (answer.status_code, answer.content, await heard(ship)) == (204, b"", [])


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_body_over_a_mebibyte_is_not_read(http: httpx2.AsyncClient) -> None:
    """413, as everywhere."""
    answer = await http.post(PATH, content=b"x" * ((1 << 20) + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH), ("PUT", PATH), ("OPTIONS", PATH), ("POST", PATH + "/"),
        ("POST", "/vendors/pine/callback"), ("POST", "/vendors/west/callback"),
        ("POST", "/vendors/bamboo-us/callback/x"), ("POST", "/vendors/bamboo-us"),
        ("POST", "/vendors/{instance}/callback"), ("POST", "/vendors//callback"),
    ],
)  # fmt: skip
async def test_nothing_else_is_open(http: httpx2.AsyncClient, method: str, path: str) -> None:
    """Another method, a vendor that reads none or is none, any other path: the gate's 401."""
    answer = await http.request(method, path)
    assert answer.status_code == 401


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_an_address_may_call_only_so_often(http: httpx2.AsyncClient) -> None:
    """429 with Retry-After from the fifth on, whatever is sent."""
    statuses = [(await http.post(PATH, content=b"x")).status_code for _ in range(4)]
    answer = await http.post(PATH, content=body())
    assert (statuses, answer.status_code) == ([204] * 4, 429)
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_nothing_of_it_is_logged(http: httpx2.AsyncClient) -> None:
    """Neither secret nor reference nor a word of the body."""
    with structlog.testing.capture_logs() as logged:
        await http.post(PATH, content=body())
        await http.post(PATH, content=body(secret="another"))
    told = [(line["event"], line["names_one"]) for line in logged]
    assert told == [("callback.heard", True), ("callback.heard", False)]
    assert [word for word in (SECRET, OURS, "SUCCESS", "another") if word in str(logged)] == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_plugin_that_fails_is_no_fault_of_the_callers(ship: Ship, start: Any) -> None:
    """204; its class is logged, its text is not."""

    class Broken:
        def reference(self, headers: Any, body: bytes) -> str | None:
            raise RuntimeError(body.decode())

    vendors = dict(ship.vendors)
    vendors["bamboo-us"] = replace(vendors["bamboo-us"], port=Broken())  # type: ignore[arg-type]  # no port at all
    async with httpx2.AsyncClient(base_url=await start(replace(ship, vendors=vendors))) as http:
        with structlog.testing.capture_logs() as logged:
            answer = await http.post(PATH, content=b"a secret")
    assert answer.status_code == 204
    assert logged[0]["error"] == "RuntimeError"
    assert "a secret" not in str(logged)


async def test_what_was_looked_up_is_forgotten_unless_it_is_heard_of_again(
    http: httpx2.AsyncClient, ship: Ship, clock: ManualClock
) -> None:
    """And what nobody knows goes after a day."""
    await http.post(PATH, content=body())
    before = await ship.database.read(list_heard)
    clock.advance(seconds=1)
    await http.post(PATH, content=body())
    await ship.database.run(settle, before)
    assert await heard(ship) == [("bamboo-us", OURS)]
    await ship.database.run(settle, await ship.database.read(list_heard))
    assert await heard(ship) == []
    await http.post(PATH, content=body())
    clock.advance(seconds=KEPT / 1_000_000 + 1)
    other = OURS[:-1] + "2"
    await http.post(PATH, content=body(other))
    assert await heard(ship) == [("bamboo-us", other)]
