"""Server processes that are killed at random moments and started again at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

STARSHIP: Final = Path(sys.executable).with_name("starship")
BOOT_SECONDS: Final = 60.0


class NoServer(Exception):
    """A server did not come back: the text is the end of its log."""


class Victim:
    """One `starship serve`; `port` is 0 while none answers."""

    def __init__(self, folder: Path, number: int) -> None:
        self.port = 0
        self.slowest_boot = 0.0
        self._folder = folder
        self._log = folder / f"server-{number}.log"
        self._process: Process | None = None

    async def start(self) -> None:
        """Returns when it answers; on any free port, so that no other program can be mistaken
        for it.
        """
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                STARSHIP, "serve", "--port", "0", "--json", cwd=self._folder, stdin=DEVNULL,
                stdout=PIPE, stderr=log,
            )  # fmt: skip
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                self.port = urlsplit(await self._announced(self._process)).port or 0
        except (TimeoutError, EOFError):
            raise NoServer(self._log.read_text()[-3000:]) from None
        self.slowest_boot = max(self.slowest_boot, time.monotonic() - began)

    @staticmethod
    async def _announced(process: Process) -> str:
        assert process.stdout is not None
        said = await process.stdout.readuntil(b"\n}\n")
        return str(json.loads(said)["url"])

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        self.port = 0
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, as an operator would; the exit status."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            await self.kill()
            return -9

    async def gone(self) -> None:
        """Whatever state it is in, it ends here."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()


class Killer:
    """Kills at `kills` moments drawn from the window; in a late one the next living server dies.
    What was not reached in it is made up for, in as much time again.
    """

    def __init__(self, victims: Sequence[Victim], chance: random.Random) -> None:
        self.kills = 0
        self.busy_kills = 0
        self._victims = victims
        self._chance = chance

    async def run(self, kills: int, seconds: float, in_flight: Callable[[], int]) -> None:
        """Until all is done; who was killed is back when this returns."""
        began = time.monotonic()
        moments = sorted(self._chance.uniform(0.2, seconds) for _ in range(kills))
        async with asyncio.TaskGroup() as restarts:
            for moment in moments:
                await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
                late = time.monotonic() > began + moment + 1
                victim = await self._alive(began + 2 * seconds, 1 if late else self._needed())
                if victim is None:
                    return
                busy = in_flight()
                await victim.kill()
                self.kills += 1
                self.busy_kills += busy > 0
                restarts.create_task(victim.start())

    def _needed(self) -> int:
        """Mostly all must be up: where nobody serves, a death interrupts nothing."""
        return 1 if self._chance.random() < 0.2 else len(self._victims)

    async def _alive(self, until: float, needed: int) -> Victim | None:
        while time.monotonic() < until:
            alive = [victim for victim in self._victims if victim.port]
            if len(alive) >= needed:
                await asyncio.sleep(self._chance.uniform(0, 0.5))  # not always just after its start
                return self._chance.choice(alive)
            await asyncio.sleep(0.02)
        return None
