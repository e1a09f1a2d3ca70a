"""Deliveries: six attempts, one endpoint never waits for another, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from standardwebhooks import Webhook as StockVerifier

from starship_core.access import Client
from starship_core.clock import utc_now
from starship_core.errors import WrongState
from starship_core.flows import deliver_events
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.manage_credentials import Rotation, Which, rotate
from starship_core.flows.manage_webhooks import (
    Changes,
    NewWebhook,
    change_webhook,
    register_webhook,
    remove_webhook,
    send_test,
)
from starship_core.flows.redeliver_events import redeliver, redeliver_since
from starship_core.flows.relay_events import sweep_relay
from starship_core.model import OrderEvent, Target
from starship_core.store.delivery_log import Delivery, list_deliveries
from starship_core.store.feed import read_events
from starship_core.store.notices import list_notices
from starship_core.testing.clock import ManualClock
from tests.integration.receivers import Recorder, hook, listening, recorded, until
from tests.integration.ships import ANA, Dock

URL = "https://example.com/hook"
ROUNDS = (0, 30, 120, 600, 3600, 21_600)


async def log_of(dock: Dock, webhook_id: int, status: str = "") -> list[Delivery]:
    """Its deliveries, oldest first."""
    found, _ = await dock.ship.database.read(
        lambda tx: list_deliveries(tx, webhook_id, status=status, limit=10_000, offset=0)
    )
    return found[::-1]


async def sweep(dock: Dock) -> int:
    await sweep_relay(dock.ship)
    return await sweep_deliveries(dock.ship)


async def test_a_delivery_is_the_event_signed(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """The stock verifier takes our bytes, so does the documented HMAC, and there is no code."""
    clock.set(utc_now())  # the verifier knows no other
    await dock.stock(1)
    async with listening() as server:
        made = await hook(dock, acme, server.url)
        await dock.place(acme, "order-1")
        assert await sweep(dock) == 2
    assert made.secret is not None
    secret = made.secret.reveal()
    for each in server.received:
        stamp = each.headers["X-Timestamp"]
        legacy = hmac.new(secret.encode(), f"{stamp}.".encode() + each.body, hashlib.sha256)
        assert each.headers["X-Signature"] == legacy.hexdigest()
        assert b"CODE-" not in each.body
    told = [StockVerifier(secret).verify(each.body, each.headers) for each in server.received]
    assert sorted(each["event_type"] for each in told) == ["order.created", "order.delivered"]
    feed = await dock.ship.database.read(lambda tx: read_events(tx, acme.id, after=0, limit=9))
    assert {each["event_id"]: each["data"] for each in told} == {
        each.event_id: each.data for each in feed
    }
    assert [each.status for each in await log_of(dock, made.webhook.id)] == ["DELIVERED"] * 2
    await dock.sound()


async def test_while_a_secret_rotates_both_sign(dock: Dock, clock: ManualClock) -> None:
    """The credential's older and newer secret in the Standard header, the older in the legacy one;
    after the grace period the newer alone.
    """
    issued, acme = await dock.issue("acme")
    assert issued.signing_secret is not None
    async with listening() as server:
        new = NewWebhook(
            name="n", url=server.url, events=["order.created"], credential_id=issued.credential_id
        )
        assert (await register_webhook(acme.id, new, ANA, dock.ship)).secret is None
        newer = await rotate(Which("acme"), Rotation(secret=False), ANA, dock.ship)
        assert newer.signing_secret is not None
        await dock.place(acme, "order-1")
        await sweep(dock)
        clock.advance(hours=25)
        await dock.place(acme, "order-2")
        await sweep(dock)
    during, later = server.received
    legacy = f"{during.headers['X-Timestamp']}.".encode() + during.body
    older = hmac.new(issued.signing_secret.reveal().encode(), legacy, hashlib.sha256).hexdigest()
    assert during.headers["X-Signature"] == older
    assert len(during.headers["webhook-signature"].split()) == 2
    legacy = f"{later.headers['X-Timestamp']}.".encode() + later.body
    fresh = hmac.new(newer.signing_secret.reveal().encode(), legacy, hashlib.sha256).hexdigest()
    assert later.headers["X-Signature"] == fresh
    assert len(later.headers["webhook-signature"].split()) == 1


async def test_a_receiver_that_is_down_for_two_days(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """Six attempts at each event, at the documented times and with the same bytes; then visibly
    failed. The feed had it all the time, and `since` brings each once, under its id.
    """
    answers = "503 X"
    async with listening(lambda: answers) as server:
        webhook = (await hook(dock, acme, server.url)).webhook
        for hour in range(48):
            if hour % 4 == 0:
                await dock.place(acme, f"order-{hour}")
            for pause in (30, 90, 480, 3000):
                await sweep(dock)
                clock.advance(seconds=pause)
        await sweep(dock)
        clock.advance(hours=7)
        await sweep(dock)
        failed = await log_of(dock, webhook.id)
        assert [each.status for each in failed] == ["FAILED"] * 24
        assert {len(each.attempts) for each in failed} == {6}
        assert {each.error for each in failed} == {"the receiver answered with HTTP 503"}
        bodies: dict[str, set[bytes]] = {}
        for each in server.received:
            bodies.setdefault(each.headers["webhook-id"], set()).add(each.body)
        assert {len(each) for each in bodies.values()} == {1}
        feed = await dock.ship.database.read(lambda tx: read_events(tx, acme.id, after=0, limit=99))
        assert [each.event_id for each in feed] == [each.event_id for each in failed]
        await dock.sound()

        answers = "204 X"
        server.received.clear()
        since = clock() - timedelta(days=9)
        asked = (webhook.id, since, ANA, dock.ship)
        assert await redeliver_since(*asked, client_id=acme.id) == 24
        assert await sweep(dock) == 24
        assert await redeliver_since(*asked, client_id=acme.id) == 0
        assert await sweep(dock) == 0
    assert Counter(each.headers["webhook-id"] for each in server.received) == Counter(bodies.keys())
    assert {each.status for each in await log_of(dock, webhook.id)} == {"DELIVERED"}
    await dock.sound()


async def test_attempts_come_when_they_should(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """At once, then after 30 s, 2 min, 10 min, 1 h and 6 h, at most a tenth earlier."""
    recorder = Recorder(down={URL})
    dock = recorded(dock, recorder)
    webhook = (await hook(dock, acme, URL, "order.created")).webhook
    await dock.place(acme, "order-1")
    start, times = clock(), []
    for pause in ROUNDS:
        if pause:
            clock.advance(seconds=pause * 0.9 - 1)
            assert await sweep(dock) == 0
            clock.advance(seconds=pause * 0.1 + 1)
        assert await sweep(dock) == 1
        times.append((clock() - start).total_seconds())
    (delivery,) = await log_of(dock, webhook.id)
    assert times == [0, 30, 150, 750, 4350, 25_950]
    assert (delivery.status, delivery.next_attempt_at) == ("FAILED", None)
    assert [each.number for each in delivery.attempts] == [1, 2, 3, 4, 5, 6]
    clock.advance(days=1)
    assert await sweep(dock) == 0


async def test_a_dead_endpoint_among_a_hundred(dock: Dock) -> None:
    """99 endpoints have their events while the dead one still waits for its first answer."""
    client = await dock.client("many", {"EUR": "100000.00"})
    recorder = _Hanging("https://dead.example/hook")
    dock = recorded(dock, recorder)
    for number in range(99):
        await hook(dock, client, f"https://live-{number}.example/hook", "order.created")
    await hook(dock, client, recorder.dead, "order.created")
    for number in range(4):
        await dock.place(client, f"order-{number}")
    await sweep_relay(dock.ship)
    sweeping = asyncio.create_task(sweep_deliveries(dock.ship))
    await until(lambda: len(recorder.told) == 396)
    assert (len(set(recorder.told)), recorder.under_way[recorder.dead]) == (396, 1)
    late = (await dock.place(client, "order-late")).order
    await sweep_relay(dock.ship)
    await until(lambda: len(recorder.told) == 495)
    told = Counter(event for _, event in recorder.told)
    assert told[f"evt_{late.id}_1_order.created"] == 99
    assert not sweeping.done()
    assert recorder.under_way[recorder.dead] == 1
    recorder.released.set()
    assert await sweeping >= 496


class _Hanging(Recorder):
    """One address never answers until it is let go."""

    def __init__(self, dead: str) -> None:
        super().__init__()
        self.dead = dead
        self.down = {dead}
        self.released = asyncio.Event()

    async def notify(self, event: OrderEvent, to: Target) -> None:
        if to.address == self.dead:
            self.under_way[self.dead] += 1
            await self.released.wait()
            self.under_way[self.dead] -= 1
        await super().notify(event, to)


async def test_no_answer_is_a_failure(
    dock: Dock, acme: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that hangs ends with the transport's deadline, or with the core's own."""
    recorder = _Hanging(URL)
    dock = recorded(dock, recorder)
    section = msgspec.structs.replace(dock.ship.config.webhooks, answer_seconds=0.05)
    monkeypatch.setattr(deliver_events, "_GRACE", 0.01)
    config = msgspec.structs.replace(dock.ship.config, webhooks=section)
    dock = replace(dock, ship=replace(dock.ship, config=config))
    webhook = (await hook(dock, acme, URL, "order.created")).webhook
    await dock.place(acme, "order-1")
    assert await sweep(dock) == 1
    (delivery,) = await log_of(dock, webhook.id)
    assert delivery.error == "the receiver gave no answer in 0.05 s"


async def test_a_redirect_is_not_followed(dock: Dock, acme: Client) -> None:
    """It is a failure, and where it leads hears nothing."""
    async with listening() as other, listening(lambda: f"302 X\r\nLocation: {other.url}") as server:
        webhook = (await hook(dock, acme, server.url, "order.created")).webhook
        await dock.place(acme, "order-1")
        assert await sweep(dock) == 1
    (delivery,) = await log_of(dock, webhook.id)
    assert (len(server.received), len(other.received)) == (1, 0)
    assert delivery.error == "the receiver answered with HTTP 302"


async def test_an_inner_address_is_never_connected_to(dock: Dock, acme: Client) -> None:
    """A name that resolves to a private address gets no byte, also in a test deployment."""
    webhook = (await hook(dock, acme, "https://inner.example/hook", "order.created")).webhook
    await dock.change("UPDATE webhooks SET url = 'https://10.0.0.1/hook'")
    await dock.place(acme, "order-1")
    assert await sweep(dock) == 1
    (delivery,) = await log_of(dock, webhook.id)
    assert delivery.error == "the receiver's address is not allowed: not a public one"


async def test_five_days_without_a_2xx(dock: Dock, acme: Client, clock: ManualClock) -> None:
    """Inactive, operators told once; its events fail at once and stay in the feed; set active and
    redelivered, they arrive. An endpoint that answered, or had no events, stays active.
    """
    recorder = Recorder(down={URL})
    dock = recorded(dock, recorder)
    lost = (await hook(dock, acme, URL, "order.created")).webhook
    good = (await hook(dock, acme, "https://good.example/hook", "order.created")).webhook
    idle = (await hook(dock, acme, "https://idle.example/hook", "order.cancelled")).webhook
    await dock.place(acme, "order-1")
    await sweep(dock)
    clock.advance(days=4, hours=23)
    await sweep(dock)
    clock.advance(hours=1)
    await dock.place(acme, "order-2")
    await sweep(dock)
    await sweep(dock)

    active = dict(await dock.sql("SELECT id, is_active FROM webhooks"))
    assert active == {lost.id: 0, good.id: 1, idle.id: 1}
    (notice,) = await dock.ship.database.read(lambda tx: list_notices(tx, limit=9))
    assert (notice.kind, notice.subject) == ("webhook.disabled", f"webhook:{lost.id}")
    await dock.place(acme, "order-3")
    await sweep(dock)
    assert [each.status for each in await log_of(dock, lost.id)] == ["FAILED"] * 3
    assert recorder.tried[URL, "evt_3_1_order.created"] == 0
    with pytest.raises(WrongState, match="is not active"):
        await redeliver(1, ANA, dock.ship, client_id=acme.id)

    recorder.down.clear()
    await change_webhook(lost.id, Changes(is_active=True), ANA, dock.ship, client_id=acme.id)
    since = clock() - timedelta(days=9)
    assert await redeliver_since(lost.id, since, ANA, dock.ship, client_id=acme.id) == 3
    assert await sweep(dock) == 3
    assert [event for url, event in recorder.told if url == URL] == [
        f"evt_{n}_1_order.created" for n in (1, 2, 3)
    ]
    await dock.sound()


async def test_what_was_delivered_can_be_asked_for_again(dock: Dock, acme: Client) -> None:
    """Singly, under the same id; another client's delivery is not found."""
    recorder = Recorder()
    dock = recorded(dock, recorder)
    webhook = (await hook(dock, acme, URL, "order.created")).webhook
    await dock.place(acme, "order-1")
    await sweep(dock)
    (delivery,) = await log_of(dock, webhook.id)
    again = await redeliver(delivery.id, ANA, dock.ship, client_id=acme.id)
    assert again.status == "PENDING"
    assert await sweep(dock) == 1
    assert recorder.told == [(URL, "evt_1_1_order.created")] * 2
    (delivery,) = await log_of(dock, webhook.id)
    assert [each.number for each in delivery.attempts] == [1, 2]


async def test_a_test_event_is_tried_once(dock: Dock, acme: Client) -> None:
    """It is in no feed, and one failure is its end."""
    recorder = Recorder(down={URL})
    dock = recorded(dock, recorder)
    webhook = (await hook(dock, acme, URL)).webhook
    delivery = await send_test(webhook.id, ANA, dock.ship, client_id=acme.id)
    assert await sweep(dock) == 1
    assert recorder.tried == Counter({(URL, delivery.event_id): 1})
    (told,) = await log_of(dock, webhook.id)
    assert (told.event_type, told.status) == ("webhook.test", "FAILED")
    await dock.sound()


async def test_a_worker_that_is_stopped_gives_back_what_it_took(dock: Dock, acme: Client) -> None:
    """What is under way is due again at once, no attempt is counted, and it arrives."""
    recorder = _Hanging(URL)
    dock = recorded(dock, recorder)
    webhook = (await hook(dock, acme, URL, "order.created")).webhook
    await dock.place(acme, "order-1")
    await sweep_relay(dock.ship)
    sweeping = asyncio.create_task(sweep_deliveries(dock.ship))
    await until(lambda: recorder.under_way[URL] == 1)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping
    recorder.down.clear()
    recorder.released.set()
    assert await sweep(dock) == 1
    (delivery,) = await log_of(dock, webhook.id)
    assert (delivery.status, len(delivery.attempts)) == ("DELIVERED", 1)


async def test_a_paused_worker_writes_no_outcome(
    dock: Dock, acme: Client, clock: ManualClock
) -> None:
    """Its lease ended meanwhile and another delivered: its late failure changes nothing."""
    slow = _Hanging(URL)
    paused = recorded(dock, slow)
    webhook = (await hook(dock, acme, URL, "order.created")).webhook
    await dock.place(acme, "order-1")
    await sweep_relay(dock.ship)
    sweeping = asyncio.create_task(sweep_deliveries(paused.ship))
    await until(lambda: slow.under_way[URL] == 1)
    clock.advance(minutes=5)
    assert await sweep_deliveries(recorded(dock, Recorder()).ship) == 1
    slow.released.set()
    await sweeping
    (delivery,) = await log_of(dock, webhook.id)
    assert (delivery.status, len(delivery.attempts)) == ("DELIVERED", 1)


async def test_workers_at_once_send_each_event_once(dock: Dock) -> None:
    """Four sweeps share the work: no event twice, none left."""
    client = await dock.client("many", {"EUR": "100000.00"})
    recorder = Recorder(pause=0.002)
    dock = recorded(dock, recorder)
    for number in range(5):
        await hook(dock, client, f"https://{number}.example/hook")
    for number in range(20):
        await dock.place(client, f"order-{number}")
    await sweep_relay(dock.ship)
    sweeps = await asyncio.gather(*(sweep_deliveries(dock.ship) for _ in range(4)))
    assert sum(sweeps) == len(recorder.told) == len(set(recorder.told)) == 200
    assert max(recorder.most.values()) <= 4 * dock.ship.config.webhooks.per_endpoint


async def test_a_deleted_webhook_gets_nothing_more(dock: Dock, acme: Client) -> None:
    """What waited has visibly failed, and new events make no delivery."""
    recorder = Recorder()
    dock = recorded(dock, recorder)
    webhook = (await hook(dock, acme, URL, "order.created")).webhook
    await dock.place(acme, "order-1")
    await sweep_relay(dock.ship)
    await remove_webhook(webhook.id, ANA, dock.ship, client_id=acme.id)
    await dock.place(acme, "order-2")
    assert await sweep(dock) == 0
    assert [each.status for each in await log_of(dock, webhook.id)] == ["FAILED"]
    again = (await hook(dock, acme, URL, "order.created")).webhook
    assert again.id != webhook.id
