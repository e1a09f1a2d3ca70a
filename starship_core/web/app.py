"""The server's application: Litestar for routing, the gate around it."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from starship_core.admin.app import create_admin
from starship_core.http.errors import answer
from starship_core.http.exchange import App, Receive, Scope, Send
from starship_core.http.openapi import document
from starship_core.http.routing import operations, with_options
from starship_core.metrics import Metrics
from starship_core.plugins import core_version
from starship_core.ship import Ship
from starship_core.web import (
    callbacks,
    catalogue,
    docs,
    explain,
    orders,
    status,
    wallets,
    webhooks,
)
from starship_core.web.description import API
from starship_core.web.gate import Gate

ROOT: Final = "/api/v1"
OPERATORS: Final = "/admin/"


def create_app(ship: Ship, readiness: status.Readiness | None = None) -> App:
    """What an ASGI server runs. Nothing behind it is reachable but through one of two gates.

    Who gives it a `readiness` can tell it that the process is about to stop.
    """
    metrics = Metrics()
    clients = Gate(create_routes(ship, metrics, readiness), ship, metrics)
    operators = create_admin(ship, metrics)

    async def doors(scope: Scope, receive: Receive, send: Send) -> None:
        """To the gate whose credentials are asked for; neither knows the other's."""
        for_operators = scope["type"] == "http" and scope["path"].startswith(OPERATORS)
        await (operators if for_operators else clients)(scope, receive, send)

    return doors


def create_routes(
    ship: Ship, metrics: Metrics, readiness: status.Readiness | None = None
) -> Litestar:
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
            Router(ROOT, route_handlers=with_options(resources)),
            *with_options([*status.ROUTES, *docs.ROUTES, *callbacks.ROUTES]),
        ],
        exception_handlers={Exception: answer},
        openapi_config=None,
        logging_config=None,
        state=State(
            {
                "ship": ship,
                "metrics": metrics,
                "readiness": readiness or status.Readiness(ship),
                "version": core_version(),
            }
        ),
    )
    app.state.openapi = msgspec.json.encode(
        document(operations(app), API, version=app.state.version)
    )
    return app
