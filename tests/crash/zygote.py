"""A process that has imported everything, and forks once for each crash.

Requests and answers are lines of JSON. `record` runs a scene to its end and names its points;
`kill` runs it until a point, where the child is killed; `recover` is the restart: verify, do it
again, verify, and tell the state.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

import starship_core.catalogue
import starship_core.flows.retry_order
import starship_core.pool
import starship_core.ship
from starship_core.access import Client
from starship_core.config import Config, load
from starship_core.flows.verify import verify
from starship_core.logs import configure
from starship_core.plugins import Plugins, find
from starship_core.ship import Ship
from starship_core.stock.mirror import mirror
from tests.crash.points import Points, watch_all
from tests.crash.scenes import NOW, SCENES, TRANSPORTS, Scene, state_of
from tests.integration.ships import Dock, Shelf

_clients = msgspec.json.Decoder(tuple[Client, Client]).decode


@asynccontextmanager
async def scene_of(asked: dict[str, Any], now: datetime) -> AsyncIterator[Scene]:
    async with Ship.open(load(Path(asked["file"]), {}), now=lambda: now) as ship:
        yield Scene(Dock(ship=ship, shelf=Shelf()), *_clients(asked["clients"]))


async def interrupted(asked: dict[str, Any]) -> dict[str, Any]:
    """Run the scene; the process is killed at the chosen point, if it comes there."""
    points = Points(asked.get("at"))
    async with scene_of(asked, NOW) as scene:
        await mirror(scene.dock.ship.database, scene.dock.ship.pool)
        await scene.dock.ship.catalogue.current()
        before = await state_of(scene.dock)
        watch_all(scene.dock.ship, points, *TRANSPORTS)
        points.armed = True
        await SCENES[asked["scene"]](scene)
        points.armed = False
        return {"points": points.names, "before": before, "after": await state_of(scene.dock)}


async def recover(asked: dict[str, Any]) -> dict[str, Any]:
    """What a restart finds, and what is there after everybody asked again."""
    async with scene_of(asked, NOW + timedelta(minutes=1)) as scene:
        ship = scene.dock.ship
        broken = [str(each) for each in await verify(ship)]
        found = await state_of(scene.dock)
        await SCENES[asked["scene"]](scene)
        broken += [str(each) for each in await verify(ship)]
        return {"broken": broken, "found": found, "ended": await state_of(scene.dock)}


def main() -> None:
    starship_core.pool.DEADLINE = 30.0  # type: ignore[misc]  # a laden machine is not a hung Redis
    starship_core.catalogue.LOOK_EVERY = 3600.0  # type: ignore[misc]  # the same calls in each run
    starship_core.flows.retry_order.CHUNK = 20  # type: ignore[misc]  # bulk in three chunks
    setattr(starship_core.ship, "find", _found_once)  # noqa: B010  # the name is not its own
    configure("error")  # to stderr: answers alone are on stdout
    for line in sys.stdin:
        asked = json.loads(line)
        if not _FOUND:
            asyncio.run(_warmed(asked))
        print(json.dumps(_forked(asked)), flush=True)  # noqa: T201  # the answer


_FOUND: list[Plugins] = []


def _found_once(config: Config, _offered: object = None) -> Plugins:
    """Every run has the same plugins: they are looked for before the first fork."""
    if not _FOUND:
        _FOUND.append(find(config))
    return _FOUND[0]


async def _warmed(asked: dict[str, Any]) -> None:
    """Import and read before the first fork what every child would: a restart that only looks."""
    async with scene_of(asked, NOW) as scene:
        await verify(scene.dock.ship)
        await state_of(scene.dock)
    gc.collect()
    gc.freeze()


def _forked(asked: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _child(asked, writing)
    os.close(writing)
    with os.fdopen(reading) as answers:
        text = answers.read()
    _, status = os.waitpid(child, 0)
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"killed": killed} | (json.loads(text) if text else {})


def _child(asked: dict[str, Any], writing: int) -> None:
    work = recover if asked["do"] == "recover" else interrupted
    try:
        answer = asyncio.run(work(asked))
    except BaseException:  # noqa: BLE001  # whatever it was, the test prints it
        answer = {"error": traceback.format_exc()}
    with os.fdopen(writing, "w") as out:
        out.write(json.dumps(answer))
    os._exit(0)


if __name__ == "__main__":
    main()
