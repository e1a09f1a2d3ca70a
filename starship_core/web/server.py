"""One server process: assembled, checked, warmed, served until it is told to stop, drained."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, Final

import structlog
import uvicorn
from msgspec import Struct

from starship_core import schema
from starship_core.config import Config
from starship_core.embedded import embedded_redis, redis_url
from starship_core.errors import ConfigError
from starship_core.garbage import leave_out_startup
from starship_core.http.exchange import App
from starship_core.logs import fault
from starship_core.ship import Ship
from starship_core.web.app import create_app
from starship_core.web.protocol import BoundedHead
from starship_core.web.status import Readiness

DRAIN_SECONDS: Final = 30
"""How long requests that were accepted may take after the order to stop."""
LIFELINE: Final = "STARSHIP_LIFELINE"
"""Set in a worker's environment: its standard input is a pipe that only its supervisor holds."""
_BACKLOG: Final = 2048
_TURN_SECONDS: Final = 0.0005
"""How long the event loop may keep SQLite's writer thread waiting for the interpreter, at each row
of each statement (measured beside the default of 5 ms: 2,770 orders a second instead of 2,470).
"""
_KEEP_ALIVE: Final = 75
_log = structlog.get_logger("starship.server")


class Serving(Struct, frozen=True):
    """What is being served, once it answers."""

    url: str
    environment: str

    @property
    def docs(self) -> str:
        return f"{self.url}/docs"


Announce = Callable[[Serving], None]
Beside = Callable[[Ship, str], AbstractAsyncContextManager[None]]
"""What runs in the same process while it serves: told the deployment and where Redis is."""


def bind(host: str, port: int, *, fd: int | None = None) -> socket.socket:
    """Listen, before anything costly is done; or take the inherited socket. Raises ConfigError."""
    if fd is not None:
        return socket.socket(fileno=fd)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(f"[server] {host}:{port}: {error.strerror or error}") from None
    # inherited by each connection: asyncio's own loop does not set it on a socket it is given, and
    # an answer's second packet would wait 40 ms for the caller to acknowledge the first
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def check(config: Config) -> None:
    """Refuse what would keep a server from starting: ConfigError, PluginError, Unavailable."""
    async with _ready_ship(config):
        pass


async def serve(config: Config, listener: socket.socket, announce: Announce) -> None:
    """Serve until SIGTERM or SIGINT; what was accepted is finished first. Raises as `check`.

    With `[server] notice_seconds`, `/ready` refuses for so long before the port closes.
    """
    async with _ready_ship(config) as ship:
        await _run(ship, listener, announce)


@asynccontextmanager
async def _ready_ship(config: Config) -> AsyncIterator[Ship]:
    async with Ship.open(config, redis_url=redis_url(config)) as ship:
        await schema.check(ship.database, ship.plugins.migrations())
        yield ship


async def serve_embedded(
    config: Config, listener: socket.socket, announce: Announce, beside: Beside
) -> None:
    """As `serve`, with all it needs: Redis, the schema brought up to date, a worker beside it."""
    async with AsyncExitStack() as stack:
        url = config.redis.url
        if url is None:
            url = await stack.enter_async_context(embedded_redis(config.folder))
        ship = await stack.enter_async_context(Ship.open(config, redis_url=url))
        await schema.upgrade(ship.database, ship.plugins.migrations())
        await stack.enter_async_context(beside(ship, url))
        await _run(ship, listener, announce)


async def _run(ship: Ship, listener: socket.socket, announce: Announce) -> None:
    asyncio.get_running_loop().set_exception_handler(_log_lost)
    if ship.database.dialect == "sqlite":
        sys.setswitchinterval(_TURN_SECONDS)
    readiness = Readiness(ship)
    config = uvicorn_config(create_app(ship, readiness))
    serving = Serving(url_of(listener), ship.config.deployment.environment)

    def answering() -> None:
        leave_out_startup()
        _log.info("server.ready", url=serving.url, pid=os.getpid())
        announce(serving)

    def draining() -> int:
        readiness.draining = True
        _log.info("server.draining", pid=os.getpid())
        return ship.config.server.notice_seconds

    lifeline = sys.stdin.fileno() if LIFELINE in os.environ else None
    await _Server(config, answering, draining, lifeline).serve(sockets=[listener])
    _log.info("server.stopped", pid=os.getpid())


def uvicorn_config(app: App) -> uvicorn.Config:
    """How a server process speaks HTTP."""
    return uvicorn.Config(
        app,
        http=BoundedHead,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the gate has rules of its own for X-Forwarded-For
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


class _Server(uvicorn.Server):
    """Says when it answers; ends with exit status 0 when it was told to stop.

    `draining` is told of the first order to stop, and says for how many seconds the port stays
    open; a second order closes it at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        answering: Callable[[], None],
        draining: Callable[[], int],
        lifeline: int | None,
    ) -> None:
        super().__init__(config)
        self._answering = answering
        self._draining: Callable[[], int] | None = draining
        self._lifeline = lifeline

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._answering()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The original raises the signal again at the end, and so dies of it."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, self._told_to_stop, each)
        if self._lifeline is not None:
            loop.add_reader(self._lifeline, self._cut)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)
            if self._lifeline is not None:
                loop.remove_reader(self._lifeline)

    def _told_to_stop(self, sig: int) -> None:
        draining, self._draining = self._draining, None
        notice = draining() if draining else 0
        if notice:  # never forces, unlike a second SIGINT would
            loop = asyncio.get_running_loop()
            loop.call_later(notice, self.handle_exit, signal.SIGTERM, None)
        else:
            self.handle_exit(sig, None)

    def _cut(self) -> None:
        """The supervisor held the other end of the pipe: it is no more."""
        if self._lifeline is not None:
            asyncio.get_running_loop().remove_reader(self._lifeline)
        self.handle_exit(signal.SIGTERM, None)


def _log_lost(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception that nobody waited for: its class and place, not its text."""
    error = context.get("exception")
    _log.error(
        "server.lost_exception",
        about=str(context.get("message", "")).partition("\n")[0],
        **(fault(error) if isinstance(error, BaseException) else {}),
    )


def url_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  # only shown
    return f"http://{shown}:{port}"
