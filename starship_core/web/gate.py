"""The gate: every request passes it before Litestar sees anything; closed by default.

Order of checks (client API, section 1): 401 for key, secret and address; 413; 401 for the
signature; 429. It wraps the application from outside, so that no route can be forgotten.
"""

from __future__ import annotations

import zlib
from typing import Final

import structlog

from starship_core.access import Client, Credential, matches
from starship_core.http.errors import Problem
from starship_core.http.exchange import App, Receive, Scope, Send, read_body, replaying
from starship_core.http.guarded import (
    NO_STORE,
    Found,
    Guarded,
    Headers,
    too_many,
    unauthorized,
)
from starship_core.http.peer import Peers, neighbourhood
from starship_core.limits import CHEAP, WHOLE, limit_key
from starship_core.metrics import Metrics
from starship_core.ship import Ship
from starship_core.signature import Request, parse, verify

PUBLIC: Final = frozenset({"/status", "/ready", "/metrics", "/docs", "/openapi.json"})
"""All that answers without a credential: these paths exactly."""
CALLBACK: Final = "/vendors/{instance}/callback"
"""Where a vendor that is configured, and whose plugin reads callbacks, may POST without one."""
EXPLAIN: Final = "/api/v1/signature/explain"
"""In a test deployment a wrong signature is explained here instead of refused."""
_PRIVATE: Final = (NO_STORE,)
_log = structlog.get_logger("starship.gate")


class Gate:
    """The ASGI application that a server runs."""

    def __init__(self, app: App, ship: Ship, metrics: Metrics) -> None:
        self._guarded = Guarded(app, self._admit, _headers, metrics)
        self._ship = ship
        self._metrics = metrics
        self._peers = Peers(ship.config.server.trusted_proxies)
        self._limits = ship.config.limits
        self._callbacks = frozenset(
            CALLBACK.format(instance=vendor.name)
            for vendor in ship.vendors.values()
            if hasattr(vendor.port, "reference")
        )
        self._explains = ship.config.deployment.environment == "test"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guarded(scope, receive, send)

    async def _admit(self, scope: Scope, found: Found, receive: Receive) -> Receive:
        """All checks in their order; what the application then receives. Raises `Problem`."""
        if scope["path"] in PUBLIC:
            return receive
        if scope["method"] == "POST" and scope["path"] in self._callbacks:
            return await self._hear(scope, found, receive)
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

    async def _hear(self, scope: Scope, found: Found, receive: Receive) -> Receive:
        """A vendor's callback is anybody's word: so many an address, and of so many bytes."""
        where = self._peers.address(scope.get("client"), found.get(b"x-forwarded-for", b""))
        key = f"callback:{neighbourhood(where)}"
        wait = await self._ship.limits.allow(key, self._limits.callbacks)
        if wait is not None:
            raise too_many(wait)
        scope["state"]["starship_body"] = body = await read_body(found, receive)
        return replaying(body, receive)

    async def _credential(self, scope: Scope, found: Found) -> Credential:
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
        found: Found,
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
            raise too_many(wait)

    async def _refusal(
        self,
        reason: str,
        scope: Scope,
        found: Found,
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
            return too_many(wait)
        _log.warning(
            "auth.refused",
            reason=reason,
            address=str(where),
            credential=credential and credential.id,
            request_id=scope["state"]["starship_request_id"],
        )
        return unauthorized()


def _headers(scope: Scope) -> Headers:
    return () if scope["path"] in PUBLIC else _PRIVATE
