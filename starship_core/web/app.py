"""The server's application: Litestar for routing, the gate around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from litestar import Litestar, Router, route
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from starship_core.http.errors import answer
from starship_core.http.exchange import App, Reply
from starship_core.http.openapi import document
from starship_core.metrics import Metrics
from starship_core.plugins import core_version
from starship_core.ship import Ship
from starship_core.web import catalogue, docs, explain, orders, status, wallets, webhooks
from starship_core.web.gate import Gate

ROOT: Final = "/api/v1"


def create_app(ship: Ship) -> App:
    """What an ASGI server runs. Nothing behind it is reachable but through the gate."""
    metrics = Metrics()
    return Gate(create_routes(ship, metrics), ship, metrics)


def create_routes(ship: Ship, metrics: Metrics) -> Litestar:
    """The routes alone, without the gate: for tests that walk them."""
    resources: list[HTTPRouteHandler] = [
        *catalogue.ROUTES,
        *orders.ROUTES,
        *wallets.ROUTES,
        *webhooks.ROUTES,
    ]
    if ship.config.deployment.environment == "test":
        resources.extend(explain.ROUTES)
    app = Litestar(
        [
            Router(ROOT, route_handlers=_with_options(resources)),
            *_with_options([*status.ROUTES, *docs.ROUTES]),
        ],
        exception_handlers={Exception: answer},
        openapi_config=None,
        logging_config=None,
        state=State(
            {
                "ship": ship,
                "metrics": metrics,
                "readiness": status.Readiness(ship),
                "version": core_version(),
            }
        ),
    )
    app.state.openapi = msgspec.json.encode(document(operations(app), version=app.state.version))
    return app


def _with_options(handlers: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Each path's OPTIONS first: Litestar's own knows only the path's first method."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    return [*(_options(path, ", ".join(sorted(each))) for path, each in methods.items()), *handlers]


def _options(path: str, allowed: str) -> HTTPRouteHandler:
    @route(path, http_method="OPTIONS", status_code=200)  # the reply itself says 204
    async def options() -> ASGIApp:
        return Reply(b"", {"Allow": allowed}, status=204)

    return options


def operations(app: Litestar) -> Sequence[tuple[str, HTTPRouteHandler]]:
    """Every (path, handler) that the server answers."""
    return [
        (each.path, handler)
        for each in app.routes
        if isinstance(each, HTTPRoute)
        for handler in each.route_handlers
    ]
