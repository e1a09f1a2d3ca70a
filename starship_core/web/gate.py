"""The gate: every request passes it before Litestar sees anything; closed by default.

Order of checks (client API, section 1): 401 for key, secret and address; 413; 401 for the
signature; 429. It wraps the application from outside, so that no route can be forgotten.
"""

from __future__ import annotations

import time
import zlib
from typing import Final

import structlog

from starship_core.access import Client, Credential, matches
from starship_core.http.errors import Problem, log_fault, problem_of, whole_seconds
from starship_core.http.exchange import (
    Answer,
    App,
    Gone,
    Receive,
    Scope,
    Send,
    read_body,
    read_headers,
    replaying,
    request_id_of,
)
from starship_core.limits import CHEAP, WHOLE, limit_key
from starship_core.metrics import Metrics
from starship_core.ship import Ship
from starship_core.signature import Request, parse, verify
from starship_core.web.peer import Peers, neighbourhood

PUBLIC: Final = frozenset({"/status", "/ready", "/metrics", "/docs", "/openapi.json"})
"""All that answers without a credential: these paths exactly."""
EXPLAIN: Final = "/api/v1/signature/explain"
"""In a test deployment a wrong signature is explained here instead of refused."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NOT_ROUTED: Final = "-"
_GONE: Final = 499  # how the metrics call a caller that did not wait
_log = structlog.get_logger("starship.gate")


class Gate:
    """The ASGI application that a server runs."""

    def __init__(self, app: App, ship: Ship, metrics: Metrics) -> None:
        self._app = app
        self._ship = ship
        self._metrics = metrics
        self._peers = Peers(ship.config.server.trusted_proxies)
        self._limits = ship.config.limits
        self._explains = ship.config.deployment.environment == "test"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        found = read_headers(scope["headers"])
        public = scope["path"] in PUBLIC
        method = scope["method"]
        answer = Answer(send, request_id_of(found), private=not public, head=method == "HEAD")
        scope.setdefault("state", {})["starship_request_id"] = answer.request_id
        # a copy, for the server must go on seeing HEAD
        inner = {**scope, "method": "GET"} if method == "HEAD" else scope
        try:
            if not public:
                receive = await self._admit(scope, found, receive)
            await self._app(inner, receive, answer)
        except Gone:
            answer.status = _GONE
        except Exception as error:  # noqa: BLE001  # nothing may reach the server's own log, or the client
            await _last_resort(answer, error, receive)
        finally:
            self._metrics.request(
                inner.get("path_template", _NOT_ROUTED),
                method if method in _METHODS else "other",
                answer.status or _GONE,
                seconds=time.perf_counter() - started,
            )

    async def _admit(self, scope: Scope, found: dict[bytes, bytes], receive: Receive) -> Receive:
        """All checks in their order; what the application then receives. Raises `Problem`."""
        state: Scope = scope["state"]
        credential = await self._credential(scope, found)
        body = await read_body(found, receive)
        fault = self._signature_fault(scope, found, body=body, credential=credential)
        if fault and not (self._explains and scope["path"] == EXPLAIN):
            raise await self._refusal(fault, scope, found, credential)
        await self._within_limit(credential.client, scope["method"], scope["path"])
        state["starship_client"] = credential.client
        state["starship_body"] = body
        state["starship_signature_fault"] = fault
        return replaying(body, receive)

    async def _credential(self, scope: Scope, found: dict[bytes, bytes]) -> Credential:
        key = found.get(b"x-api-key", b"").decode("latin-1")
        secret = found.get(b"x-api-secret", b"")
        credential = await self._ship.access.credential(key)
        if credential is None:
            matches(secret)  # takes what it takes for a known key
            raise await self._refusal("key", scope, found)
        if not credential.accepts(secret):
            raise await self._refusal("secret", scope, found, credential)
        if credential.allowlist and not credential.admits(
            self._peers.address(scope.get("client"), found.get(b"x-forwarded-for", b""))
        ):
            raise await self._refusal("address", scope, found, credential)
        return credential

    def _signature_fault(
        self,
        scope: Scope,
        found: dict[bytes, bytes],
        *,
        body: bytes,
        credential: Credential,
    ) -> str | None:
        sent = found.get(b"x-signature")
        if sent is None:
            return "signature missing" if credential.signature_required else None
        signature = parse(sent)
        if signature is None:
            return "signature malformed"
        path = scope.get("raw_path") or scope["path"].encode()
        return verify(
            Request(scope["method"], path, scope["query_string"], body),
            signature,
            credential.signing_secrets,
            now=self._ship.now().timestamp(),
        )

    async def _within_limit(self, client: Client, method: str, path: str) -> None:
        cost = WHOLE
        if method == "POST" and "/orders" in path:
            key, limit = limit_key(client, "orders"), client.orders_per_minute
            limit = self._limits.orders if limit is None else limit
        else:
            key, limit = limit_key(client, "reads"), client.reads_per_minute
            limit = self._limits.reads if limit is None else limit
            if "/orders/" in path:
                cost = CHEAP
        wait = await self._ship.limits.allow(key, limit, cost=cost)
        if wait is not None:
            raise _too_many(wait)

    async def _refusal(
        self,
        reason: str,
        scope: Scope,
        found: dict[bytes, bytes],
        credential: Credential | None = None,
    ) -> Problem:
        """The same 401 whatever the reason; too many of them from one address for one key: 429.

        A right call is never held up by the wrong ones before it: 256 random bits need no lockout,
        and a lockout would let one misconfigured machine stop a client's orders.
        """
        self._metrics.refused(reason)
        where = self._peers.address(scope.get("client"), found.get(b"x-forwarded-for", b""))
        bucket = zlib.crc32(found.get(b"x-api-key", b"")) % 256  # so that made-up keys fill nothing
        wait = await self._ship.limits.allow(
            f"auth:{neighbourhood(where)}:{bucket}", self._limits.failed_authentications
        )
        if wait is not None:
            return _too_many(wait)
        _log.warning(
            "auth.refused",
            reason=reason,
            address=str(where),
            credential=credential and credential.id,
            request_id=scope["state"]["starship_request_id"],
        )
        return Problem("E_UNAUTHORIZED_ACCESS", "Unauthorized access")


async def _last_resort(answer: Answer, error: Exception, receive: Receive) -> None:
    """What came out of the gate itself, or out of Litestar after it had begun to answer."""
    if answer.status:
        log_fault(error, answer.request_id)  # too late to say so; the server closes the connection
        return
    await answer.problem(problem_of(error, answer.request_id), receive)


def _too_many(wait: float) -> Problem:
    return Problem("TOO_MANY_REQUESTS", "slow down", headers={"Retry-After": whole_seconds(wait)})
