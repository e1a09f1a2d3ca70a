"""`starship serve` and `starship up`: the server, alone or with all it needs brought along."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import rich_click as click

from starship_core.cli.console import Call, reading

if TYPE_CHECKING:
    from starship_core.config import Config
    from starship_core.ship import Ship

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_SERVER = "starship_core.web.server"
"""By name: commands that do not serve never load it."""
_WORKER = "starship_core.worker"


def _options(function: Decorated) -> Decorated:
    for option in (
        click.option("--host", metavar="ADDRESS", help="Instead of [server] host."),
        click.option("--port", type=click.IntRange(0, 65535), help="Instead of [server] port."),
        log_options,
    ):
        function = option(function)
    return function


def log_options(function: Decorated) -> Decorated:
    """For whatever runs until it is stopped: `--log-level` and `--log-format`."""
    for option in (
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            envvar="STARSHIP_LOG_LEVEL",
            show_default=True,
            help="Or STARSHIP_LOG_LEVEL.",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["auto", "json", "console"]),
            default="auto",
            envvar="STARSHIP_LOG_FORMAT",
            show_default=True,
            help="auto: JSON lines unless stderr is a terminal.",
        ),
    ):
        function = option(function)
    return function


@click.command()
@_options
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Server processes on this port (PostgreSQL only).",
)
@click.option("--fd", type=int, hidden=True, help="An inherited listening socket.")
@reading
def serve(call: Call, /, workers: int, fd: int | None, **options: Any) -> None:
    """Run one production server process.

    Refuses a database whose schema is not this release's. SIGTERM stops accepting, finishes what
    was accepted, and ends with exit status 0. Logs go to stderr.

    \b
    Examples:
      starship serve
      starship serve --host 0.0.0.0 --port 8080 --workers 4
    """
    config = configured(call, options)
    server = import_module(_SERVER)
    listener = server.bind(config.server.host, config.server.port, fd=fd)
    if workers == 1:
        announce = _announcer(call, "Serving") if fd is None else _unsaid
        run(server.serve(config, listener, announce))
        return
    if config.database.url.startswith("sqlite"):
        raise click.UsageError("SQLite has one writer: --workers needs PostgreSQL.")
    run(server.check(config))
    supervisor = import_module("starship_core.web.workers").Supervisor(
        _again(call, options), listener, workers
    )
    _announcer(call, "Serving")(server.Serving(server.url_of(listener), _environment(config)))
    sys.exit(supervisor.run())


@click.command()
@_options
@reading
def up(call: Call, /, **options: Any) -> None:
    """Run everything in one command: database, Redis, server, worker.

    For one machine: brings a Redis along unless one is configured, brings the schema up to date,
    serves, and does in the same process what `starship worker` does: pumps at once and every half
    hour, and all other sweeps. Ctrl-C or SIGTERM ends all of it.

    \b
    Examples:
      starship init shop --demo && cd shop && starship up
      starship up --port 9000
    """
    from starship_core.sweeps import registered

    config = configured(call, options)
    server = import_module(_SERVER)
    listener = server.bind(config.server.host, config.server.port)
    kinds = list(registered(config))
    announce = _announcer(call, "Up", worker=kinds)
    run(server.serve_embedded(config, listener, announce, _worker_beside))


@asynccontextmanager
async def _worker_beside(ship: Ship, redis_url: str) -> AsyncIterator[None]:
    """A worker that pumps at once: the Redis that was just brought along is empty."""
    from starship_core.sweeps import registered

    working = import_module(_WORKER).working
    async with working(ship, registered(ship.config), redis_url=redis_url) as worker:
        worker.wake("pump")
        yield


def configured(call: Call, options: dict[str, Any]) -> Config:
    """The file, what the command line says over it, and logging as it says."""
    from msgspec.structs import replace

    from starship_core.logs import configure

    level: Literal["debug", "info", "warning", "error"] = options["log_level"]
    configure(level, options["log_format"])
    config = call.config()
    chosen = {name: options[name] for name in ("host", "port") if options.get(name) is not None}
    return replace(config, server=replace(config.server, **chosen))


def _environment(config: Config) -> str:
    return config.deployment.environment


def _announcer(call: Call, word: str, **more: list[str]) -> Callable[[Any], None]:
    """`more` is what else runs in this process."""

    def announce(serving: Any) -> None:
        said = {"url": serving.url, "docs": serving.docs, "environment": serving.environment}
        lines = [f"{word}: {serving.url}  ({serving.environment})", f"Docs: {serving.docs}"]
        lines += [f"{name.capitalize()}: {', '.join(each)}" for name, each in more.items()]
        call.answer({**said, **more}, "\n".join(lines))
        sys.stdout.flush()

    return announce


def _unsaid(_serving: Any) -> None:
    """The supervisor has said it."""


def run(work: Any) -> None:
    import uvloop

    uvloop.run(work)


def _again(call: Call, options: dict[str, Any]) -> list[str]:
    """The command of one worker."""
    return [
        sys.executable,
        "-c",
        "from starship_core.cli import main; main()",
        "serve",
        *("--config", str(call.config_path)),
        *("--log-level", options["log_level"], "--log-format", options["log_format"]),
    ]
