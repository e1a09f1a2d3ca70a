"""`starship sandbox`: the API of a vendor, as its adapter brings it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING

import rich_click as click

from starship_core.cli.console import Call, grid, making
from starship_core.errors import ConfigError

if TYPE_CHECKING:
    from starship_core.sandboxes import Started


@click.command()
@click.argument("name", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=9101,
    show_default=True,
    help="The port to listen at; 0: any that is free.",
)
@making
async def sandbox(call: Call, name: str | None, host: str, port: int) -> None:
    """Run a vendor's API on this machine, to try things at.

    NAME is the sandbox's of an installed adapter; without it, those that are installed are listed.
    It answers as the vendor does, sells nothing that is worth anything, and forgets everything when
    it is stopped. What it prints at the start says how to be let in.

    \b
    Examples:
      starship sandbox
      starship sandbox bamboo --port 9101
      starship sandbox pinelabs --port 0 --json
    """
    from starship_core.sandboxes import installed, start

    if name is None:
        found = installed()
        rows = [(one.name, one.distribution, one.version) for one in found]
        call.answer(found, grid("sandbox", "of", "version", rows=rows))
        return
    with _listening(host, port) as listening:
        written = f"[{host}]" if ":" in host else host
        url = f"http://{written}:{listening.getsockname()[1]}"
        await _serve(call, name, start(name, url), (url, listening))


async def _serve(call: Call, name: str, started: Started, at: tuple[str, socket.socket]) -> None:
    """Until it is stopped; who reads the answer may connect at once, as the port is open."""
    import uvicorn

    from starship_core.embedded_sandboxes import LIFELINE

    url, listening = at
    document = {"name": name, "url": url, "about": started.about, "section": started.section}
    call.answer(
        document, "\n".join([f"{name}'s sandbox at {url}; stop it with Ctrl-C", *started.about])
    )
    sys.stdout.flush()
    if LIFELINE in os.environ:  # its starter is no more, and it holds nothing to be missed
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 0)
    config = uvicorn.Config(started.app, log_level="warning")
    await uvicorn.Server(config).serve(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """Raises ConfigError for an address that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with its protocol named, or asyncio leaves Nagle's delay on: 40 ms an answer
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        number = error.errno or 0
        told = os.strerror(number) if number > 0 else error.strerror
        raise ConfigError(
            f"cannot listen at {host}:{port}: {told}; choose another --host or --port"
        ) from None
    return listening
