"""The operators' gate: every route, every token; nothing of one API opens anything of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec
import pytest
import structlog
from litestar import get

from starship_core.admin import stock
from starship_core.admin.app import create_routes
from starship_core.config import LimitsSection
from starship_core.flows.manage_operators import issue_token, revoke_tokens
from starship_core.http.codes import CATALOGUE
from starship_core.http.routing import operations
from starship_core.operators import ABILITIES
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from tests.e2e.admin.conftest import ROOT, Employ, Hand
from tests.e2e.servers import ANA, Caller, Shop, served, written

MIB = 1 << 20
UNAUTHORIZED = {
    "name": "UnauthorizedError",
    "code": "E_UNAUTHORIZED_ACCESS",
    "message": "Unauthorized access",
}
HANDLERS = operations(create_routes())
ROUTES = sorted(
    (method, re.sub(r"\{[^}]*\}", "1", path), str(handler.opt.get("ability")))
    for path, handler in HANDLERS
    for method in handler.http_methods
)
"""(method, path, ability) of all that the operators' API answers."""


@pytest.fixture
def database_kind() -> str:
    """The gate does not care which database there is."""
    return "sqlite"


@pytest.fixture
async def stranger(shop: Shop) -> Any:
    async with httpx2.AsyncClient(base_url=shop.url, timeout=60) as http:
        yield http


def error_of(answer: httpx2.Response) -> Any:
    """The envelope, whole: its request id is the header's, and it holds no more than it may."""
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error.pop("request_id") == answer.headers["x-request-id"]
    kind = CATALOGUE[error["code"]]
    assert (answer.status_code, error["name"]) == (kind.http, kind.name)
    return error


def bearer(token: str | bytes) -> dict[str, Any]:
    prefix: Any = b"Bearer " if isinstance(token, bytes) else "Bearer "
    return {"Authorization": prefix + token}


# --- the matrix -----------------------------------------------------------------------------------


def test_every_route_says_what_it_asks() -> None:
    """A route without its ability is a route that nobody may use; all that change have one."""
    known = {"read", *ABILITIES}
    assert [each for each in ROUTES if each[2] not in known] == []
    assert [
        each for each in ROUTES if each[2] == "read" and each[0] not in ("GET", "OPTIONS")
    ] == []
    assert [each for each in ROUTES if each[2] != "read" and each[0] == "GET"] == []
    described = {path for path, handler in HANDLERS if "operation" in handler.opt}
    assert {path for path, _ in HANDLERS} - described == {f"{ROOT}/openapi.json"}


async def test_the_matrix(
    stranger: Any, employ: Employ, acme: Caller, record_property: Any
) -> None:
    """Every route × no token, a wrong one, one without the ability, one with it alone."""
    able: dict[str, Hand] = {name: await employ(f"only-{name}", name) for name in ABILITIES}
    able["read"] = await employ("reader")
    rows = []
    for method, path, ability in ROUTES:
        without = [able[name] for name in able if name not in (ability, "read")]
        outcomes = {
            "none": await stranger.request(method, path),
            "wrong": await stranger.request(method, path, headers=bearer("op_test_" + "w" * 43)),
        }
        for answer in outcomes.values():
            assert error_of(answer) == UNAUTHORIZED, (method, path)
        others = without if ability == "read" else [*without, able["read"]]
        for hand in others:
            answer = await hand.http.request(method, path)
            if ability == "read":
                assert answer.status_code in (200, 204, 404), (method, path)
                continue
            told = error_of(answer)
            assert told["message"] == f"this token may not {ability}", (method, path)
            assert told["details"] == {"ability": ability}
        right = await able[ability].http.request(method, path)
        assert right.status_code in (200, 204, 404, 415), (method, path, right.text)
        refused = "-  " if ability == "read" else "403"
        rows.append(f"{method:<8}{path:<41}{ability:<9}401 401 {refused} {right.status_code}")
    record_property("table:operators' routes", "\n".join(rows))
    assert len(rows) >= 16


async def test_a_handler_that_asks_nothing_is_closed(bob: Hand, shop: Shop) -> None:
    """The check refuses what does not say what it asks, whatever the token may do."""

    @get("/forgotten")
    async def forgotten() -> str:
        return "open"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stock, "ROUTES", (*stock.ROUTES, forgotten))
        patch.setattr("starship_core.admin.app.create_routes", create_routes.__wrapped__)
        async with served(shop.ship) as url, httpx2.AsyncClient(base_url=url) as http:
            answer = await http.get(f"{ROOT}/forgotten", headers=bearer(bob.token))
    assert error_of(answer)["message"] == "this token may not come here"


# --- 401 ------------------------------------------------------------------------------------------


async def test_every_failure_is_the_same_401(
    stranger: Any, bob: Hand, employ: Employ, acme: Caller, shop: Shop
) -> None:
    """No header, another scheme, a broken, foreign, revoked or repeated token, a client's."""
    gone = await employ("eve", "retry")
    await revoke_tokens("eve", ANA, shop.ship)
    shop.ship.operators.forget()
    client = {"X-API-Key": acme.credential.key, "X-API-Secret": acme.credential.secret}
    tries: dict[str, Any] = {
        "none": {},
        "empty": {"Authorization": ""},
        "no token": {"Authorization": "Bearer"},
        "basic": {"Authorization": f"Basic {bob.token}"},
        "bare": {"Authorization": bob.token},
        "shorter": bearer(bob.token[:-1]),
        "longer": bearer(bob.token + "A"),
        "upper": bearer(bob.token.upper()),
        "live": bearer(bob.token.replace("test", "live")),
        "two": bearer(f"{bob.token}, Bearer {bob.token}"),
        "bytes": bearer(b"\xff\xfe"),
        "revoked": bearer(gone.token),
        "client": client,
        "client's key": bearer(acme.credential.key),
        "client's secret": bearer(acme.credential.secret),
        "token as key": {"X-API-Key": bob.token, "X-API-Secret": bob.token},
    }
    for name, headers in tries.items():
        answer = await stranger.get(f"{ROOT}/queue", headers=headers)
        assert error_of(answer) == UNAUTHORIZED, name
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {bob.token}"}
        assert (await stranger.get(f"{ROOT}/queue", headers=headers)).status_code == 200
    repeated = [("Authorization", f"Bearer {bob.token}")] * 2
    assert error_of(await stranger.get(f"{ROOT}/queue", headers=repeated)) == UNAUTHORIZED


async def test_an_operators_token_opens_nothing_of_the_clients(
    stranger: Any, bob: Hand, acme: Caller
) -> None:
    """In no header, on no path: the two APIs do not know each other's credentials."""
    for headers in (
        bearer(bob.token),
        {"X-API-Key": bob.token, "X-API-Secret": bob.token},
        {"X-API-Key": acme.credential.key, "X-API-Secret": bob.token, **bearer(bob.token)},
    ):
        for path in ("/api/v1/orders", "/api/v1/wallets", "/admin", "/Admin/api/v1/queue"):
            assert error_of(await stranger.get(path, headers=headers)) == UNAUTHORIZED, path


@pytest.mark.parametrize(
    "path",
    ["/admin/", "/admin/api", "/admin/api/v1", "/admin/openapi.json", "/admin/api/v1/openapi.json",
     "/admin/status", "/admin/%2e%2e/status",
     "/admin/api/v1/%2e%2e/%2e%2e/%2e%2e/status", "/%61dmin/api/v1/queue",
     "/admin//api/v1/queue"],
)  # fmt: skip
async def test_nothing_here_is_public(stranger: Any, path: str) -> None:
    """Not even the description, and whoever has no token does not learn which paths exist."""
    assert error_of(await stranger.get(path)) == UNAUTHORIZED


async def test_revoked_stops_within_five_seconds(
    bob: Hand, employ: Employ, shop: Shop, monkeypatch: Any
) -> None:
    """Over HTTP, in a process that knew the token a moment ago; others go on."""
    eve = await employ("eve")
    assert (await eve.send("GET", "/queue")).status_code == 200
    await revoke_tokens("eve", ANA, shop.ship)
    recent = shop.ship.operators._recent
    later = recent._monotonic() + 5
    monkeypatch.setattr(recent, "_monotonic", lambda: later)
    assert error_of(await eve.send("GET", "/queue")) == UNAUTHORIZED
    assert (await bob.send("GET", "/queue")).status_code == 200


# --- limits, sizes, headers -----------------------------------------------------------------------


@pytest.fixture
async def narrow(database_url: str, redis_url: str, clock: ManualClock, tmp_path: Any) -> Any:
    """A deployment with small limits: 5 failures an address, 20 calls a token, in a minute."""
    config = written(tmp_path, database=database_url, redis=redis_url)
    limits = LimitsSection(failed_authentications=5, operators=20)
    config = msgspec.structs.replace(config, limits=limits)
    async with (
        Ship.open(config, now=clock) as ship,
        served(ship) as url,
        httpx2.AsyncClient(base_url=url, timeout=60) as http,
    ):
        issued = await issue_token("bob", (), ANA, ship)
        yield http, issued.token.reveal()


async def test_failed_attempts_are_limited_per_address(narrow: Any) -> None:
    """Then 429 with when to come again; the right token is never held up by the wrong ones."""
    http, token = narrow
    statuses = []
    for number in range(12):
        wrong = bearer(f"op_test_{number:043}")
        answer = await http.get(f"{ROOT}/queue", headers=wrong)
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            assert error_of(answer)["code"] == "TOO_MANY_REQUESTS"
            assert int(answer.headers["retry-after"]) >= 1
    assert statuses == [401] * 5 + [429] * 7
    assert (await http.get(f"{ROOT}/queue", headers=bearer(token))).status_code == 200


async def test_calls_are_limited_per_token(narrow: Any) -> None:
    """A program that runs wild does not take the database with it."""
    http, token = narrow
    answers = [await http.get(f"{ROOT}/queue", headers=bearer(token)) for _ in range(25)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 5
    assert error_of(answers[-1])["code"] == "TOO_MANY_REQUESTS"


async def test_bodies_are_bounded(bob: Hand, stranger: Any) -> None:
    """Over 1 MiB: 413 with a token, 401 without; nothing is parsed."""
    huge = b'{"reason":"' + b"x" * MIB + b'"}'
    answer = await bob.send("POST", "/orders/1/cancel", huge)
    assert error_of(answer)["code"] == "PAYLOAD_TOO_LARGE"
    answer = await stranger.post(f"{ROOT}/orders/1/cancel", content=huge)
    assert error_of(answer) == UNAUTHORIZED


async def test_headers_of_every_answer(bob: Hand, stranger: Any) -> None:
    """Nothing is stored, framed, sniffed or told to other origins; none of them is let in."""
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        await bob.send("GET", "/queue", headers=origin),
        await bob.send("OPTIONS", "/queue", headers=origin),
        await bob.send("GET", "/nothing", headers=origin),
        await stranger.options(f"{ROOT}/queue", headers=origin),
        await stranger.get(f"{ROOT}/queue", headers=origin),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; frame-ancestors 'none'"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert [name for name in answer.headers if name.startswith("access-control")] == []


async def test_requests_have_an_id_and_head_no_body(bob: Hand) -> None:
    """As at the client API."""
    answer = await bob.send("GET", "/queue", headers={"X-Request-Id": "desk 7"})
    assert answer.headers["x-request-id"] == "desk 7"
    answer = await bob.send("HEAD", "/queue")
    assert (answer.status_code, answer.content) == (200, b"")


# --- logs and metrics -----------------------------------------------------------------------------


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


async def test_refusals_are_logged_without_the_token(
    logged: list[Any], stranger: Any, shop: Shop
) -> None:
    """Address and request id, so that an attack is seen; never what was sent."""
    token = "op_test_" + "s" * 43
    headers = bearer(token) | {"X-Request-Id": "r-1"}
    await stranger.get(f"{ROOT}/queue", headers=headers)
    refused = [each for each in logged if each["event"] == "auth.refused"]
    assert refused == [
        {"event": "auth.refused", "log_level": "warning", "reason": "token",
         "address": "127.0.0.1", "request_id": "r-1"},
    ]  # fmt: skip
    assert token not in repr(logged)


async def test_metrics_count_both_apis(bob: Hand, stranger: Any) -> None:
    """By route template, so that ids do not make thousands of series."""
    await bob.send("GET", "/orders/99")
    await stranger.get(f"{ROOT}/queue")
    text = (await stranger.get("/metrics")).text
    route = f"{ROOT}/orders/{{order_id}}"
    assert f'route="{route}",status="404"' in text
    assert 'starship_authentications_refused_total{reason="token"} 1.0' in text
