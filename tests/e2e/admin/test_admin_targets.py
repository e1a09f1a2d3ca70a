"""Targets, standing approvals and the pump that fills up, over HTTP."""

from __future__ import annotations

from typing import Any

from starship_core.flows.buy_purchases import sweep_purchases
from tests.e2e.admin.conftest import Employ, Hand, audited
from tests.e2e.servers import Shop
from tests.integration.scripted import Scripted

PATH = "/targets/1/20.00"
TARGET = {"minimum": 2, "maximum": 3, "vendors": ["north"], "budget": "50.00", "reason": "sells"}
YES = {"budget": "100.00", "expires_hours": 24, "reason": "a sale"}


async def sent(hand: Hand, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await hand.send(method, path, body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_set_approved_pumped_bought_removed(shop: Shop, bob: Hand, north: Scripted) -> None:
    """Two units for the run's budget; every change by bob, with his reason."""
    kept = await sent(bob, "PUT", PATH, TARGET)
    assert kept == await sent(bob, "PUT", PATH, TARGET) == (await bob.get("/targets"))[0]
    assert (kept["sku"], kept["minimum"], kept["on_sale"], kept["approvals"]) == (
        "1/20.00/GBP", 2, 0, [],
    )  # fmt: skip
    approved = await bob.post(f"{PATH}/approve", YES)
    assert (approved["vendors"], approved["left"], approved["approved_by"]) == (
        ["north"], "100.00 GBP", "operator:bob",
    )  # fmt: skip
    (foreseen,) = (await bob.post("/pump", {"dry_run": True}))["targets"]
    (told,) = (await bob.post("/pump", {}))["targets"]
    assert [(one["vendor"], one["quantity"], one["ceiling"]) for one in told["ahead"]] == [
        ("north", 2, "40.00 GBP")
    ]
    assert foreseen["why"] == told["why"] == "its budget for one run is used up"
    await sweep_purchases(shop.ship)
    (found,) = await bob.get("/targets")
    assert (found["on_sale"], found["under_way"], found["approvals"][0]["left"]) == (
        2, 0, "60.00 GBP",
    )  # fmt: skip
    ended = await bob.post(f"/standing-approvals/{approved['id']}/revoke", {"reason": "enough"})
    assert (ended["state"], ended["left"]) == ("ENDED", "60.00 GBP")
    gone = await bob.send("DELETE", PATH, params={"reason": "out of print"})
    assert gone.json() == {
        "sku": "1/20.00/GBP", "minimum": 2, "maximum": 3, "budget": "50.00 GBP",
        "vendors": ["north"],
    }  # fmt: skip
    assert (await sent(bob, "DELETE", PATH, status=404))["error"]["code"] == "NOT_FOUND"
    assert [row[:3] for row in await audited(shop, "sku:1/20.00/GBP")] == [
        ("target.set", "operator:bob", "sells"),
        ("target.approve", "operator:bob", "a sale"),
        ("target.buy", "operator:bob", ""),
        ("target.revoke", "operator:bob", "enough"),
        ("target.remove", "operator:bob", "out of print"),
    ]


async def test_what_is_asked_of_a_token(shop: Shop, employ: Employ, north: Scripted) -> None:
    """`pump` sets targets and spends nothing; `approve` gives budgets; reading is everybody's."""
    pumper, approver = await employ("pat", "pump"), await employ("ann", "approve")
    for hand, method, path, body in (
        (approver, "PUT", PATH, TARGET), (approver, "DELETE", PATH, None),
        (pumper, "POST", f"{PATH}/approve", YES),
        (pumper, "POST", "/standing-approvals/1/revoke", {}),
    ):  # fmt: skip
        refused = await sent(hand, method, path, body, 403)
        assert refused["error"]["code"] == "FORBIDDEN"
    await sent(pumper, "PUT", PATH, TARGET)
    assert (await approver.post(f"{PATH}/approve", YES))["budget"] == "100.00 GBP"
    assert len(await pumper.get("/targets")) == 1


async def test_what_is_wrong_is_said_by_field(bob: Hand, north: Scripted) -> None:
    """A path that names nothing is 404, a body's mistake 400; nothing is kept."""
    for path in ("/targets/1/x", "/targets/1/0", "/targets/99/20.00", "/targets/x/20.00"):
        assert (await sent(bob, "PUT", path, TARGET, 404))["error"]["code"] == "NOT_FOUND"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"minimum": 4}, "minimum"), ({"vendors": ["west"]}, "vendor"),
        ({"budget": "1.001"}, "budget"),
    ]  # fmt: skip
    for change, field in wrong:
        error = (await sent(bob, "PUT", PATH, TARGET | change, 400))["error"]
        assert (error["code"], error["details"]) == ("INVALID_INPUT", {"field": field})
    error = (await sent(bob, "PUT", "/targets/1/21.00", TARGET, 400))["error"]
    assert error["details"] == {"field": "denomination"}
    assert await bob.refused(f"{PATH}/approve", YES, 404) == ("NOT_FOUND", None)
    await sent(bob, "PUT", PATH, TARGET)
    assert await bob.refused(f"{PATH}/approve", YES | {"reason": ""}, 400) == (
        "INVALID_INPUT", {"field": "reason"},
    )  # fmt: skip
    assert await bob.refused("/standing-approvals/5/revoke", {}, 404) == ("NOT_FOUND", None)
