"""POST /vendors/{instance}/callback: open to a vendor, and a hint at most."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import structlog

from starship_core.audit import By
from starship_core.clock import micros
from starship_core.config import LimitsSection, PluginsSection
from starship_core.flows.import_products import import_products
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock

SECRET = "FAKE-FAKE-0001"
OURS = "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"
OTHER = "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0002"
PATH = "/vendors/bamboo-us/callback"
HOUR = 3600 * 1_000_000
_APPROVAL = """
INSERT INTO approvals (id, product_id, denomination, currency, actor, reason, vendors, ceiling,
    ceiling_currency, state, expires_at, created_at, updated_at)
VALUES (1, 1, 5000, 'EUR', 'operator:ana', 'a test', '[]', 5000, 'EUR', 'USED', 1, 1, 1)
"""
_PURCHASE = """
INSERT INTO purchases (approval_id, vendor, vendor_product, product_id, denomination, currency,
    quantity, reference, state, ceiling, ceiling_currency, due_at, planned_at, sent_at, updated_at,
    closed_at)
VALUES (1, $1, '7', 1, 5000, 'EUR', 1, $2, $3, 5000, 'EUR', $4, $5, $5, $5,
    CASE WHEN $3 IN ('BOUGHT', 'NOT_BOUGHT') THEN 1 END)
"""
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
        file = config.folder / "products.csv"
        file.write_text("code,name,category,currency,denominations\ncard,Card,Shops,EUR,50.00\n")
        await import_products(file, By(actor="operator:ana"), ship)
        await ship.database.run(lambda tx: tx.execute(_APPROVAL))
        yield ship


@pytest.fixture
async def http(ship: Ship, start: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Anybody."""
    async with httpx2.AsyncClient(base_url=await start(ship), timeout=30) as http:
        yield http


def body(reference: str = OURS, secret: str = SECRET) -> bytes:
    return json.dumps({"requestId": reference, "secretKey": secret, "status": "SUCCESS"}).encode()


async def purchased(
    ship: Ship, reference: str = OURS, *, vendor: str = "bamboo-us", state: str = "ACCEPTED"
) -> None:
    """A purchase that is to be looked up in an hour."""
    at = micros(ship.now())
    await ship.database.run(
        lambda tx: tx.execute(_PURCHASE, vendor, reference, state, at + HOUR, at)
    )


async def due_in(ship: Ship) -> dict[str, int]:
    """By reference, in microseconds; 0: now."""
    rows = await ship.database.read(
        lambda tx: tx.execute("SELECT reference, due_at FROM purchases")
    )
    return {reference: due_at - micros(ship.now()) for reference, due_at in rows}


async def test_a_callback_has_its_purchase_looked_up_now(
    http: httpx2.AsyncClient, ship: Ship, clock: ManualClock
) -> None:
    """And no other; once is enough, and a second one does not put it off."""
    await purchased(ship)
    await purchased(ship, OTHER)
    clock.advance(seconds=60)
    answers = [await http.post(PATH, content=body())]
    clock.advance(seconds=1)
    answers.append(await http.post(PATH, content=body(OURS.upper())))
    assert [(each.status_code, each.content) for each in answers] == [(204, b"")] * 2
    second = 1_000_000
    assert await due_in(ship) == {OURS: -second, OTHER: HOUR - 61 * second}


@pytest.mark.parametrize("state", ["PLANNED", "SENT", "NEEDS_REVIEW", "BOUGHT", "NOT_BOUGHT"])
async def test_only_what_is_being_looked_up_is_hastened(
    http: httpx2.AsyncClient, ship: Ship, state: str
) -> None:
    """A callback sends nothing, settles nothing and opens nothing again."""
    await purchased(ship, state=state)
    answer = await http.post(PATH, content=body())
    assert (answer.status_code, await due_in(ship)) == (204, {OURS: HOUR})


async def test_a_vendor_hastens_none_of_anothers(http: httpx2.AsyncClient, ship: Ship) -> None:
    """The same answer, and the other's purchase waits as before."""
    await purchased(ship, vendor="pine")
    answer = await http.post(PATH, content=body())
    assert (answer.status_code, await due_in(ship)) == (204, {OURS: HOUR})


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "content", [body(secret="another"), b"", b"{", b"[" * 50_000, b"\xff", b"x" * (1 << 20)]
)
async def test_what_is_not_the_vendor_is_answered_alike(
    http: httpx2.AsyncClient, ship: Ship, content: bytes
) -> None:
    """A wrong secret, nothing, nonsense, a mebibyte: 204, and nothing is done."""
    await purchased(ship)
    answer = await http.post(PATH, content=content)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await due_in(ship) == {OURS: HOUR}


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
async def test_nothing_of_it_is_logged(http: httpx2.AsyncClient, ship: Ship) -> None:
    """Neither secret nor reference nor a word of the body."""
    await purchased(ship)
    with structlog.testing.capture_logs() as logged:
        await http.post(PATH, content=body())
        await http.post(PATH, content=body(secret="another"))
    told = [(line["event"], line["hastened"]) for line in logged]
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
