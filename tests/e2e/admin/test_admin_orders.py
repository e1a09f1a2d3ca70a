"""Operators work through the queue over HTTP: the same flows as on the command line."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from starship_core.testing.clock import ManualClock
from tests.e2e.admin.conftest import Employ, Hand, audited
from tests.e2e.servers import Caller, Shop


async def balance(caller: Caller) -> str:
    (wallet,) = await caller.get("/wallets")
    found: str = wallet["amount"]
    return found


async def test_the_queue_is_what_waits_oldest_first(
    shop: Shop, acme: Caller, bob: Hand, clock: ManualClock
) -> None:
    """Delivered orders are not in it; each says what it lacks and what the pool could give it."""
    await shop.stock(1, "20.00", 1)
    await acme.order("delivered-1")
    clock.advance(seconds=60)
    first = await acme.order("waits-0001", quantity=3, ref="first")
    clock.advance(seconds=60)
    bolt = await shop.client("bolt", {"GBP": "10000.00"})
    await bolt.order("waits-0002", denomination="50.00", ref="second")
    await bolt.order("waits-0003", quantity=60, ref="bulk")
    await shop.stock(1, "20.00", 2)
    answer = await bob.send("GET", "/queue")
    found = answer.json()
    assert [
        (one["reference_code"], one["client_id"], one["missing"], one["pool_holds"])
        for one in found
    ] == [("first", 1, 3, 2), ("second", 2, 1, 0), ("bulk", 2, 60, 2)]
    assert found[0] == {
        "id": first["id"], "reference_code": "first", "client_id": 1, "wallet_id": 1,
        "status": "PENDING", "sub_status": "VENDOR_ORDER_PENDING", "product_id": 1,
        "product_name": "Sample Store Card", "sku": "1/20.00/GBP", "denomination": "20.00",
        "quantity": 3, "amount": "60.00", "amount_currency": "GBP", "refunded_amount": "0.00",
        "delivered_quantity": 0, "pendingItems": 3, "fulfilledFromCache": 0, "revision": 1,
        "placed_at": "2027-01-01T00:01:00Z", "delivered_at": None, "missing": 3, "pool_holds": 2,
        "refused_by": None, "refused_because": None,
    }  # fmt: skip
    assert answer.headers["X-Total-Count"] == "3"
    (second,) = await bob.get("/queue", client_id=2, limit=1)
    assert second["reference_code"] == "second"
    assert [one["id"] for one in await bob.get("/queue", page=2, limit=2)] == [found[2]["id"]]
    assert await bob.get("/queue", product_id=2) == []


async def test_the_pool_holds_only_what_is_valid_long_enough(shop: Shop, bob: Hand) -> None:
    """A client that wants 30 days is not offered vouchers that expire in a week."""
    picky = await shop.client("picky", {"GBP": "1000.00"}, min_validity_days=30)
    await picky.order("waits-0001")
    await shop.stock(1, "20.00", 1, expires_at=shop.clock() + timedelta(days=7))
    assert [one["pool_holds"] for one in await bob.get("/queue")] == [0]
    await shop.stock(1, "20.00", 5, expires_at=shop.clock() + timedelta(days=31))
    assert [one["pool_holds"] for one in await bob.get("/queue")] == [1]


async def test_an_order_with_its_items_and_its_story(shop: Shop, acme: Caller, bob: Hand) -> None:
    """Shown and explained without a code, and without a reveal on record."""
    await shop.stock(1, "20.00", 2)
    placed = await acme.order("delivered-1", quantity=2)
    shown = await bob.send("GET", f"/orders/{placed['id']}")
    assert shown.json()["items"] == [
        {"id": 1, "status": "DELIVERED", "share": "20.00", "refunded": "0.00"},
        {"id": 2, "status": "DELIVERED", "share": "20.00", "refunded": "0.00"},
    ]
    told = await bob.send("GET", f"/orders/{placed['id']}/explain")
    assert (told.json()["client"], told.json()["why"]) == (
        "acme",
        "all of it was delivered, at once",
    )
    assert "CARD-" not in shown.text + told.text
    assert len(placed["vouchers"]) == 2


async def test_retry_delivers_what_came(shop: Shop, acme: Caller, bob: Hand) -> None:
    """Pump, retry: the client has its vouchers; who did it, why, and in which request is on
    record. Again it is 409 with the status found.
    """
    placed = await acme.order("waits-0001", quantity=2)
    path = f"/orders/{placed['id']}/retry"
    still = await bob.post(path, {"reason": "perhaps"})
    assert (still["status"], still["pendingItems"]) == ("PENDING", 2)
    await shop.stock(1, "20.00", 2)
    answer = await bob.send(
        "POST", path, {"reason": "stock came"}, headers={"X-Request-Id": "desk-1"}
    )
    done = answer.json()
    assert (done["status"], done["delivered_quantity"]) == ("DELIVERED", 2)
    assert len((await acme.get(f"/orders/{placed['id']}"))["vouchers"]) == 2
    assert await bob.refused(path, {}, 409) == ("WRONG_STATE", {"found": "DELIVERED"})
    rows = await audited(shop, f"order:{placed['id']}")
    assert [row[:3] for row in rows] == [
        ("order.retry", "operator:bob", "perhaps"), ("order.retry", "operator:bob", "stock came")
    ]  # fmt: skip
    assert rows[1][3] == "desk-1"


async def test_cancel_gives_the_money_back_once(shop: Shop, acme: Caller, bob: Hand) -> None:
    """The client's balance is what it was; a second cancel is 409 and moves nothing."""
    placed = await acme.order("waits-0001", quantity=2)
    assert await balance(acme) == "99960.00"
    path = f"/orders/{placed['id']}/cancel"
    done = await bob.post(path, {"reason": "out of print"})
    assert (done["status"], done["refunded_amount"]) == ("CANCELLED", "40.00")
    assert await bob.refused(path, {}, 409) == ("WRONG_STATE", {"found": "CANCELLED"})
    assert await balance(acme) == "100000.00"
    rows = await audited(shop, f"order:{placed['id']}")
    assert [row[:3] for row in rows] == [("order.cancel", "operator:bob", "out of print")]


async def test_refund_of_some_items_and_then_the_rest(shop: Shop, acme: Caller, bob: Hand) -> None:
    """Each item once; an item that is none of the order's is refused, and nothing is refunded."""
    await shop.stock(1, "20.00", 3)
    placed = await acme.order("delivered-1", quantity=3)
    path = f"/orders/{placed['id']}/refund"
    done = await bob.post(path, {"items": [2, 2], "reason": "used"})
    assert (done["status"], done["refunded_amount"]) == ("DELIVERED", "20.00")
    for items in ([2], [1, 4], [2**63 - 1]):
        assert await bob.refused(path, {"items": items}, 409) == (
            "WRONG_STATE", {"found": "DELIVERED"},
        )  # fmt: skip
    assert (await bob.post(path, {}))["refunded_amount"] == "60.00"
    assert await balance(acme) == "100000.00"


async def test_replace_gives_another_voucher(shop: Shop, acme: Caller, bob: Hand) -> None:
    """The client reads another code; without stock it is 409 and the old one stays."""
    await shop.stock(1, "20.00", 1)
    placed = await acme.order("delivered-1")
    path = f"/orders/{placed['id']}/replace"
    assert await bob.refused(path, {"item": 1}, 409) == ("WRONG_STATE", {"found": "DELIVERED"})
    await shop.stock(1, "20.00", 1)
    assert (await bob.post(path, {"item": 1, "reason": "code was used"}))["revision"] == 2
    (before,), (after,) = (
        placed["vouchers"],
        (await acme.get(f"/orders/{placed['id']}"))["vouchers"],
    )
    assert (before["card_number"], after["card_number"]) == ("CARD-0001", "CARD-0002")


async def test_what_is_no_order_is_404(bob: Hand) -> None:
    """Whatever the route, and whatever stands for the id."""
    for order_id in ("99", "0", "x", "9223372036854775808", "1%00"):
        for path in ("", "/explain"):
            error = await bob.get(f"/orders/{order_id}{path}", 404)
            assert error["error"]["code"] == "NOT_FOUND"
        for verb in ("retry", "cancel", "refund", "replace"):
            body = {"item": 1} if verb == "replace" else {}
            found = await bob.refused(f"/orders/{order_id}/{verb}", body, 404)
            assert found == ("NOT_FOUND", None)


WRONG: list[tuple[str, Any, str, str]] = [
    ("retry", {"force": True}, "force", "unknown"),
    ("cancel", {"reason": 5}, "reason", "type"),
    ("cancel", {"reason": "x" * 501}, "reason", "length"),
    ("refund", {"items": []}, "items", "length"),
    ("refund", {"items": ["1"]}, "items[0]", "type"),
    ("refund", {"items": [0]}, "items[0]", "range"),
    ("replace", {"reason": "bad"}, "item", "required"),
    ("replace", {"item": 2**63}, "item", "range"),
]


async def test_what_is_misspelt_is_400(acme: Caller, bob: Hand) -> None:
    """By field and rule, before anything is looked up; the order stays as it is."""
    placed = await acme.order("waits-0001")
    for verb, body, field, rule in WRONG:
        error = (await bob.post(f"/orders/{placed['id']}/{verb}", body, 400))["error"]
        assert error["code"] == "E_VALIDATION_FAILURE"
        told = [(name, one["rule"]) for name, (one,) in error["messages"].items()]
        assert told == [(field, rule)], body
    assert (await bob.get(f"/orders/{placed['id']}"))["revision"] == 1


async def test_what_is_no_json_or_no_query(bob: Hand) -> None:
    """A body must be said to be JSON and be it; parameters that are not known are refused."""
    plain = {"Content-Type": "text/plain"}
    tries = [
        ("POST", "/orders/1/retry", b"{}", plain, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST", "/orders/1/retry", b"", {}, 400, "SYNTAX_ERROR"),
        ("POST", "/orders/1/retry", b"{", {}, 400, "SYNTAX_ERROR"),
        ("POST", "/orders/1/retry", b"[]", {}, 400, "E_VALIDATION_FAILURE"),
        ("POST", "/orders/1/retry?force=1", b"{}", {}, 400, "E_VALIDATION_FAILURE"),
        ("GET", "/queue?status=PENDING", None, {}, 400, "E_VALIDATION_FAILURE"),
        ("GET", "/queue?limit=101", None, {}, 400, "E_VALIDATION_FAILURE"),
        ("GET", "/queue?client_id=x", None, {}, 400, "E_VALIDATION_FAILURE"),
        ("DELETE", "/orders/1", None, {}, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/nothing", None, {}, 404, "NOT_FOUND"),
    ]
    for method, path, body, headers, status, code in tries:
        answer = await bob.send(method, path, body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path


async def test_two_operators_at_once(shop: Shop, acme: Caller, employ: Employ) -> None:
    """Both cancel: one is done, the other is told; the money is given back once."""
    placed = await acme.order("waits-0001", quantity=2)
    hands = [await employ(name, "cancel") for name in ("bob", "eve")]
    path = f"/orders/{placed['id']}/cancel"
    answers = await asyncio.gather(*(hand.send("POST", path, {}) for hand in hands))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert await balance(acme) == "100000.00"


async def test_pump_by_hand(shop: Shop, bob: Hand, tmp_path: Path) -> None:
    """A rehearsal changes nothing; a source that is not configured is named with those that are."""
    assert await bob.refused("/pump", {"source": "incoming"}, 400) == (
        "INVALID_INPUT", {"field": "source"},
    )  # fmt: skip
    for body in ({"dry_run": True}, {"reason": "by hand"}):
        report = await bob.post("/pump", body)
        assert (report["sources"], report["pooled"]) == ([], 0)
