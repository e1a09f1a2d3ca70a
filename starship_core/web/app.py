"""The server's application: Litestar for routing, the gate around it."""

from __future__ import annotations

from functools import cache
from typing import Final

import msgspec
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from starship_core.admin.app import create_admin
from starship_core.http.errors import answer
from starship_core.http.exchange import App, Receive, Scope, Send, Serving
from starship_core.http.express import Express
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
    serving = Serving(ship, Metrics(), readiness or status.Readiness(ship))
    explains = ship.config.deployment.environment == "test"
    clients = Gate(Express(create_routes(explains=explains)), ship, serving.metrics)
    operators = create_admin(ship, serving.metrics)

    async def doors(scope: Scope, receive: Receive, send: Send) -> None:
        """To the gate whose credentials are asked for; neither knows the other's."""
        scope.setdefault("state", {})["starship"] = serving
        for_operators = scope["type"] == "http" and scope["path"].startswith(OPERATORS)
        await (operators if for_operators else clients)(scope, receive, send)

    return doors


@cache
def create_routes(*, explains: bool) -> Litestar:
    """The routes alone, without the gate, and without a deployment: one for the whole process.

    `explains`: with the route that tells what is wrong with a signature.
    """
    resources: list[HTTPRouteHandler] = [
        *catalogue.ROUTES,
        *orders.ROUTES,
        *wallets.ROUTES,
        *webhooks.ROUTES,
    ]
    if explains:
        resources.extend(explain.ROUTES)
    app = Litestar(
        [
            Router(ROOT, route_handlers=with_options(resources)),
            *with_options([*status.ROUTES, *docs.ROUTES, *callbacks.ROUTES]),
        ],
        exception_handlers={Exception: answer},
        openapi_config=None,
        logging_config=None,
        state=State({"version": core_version()}),
    )
    app.state.openapi = msgspec.json.encode(
        document(operations(app), API, version=app.state.version)
    )
    return app
