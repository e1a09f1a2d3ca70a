"""Codes that a vendor sold, and whatever else it said, are nowhere but where they may be.

A vendor, policies and finders that quote a code in all that they say and raise; everything that
comes of it is collected where it ends: the client's webhook receiver, the operators' mail, answers
of the operators' API, commands, reports, logs, Redis with its last commands, every row.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest
import redis
import structlog
from click.testing import CliRunner

from starship_core.audit import By
from starship_core.cli import main
from starship_core.errors import Ambiguous
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.decide_fallbacks import sweep_policies
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.manage_operators import issue_token
from starship_core.flows.refuse_fallback import refuse_fallback
from starship_core.flows.relay_events import sweep_relay
from starship_core.flows.send_notices import sweep_notices
from starship_core.logs import configure
from starship_core.model import (
    Bought,
    FallbackCase,
    Money,
    OrderEvent,
    Purchase,
    Refused,
    Secret,
    Target,
    Voucher,
)  # fmt: skip
from starship_core.operators import ABILITIES
from starship_core.reconciliation.report import reconcile, tell
from starship_core.ship import Policy, Ship, Vendor
from starship_core.store.notices import notify
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.sweeps import SWEEPS
from starship_core.testing.clock import ManualClock
from starship_core.worker import Alarm
from tests.e2e.admin.conftest import ROOT
from tests.e2e.servers import ANA, PATIENCE, Caller, Shop, opened_shop, written
from tests.integration.receivers import Server, listening
from tests.integration.scripted import CAREFUL, Scripted
from tests.security.canary import in_redis, in_tables, sightings
from tests.security.test_canary import PLANTED, code

PRODUCTS = """\
code,name,category,currency,denominations
card,Card,Any,GBP,20.00;50.00
"""
SECRETS = {
    **{f"bought {n}": code(f"bought{n}") for n in range(1, 4)},
    **{f"odd {n}": code(f"odd{n}") for n in range(1, 4)},
    **{what: code(what) for what in ("raw", "refused", "raised", "found", "policy")},
}
GOODS = SECRETS["bought 1"]


def sold(*names: str) -> Callable[[Purchase], Bought]:
    """The vouchers of these secrets; an odd one is of another face."""

    def sell(purchase: Purchase) -> Bought:
        other = msgspec.structs.replace(purchase.sku, denomination=5000)
        units = [
            Voucher(
                sku=other if name == "odd 3" else purchase.sku, reference=f"{n}",
                card_number=Secret(SECRETS[name]),
            )
            for n, name in enumerate(names)
        ]  # fmt: skip
        return Bought(vouchers=tuple(units), charged=None)

    return sell


def burst(what: str) -> Callable[[Any], Any]:
    """Raise with the secret in text, arguments, cause and context."""

    def raises(_asked: Any) -> Any:
        try:
            int(SECRETS[what])
        except ValueError as error:
            raise RuntimeError(f"they said {SECRETS[what]}", SECRETS[what]) from error

    return raises


class Quoting:
    """A policy that quotes a code in what it raises."""

    def decide(self, case: FallbackCase) -> Any:
        return burst("policy")(case)


class Mail:
    """What operators were sent, as a notifier is handed it."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []

    async def notify(self, event: OrderEvent, to: Target) -> None:
        self.letters.append(msgspec.json.encode(event) + repr(to).encode())


@dataclasses.dataclass(kw_only=True)
class Spied:
    """The deployment, and everything that leaves it."""

    shop: Shop
    ship: Ship
    acme: Caller
    north: Scripted
    hook: Server
    mail: Mail
    http: httpx2.AsyncClient
    urls: tuple[str, str]
    """Of the database and of Redis."""
    log: io.StringIO
    answers: list[bytes] = dataclasses.field(default_factory=list)
    said: list[bytes] = dataclasses.field(default_factory=list)
    reports: list[bytes] = dataclasses.field(default_factory=list)

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.http.request(method, ROOT + path, json=body)
        self.answers.append(answer.content + str(answer.headers.raw).encode())
        return answer.json()

    async def starship(self, *words: str) -> str:
        """A command of ana's; what it said is kept. Returns what it printed."""
        arguments = [*words, "--config", str(self.ship.config.path)]
        done = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        assert not isinstance(done.exception, Exception), (words, done.exception)
        assert done.exit_code < 2, (words, done.output)
        self.said.append(done.output.encode() + done.stderr.encode())
        return done.stdout

    async def places(self) -> dict[str, bytes]:
        database, server = self.urls
        return {
            "webhooks": b"\n".join(
                each.body + str(each.headers).encode() for each in self.hook.received
            ),
            "notices": b"\n".join(self.mail.letters),
            "operators' API": b"\n".join(self.answers),
            "commands": b"\n".join(self.said),
            "reports": b"\n".join(self.reports),
            "log": self.log.getvalue().encode(),
            "redis": await asyncio.to_thread(in_redis, server),
            "rows": await asyncio.to_thread(in_tables, database),
        }


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """All that anybody here logs, at DEBUG."""
    stream, root = io.StringIO(), logging.getLogger()
    before, handlers, level = structlog.get_config(), root.handlers[:], root.level
    configure("debug", "json", stream=stream)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.configure(**before)


@contextmanager
def remembering(url: str) -> Iterator[None]:
    """Redis keeps every command that it is sent."""
    with redis.Redis.from_url(url) as client:
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", 100_000)
        client.slowlog_reset()
        yield
        client.config_set("slowlog-log-slower-than", 10_000)
        client.config_set("slowlog-max-len", 128)
        client.slowlog_reset()


@pytest.fixture
async def spied(database_url: str, redis_url: str, clock: ManualClock, tmp_path: Path) -> Any:
    config = written(tmp_path, database=database_url, redis=redis_url)
    north, mail = Scripted(), Mail()
    with logged() as log, remembering(redis_url):
        async with opened_shop(config, clock) as shop, listening() as hook:
            await shop.products(PRODUCTS)
            offer = VendorOffer(
                product_id=1, code="card", currency="GBP", vendor="north", vendor_product="n"
            )
            await shop.ship.database.run(write_offer, offer, 1)
            vendor = Vendor(name="north", plugin="scripted", port=north, traits=CAREFUL)
            cast("dict[str, Vendor]", shop.ship.vendors)["north"] = vendor
            events = msgspec.structs.replace(config.events, operators=["mail"])
            ship = dataclasses.replace(
                shop.ship, notifiers={**shop.ship.notifiers, "mail": mail},
                config=msgspec.structs.replace(config, events=events),
                policies={
                    "quotes": Policy(name="q", plugin="q", port=Quoting(), names_products=True)
                },
            )  # fmt: skip
            acme = await shop.client("acme", {"GBP": "1000.00"})
            await acme.post("/webhooks", {"name": "h", "url": hook.url, "events": ["order.*"]})
            token = (await issue_token("ana", ABILITIES, ANA, ship)).token.reveal()
            bearer = {"Authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(
                base_url=shop.url, headers=bearer, timeout=PATIENCE
            ) as http:
                yield Spied(
                    shop=shop, ship=ship, acme=acme, north=north, hook=hook, mail=mail, http=http,
                    urls=(database_url, redis_url), log=log,
                )  # fmt: skip


async def test_what_a_vendor_says_is_found_nowhere(spied: Spied, clock: ManualClock) -> None:
    """Bought, lost, refused, raised, odd; then all that operators do about it."""
    await plant(spied)
    bought = await buying(spied, clock)
    await looking(spied, clock, bought)
    assert sightings(await spied.places(), SECRETS) == []
    assert len(spied.hook.received) > 6
    assert len(spied.mail.letters) > 3
    # where they may be, they are: so they were there to be found
    assert SECRETS["bought 1"] in [
        unit["card_number"] for unit in (await spied.acme.get(f"/orders/{bought}"))["vouchers"]
    ]
    raw = ("purchase", "show", "2", "--raw", "--as", "ana", "--reason", "x", "--json")
    assert json.loads(await spied.starship(*raw))["raw"] == SECRETS["raw"]


# --- the proof that it would be found -------------------------------------------------------------


async def plant(spied: Spied) -> None:
    """Something else goes the way of each of these places, and is found in all of them."""
    ship = spied.ship
    by = By(actor=f"operator:{PLANTED}", reason=PLANTED)
    order_id = (await spied.acme.order("planted-1"))["id"]
    await refuse_fallback(order_id, by, ship)
    await spied.admin("GET", f"/orders/{order_id}/explain")
    await spied.starship("order", "explain", str(order_id))
    waiting = dataclasses.replace(ship, now=lambda: ship.now() + timedelta(days=2))
    spied.reports.append(msgspec.json.encode(await reconcile(waiting)))
    await ship.database.run(
        lambda tx: notify(
            tx, "test.found", subject="s", summary="s", text=PLANTED, key="k", at=ship.now()
        )
    )
    await sweep_notices(ship)
    event = OrderEvent(
        event_id="evt_planted", event_type="order.created", created_at=ship.now(), client_id=1,
        data={"planted": PLANTED},
    )  # fmt: skip
    secret = Secret("whsec_" + "A" * 43 + "=")
    await ship.notifiers["webhooks"].notify(
        event, Target(address=spied.hook.url, secrets=(secret,))
    )
    structlog.get_logger().debug("planted", text=PLANTED)
    with redis.Redis.from_url(spied.urls[1]) as client:
        client.set("planted", PLANTED)
    places = await spied.places()
    assert {place for place, _, _ in sightings(places, {"planted": PLANTED})} == set(places)
    await spied.admin("POST", f"/orders/{order_id}/cancel", {"reason": "planted"})


# --- the story ------------------------------------------------------------------------------------


async def buying(spied: Spied, clock: ManualClock) -> int:
    """An order for each way that a purchase may end; the id of the one that was delivered."""
    ship, north = spied.ship, spied.north
    replies: list[Any] = [
        sold("bought 1", "bought 2"), Ambiguous(SECRETS["raw"], raw=Secret(SECRETS["raw"])),
        Refused(reason=SECRETS["refused"]), burst("raised"), sold("odd 1", "odd 1"),
        sold("odd 2", "odd 3"),
    ]  # fmt: skip
    orders = []
    for n, reply in enumerate(replies):
        order_id = (await spied.acme.order(f"key-{n:05}", quantity=2))["id"]
        await approve_fallback(order_id, ANA, ship, vendors=["north"], ceiling=Money(9000, "GBP"))
        north.buys = [reply]
        await sweep_purchases(ship)
        orders.append(order_id)
    await spied.acme.order("key-decide")
    await sweep_policies(ship)
    north.finds = [burst("found")] * 99
    for _ in range(10):
        clock.advance(hours=8)
        await sweep_purchases(ship)
    states = await ship.database.read(lambda tx: tx.execute("SELECT state FROM purchases"))
    assert sorted(row[0] for row in states) == [
        "BOUGHT", "NEEDS_REVIEW", "NEEDS_REVIEW", "NEEDS_REVIEW", "NEEDS_REVIEW", "REFUSED",
    ]  # fmt: skip
    return int(orders[0])


async def looking(spied: Spied, clock: ManualClock, bought: int) -> None:
    """Everything that operators may ask and do, over HTTP and by commands; and what is sent."""
    ship = spied.ship
    for path in ("/queue", "/purchases", "/switches", "/worker"):
        await spied.admin("GET", path)
    for number in range(1, 7):
        await spied.admin("GET", f"/purchases/{number}")
        for path in (f"/orders/{bought + number - 1}", f"/orders/{bought + number - 1}/explain"):
            await spied.admin("GET", path)
    calls: list[tuple[str, Any]] = [
        (f"/orders/{bought}/refund", {"items": [1], "reason": "used"}),
        (f"/orders/{bought}/replace", {"item": 2, "reason": "used"}),
        (f"/orders/{bought}/retry", {}),
        (f"/orders/{bought + 2}/refuse", {"reason": "no"}),
        (f"/orders/{bought + 2}/cancel", {"reason": "no"}),
        (f"/orders/{bought + 3}/approve", {"vendors": ["north"], "ceiling": "9", "reason": "x"}),
        ("/purchases/4/not-bought", {"evidence": "they say so"}),
        ("/purchases/1/not-bought", {"evidence": "they say so"}),
        ("/switches/off", {"scope": "vendor:north", "reason": "x"}),
        ("/pump", {}),
    ]
    for path, body in calls:
        await spied.admin("POST", path, body)
    commands = [
        "order list", "purchase list", "purchase show 1", "purchase show 2", "purchase show 5",
        f"order explain {bought}", f"order explain {bought + 4}", f"policy explain {bought + 6}",
        "policy list", "notice list", "webhook list", "webhook show 1", "switch list",
        "worker status", "verify", "reconcile", "stock list",
        f"order refuse {bought + 6} --reason no --as ana", "order refuse 1 --reason no --as ana",
    ]  # fmt: skip
    for command in commands:
        await spied.starship(*command.split(), "--json")
    alarm = Alarm(spied.urls[1], f"{ship.config.deployment.name}:wake", lambda _kind: None)
    for sweep in SWEEPS:
        assert await alarm.ring(sweep.kind)
    report = await reconcile(ship)
    spied.reports += [msgspec.json.encode(report), repr(report).encode()]
    await tell(report, ship)
    sweeps: list[Callable[[Ship], Awaitable[int]]] = [sweep_relay, sweep_deliveries, sweep_notices]
    for sweep_ in sweeps:
        while await sweep_(ship):
            pass
