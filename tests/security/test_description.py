"""schemathesis against a running `starship serve`: the description of the API is what it does."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from starship_core.clock import utc_now
from starship_core.flows.relay_events import sweep_relay
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from starship_core.testing.fixtures import in_loop
from tests.e2e.servers import Credential, Process, Shop, running, served, written
from tests.security.conftest import PRODUCTS

EXAMPLES = 20
"""Requests a strategy; an operation has two to five of them."""
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
"""Credentials are not generated: tests of the gate are elsewhere."""
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
OURS = {
    "product_id": 1, "category_id": 1, "subcategory_id": 3, "order_id": 1, "ref": "acme-ref",
    "wallet_id": 1, "transaction_id": 1, "webhook_id": 1, "delivery_id": 1,
}  # fmt: skip
OTHERS = {
    "PUT /api/v1/webhooks/{webhook_id}": {"webhook_id": 2},
    "DELETE /api/v1/webhooks/{webhook_id}": {"webhook_id": 3},
}
"""What changes things does so to these alone: operations after it need the others as they are."""
WEBHOOK = {"name": "hook", "url": "https://example.com/hook", "events": ["order.*"]}
GOOD: dict[str, dict[str, Any]] = {
    "POST /api/v1/orders": {"product_id": 1, "denomination": "20.00", "quantity": 1},
    "POST /api/v1/products/{product_id}/availability": {"denomination": "20.00", "quantity": 1},
    "POST /api/v1/products/{product_id}/charges": {"denomination": 20, "quantity": 1},
    "POST /api/v1/webhooks": WEBHOOK,
    "PUT /api/v1/webhooks/{webhook_id}": {"is_active": True},
    "POST /api/v1/webhooks/{webhook_id}/redeliver": {},
}


Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]
Cases = st.SearchStrategy[AnyCase]
SOMEBODYS = {"wallet_id", "quote", "credential_id"}
"""Fields that at random are never right."""


class Signing(requests.auth.AuthBase):
    """Signs what requests is about to send."""

    def __init__(self, credential: Credential) -> None:
        self.credential = credential

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body or b""
        request.headers.update(
            self.credential.headers(
                request.method or "",
                request.path_url.encode(),
                body if isinstance(body, bytes) else body.encode(),
                at=time.time(),
            )
        )
        return request


@pytest.fixture
def server(
    database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[tuple[Process, Credential]]:
    """A process of its own, its deployment filled through the same API before."""
    config = written(tmp_path, database=database_url, redis=redis_url, as_of=_today())

    async def filled() -> Credential:
        async with Ship.open(config) as ship, served(ship) as url:
            shop = Shop(ship=ship, url=url, clock=ManualClock(), folder=tmp_path)
            await shop.products(PRODUCTS)
            await shop.stock(1, "20.00", 20)
            acme = await shop.client("acme", {"GBP": "1000000.00"})
            await acme.order("acme-first", ref="acme-ref")
            await acme.order("acme-second", denomination="50.00")
            for path in ("/one", "/two", "/three"):
                await acme.post("/webhooks", WEBHOOK | {"url": f"https://example.com{path}"})
            await sweep_relay(ship)
            await shop.close()
            return acme.credential

    credential = in_loop(filled())
    with running(tmp_path) as process:
        yield process, credential
        process.stop()
    faults = [line for line in process.log.read_text().splitlines() if '"error"' in line]
    assert faults == []


def _today() -> str:
    return utc_now().strftime("%Y-%m-%dT00:00:00Z")


def test_the_description_is_what_it_does(
    server: tuple[Process, Credential], record_property: Any, database_kind: str
) -> None:
    """Every operation answers 2xx at least once, never a 5xx, never what is not described."""
    process, credential = server
    schema = schemathesis.openapi.from_url(f"{process.url}/openapi.json", config=CONFIG)
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    with requests.Session() as session:
        session.auth = Signing(credential)
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            for cases, examples in _strategies(operation):
                _explore(cases, examples, session, seen[operation.label])
    record_property(f"table:operations and statuses, {database_kind}", _table(seen))
    described = schema.raw_schema["paths"].values()
    assert len(seen) == sum(map(len, described)) >= 22
    assert [label for label, statuses in seen.items() if 200 not in statuses] == []
    assert {status for statuses in seen.values() for status in statuses} <= {
        200, 400, 401, 402, 404, 409, 413, 415, 422,
    }  # fmt: skip


def _strategies(operation: Operation) -> Iterator[tuple[Cases, int]]:
    """What fits the description, and what does not; with ids at random, and with ours."""
    names = [each.name for each in operation.path_parameters]
    known = OURS | OTHERS.get(operation.label, {})
    ours = {name: known[name] for name in names} or None
    good = GOOD[operation.label] if operation.body else NOT_SET
    yield operation.as_strategy(path_parameters=ours, body=good), 1
    more = any([*operation.query, *operation.headers, *operation.body])  # that can be wrong
    if isinstance(good, dict):  # the rest at random: it comes further than its ids
        cases = operation.as_strategy(path_parameters=ours)
        yield cases.map(lambda case: _with(case, good)), EXAMPLES
    for mode in GenerationMode:
        if ours and (mode is GenerationMode.POSITIVE or more):
            yield operation.as_strategy(mode, path_parameters=ours), EXAMPLES
        at_random = operation.label not in OTHERS
        if at_random and (mode is GenerationMode.POSITIVE or more or names):
            yield operation.as_strategy(mode), EXAMPLES


def _with(case: AnyCase, body: dict[str, Any]) -> AnyCase:
    if isinstance(case.body, dict):
        rest = {name: value for name, value in case.body.items() if name not in SOMEBODYS}
        case.body = rest | body
    return case


def _explore(cases: Cases, examples: int, session: requests.Session, seen: Counter[int]) -> None:
    @hypothesis.given(case=cases)
    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def explored(case: AnyCase) -> None:
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
