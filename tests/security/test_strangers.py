"""Nobody reaches another client's things: a matrix made of the routes, so a new one is in it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from starship_core.http.routing import operations
from starship_core.web.app import create_routes
from starship_core.web.gate import EXPLAIN, PUBLIC
from tests.e2e.servers import Caller, Shop
from tests.security.raw import exchange, problem_in, request

WRONG = (b"X-API-Secret", b"wrong")
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
SHARED = {"product_id": "1", "category_id": "1", "subcategory_id": "3", "instance": "x"}
"""Ids that are everybody's (`instance`: a vendor's). Any other parameter of a path is
somebody's own, until said here.
"""


class Case(NamedTuple):
    """A method on a path whose parameters belong to one client."""

    method: str
    template: str
    parameters: tuple[str, ...]


def routes_of(shop: Shop) -> list[tuple[str, str]]:
    """Every (method, path template) that the application answers."""
    app = create_routes(explains=True)
    return sorted(
        (method, path)
        for path, handler in operations(app)
        for method in handler.http_methods
        if method != "OPTIONS"
    )


def owned(shop: Shop) -> list[Case]:
    found = []
    for method, path in routes_of(shop):
        names = tuple(name for name in PARAMETER.findall(path) if name not in SHARED)
        if names:
            found.append(Case(method, path.removeprefix("/api/v1"), names))
    return sorted(found, key=lambda case: case.method == "DELETE")  # what it takes is needed before


async def things_of(caller: Caller) -> dict[str, list[str]]:
    """By the parameter's name: what of this client's it may name. A new parameter needs a line."""
    orders = await caller.get("/orders?limit=100")
    webhooks = [str(each["id"]) for each in await caller.get("/webhooks")]
    deliveries = await caller.get(f"/webhooks/{webhooks[0]}/deliveries")
    return {
        "webhook_id": webhooks,
        "delivery_id": [str(each["id"]) for each in deliveries],
        "order_id": [str(each["id"]) for each in orders],
        "ref": [each["ref"] for each in orders],
        "wallet_id": [str(each["id"]) for each in await caller.get("/wallets")],
        "transaction_id": [str(each["id"]) for each in await caller.get("/transactions")],
    }


def filled(case: Case, things: dict[str, list[str]], turn: int) -> str:
    values = SHARED | {name: things[name][turn % len(things[name])] for name in case.parameters}
    return PARAMETER.sub(lambda found: values[found[1]], case.template)


NOBODYS = {
    "order_id": "999", "ref": "no-such", "wallet_id": "999", "transaction_id": "999",
    "webhook_id": "999", "delivery_id": "999",
}  # fmt: skip


async def test_anothers_ids_are_404_on_every_route(
    shop: Shop, acme: Caller, bolt: Caller, record_property: Any
) -> None:
    """The same answer as for what does not exist, to the letter; the owner's own call succeeds."""
    theirs, mine = await things_of(bolt), await things_of(acme)
    assert not any(set(theirs[name]) & set(mine[name]) for name in theirs)
    cases = owned(shop)
    assert len(cases) >= 12
    rows = []
    for case in cases:
        nobody = filled(case, {name: [value] for name, value in NOBODYS.items()}, 0)
        missing = await told(acme, case.method, nobody)
        for turn in range(max(len(theirs[name]) for name in case.parameters)):
            path = filled(case, theirs, turn)
            found = await told(acme, case.method, path)
            assert found == replaced(missing, case, theirs, turn), (case, found)
            body: Any = {} if case.method in {"POST", "PUT"} else None
            own = (await bolt.send(case.method, path, body)).status_code
            assert own == 200, (case, own)
            rows.append(f"{case.method:<6} {case.template:<32} stranger 404  owner {own}")
    record_property("table:another client's ids", "\n".join(dict.fromkeys(rows)))


async def told(caller: Caller, method: str, path: str) -> dict[str, str]:
    answer = await caller.send(method, path, {} if method in {"POST", "PUT", "PATCH"} else None)
    assert answer.status_code == 404, (method, path, answer.text)
    error: dict[str, str] = answer.json()["error"]
    del error["request_id"]
    return error


def replaced(
    error: dict[str, str], case: Case, things: dict[str, list[str]], turn: int
) -> dict[str, str]:
    """The same error about another id."""
    message = error["message"]
    for name in case.parameters:
        message = message.replace(NOBODYS[name], things[name][turn % len(things[name])])
    return error | {"message": message}


async def test_anothers_ids_elsewhere(shop: Shop, acme: Caller, bolt: Caller) -> None:
    """In a filter they find nothing; in a body they are 400, as what does not exist."""
    wallet = bolt.wallets["GBP"]
    assert await acme.get(f"/transactions?wallet_id={wallet}") == []
    assert await acme.get("/orders?reference_code=bolt-ref") == []
    for path, key in (("/orders", {"Idempotency-Key": "strange-1"}), ("/products/1/charges", {})):
        answers = []
        for number in (wallet, 999):
            body = {"denomination": "20.00", "quantity": 1, "wallet_id": number}
            if path == "/orders":
                body["product_id"] = 1
            refused = await acme.post(path, body, 400, **key)
            del refused["error"]["request_id"]
            answers.append(refused)
        assert answers[0] == answers[1]
        assert answers[0]["error"]["code"] == "INVALID_INPUT"
    listed = [each["id"] for each in await acme.get("/orders?limit=100")]
    theirs = [each["id"] for each in await bolt.get("/orders?limit=100")]
    assert (listed, theirs) == ([2, 1], [3])
    told = [{each["data"]["id"] for each in await who.get("/events")} for who in (acme, bolt)]
    assert told == [{1, 2}, {3}]  # positions are each client's own


async def test_every_route_asks_for_a_credential(shop: Shop, acme: Caller) -> None:
    """Without one, with a wrong one, or unsigned where signatures are required: 401 everywhere."""
    routes = routes_of(shop)
    public = {path for method, path in routes if path in PUBLIC}
    assert public == {"/status", "/ready", "/metrics", "/docs", "/openapi.json"}
    await shop.ship.database.run(
        lambda tx: tx.execute("UPDATE credentials SET signature_required = 1 WHERE id = 1")
    )
    await shop.seen()
    key = (b"X-API-Key", acme.credential.key.encode())
    secret = (b"X-API-Secret", acme.credential.secret.encode())
    bodies = set()
    for method, template in routes:
        values = SHARED | {"order_id": "1", "ref": "acme-ref", "wallet_id": "1"}
        path = PARAMETER.sub(lambda found: values.get(found[1], "1"), template).encode()  # noqa: B023  # called at once
        for headers in ([], [key], [secret], [key, WRONG], [key, secret]):
            answer = await exchange(shop.url, request(method, path, headers, b""))
            if template in public or (template == EXPLAIN and secret in headers[1:]):
                assert answer.status == 200, (method, template, answer)
                continue
            assert (answer.status, problem_in(answer)) == (401, "E_UNAUTHORIZED_ACCESS"), template
            error = msgspec.json.decode(answer.body)["error"]
            bodies.add((error["name"], error["message"], error.get("details")))
    assert len(bodies) == 1
    assert len(routes) - len(public) >= 20
