"""An application that nothing reaches but through a gate: closed by default, from outside.

What every gate has in common is here: request ids, headers of answers, metrics, HEAD, and that no
fault reaches the server's own log, or the caller.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starship_core.http.errors import Problem, log_fault, problem_of, whole_seconds
from starship_core.http.exchange import (
    Answer,
    App,
    Gone,
    Receive,
    Scope,
    Send,
    read_headers,
    request_id_of,
)
from starship_core.metrics import Metrics

Found = dict[bytes, bytes]
"""A request's headers, as far as they matter."""
Admit = Callable[[Scope, Found, Receive], Awaitable[Receive]]
"""All checks of a request; what the application then receives. Raises `Problem`."""
Headers = Sequence[tuple[bytes, bytes]]
NO_STORE: Final = (b"cache-control", b"no-store")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NOT_ROUTED: Final = "-"
_GONE: Final = 499  # how the metrics call a caller that did not wait


class Guarded:
    """`app` behind `admit`; `headers` are those of each answer beside the request's id."""

    def __init__(
        self, app: App, admit: Admit, headers: Callable[[Scope], Headers], metrics: Metrics
    ) -> None:
        self._app = app
        self._admit = admit
        self._headers = headers
        self._metrics = metrics

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
        method = scope["method"]
        answer = Answer(send, request_id_of(found), self._headers(scope), head=method == "HEAD")
        scope.setdefault("state", {})["starship_request_id"] = answer.request_id
        # a copy, for the server must go on seeing HEAD
        inner = {**scope, "method": "GET"} if method == "HEAD" else scope
        try:
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


async def _last_resort(answer: Answer, error: Exception, receive: Receive) -> None:
    """What came out of the gate itself, or out of Litestar after it had begun to answer."""
    if answer.status:
        log_fault(error, answer.request_id)  # too late to say so; the server closes the connection
        return
    await answer.problem(problem_of(error, answer.request_id), receive)


def too_many(wait: float) -> Problem:
    """429, with when to come again."""
    return Problem("TOO_MANY_REQUESTS", "slow down", headers={"Retry-After": whole_seconds(wait)})


def unauthorized() -> Problem:
    """The same 401 whatever the reason."""
    return Problem("E_UNAUTHORIZED_ACCESS", "Unauthorized access")
