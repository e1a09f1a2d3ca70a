"""Webhooks and the feed over HTTP: registered, told, tested, redelivered, as a client would."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from standardwebhooks import Webhook as StockVerifier

from starship_core.clock import utc_now
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.relay_events import sweep_relay
from tests.e2e.servers import Caller, Shop
from tests.integration.receivers import Server, listening

HOOK = {"name": "orders", "url": "https://shop.example.com/hook", "events": ["order.*"]}


async def sweep(shop: Shop) -> int:
    await sweep_relay(shop.ship)
    return await sweep_deliveries(shop.ship)


def told(server: Server) -> list[str]:
    return [each.headers["webhook-id"] for each in server.received]


async def test_from_registration_to_redelivery(shop: Shop, acme: Caller) -> None:
    """A receiver that fails first, and takes the same ids when they are sent again."""
    shop.clock.set(utc_now())  # the stock verifier knows no other clock
    answers = "500 X"
    async with listening(lambda: answers) as server:
        made = await acme.post("/webhooks", HOOK | {"url": server.url})
        order = await acme.order("hooked-order-1")
        assert await sweep(shop) == 2
        deliveries = await acme.get(f"/webhooks/{made['id']}/deliveries?status=pending")
        assert [each["attempts"][0]["error"] for each in deliveries] == [
            "the receiver answered with HTTP 500"
        ] * 2
        answers = "200 X"
        assert await acme.post(f"/webhooks/{made['id']}/redeliver", {}) == {"queued": 2}
        assert await sweep(shop) == 2
        again = deliveries[0]["id"]
        await acme.post(f"/webhooks/deliveries/{again}/redeliver", {})
        test = await acme.post(f"/webhooks/{made['id']}/test", {})
        assert await sweep(shop) == 2
    assert told(server).count(deliveries[0]["event_id"]) == 3
    assert told(server).count(test["event_id"]) == 1
    bodies = [StockVerifier(made["secret"]).verify(e.body, e.headers) for e in server.received]
    assert {each["data"]["id"] for each in bodies if each["event_type"] != "webhook.test"} == {
        order["id"]
    }
    shown = await acme.get(f"/webhooks/{made['id']}")
    assert (shown["secret"], shown["failures"], shown["is_active"]) == (None, 0, True)
    feed = await acme.get("/events")
    assert [each["position"] for each in feed] == [1, 2]
    sent = {each["event_id"]: each for each in bodies}
    for each in feed:
        del each["position"]
        assert each == sent[each["event_id"]]


async def test_the_same_webhook_is_one(shop: Shop, acme: Caller) -> None:
    """Sent again, in another order of events, by ten at once: one webhook, one secret."""
    asked = HOOK | {"events": ["order.created", "order.pending"]}
    answers = await asyncio.gather(*(acme.post("/webhooks", asked) for _ in range(10)))
    assert len({each["id"] for each in answers}) == 1
    assert len([each for each in answers if each["secret"]]) == 1
    turned = await acme.post("/webhooks", asked | {"events": asked["events"][::-1], "name": "x"})
    assert (turned["id"], turned["name"], turned["secret"]) == (answers[0]["id"], "orders", None)
    other = await acme.post("/webhooks", HOOK)
    assert other["id"] != turned["id"]
    refused = await acme.send("PUT", f"/webhooks/{other['id']}", {"events": asked["events"]})
    assert refused.json()["error"]["details"] == {"reason": "same_webhook"}
    assert [each["id"] for each in await acme.get("/webhooks")] == [turned["id"], other["id"]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "http://shop.example.com/hook"}, "INVALID_INPUT"),
        ({"url": "ftp://shop.example.com/hook"}, "INVALID_INPUT"),
        ({"url": "https://10.1.2.3/hook"}, "INVALID_INPUT"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "INVALID_INPUT"),
        ({"url": "https://user@shop.example.com/"}, "INVALID_INPUT"),
        ({"url": "https://shop.example.com/#x"}, "INVALID_INPUT"),
        ({"url": "https://shop.example.com:99999/"}, "INVALID_INPUT"),
        ({"url": ""}, "E_VALIDATION_FAILURE"),
        ({"events": []}, "E_VALIDATION_FAILURE"),
        ({"events": ["order.eaten"]}, "E_VALIDATION_FAILURE"),
        ({"name": ""}, "E_VALIDATION_FAILURE"),
        ({"event": ["order.*"]}, "E_VALIDATION_FAILURE"),
        ({"credential_id": 999}, "INVALID_INPUT"),
        ({"credential_id": 2}, "INVALID_INPUT"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    shop: Shop, acme: Caller, change: dict[str, Any], code: str
) -> None:
    """Registered or changed: the same refusal; another's credential is as none."""
    await shop.client("stranger", {"GBP": "1.00"})
    refused = await acme.post("/webhooks", HOOK | change, 400)
    assert refused["error"]["code"] == code
    made = await acme.post("/webhooks", HOOK)
    answer = await acme.send("PUT", f"/webhooks/{made['id']}", change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert await acme.get("/events") == []


async def test_a_webhook_is_changed_and_deleted(shop: Shop, acme: Caller) -> None:
    """Only what the body names; inactive, nothing is tested; a new secret when its own signs."""
    made = await acme.post("/webhooks", HOOK | {"credential_id": 1})
    assert made["secret"] is None
    path = f"/webhooks/{made['id']}"
    own = (await acme.send("PUT", path, {"credential_id": None, "name": "n"})).json()
    assert own["secret"].startswith("whsec_")
    assert (own["name"], own["url"], own["credential_id"]) == ("n", HOOK["url"], None)
    off = (await acme.send("PUT", path, {"is_active": False})).json()
    assert (off["is_active"], off["inactive_reason"], off["secret"]) == (
        False,
        "set inactive",
        None,
    )
    refused = await acme.post(f"{path}/test", {}, 409)
    assert refused["error"]["code"] == "WRONG_STATE"
    on = (await acme.send("PUT", path, {"is_active": True})).json()
    assert (on["is_active"], on["inactive_reason"]) == (True, None)
    assert (await acme.send("DELETE", path)).status_code == 200
    assert (await acme.send("GET", path)).status_code == 404
    assert (await acme.send("DELETE", path)).status_code == 404
    assert await acme.get("/webhooks") == []


async def test_the_feed_is_read_page_by_page(shop: Shop, acme: Caller) -> None:
    """From the last position on, as many as asked for; the header says whether there is more."""
    for number in range(3):
        await acme.order(f"fed-order-{number}")
    await sweep_relay(shop.ship)
    first = await acme.send("GET", "/events?limit=4")
    rest = await acme.send("GET", "/events?after=4&limit=4")
    assert [each["position"] for each in first.json()] == [1, 2, 3, 4]
    assert [each["position"] for each in rest.json()] == [5, 6]
    assert (first.headers["X-Has-More"], rest.headers["X-Has-More"]) == ("true", "false")
    for query in ("after=-1", "after=x", "after=01", "limit=0", "limit=1001", "since=1"):
        assert (await acme.send("GET", f"/events?{query}")).status_code == 400
