"""Nothing passes the gate but what may, checked in the contract's order; nothing is a 500."""

import asyncio
import dataclasses
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import structlog

from starship_core.audit import By
from starship_core.config import DeploymentSection, LimitsSection, ServerSection
from starship_core.errors import Unavailable
from starship_core.flows.manage_clients import change_client
from starship_core.flows.manage_credentials import Rotation, Which, allow_addresses, revoke, rotate
from starship_core.http.codes import CATALOGUE
from starship_core.http.routing import operations
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from starship_core.web.app import create_routes
from starship_core.web.gate import PUBLIC

ANA = By(actor="operator:ana", request_id="test")
MIB = 1 << 20
UNAUTHORIZED = {
    "name": "UnauthorizedError",
    "code": "E_UNAUTHORIZED_ACCESS",
    "message": "Unauthorized access",
}


@pytest.fixture
def database_kind() -> Any:
    """The gate does not care which database there is."""
    return "sqlite"


def error_of(answer: Any) -> Any:
    """The envelope, whole: its request id is the header's, and it holds no more than it may."""
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert list(found) == ["error"]
    error = found["error"]
    assert error.pop("request_id") == answer.headers["x-request-id"]
    assert set(error) <= {"name", "code", "message", "messages", "details"}
    kind = CATALOGUE[error["code"]]
    assert (answer.status_code, error["name"]) == (kind.http, kind.name)
    return error


def all_operations() -> Any:
    """Every (method, path) that any deployment answers, ids filled in."""
    return sorted(
        {
            (method, re.sub(r"\{[^}]*\}", "1", path))
            for path, handler in operations(create_routes(explains=True))
            for method in handler.http_methods
        }
    )


# --- 401 ------------------------------------------------------------------------------------------


async def test_every_route_is_closed(acme: Any) -> None:
    """A route without authentication fails here, whoever adds it; few are public."""
    for method, path in all_operations():
        answer = await acme.http.request(method, path)
        if path in PUBLIC:
            assert answer.status_code in (200, 204), path
        else:
            assert error_of(answer) == UNAUTHORIZED, path


NO_ROUTES = [
    "/", "/api", "/api/v1", "/api/v2/orders", "/nothing", "/status/", "//status", "/status/x",
    "/STATUS", "/metrics/", "/docs/", "/docs/x", "/api/v1/../../status",
    "/%2e/status", "/status%2f",
    "/api/v1/orders;x=1", "/openapi.json/", "/favicon.ico",
]  # fmt: skip


async def test_what_is_no_route_is_closed_too(acme: Any) -> None:
    """Whoever has no key does not learn which paths exist; a public path is public exactly."""
    for path in NO_ROUTES:
        answer = await raw(acme, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 401 "), path


async def test_the_right_call_passes(acme: Any) -> None:
    """Key, secret and signature right: the request reaches its handler."""
    answer = await acme("GET", "/api/v1/wallets?limit=10&page=1")
    assert (answer.status_code, answer.json()) == (200, [])


async def test_every_failure_is_the_same_401(acme: Any, ship: Any, clock: ManualClock) -> None:
    """No key, wrong ones, bad and stale signatures, addresses, revoked: one body, one status."""
    path, now = "/api/v1/wallets", int(clock().timestamp())
    right = acme.signature("GET", path)
    tries: dict[str, dict[str, Any]] = {
        "no key": {"headers": {"X-API-Key": None}},
        "no secret": {"headers": {"X-API-Secret": None}},
        "unknown key": {"headers": {"X-API-Key": "sk_test_" + "a" * 32}},
        "live key": {"headers": {"X-API-Key": acme.key.replace("test", "live")}},
        "no key at all": {"headers": {"X-API-Key": "\u00e9".encode()}},
        "wrong secret": {"headers": {"X-API-Secret": acme.secret[:-1]}},
        "two secrets": {"headers": {"x-api-secret": f"{acme.secret}, {acme.secret}"}},
        "malformed": {"signature": "nonsense"},
        "empty": {"signature": ""},
        "no value": {"signature": f"t={now}"},
        "upper case": {"signature": right.upper()},
        "other path": {"signature": acme.signature("GET", path + "/1")},
        "other method": {"signature": acme.signature("POST", path)},
        "other query": {"signature": acme.signature("GET", path + "?page=1")},
        "other body": {"signature": acme.signature("GET", path, b"x")},
        "stale": {"signature": acme.signature("GET", path, at=now - 301)},
        "early": {"signature": acme.signature("GET", path, at=now + 301)},
    }
    for name, options in tries.items():
        answer = await acme("GET", path, **options)
        assert error_of(answer) == UNAUTHORIZED, name
    assert (await acme("GET", path, signature=right)).status_code == 200


async def test_optional_signatures_are_still_checked(acme: Any) -> None:
    """Where none is required none is needed, but one that is sent must be right."""
    assert (await acme.unsigned()("GET", "/api/v1/wallets")).status_code == 200
    wrong = acme.signature("GET", "/api/v1/orders")
    assert error_of(await acme("GET", "/api/v1/wallets", signature=wrong)) == UNAUTHORIZED


async def test_required_signatures_are_required(acme: Any, ship: Any) -> None:
    """Once a credential requires signatures, every request of it must carry one."""
    await change_client("acme", {"signature_required": True}, ANA, ship)
    ship.access.forget()
    assert error_of(await acme.unsigned()("GET", "/api/v1/wallets")) == UNAUTHORIZED
    assert (await acme("GET", "/api/v1/wallets")).status_code == 200


async def test_rotation_is_seamless(acme: Any, ship: Any, clock: ManualClock) -> None:
    """Old and new secrets, signatures by either signing secret or both, until the grace ends."""
    new = await rotate(Which("acme"), Rotation(), ANA, ship)
    ship.access.forget()
    assert new.secret is not None
    assert new.signing_secret is not None
    fresh = dataclasses.replace(
        acme, secret=new.secret.reveal(), signing=new.signing_secret.reveal()
    )
    newer, older = (each.signature("GET", "/api/v1/wallets") for each in (fresh, acme))
    both = f"{newer},{older.partition(',')[2]}"
    assert (await acme("GET", "/api/v1/wallets")).status_code == 200
    assert (await fresh("GET", "/api/v1/wallets")).status_code == 200
    assert (await acme("GET", "/api/v1/wallets", signature=both)).status_code == 200
    clock.advance(hours=25)
    ship.access.forget()
    assert error_of(await acme("GET", "/api/v1/wallets")) == UNAUTHORIZED
    assert (await fresh("GET", "/api/v1/wallets")).status_code == 200


async def test_revoked_is_401(acme: Any, ship: Any) -> None:
    """A revoked key answers as if it had never been."""
    await revoke(Which("acme"), ANA, ship)
    ship.access.forget()
    assert error_of(await acme("GET", "/api/v1/wallets")) == UNAUTHORIZED


async def test_addresses_are_checked(acme: Any, ship: Any) -> None:
    """A key with a list of addresses works from there and from nowhere else."""
    await allow_addresses(Which("acme"), ["10.0.0.0/8"], ANA, ship)
    ship.access.forget()
    assert error_of(await acme("GET", "/api/v1/wallets")) == UNAUTHORIZED
    headers = {"X-Forwarded-For": "10.1.2.3"}
    assert error_of(await acme("GET", "/api/v1/wallets", headers=headers)) == UNAUTHORIZED
    await allow_addresses(Which("acme"), ["127.0.0.1"], ANA, ship)
    ship.access.forget()
    assert (await acme("GET", "/api/v1/wallets")).status_code == 200


@pytest.mark.parametrize(
    ("forwarded", "passes"),
    [
        ("10.1.2.3", True),
        ("1.1.1.1, 10.1.2.3", True),
        ("10.1.2.3, 1.1.1.1", False),
        ("10.1.2.3, 192.0.2.9", True),
        ("10.1.2.3, unknown", False),
        ("10.1.2.3, 10.1.2.3:80", False),
        ("", False),
    ],
)
async def test_trusted_proxies_say_where_a_call_comes_from(
    configure: Any, caller_of: Any, clock: ManualClock, forwarded: Any, passes: Any
) -> None:
    """The right-most hop that is not a trusted proxy counts; what is left of it can be made up."""
    section = ServerSection(trusted_proxies=["127.0.0.1", "192.0.2.0/24"])
    async with Ship.open(configure(server=section), now=clock) as ship:
        acme = await caller_of(ship, "acme")
        await allow_addresses(Which("acme"), ["10.0.0.0/8"], ANA, ship)
        answer = await acme("GET", "/api/v1/wallets", headers={"X-Forwarded-For": forwarded})
    assert (answer.status_code == 200) is passes


async def test_a_live_deployment_requires_signatures_and_explains_nothing(
    configure: Any, caller_of: Any, clock: ManualClock
) -> None:
    """The defaults of a live deployment: signed or not at all, and no help for whoever guesses."""
    config = configure(deployment=DeploymentSection(environment="live"))
    async with Ship.open(config, now=clock) as ship:
        acme = await caller_of(ship, "acme")
        assert error_of(await acme.unsigned()("GET", "/api/v1/wallets")) == UNAUTHORIZED
        assert (await acme("GET", "/api/v1/wallets")).status_code == 200
        path = "/api/v1/signature/explain"
        assert error_of(await acme("POST", path, signature="x")) == UNAUTHORIZED
        assert error_of(await acme("POST", path))["code"] == "NOT_FOUND"


# --- the order of checks --------------------------------------------------------------------------


async def test_key_and_secret_come_before_the_size(acme: Any) -> None:
    """Whoever is unknown is told 401, however much is sent."""
    answer = await acme("POST", "/api/v1/orders", body=b"x" * (MIB + 1), headers={"X-API-Key": "x"})
    assert error_of(answer) == UNAUTHORIZED


async def test_size_comes_before_the_signature(acme: Any) -> None:
    """Too much is told before anything is made of it; exactly 1 MiB is not too much."""
    large = b"x" * (MIB + 1)
    answer = await acme("POST", "/api/v1/orders", body=large, signature="wrong")
    assert error_of(answer)["code"] == "PAYLOAD_TOO_LARGE"
    answer = await acme("POST", "/api/v1/orders", body=large[1:], signature="wrong")
    assert error_of(answer) == UNAUTHORIZED
    answer = await acme("POST", "/api/v1/orders", body=large[1:])
    assert error_of(answer)["code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_a_chunked_body_is_counted(acme: Any) -> None:
    """A body that announces no length is cut off where it passes 1 MiB."""
    sent = 0

    async def endless() -> AsyncIterator[Any]:
        nonlocal sent
        for _ in range(64):
            sent += MIB // 8
            yield b"x" * (MIB // 8)

    answer = await acme.unsigned().http.post(
        "/api/v1/orders",
        content=endless(),
        headers={"X-API-Key": acme.key, "X-API-Secret": acme.secret},
    )
    assert error_of(answer)["code"] == "PAYLOAD_TOO_LARGE"


async def test_too_large_is_not_read(acme: Any) -> None:
    """The announced length is enough: the answer comes without a byte of the body, and ends it."""
    head = (
        f"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nX-API-Key: {acme.key}\r\n"
        f"X-API-Secret: {acme.secret}\r\nContent-Length: {MIB + 1}\r\n\r\n"
    )
    answer = await raw(acme, head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_the_signature_comes_before_routing(acme: Any) -> None:
    """A path that does not exist is told to nobody who is not let in; then 404, then 405."""
    assert error_of(await acme("GET", "/api/v1/nothing", signature="x")) == UNAUTHORIZED
    assert error_of(await acme("GET", "/api/v1/nothing"))["code"] == "NOT_FOUND"
    answer = await acme("DELETE", "/api/v1/orders")
    assert error_of(answer)["code"] == "METHOD_NOT_ALLOWED"
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "POST"}


async def test_limits_come_after_the_signature_and_before_routing(
    configure: Any, caller_of: Any, clock: ManualClock
) -> None:
    """429 with Retry-After; neither a wrong signature nor another class of calls uses it up."""
    async with Ship.open(configure(limits=LimitsSection(reads=3, orders=2)), now=clock) as ship:
        acme = await caller_of(ship, "acme")
        for _ in range(5):
            assert error_of(await acme("GET", "/api/v1/wallets", signature="x")) == UNAUTHORIZED
        found = [(await acme("GET", "/api/v1/nothing")).status_code for _ in range(4)]
        assert found == [404, 404, 404, 429]
        answer = await acme("GET", "/api/v1/wallets")
        assert error_of(answer)["code"] == "TOO_MANY_REQUESTS"
        assert 1 <= int(answer.headers["retry-after"]) <= 120
        found = [(await acme("POST", "/api/v1/orders")).status_code for _ in range(3)]
        assert found == [415, 415, 429]
        assert error_of(await acme("GET", "/api/v1/wallets", signature="x")) == UNAUTHORIZED


async def test_a_clients_own_limit_wins(configure: Any, caller_of: Any, clock: ManualClock) -> None:
    """What was agreed with a client is its limit, above or below the deployment's."""
    async with Ship.open(configure(limits=LimitsSection(reads=3)), now=clock) as ship:
        less = await caller_of(ship, "less", reads_per_minute=1)
        more = await caller_of(ship, "more", reads_per_minute=5)
        for client, expected in ((less, 1), (more, 5)):
            found = [(await client("GET", "/api/v1/wallets")).status_code for _ in range(7)]
            assert found.count(200) == expected


async def test_failures_are_limited_and_lock_nobody_out(
    configure: Any, caller_of: Any, clock: ManualClock
) -> None:
    """The 31st failure in a minute is 429; a right call of the same client still passes."""
    config = configure(limits=LimitsSection(failed_authentications=30))
    async with Ship.open(config, now=clock) as ship:
        acme, other = await caller_of(ship, "acme"), await caller_of(ship, "other")
        wrong = {"headers": {"X-API-Secret": "wrong"}}
        found = [(await acme("GET", "/api/v1/wallets", **wrong)).status_code for _ in range(33)]
        assert found == [401] * 30 + [429] * 3
        assert (await acme("GET", "/api/v1/wallets")).status_code == 200
        assert (await other("GET", "/api/v1/wallets", **wrong)).status_code == 401


# --- what else every answer has -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/status", "/api/v1/wallets", "/api/v1/nothing"])
async def test_request_id_is_echoed(acme: Any, path: Any) -> None:
    """The caller's request id comes back on every answer, errors included."""
    answer = await acme("GET", path, headers={"X-Request-Id": "mine 1/2"})
    assert answer.headers.get_list("x-request-id") == ["mine 1/2"]


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a\tb", "\u00e9".encode()])
async def test_request_id_is_made_when_there_is_none(acme: Any, given: Any) -> None:
    """What cannot be echoed safely is replaced, and no two are the same."""
    found = [
        (await acme("GET", "/status", headers={"X-Request-Id": given})).headers["x-request-id"]
        for _ in range(2)
    ]
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in found)
    assert found[0] != found[1]


async def test_answers_are_not_to_be_kept(acme: Any) -> None:
    """Answers may hold codes: no cache on the way may store them."""
    assert (await acme("GET", "/api/v1/wallets")).headers["cache-control"] == "no-store"


async def test_head_is_get_without_a_body(acme: Any) -> None:
    """HEAD answers what GET would, is signed as HEAD, and has no body."""
    got, head = await acme("GET", "/api/v1/wallets"), await acme("HEAD", "/api/v1/wallets")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["x-total-count"] == "0"
    assert (await acme("HEAD", "/status")).status_code == 200
    assert (await acme("HEAD", "/api/v1/signature/explain")).status_code == 405


async def test_options_say_what_is_allowed(acme: Any) -> None:
    """OPTIONS needs a key like any call, and lists the methods."""
    answer = await acme("OPTIONS", "/api/v1/orders")
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "POST", "OPTIONS"}


async def test_a_fault_of_ours_tells_and_logs_nothing(ship: Any, caller_of: Any, fund: Any) -> None:
    """A 500 has no text of the exception, nor has the log: class and place are enough."""

    class Broken:
        async def balance(self, account: str) -> None:
            code = "CANARY-1234"
            raise ValueError(code)

    working = await caller_of(ship, "acme")
    await fund(working, "1.00", "GBP")
    broken = dataclasses.replace(ship, wallet=Broken())
    other = await caller_of(broken, "other")
    caller = dataclasses.replace(working, http=other.http)
    with structlog.testing.capture_logs() as logs:
        answer = await caller("GET", "/api/v1/wallets")
    assert error_of(answer)["code"] == "INTERNAL_ERROR"
    found = [each for each in logs if each["event"] == "request.failed"]
    assert [each["error"] for each in found] == ["ValueError"]
    assert found[0]["request_id"] == answer.headers["x-request-id"]
    assert any("balance" in place for place in found[0]["at"])
    assert "CANARY" not in answer.text + json.dumps(logs)


async def test_a_database_that_is_away_is_503(
    acme: Any, ship: Any, clock: ManualClock, caller_of: Any
) -> None:
    """Not 401 and not 500: the client is told when to come again."""

    class Away:
        def __getattr__(self, name: Any) -> None:
            raise Unavailable("the database is away", retry_after=2)

    ship.access.forget()
    away = Away()
    ship.access._database = away
    answer = await acme("GET", "/api/v1/wallets")
    assert error_of(answer)["code"] == "UNAVAILABLE"
    assert answer.headers["retry-after"] == "2"
    assert (await acme("GET", "/status")).status_code == 200


async def test_refusals_are_logged_with_their_reason(acme: Any) -> None:
    """The operator learns what the caller does not; neither secret nor signature is in the log."""
    with structlog.testing.capture_logs() as logs:
        await acme("GET", "/api/v1/wallets", signature="t=1,v1=" + "a" * 64)
    assert [(each["event"], each["reason"], each["credential"]) for each in logs] == [
        ("auth.refused", "signature does not match", acme.credential_id)
    ]
    assert acme.secret not in json.dumps(logs)
    assert "a" * 64 not in json.dumps(logs)


async def test_signature_explain_shows_the_canonical_string(acme: Any, clock: ManualClock) -> None:
    """In a test deployment a wrong signature is explained, and the right one is not given away."""
    path = "/api/v1/signature/explain?b=2&a=1"
    now = int(clock().timestamp())
    answer = await acme("POST", path, json_body={"a": 1}, signature=f"t={now},v1=" + "0" * 64)
    found = answer.json()
    assert answer.status_code == 200
    lines = found["canonical"].split("\n")
    assert lines[:3] == ["POST", "/api/v1/signature/explain", "a=1&b=2"]
    assert (lines[3], lines[4]) == (found["body_sha256"], str(now))
    assert (found["accepted"], found["reason"]) == (False, "signature does not match")
    right = acme.signature("POST", path, b'{"a": 1}')
    assert right.split("v1=")[1] not in answer.text
    assert (await acme("POST", path, json_body={"a": 1})).json()["accepted"] is True
    wrong = await acme("POST", path, headers={"X-API-Secret": "wrong"})
    assert error_of(wrong) == UNAUTHORIZED


# --- what is not even HTTP as it should be --------------------------------------------------------


async def raw(acme: Any, data: bytes) -> bytes:
    """Send bytes as they are; the answer until the server closes or is quiet."""
    host, port = acme.http.base_url.host, acme.http.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


ODD_TARGETS = [
    b"/api/v1/\xff\xfe", b"/api/v1/orders/%ff", b"/api/v1/orders/%00", b"/api/v1/orders/%C3%28",
    b"/api/v1/orders?status=%ff", b"/api/v1/orders?%ff=1", b"/api/v1/orders?status=%00",
    b"/api/v1/orders?status=\xff", b"/api/v1/orders/by-reference/%ff",
    b"/api/v1/orders/by-reference/%00", b"/api/v1/orders/99999999999999999999999",
    b"/api/v1/orders/%D9%A1", b"/api/v1/wallets/1e3", b"/api/v1/wallets/-1",
    b"/api/v1/wallets/0", b"/api/v1/wallets?page=0", b"/api/v1/wallets?limit=99999999999999999",
    b"/api/v1/wallets?sort=%7B", b"/api/v1/wallets?sort=" + b"[" * 5000,
    b"/api/v1/transactions?wallet_id=x", b"/api/v1/wallets?page=%D9%A1", b"*", b"http://x:y/z",
    b"/" + b"a" * 20000,
]  # fmt: skip


async def test_odd_targets_are_4xx(acme: Any) -> None:
    """Invalid UTF-8, NUL, other digits, nonsense: told, never a fault of ours."""
    head = f"Host: x\r\nX-API-Key: {acme.key}\r\nX-API-Secret: {acme.secret}\r\n".encode()
    for target in ODD_TARGETS:
        answer = await raw(acme, b"GET " + target + b" HTTP/1.1\r\n" + head + b"\r\n")
        assert re.match(rb"HTTP/1.1 4\d\d ", answer), (target, answer)


ODD_HEADERS = [
    b"X-API-Key: \xff\xfe", b"X-API-Secret: \x80", b"X-Signature: \xff", b"X-Request-Id: \xff",
    b"X-Forwarded-For: \xff,\xfe", b"Content-Length: -1", b"Content-Length: 1e3",
    b"Content-Length: " + b"9" * 5000, b"Host: \xff", b"Content-Type: \xff", b"\xff: 1",
    b"Transfer-Encoding: nonsense", b"Idempotency-Key: \xff\xff\xff\xff\xff\xff\xff\xff",
]  # fmt: skip


async def test_odd_headers_are_4xx(acme: Any) -> None:
    """Bytes that are no text in any header, and lengths that are no number."""
    credential = f"X-API-Key: {acme.key}\r\nX-API-Secret: {acme.secret}\r\n".encode()
    for header in ODD_HEADERS:
        head = b"POST /api/v1/orders HTTP/1.1\r\n" + header + b"\r\n" + credential + b"\r\n"
        answer = await raw(acme, head)
        assert re.match(rb"HTTP/1.1 4\d\d ", answer), (header, answer)


@pytest.mark.parametrize("begun", ["GET /", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n"])
async def test_an_endless_head_is_cut_off(acme: Any, begun: str) -> None:
    """Before a key is shown nobody may fill the memory: one long line, or many short ones."""
    host, port = acme.http.base_url.host, acme.http.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    more = b"X-Y: z\r\n" * 1024 if begun.endswith("\n") else b"x" * 8192
    writer.write(begun.encode())
    async with asyncio.timeout(10):
        for _ in range(8):  # 64 KiB and a little
            writer.write(more)
            await writer.drain()
        answer = await reader.read()
    writer.close()
    assert re.match(rb"HTTP/1.1 4\d\d ", answer)


async def test_a_long_head_is_fine(acme: Any) -> None:
    """A head below the limit passes, also when its body comes along in the same packet."""
    headers = {f"X-Cookie-{n}": "c" * 1000 for n in range(50)}
    answer = await acme("POST", "/api/v1/signature/explain", body=b"x" * 200_000, headers=headers)
    assert answer.status_code == 200


async def test_a_websocket_is_not_opened(acme: Any) -> None:
    """There is nothing to upgrade to."""
    upgrade = (
        f"GET /api/v1/orders HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"X-API-Key: x\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'a' * 22}==\r\n\r\n"
    )
    assert (await raw(acme, upgrade.encode())).startswith(b"HTTP/1.1 401 ")


async def test_a_caller_who_hangs_up_leaves_no_fault(acme: Any) -> None:
    """A body that never becomes whole is nobody's error."""
    host, port = acme.http.base_url.host, acme.http.base_url.port
    with structlog.testing.capture_logs() as logs:
        _, writer = await asyncio.open_connection(host, port)
        head = f"X-API-Key: {acme.key}\r\nX-API-Secret: {acme.secret}\r\n"
        writer.write(f"POST /api/v1/orders HTTP/1.1\r\n{head}Content-Length: 10\r\n\r\n12".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await acme("GET", "/status")
        text = (await acme("GET", "/metrics")).text
        async with asyncio.timeout(5):
            while 'status="499"' not in text:
                text = (await acme("GET", "/metrics")).text
    assert [each for each in logs if each["log_level"] == "error"] == []


# --- status, readiness, description ---------------------------------------------------------------


async def test_status_and_readiness(acme: Any) -> None:
    """Liveness tells version and environment; readiness stays 200 without Redis, and without a
    worker, whose work is due.
    """
    status = await acme.http.get("/status")
    assert status.json()["status"] == "ok"
    assert status.json()["environment"] == "test"
    ready = await acme.http.get("/ready")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "degraded",
        "database": "ok",
        "database_schema": "current",
        "redis": "degraded",
        "oldest_due_seconds": 0.0,
        "workers": 0,
        "clock_skew_seconds": None,
    }


async def test_readiness_is_503_with_another_schema(acme: Any, ship: Any) -> None:
    """A database that is ahead or behind takes no orders, and says so to the load balancer."""
    await ship.database.run(
        lambda tx: tx.execute("UPDATE starship_core_version SET version_num = '9999'")
    )
    ready = await acme.http.get("/ready")
    assert (ready.status_code, ready.json()["database_schema"]) == (503, "other")


async def test_metrics_count_by_template(acme: Any) -> None:
    """Paths with ids are counted under their template: no series for each order."""
    for number in (1, 2, 3):
        await acme("GET", f"/api/v1/wallets/{number}")
    text = (await acme.http.get("/metrics")).text
    labels = 'method="GET",route="/api/v1/wallets/{wallet_id}",status="404"'
    assert f"starship_http_requests_total{{{labels}}} 3.0" in text
    assert "starship_pool_degraded 1.0" in text


async def test_the_description_is_complete_and_true(acme: Any) -> None:
    """Every route is described, every reference resolves, every example fits its schema."""
    description = (await acme.http.get("/openapi.json")).json()
    described = {
        (method.upper(), re.sub(r"\{[^}]*\}", "1", path))
        for path, methods in description["paths"].items()
        for method in methods
    }
    undescribed = {
        ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/openapi.json"),
        ("POST", "/vendors/1/callback"),  # no client calls it
    }  # fmt: skip
    expected = {each for each in all_operations() if each[0] != "OPTIONS"}
    assert described == expected - undescribed
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(description)):
        assert reference in description["components"]["schemas"]
    for schema, example in examples(description):
        whole = {**schema, "components": description["components"]}
        assert list(jsonschema_rs.iter_errors(whole, example)) == []


def examples(found: Any) -> Iterator[Any]:
    """Every (schema, example) pair below `found`."""
    if isinstance(found, list):
        for each in found:
            yield from examples(each)
    elif isinstance(found, dict):
        if "schema" in found and "example" in found:
            yield found["schema"], found["example"]
        for each in found.get("examples", {}).values() if "schema" in found else ():
            yield found["schema"], each["value"]
        for each in found.values():
            yield from examples(each)


async def test_the_page_needs_nothing_from_outside(acme: Any) -> None:
    """One file: no script, no link to another server, and a policy that forbids both."""
    page = await acme.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert re.findall(r"<script|<link|<img|<iframe|@import|url\(|src=", page.text) == []
    assert set(re.findall(r'href="([^"#][^"]*)"', page.text)) == {"/openapi.json"}
    for code in CATALOGUE:
        assert f'id="{code}"' in page.text


def test_every_code_is_told_with_whether_a_retry_helps() -> None:
    """The catalogue is what the documentation is made of: no line of it may be empty."""
    for code, kind in CATALOGUE.items():
        assert re.fullmatch(r"[A-Z_]+", code)
        assert 400 <= kind.http <= 503
        assert kind.when
        assert kind.retry_helps.startswith(("yes", "no"))
    assert msgspec.json.encode(CATALOGUE)
