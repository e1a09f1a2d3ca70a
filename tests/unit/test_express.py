"""The express way: who may go it, and that a handler cannot tell that it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp

from starship_core.http.exchange import AnyRequest, Reply
from starship_core.http.express import EXPRESS, Express


def app_of(*handlers: HTTPRouteHandler) -> Litestar:
    return Litestar(list(handlers), openapi_config=None, logging_config=None)


def nobody(_connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard."""


async def asked(app: Callable[..., Any], method: str, path: str) -> list[Any]:
    """What the application sends."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "headers": [(b"host", b"a")],
        "query_string": b"", "state": {},
    }  # fmt: skip
    await app(scope, None, send)
    return sent


async def test_a_handler_finds_what_the_router_leaves() -> None:
    """The same scope, but for Litestar's notes of its own; other methods are the router's."""
    found: list[dict[str, Any]] = []

    @post("/here", opt=EXPRESS)
    async def here(request: AnyRequest) -> ASGIApp:
        scope: dict[str, Any] = dict(request.scope)
        found.append({name: value for name, value in scope.items() if name != "state"})
        return Reply(b"{}")

    @get("/here")
    async def there(request: AnyRequest) -> ASGIApp:
        return Reply(request.method.encode())

    app = app_of(here, there)
    assert await asked(Express(app), "POST", "/here") == await asked(app, "POST", "/here")
    express, router = found
    assert express == router
    assert express["path_template"] == "/here"
    assert (await asked(Express(app), "GET", "/here"))[1]["body"] == b"GET"


def test_what_needs_the_router_is_refused() -> None:
    """A guard, a parameter, a handler that is told more: passed by, each would be a hole."""

    @post("/a", opt=EXPRESS, guards=[nobody])
    async def guarded(request: AnyRequest) -> ASGIApp:
        raise AssertionError

    @post("/b/{number:int}", opt=EXPRESS)
    async def with_parameter(request: AnyRequest) -> ASGIApp:
        raise AssertionError

    @post("/c", opt=EXPRESS)
    async def told_more(request: AnyRequest, state: State) -> ASGIApp:
        raise AssertionError

    @post("/d", opt=EXPRESS, sync_to_thread=False)
    def not_awaited(request: AnyRequest) -> ASGIApp:
        raise AssertionError

    for handler, path in (
        (guarded, "/a"), (with_parameter, "/b/{number:int}"), (told_more, "/c"),
        (not_awaited, "/d"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"^{path}: an express route is a function of"):
            Express(app_of(handler))
