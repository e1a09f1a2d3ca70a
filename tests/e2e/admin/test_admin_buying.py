"""Approvals, purchases in doubt, switches and the worker's state over HTTP."""

from __future__ import annotations

from typing import Any

from starship_core.errors import Ambiguous
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.model import Secret
from starship_core.sweeps import SWEEPS
from starship_core.testing.clock import ManualClock
from tests.e2e.admin.conftest import Employ, Hand, audited
from tests.e2e.servers import Caller, Shop
from tests.integration.scripted import Scripted

YES = {"vendors": ["north"], "ceiling": "60.00", "reason": "ticket 771"}


async def test_approved_bought_delivered(
    shop: Shop, acme: Caller, bob: Hand, north: Scripted
) -> None:
    """The pool's first, the rest is planned, a worker buys it, and the client has three codes."""
    placed = await acme.order("waits-0001", quantity=3)
    await shop.stock(1, "20.00", 1)
    path = f"/orders/{placed['id']}"
    approved = await bob.post(f"{path}/approve", YES)
    assert (approved["status"], approved["delivered_quantity"]) == ("PARTIALLY_DELIVERED", 1)
    (purchase,) = approved["purchases"]
    assert north.asked == []
    again = await bob.refused(f"{path}/approve", YES, 409)
    assert again == ("PURCHASE_OPEN", {"found": "PARTIALLY_DELIVERED"})
    await sweep_purchases(shop.ship)
    shown = await bob.get(f"/purchases/{purchase}")
    assert {name: shown[name] for name in ("state", "quantity", "received", "ceiling")} == {
        "state": "BOUGHT", "quantity": 2, "received": 2, "ceiling": "60.00 GBP",
    }  # fmt: skip
    assert (shown["approved_by"], shown["approved_because"]) == ("operator:bob", "ticket 771")
    assert len((await acme.get(path))["vouchers"]) == 3
    assert [row[:3] for row in await audited(shop, f"order:{placed['id']}")] == [
        ("order.approve", "operator:bob", "ticket 771"),
        ("order.purchase", "purchases", ""),
    ]


async def test_refused_it_is_not_bought(
    shop: Shop, acme: Caller, bob: Hand, employ: Employ, north: Scripted
) -> None:
    """Needs the ability to approve and a reason; voided, on record, and told in the queue. Again it
    is 409, and after an approval it is bought after all.
    """
    placed = await acme.order("waits-0001")
    path = f"/orders/{placed['id']}"
    eve = await employ("eve", "cancel")
    assert await eve.refused(f"{path}/refuse", {"reason": "no"}, 403) == (
        "FORBIDDEN", {"ability": "approve"},
    )  # fmt: skip
    assert await bob.refused(f"{path}/refuse", {}, 400) == ("INVALID_INPUT", {"field": "reason"})
    assert await bob.refused("/orders/99/refuse", {"reason": "no"}, 404) == ("NOT_FOUND", None)
    (purchase,) = (await bob.post(f"{path}/approve", YES))["purchases"]
    done = await bob.post(f"{path}/refuse", {"reason": "Monday's stock"})
    assert (done["status"], done["sub_status"]) == ("PENDING", "VENDOR_ORDER_PENDING")
    assert (await bob.get(f"/purchases/{purchase}"))["state"] == "VOIDED"
    again = await bob.refused(f"{path}/refuse", {"reason": "again"}, 409)
    assert again == ("WRONG_STATE", {"found": "PENDING"})
    (queued,) = await bob.get("/queue")
    assert (queued["refused_by"], queued["refused_because"]) == ("operator:bob", "Monday's stock")
    await sweep_purchases(shop.ship)
    assert north.asked == []
    await bob.post(f"{path}/approve", YES)
    await sweep_purchases(shop.ship)
    assert (await bob.get(path))["status"] == "DELIVERED"
    assert [row[:3] for row in await audited(shop, f"order:{placed['id']}")] == [
        ("order.approve", "operator:bob", "ticket 771"),
        ("order.refuse", "operator:bob", "Monday's stock"),
        ("order.approve", "operator:bob", "ticket 771"),
        ("order.purchase", "purchases", ""),
    ]


async def test_in_doubt_it_is_settled_once(
    shop: Shop, acme: Caller, bob: Hand, north: Scripted, clock: ManualClock
) -> None:
    """Nobody knows: cancel and retry are refused; not bought, says bob, and it can be cancelled."""
    north.buys = [Ambiguous("no answer", raw=Secret("SECRET-REPLY-1"))]
    placed = await acme.order("waits-0001")
    path = f"/orders/{placed['id']}"
    (purchase,) = (await bob.post(f"{path}/approve", YES))["purchases"]
    await sweep_purchases(shop.ship)
    assert await bob.refused(f"{path}/cancel", {}, 409) == ("PURCHASE_OPEN", {"found": "UNKNOWN"})
    (listed,) = await bob.get("/purchases", state="unknown", vendor="north", order_id=placed["id"])
    assert (listed["id"], listed["state"]) == (purchase, "UNKNOWN")
    shown = await bob.send("GET", f"/purchases/{purchase}")
    assert shown.json()["raw_reply_kept"] is True
    assert "SECRET-REPLY" not in shown.text
    settle = f"/purchases/{purchase}/not-bought"
    empty = await bob.refused(settle, {"evidence": " "}, 400)
    assert empty == ("INVALID_INPUT", {"field": "evidence"})
    settled = await bob.post(settle, {"evidence": "their support says so"})
    assert (settled["state"], settled["received"]) == ("NOT_BOUGHT", 0)
    again = await bob.refused(settle, {"evidence": "again"}, 409)
    assert again == ("WRONG_STATE", {"found": "NOT_BOUGHT"})
    assert (await bob.post(f"{path}/cancel", {}))["status"] == "CANCELLED"
    told = await bob.get(f"{path}/explain")
    assert told["status"] == "CANCELLED"


async def test_an_approval_says_what_is_wrong_with_it(
    acme: Caller, bob: Hand, north: Scripted
) -> None:
    """By field, before anything is planned."""
    placed = await acme.order("waits-0001")
    path = f"/orders/{placed['id']}/approve"
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"ceiling": "60.001"}, "INVALID_INPUT", "ceiling"),
        ({"ceiling": "0"}, "E_VALIDATION_FAILURE", "ceiling"),
        ({"ceiling": "-1"}, "E_VALIDATION_FAILURE", "ceiling"),
        ({"ceiling": "1e3"}, "E_VALIDATION_FAILURE", "ceiling"),
        ({"currency": "gbp"}, "E_VALIDATION_FAILURE", "currency"),
        ({"vendors": []}, "E_VALIDATION_FAILURE", "vendors"),
        ({"vendors": ["south"]}, "INVALID_INPUT", "vendor"),
        ({"vendors": ["north", "north"]}, "INVALID_INPUT", "vendor"),
        ({"reason": " "}, "INVALID_INPUT", "reason"),
        ({"expires_hours": 745}, "E_VALIDATION_FAILURE", "expires_hours"),
        ({"expires_at": "2027"}, "E_VALIDATION_FAILURE", "expires_at"),
    ]
    for change, code, field in wrong:
        error = (await bob.post(path, YES | change, 400))["error"]
        where = [*error["messages"]] if "messages" in error else [error["details"]["field"]]
        assert (error["code"], where) == (code, [field]), change
    assert await bob.get("/purchases") == []
    assert await bob.refused("/orders/99/approve", YES, 404) == ("NOT_FOUND", None)
    for purchase in ("99", "x", "9223372036854775808"):
        assert (await bob.get(f"/purchases/{purchase}", 404))["error"]["code"] == "NOT_FOUND"
        found = await bob.refused(f"/purchases/{purchase}/not-bought", {"evidence": "x"}, 404)
        assert found == ("NOT_FOUND", None)
    assert (await bob.get("/purchases", 400, state="LOST"))["error"]["code"] == (
        "E_VALIDATION_FAILURE"
    )


async def test_a_switch_holds_for_what_was_not_sent(
    shop: Shop, acme: Caller, bob: Hand, north: Scripted
) -> None:
    """Off: nothing is sent, whatever was approved. On again: it is bought. Both are on record."""
    placed = await acme.order("waits-0001")
    await bob.post(f"/orders/{placed['id']}/approve", YES)
    off = {"scope": "vendor:north", "reason": "sells used codes"}
    done = await bob.post("/switches/off", off)
    assert (done["scope"], done["off"], done["actor"]) == ("vendor:north", True, "operator:bob")
    assert (await bob.post("/switches/off", off))["off"] is True
    await sweep_purchases(shop.ship)
    assert north.asked == []
    listed = await bob.get("/switches")
    assert [(one["scope"], one["off"]) for one in listed["switches"]] == [("vendor:north", True)]
    on = await bob.post("/switches/on", off | {"reason": "they cleaned up"})
    assert (on["off"], on["reason"]) == (False, "they cleaned up")
    rows = await audited(shop, "switch:vendor:north")
    assert [row[:3] for row in rows] == [
        ("switch.off", "operator:bob", "sells used codes"),
        ("switch.off", "operator:bob", "sells used codes"),
        ("switch.on", "operator:bob", "they cleaned up"),
    ]


async def test_a_switch_says_what_is_wrong_with_it(bob: Hand, north: Scripted) -> None:
    """No reason, no such scope, vendor, product or breaker: 400, and nothing is switched."""
    for scope, reason, field in (
        ("global", "", "reason"), ("globe", "x", "scope"), ("vendor:south", "x", "scope"),
        ("product:99", "x", "scope"), ("product:" + "9" * 30, "x", "scope"),
    ):  # fmt: skip
        found = await bob.refused("/switches/off", {"scope": scope, "reason": reason}, 400)
        assert found == ("INVALID_INPUT", {"field": field}), scope
    breaker = {"vendor": "north", "operation": "buy", "reason": "x"}
    assert await bob.refused("/breakers/close", breaker, 400) == (
        "INVALID_INPUT", {"field": "vendor"},
    )  # fmt: skip
    assert await bob.get("/switches") == {"switches": [], "breakers": []}


async def test_the_workers_state(bob: Hand) -> None:
    """Nobody works here: every kind is told with what is due of it."""
    told = await bob.get("/worker")
    assert told["workers"] == []
    kinds = [each["kind"] for each in told["kinds"]]
    assert kinds == [sweep.kind for sweep in SWEEPS if sweep.kind not in ("policies", "retry")]
    assert {each["runs"] for each in told["kinds"]} == {0}
