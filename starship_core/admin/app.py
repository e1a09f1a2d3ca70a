"""The operators' API, assembled: routes, the check of abilities, the gate around it all."""

from __future__ import annotations

from functools import cache
from typing import Final

import msgspec
from litestar import Litestar, Router, get
from litestar.types import ASGIApp

from starship_core.admin import orders, purchases, stock, switches, targets, work
from starship_core.admin.abilities import READ, check
from starship_core.admin.gate import Gate
from starship_core.http.errors import answer
from starship_core.http.exchange import AnyRequest, App, Reply
from starship_core.http.openapi import Api, document
from starship_core.http.routing import operations, with_options
from starship_core.metrics import Metrics
from starship_core.plugins import core_version
from starship_core.ship import Ship

ROOT: Final = "/admin/api/v1"
API: Final = Api(
    title="Starship operators' API",
    about=(
        "For operators and the tools that they use; clients' credentials open nothing here. "
        "`Authorization: Bearer op_…`, from `starship operator token create`. Every change is "
        "written down with the token's operator, the `reason` and the `X-Request-Id`. Errors have "
        "the shape and the codes of the client API."
    ),
    security=[{"token": []}],
    schemes={"token": {"type": "http", "scheme": "bearer"}},
)


@get("/openapi.json", opt=READ)
async def get_description(request: AnyRequest) -> ASGIApp:
    return Reply(request.app.state.openapi)


def create_admin(ship: Ship, metrics: Metrics) -> App:
    """What answers under `/admin/`. Nothing behind it is reachable but through its gate."""
    return Gate(create_routes(), ship, metrics)


@cache
def create_routes() -> Litestar:
    """The routes alone, without the gate, and without a deployment: one for the whole process."""
    routes = [
        *orders.ROUTES, *purchases.ROUTES, *stock.ROUTES, *targets.ROUTES, *switches.ROUTES,
        *work.ROUTES, get_description,
    ]  # fmt: skip
    app = Litestar(
        [Router(ROOT, route_handlers=with_options(routes, READ))],
        guards=[check],
        exception_handlers={Exception: answer},
        openapi_config=None,
        logging_config=None,
    )
    description = document(operations(app), API, version=core_version())
    app.state.openapi = msgspec.json.encode(description)
    return app
