"""A worker process with one slow sweep, for tests that kill and stop it in the middle.

Arguments: the deployment's folder, a name, and how many milliseconds a lease lasts. It appends to
`diary`: `began NAME`, then `ended NAME` once there is a file `go`, or when its name is not `slow`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from starship_core import worker
from starship_core.config import load
from starship_core.ship import Ship
from starship_core.store import slots
from starship_core.sweeps import Sweep


async def main(folder: Path, name: str, lease: int) -> None:
    slots.HELD = lease * 1000  # type: ignore[misc]  # a minute is long for a test
    worker.POLL_SECONDS = 0.1  # type: ignore[misc]

    def note(what: str) -> None:
        with (folder / "diary").open("a") as diary:
            diary.write(f"{what} {name}\n")

    async def run(_ship: Ship) -> int:
        note("began")
        while True:
            if name != "slow" or (folder / "go").exists():
                break
            await asyncio.sleep(0.02)
        note("ended")
        return 1

    sweep = Sweep(kind="test", about="", run=run, every=24 * 60 * 60)
    async with Ship.open(load(folder / "starship.toml")) as ship:
        works = worker.Worker(ship, {"test": sweep}, redis_url=None)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, works.stop)
        await works.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
