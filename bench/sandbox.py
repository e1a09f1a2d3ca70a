"""An adapter's sandbox in a process of its own, without limits and with money and stock enough.

Named by its argument. Prints the section that it lets in, as JSON, and ends when its standard input
does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import uvicorn
from starship_bamboo import sandbox as bamboo
from starship_bamboo.sandbox import start as bamboo_start
from starship_pinelabs import sandbox as pinelabs
from starship_pinelabs.sandbox import start as pinelabs_start
from starship_voucherkart import sandbox as voucherkart
from starship_voucherkart.sandbox import start as voucherkart_start

Made = tuple[Any, Callable[[str], Mapping[str, Any]]]
_RICH: Final = Decimal(10**12)


def _bamboo() -> Made:
    """Its orders have ended when they are first looked up."""
    world = bamboo.World(bamboo.Settings(limits=False, steps=0))
    world.accounts[4001].balance = _RICH
    return bamboo.sandbox_app(world), lambda url: bamboo_start.section(world, url)


def _pinelabs() -> Made:
    world = pinelabs.World(wallet=_RICH)
    return pinelabs.sandbox_app(world), lambda url: pinelabs_start.section(world, url)


def _voucherkart() -> Made:
    world = voucherkart.World(wallet=_RICH)
    world.goods["DEMO1"] = replace(world.goods["DEMO1"], stock=10**9)
    return voucherkart.sandbox_app(world), lambda url: voucherkart_start.section(world, url)


SANDBOXES: Final = {"bamboo": _bamboo, "pinelabs": _pinelabs, "voucherkart": _voucherkart}


async def main() -> None:
    app, section = SANDBOXES[sys.argv[1]]()
    # with its protocol named, or asyncio leaves Nagle's delay on: 40 ms an answer
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    print(json.dumps(section(url)), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(main())
