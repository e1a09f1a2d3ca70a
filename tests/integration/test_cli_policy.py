"""`starship policy …`, as an operator calls it against a real deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from starship_core.cli import main
from starship_core.clock import utc_now
from starship_core.config import load
from starship_core.flows.decide_fallbacks import sweep_policies
from starship_core.sweeps import registered
from starship_core.testing.fixtures import in_loop
from tests.integration.scripted import Scripted, at_market
from tests.integration.ships import Dock, add_products, docked, written

_POLICIES = """
[policies.products]
use = "policy-products"
allow_auto_vendor_fulfill = [1]
[policies.limits]
use = "policy-limits"
face_per_order = {{ EUR = "{limit}" }}
"""


class Desk:
    """A deployment on disk, with policies."""

    def __init__(self, folder: Path, database: str, redis: str) -> None:
        self.folder, self.database, self.redis = folder, database, redis
        self.config = self.limited_to("30.00")

    def limited_to(self, limit: str, policies: str = _POLICIES) -> Path:
        """Write the configuration anew."""
        file = written(self.folder, self.database, self.redis, more=policies.format(limit=limit))
        text = file.read_text().replace(
            '"source-csv"', '"source-csv", "policy-products", "policy-limits"'
        )
        file.write_text(text)
        return file

    def __call__(self, *arguments: str) -> Result:
        environment = {"STARSHIP_CONFIG": str(self.config)}
        return CliRunner().invoke(main, arguments, env=environment)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return msgspec.json.decode(result.stdout)


async def _decided(config: Path) -> tuple[int, int]:
    """An order within the limit, and one past it."""
    async with docked(config, utc_now) as dock:
        await add_products(dock)
        return await _two_orders(dock)


async def _two_orders(dock: Dock) -> tuple[int, int]:
    acme = await dock.client()
    first = (await dock.place(acme, "key-first")).order.id
    second = (await dock.place(acme, "key-second", quantity=2)).order.id
    ship = await at_market(dock, {"north": Scripted()})
    assert await sweep_policies(ship) == 2
    return first, second


@pytest.fixture
def desk(tmp_path: Path, database_url: str, redis_url: str) -> Desk:
    return Desk(tmp_path, database_url, redis_url)


def test_a_decision_is_explained_and_replayed(desk: Desk) -> None:
    """The case, the verdicts and the outcome are told; a changed limit shows what differs today."""
    first, second = in_loop(_decided(desk.config))

    told = desk.json("policy", "explain", str(second))
    assert told["then"]["outcome"] == "AskOperator"
    assert told["then"]["reason"] == "limits: face value 50.00 EUR, at most 30.00 EUR an order"
    assert [(each["policy"], each["says"]) for each in told["then"]["verdicts"]] == [
        ("products", "Allow"), ("limits", "AskOperator"),
    ]  # fmt: skip
    assert told["case"]["quantity"] == 2
    assert told["case"]["spent_today"] == {"minor": 2500, "currency": "EUR"}
    assert (told["differs"], told["approval_id"]) == ([], None)
    assert desk.json("policy", "explain", str(first))["approval_id"] == 1

    desk.limited_to("60.00")
    told = desk.json("policy", "explain", str(second))
    assert told["today"]["outcome"] == "Allow"
    assert told["differs"] == [
        "limits said AskOperator then; today it says NoObjection: within the limits",
        "together they came to AskOperator then, and come to Allow today",
    ]
    text = desk("policy", "explain", str(second)).stdout
    assert "2 × " in text
    assert "Differs: together they came to AskOperator then, and come to Allow today." in text
    assert "policies: AskOperator" in desk("order", "explain", str(second)).stdout
    assert "policies: Allow" in desk("order", "explain", str(first)).stdout


def test_policies_that_are_gone_would_decide_otherwise(desk: Desk) -> None:
    """Without them nothing is allowed today, and it is said of each."""
    first, _ = in_loop(_decided(desk.config))
    desk.limited_to("", policies="")
    told = desk.json("policy", "explain", str(first))
    assert told["differs"] == [
        "limits said NoObjection then; today it is not configured",
        "products said Allow then; today it is not configured",
        "together they came to Allow then, and come to AskOperator today",
    ]
    assert desk("policy", "list").stdout == (
        "There is no policy: every fallback waits for an operator.\n"
    )


def test_the_list_says_who_may_allow(desk: Desk) -> None:
    """With what the configuration says of each."""
    in_loop(_decided(desk.config))
    assert desk.json("policy", "list") == [
        {
            "name": "products", "plugin": "policy-products", "may_allow": True,
            "section": {"allow_auto_vendor_fulfill": [1]},
        },
        {
            "name": "limits", "plugin": "policy-limits", "may_allow": False,
            "section": {"face_per_order": {"EUR": "30.00"}},
        },
    ]  # fmt: skip
    assert "allow or object" in desk("policy", "list").stdout


def test_a_worker_decides_only_where_there_are_policies(desk: Desk) -> None:
    """Without a section nothing is automatic: the sweep is not run, and is never late."""
    assert "policies" in registered(load(desk.config, {}))
    assert "policies" not in registered(load(desk.limited_to("", policies=""), {}))


def test_an_order_that_nobody_decided_about(desk: Desk) -> None:
    """It is said why, and exit 1; an order that is none, too."""

    async def undecided() -> int:
        async with docked(desk.config, utc_now) as dock:
            await add_products(dock)
            acme = await dock.client()
            return (await dock.place(acme, "key-first")).order.id

    order_id = in_loop(undecided())
    result = desk("policy", "explain", str(order_id))
    assert result.exit_code == 1
    assert f"policies have not decided about order {order_id}: it is PENDING" in result.stderr
    assert desk("policy", "explain", "99").exit_code == 1
