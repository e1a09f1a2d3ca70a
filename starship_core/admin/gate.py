"""The operators' gate: every request under `/admin/` passes it before Litestar sees anything.

Order of checks: 401 for the token; 413; 429. What a token may do is asked route by route
(`admin/abilities.py`). Clients' credentials open nothing here.
"""

from __future__ import annotations

from typing import Final

import structlog

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
from starship_core.metrics import Metrics
from starship_core.operators import Operator
from starship_core.ship import Ship

_HEADERS: Final[Headers] = (
    NO_STORE,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Of every answer. None of CORS: no page of another origin has business here."""
_log = structlog.get_logger("starship.gate")


class Gate:
    """The application of operators, closed but for their tokens; nothing in it is public."""

    def __init__(self, app: App, ship: Ship, metrics: Metrics) -> None:
        self._guarded = Guarded(app, self._admit, lambda _scope: _HEADERS, metrics)
        self._ship = ship
        self._metrics = metrics
        self._peers = Peers(ship.config.server.trusted_proxies)
        self._limits = ship.config.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guarded(scope, receive, send)

    async def _admit(self, scope: Scope, found: Found, receive: Receive) -> Receive:
        """All checks in their order; what the application then receives. Raises `Problem`."""
        operator = await self._ship.operators.operator(_token(found))
        if operator is None:
            raise await self._refusal(scope, found)
        body = await read_body(found, receive)
        await self._within_limit(operator)
        scope["state"]["starship_operator"] = operator
        scope["state"]["starship_body"] = body
        return replaying(body, receive)

    async def _within_limit(self, operator: Operator) -> None:
        key = f"operator:{operator.token_id}"
        wait = await self._ship.limits.allow(key, self._limits.operators)
        if wait is not None:
            raise too_many(wait)

    async def _refusal(self, scope: Scope, found: Found) -> Problem:
        """The same 401 whatever the reason; too many of them from one address: 429.

        A right call is never held up by the wrong ones before it: 256 random bits need no lockout.
        """
        self._metrics.refused("token")
        where = self._peers.address(scope.get("client"), found.get(b"x-forwarded-for", b""))
        wait = await self._ship.limits.allow(
            f"token:{neighbourhood(where)}", self._limits.failed_authentications
        )
        if wait is not None:
            return too_many(wait)
        request_id = scope["state"]["starship_request_id"]
        _log.warning("auth.refused", reason="token", address=str(where), request_id=request_id)
        return unauthorized()


def _token(found: Found) -> str:
    """What follows `Bearer`; empty when there is nothing of the kind."""
    scheme, _, token = found.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
