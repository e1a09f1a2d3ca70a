"""schemathesis against the operators' API: the description is what it does; nothing is a 5xx."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from starship_core.flows.manage_operators import issue_token
from starship_core.operators import ABILITIES
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from starship_core.testing.fixtures import in_loop
from tests.e2e.admin.conftest import PRODUCTS, ROOT
from tests.e2e.servers import ANA, Process, Shop, running, served, written

EXAMPLES = 8
"""Requests a strategy; an operation has two to five of them."""
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
OURS = {
    "order_id": 1, "purchase_id": 1, "product_id": 1, "denomination": "20.00", "approval_id": 1,
}  # fmt: skip
GOOD: dict[str, Any] = {
    "/orders/{order_id}/refund": {"items": [1]},
    "/orders/{order_id}/replace": {"item": 1},
    "/orders/{order_id}/refuse": {"reason": "x"},
    "/orders/{order_id}/approve": {"vendors": ["north"], "ceiling": "60.00", "reason": "x"},
    "/purchases/{purchase_id}/not-bought": {"evidence": "x"},
    "/targets/{product_id}/{denomination}": {"minimum": 1, "maximum": 2},
    "/targets/{product_id}/{denomination}/approve": {
        "budget": "9.00",
        "expires_hours": 1,
        "reason": "x",
    },
    "/switches/off": {"scope": "global", "reason": "x"},
    "/switches/on": {"scope": "global", "reason": "x"},
    "/breakers/close": {"vendor": "north", "operation": "buy", "reason": "x"},
}
"""What a body must hold; all others may be empty."""


@pytest.fixture
def server(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """A process of its own, with an order that is delivered, and one that waits."""
    config = written(tmp_path, database=database_url, redis=redis_url)

    async def filled() -> str:
        clock = ManualClock()
        async with Ship.open(config, now=clock) as ship, served(ship) as url:
            shop = Shop(ship=ship, url=url, clock=clock, folder=tmp_path)
            await shop.products(PRODUCTS)
            await shop.stock(1, "20.00", 3)
            acme = await shop.client("acme", {"GBP": "1000.00"})
            await acme.order("acme-first", quantity=2)
            await acme.order("acme-second", denomination="50.00")
            await shop.close()
            return (await issue_token("bob", ABILITIES, ANA, ship)).token.reveal()

    token = in_loop(filled())
    with running(tmp_path) as process:
        yield process, token
        process.stop()
    faults = [line for line in process.log.read_text().splitlines() if '"error"' in line]
    assert faults == []


def test_the_description_is_what_it_does(
    server: tuple[Process, str], record_property: Any, database_kind: str
) -> None:
    """Every operation keeps to its description for what fits it and for what does not."""
    process, token = server
    headers = {"Authorization": f"Bearer {token}"}
    with requests.Session() as session:
        session.headers.update(headers)
        description = session.get(f"{process.url}{ROOT}/openapi.json").json()
        schema = schemathesis.openapi.from_dict(description, config=CONFIG)
        schema.config.update(base_url=process.url)
        seen: dict[str, Counter[int]] = defaultdict(Counter)
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            for cases in _strategies(operation):
                _explore(cases, session, seen[operation.label])
    record_property(f"table:operators' operations and statuses, {database_kind}", _table(seen))
    assert len(seen) == sum(map(len, description["paths"].values())) >= 22
    reads = [label for label in seen if label.startswith("GET")]
    never = {"GET " + ROOT + "/purchases/{purchase_id}"}  # nothing was ever bought here
    assert {label for label in reads if 200 not in seen[label]} == never
    assert {status for statuses in seen.values() for status in statuses} <= {
        200, 400, 404, 409, 413, 415,
    }  # fmt: skip


def _strategies(operation: Any) -> Iterator[st.SearchStrategy[Case[Any]]]:
    """What fits the description, and what does not; with ids at random, and with ours."""
    ours = {each.name: OURS[each.name] for each in operation.path_parameters} or None
    good = GOOD.get(operation.path.removeprefix(ROOT), {}) if operation.body else NOT_SET
    yield operation.as_strategy(path_parameters=ours, body=good)
    more = any([*operation.query, *operation.body])  # that can be wrong
    for mode in GenerationMode:
        if ours and (mode is GenerationMode.POSITIVE or more):
            yield operation.as_strategy(mode, path_parameters=ours)
        if mode is GenerationMode.POSITIVE or more or ours:
            yield operation.as_strategy(mode)


def _explore(
    cases: st.SearchStrategy[Case[Any]], session: requests.Session, seen: Counter[int]
) -> None:
    @given(case=cases)
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def explored(case: Case[Any]) -> None:
        response = case.call(session=session)
        seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    explored()


def _table(seen: dict[str, Counter[int]]) -> str:
    width = max(map(len, seen))
    return "\n".join(
        f"{label:<{width}}  "
        + "  ".join(f"{status}×{count}" for status, count in sorted(statuses.items()))
        for label, statuses in seen.items()
    )
