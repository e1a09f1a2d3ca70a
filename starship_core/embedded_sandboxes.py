"""The sandboxes that `starship up --with-sandboxes` brings along: a process for each vendor.

The configuration says where: a vendor whose `base_url` is a port of this machine gets its adapter's
sandbox there, so whatever else reads the file finds it, too. Each ends with the process that
started it, also when that one is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from starship_core.config import Config
from starship_core.errors import ConfigError
from starship_core.plugins import find
from starship_core.sandboxes import installed

LIFELINE: Final = "STARSHIP_SANDBOX_LIFELINE"
"""Set in a sandbox's environment: its standard input is a pipe that only its starter holds."""
PATIENCE: Final = 30.0
"""Seconds a sandbox may take to come up."""
_HOSTS: Final = ("127.0.0.1", "localhost", "::1")


class Place(Struct, frozen=True, kw_only=True):
    """Which sandbox belongs where."""

    vendor: str
    """The section's name: `bamboo-eu`."""
    sandbox: str
    host: str
    port: int


class Running(Struct, frozen=True, kw_only=True):
    """A sandbox that answers."""

    url: str
    pid: int


def places(config: Config) -> list[Place]:
    """Every configured vendor on this machine whose adapter has a sandbox.

    Raises ConfigError in a live deployment, and when there is none.
    """
    if config.live:
        raise ConfigError(
            f"{config.path}: [deployment] environment is live; --with-sandboxes is for test"
        )
    offered = {one.name for one in installed()}
    found = [
        Place(vendor=vendor.instance_name, sandbox=vendor.plugin, host=address[0], port=address[1])
        for vendor in find(config).of_kind("vendor")
        if vendor.plugin in offered
        and (address := _here(config.vendors[vendor.instance_name])) is not None
    ]
    if not found:
        raise ConfigError(
            f"{config.path}: --with-sandboxes: no [vendors.NAME] has an adapter with a sandbox "
            "and a base_url such as http://127.0.0.1:9101; `starship init --with-sandboxes` "
            "writes such sections"
        )
    return found


def _here(section: Mapping[str, Any]) -> tuple[str, int] | None:
    """Host and port of an address on this machine; None for any other."""
    with suppress(ValueError):  # a port that is none
        address = urlsplit(str(section.get("base_url", "")))
        if address.scheme == "http" and address.hostname in _HOSTS and address.port:
            return address.hostname, address.port
    return None


@asynccontextmanager
async def sandboxes_at(wanted: Iterable[Place]) -> AsyncIterator[Mapping[str, Running]]:
    """By vendor, all of them answering until the block ends. Raises ConfigError."""
    async with AsyncExitStack() as stack:
        all_of_them = list(wanted)
        running = await asyncio.gather(
            *(_started(place, stack) for place in all_of_them), return_exceptions=True
        )
        for one in running:
            if isinstance(one, BaseException):
                raise one
        answering = (one for one in running if isinstance(one, Running))
        yield {place.vendor: one for place, one in zip(all_of_them, answering, strict=True)}


async def _started(place: Place, stack: AsyncExitStack) -> Running:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from starship_core.cli import main; main()", "sandbox"),
        *(place.sandbox, "--host", place.host, "--port", str(place.port), "--json"),
        env={**os.environ, LIFELINE: "1"},
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        start_new_session=True,  # Ctrl-C is for us: it stays until the last purchase is done
    )
    stack.push_async_callback(_ended, process)
    text = await _said(process)
    try:
        document = json.loads(text)
        return Running(url=document["url"], pid=process.pid)
    except (ValueError, KeyError):
        raise ConfigError(f"[vendors.{place.vendor}] its sandbox did not start: "
                          f"{_why(text)}") from None  # fmt: skip


async def _said(process: Process) -> str:
    """The first document that it writes; less of it when it ended before, or took too long."""
    lines: list[str] = []
    stdout = process.stdout
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while stdout is not None and (line := await stdout.readline()):
                lines.append(line.decode())
                if line == b"}\n":
                    break
    return "".join(lines)


def _why(text: str) -> str:
    try:
        return "; ".join(json.loads(text)["error"]["problems"])
    except (ValueError, KeyError, TypeError):
        return "it said nothing; try `starship sandbox` by itself"


async def _ended(process: Process) -> None:
    """At once: it holds nothing that anybody will miss."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
