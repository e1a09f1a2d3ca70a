"""An express way past the router, for the few paths that are asked for hundreds of times a second.

A route opts in with `opt=EXPRESS`. It stays Litestar's own in every other respect: description,
OPTIONS, 405, its other methods, and every spelling of its path but the exact one.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from starship_core.http.exchange import AnyRequest, App, Receive, Send
from starship_core.http.routing import operations

EXPRESS: Final[Mapping[str, Any]] = {"express": True}
"""For `opt=` of a route whose path has no parameters, and whose handler asks for the request only.
"""
_PLAIN_HOST: Final = re.compile(rb"[0-9A-Za-z.:\-]*")


class _Route(NamedTuple):
    answer: Callable[[AnyRequest], Awaitable[ASGIApp]]
    leaves: Mapping[str, Any]
    """What the router would leave in the scope."""


class Express:
    """`app`, whose express routes are called without it: the same answers for less work.

    What a handler raises is left to the gate, which words it as `app` does. Raises TypeError for a
    route that needs what only Litestar does.
    """

    def __init__(self, app: Litestar) -> None:
        self._app: App = app
        self._exact: dict[tuple[Any, Any], _Route] = {
            (method, path): _route(app, path, handler)
            for path, handler in operations(app)
            if handler.opt.get("express")
            for method in handler.http_methods
        }

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        route = self._exact.get((scope.get("method"), scope.get("path")))
        if route is None or not _has_plain_host(scope["headers"]):
            await self._app(scope, receive, send)
            return
        scope.update(route.leaves)
        reply: App = await route.answer(Request(scope))
        await reply(scope, receive, send)


def _route(app: Litestar, path: str, handler: HTTPRouteHandler) -> _Route:
    needs_litestar = (
        handler.resolve_guards()
        or handler.resolve_middleware()
        or handler.resolve_before_request()
        or handler.resolve_after_response()
        or handler.cache
        or handler.has_sync_callable
        or list(handler.parsed_fn_signature.parameters) != ["request"]
    )
    if needs_litestar or "{" in path:
        raise TypeError(f"{path}: an express route is a function of the request and no more")
    leaves = {
        "app": app, "litestar_app": app, "route_handler": handler, "path_template": path,
        "path_params": {},
    }  # fmt: skip
    return _Route(handler.fn, leaves)


def _has_plain_host(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Litestar refuses some hosts; whatever is not obviously one, it judges itself."""
    for name, value in headers:
        if name == b"host":
            return _PLAIN_HOST.fullmatch(value) is not None
    return True
