"""Routes as Litestar has them: every path with an OPTIONS that knows all its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Litestar, route
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from starship_core.http.exchange import Reply


def with_options(
    handlers: Sequence[HTTPRouteHandler], opt: Mapping[str, Any] | None = None
) -> list[HTTPRouteHandler]:
    """Each path's OPTIONS first: Litestar's own knows only the path's first method.

    `opt`: of each OPTIONS.
    """
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    answers = [_options(path, ", ".join(sorted(each)), opt or {}) for path, each in methods.items()]
    return [*answers, *handlers]


def _options(path: str, allowed: str, opt: Mapping[str, Any]) -> HTTPRouteHandler:
    @route(path, http_method="OPTIONS", status_code=200, opt=opt)  # the reply itself says 204
    async def options() -> ASGIApp:
        return Reply(b"", {"Allow": allowed}, status=204)

    return options


def operations(app: Litestar) -> Sequence[tuple[str, HTTPRouteHandler]]:
    """Every (path, handler) that the application answers; always in the same order."""
    return [
        (each.path, handler)
        for each in app.routes
        if isinstance(each, HTTPRoute)
        for handler in sorted(each.route_handlers, key=lambda one: sorted(one.http_methods))
    ]
