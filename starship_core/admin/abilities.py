"""What a route asks of a token: closed by default, for Litestar calls `check` before every handler.

`reads` and `does` make a route's `opt=`: its description together with what it asks. A handler
without one of them answers 403 to everybody.
"""

from __future__ import annotations

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec.structs import replace

from starship_core.audit import By
from starship_core.http.errors import Problem
from starship_core.http.exchange import AnyRequest, request_id
from starship_core.http.openapi import Operation, documented
from starship_core.operators import Ability, Operator

READ: Final = {"ability": "read"}
"""Asked of nobody: every token reads."""


def reads(operation: Operation) -> dict[str, Any]:
    """For a route that changes nothing."""
    return documented(operation) | READ


def does(ability: Ability, operation: Operation) -> dict[str, Any]:
    """For a route that needs this ability."""
    told = replace(
        operation,
        about=f"{operation.about} Needs the ability `{ability}`.".strip(),
        errors=("FORBIDDEN", *operation.errors),
    )
    return documented(told) | {"ability": ability}


def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar's guard for the whole application. Raises 403, naming what is missing."""
    ability = handler.opt.get("ability")
    operator: Operator = connection.scope["state"]["starship_operator"]
    if ability == READ["ability"] or ability in operator.abilities:
        return
    raise Problem(
        "FORBIDDEN", f"this token may not {ability or 'come here'}", details={"ability": ability}
    )


def by(request: AnyRequest, reason: str) -> By:
    """Whose hand it is: the operator of the token."""
    operator: Operator = request.scope["state"]["starship_operator"]
    return By(actor=operator.actor, reason=reason, request_id=request_id(request))
