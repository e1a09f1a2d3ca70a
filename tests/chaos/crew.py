"""Workers that are killed and stopped at load; a Redis that is restarted and hangs meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from starship_core.clock import micros, utc_now
from starship_core.store.slots import SECOND
from starship_core.sweeps import look
from tests.chaos.victims import STARSHIP
from tests.race.fleet import Fleet

COUNT: Final = 2
ACTS: Final = (
    ("worker kills", 20),
    ("worker stops", 5),
    ("redis restarts", 20),
    ("redis stops", 5),
)
"""In ten minutes, over all phases; at least one of each in any phase."""
TEN_MINUTES: Final = 600.0
AHEAD: Final = 39 * 60 * SECOND
FAST: Final = Path(__file__).with_name("fast_worker.py")


class Crew:
    """Two `starship worker` with auto-retry on, started again whenever they are killed; the second
    one's clock is 40 minutes ahead.
    """

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.plan: Counter[str] = Counter()
        self._fleet = fleet
        self._chance = chance
        self._log = fleet.folder / "workers.log"
        self._hands: list[Process] = []
        self._redis: subprocess.Popen[bytes] = fleet.redis.process
        self._restarted: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._hands = [await self._hand(place) for place in range(COUNT)]

    async def _hand(self, place: int) -> Process:
        program = [STARSHIP] if place == 0 else [sys.executable, FAST]
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *program, "worker", "--json", cwd=self._fleet.folder, stdin=DEVNULL,
                stdout=DEVNULL, stderr=log,
                env={**os.environ, "DISABLE_AUTO_ORDER_RETRY": "false"},
            )  # fmt: skip

    async def run(self, seconds: float, *, share: float) -> None:
        """All of `ACTS` that fall on this share of ten minutes; all are back when this returns."""
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "worker kills": self._kill,
            "worker stops": self._stop,
            "redis restarts": self._restart_redis,
            "redis stops": self._stop_redis,
        }
        self.plan = Counter({name: max(1, round(often * share)) for name, often in ACTS})
        moments = [(self._chance.uniform(1, seconds), name) for name in self.plan.elements()]
        began = time.monotonic()
        for moment, name in sorted(moments):
            await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
            await acts[name]()
            self.counts[name] += 1

    async def _kill(self) -> None:
        place = self._chance.randrange(COUNT)
        self._hands[place].kill()
        await self._hands[place].wait()
        self._hands[place] = await self._hand(place)

    async def _stop(self) -> None:
        hand = self._chance.choice(self._hands)
        hand.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(1, 4))
        hand.send_signal(signal.SIGCONT)

    async def _stop_redis(self) -> None:
        self._redis.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(0.5, 2))
        self._redis.send_signal(signal.SIGCONT)

    async def _restart_redis(self) -> None:
        self._redis.kill()
        await asyncio.to_thread(self._redis.wait)
        command: Any = self._redis.args
        with (self._fleet.folder / "redis.log").open("ab") as log:
            self._redis = self._restarted = await asyncio.to_thread(
                subprocess.Popen, command, stdin=DEVNULL, stdout=log, stderr=log
            )

    async def ends(self) -> list[int]:
        """SIGTERM to each, once it is at work; their exit statuses."""
        async with asyncio.timeout(60):
            while self._starting():  # noqa: ASYNC110  # another process does it
                await asyncio.sleep(0.1)
        for hand in self._hands:
            hand.terminate()
        async with asyncio.timeout(60):
            return [await hand.wait() for hand in self._hands]

    def _starting(self) -> bool:
        """One was started again a moment ago, and has not said yet that it began."""
        began = [line for line in self._log.read_text().splitlines() if "worker.began" in line]
        return not all(any(f":{hand.pid}:" in line for line in began) for hand in self._hands)

    async def gone(self) -> None:
        """Whatever state they are in."""
        for hand in self._hands:
            with contextlib.suppress(ProcessLookupError):
                hand.kill()
            await hand.wait()
        if self._restarted is not None:
            self._restarted.kill()
            await asyncio.to_thread(self._restarted.wait)

    # --- afterwards ------------------------------------------------------------------------------

    async def twice(self) -> list[str]:
        """Slots that two workers began under one claim, or ended twice; and those of the future."""
        early = await self._fleet.sql(
            "SELECT kind, slot FROM cron_slots WHERE slot > $1",
            micros(utc_now()) + 60 * SECOND,
        )
        found = [f"{kind}: slot {slot} was claimed before its time" for kind, slot in early]
        return slots_run_twice(self._log) + found

    def undone(self) -> list[str]:
        """Acts that were planned and not done."""
        return [
            f"{self.counts[name]} of {often} {name}"
            for name, often in self.plan.items()
            if self.counts[name] < often
        ]

    async def lost(self) -> list[str]:
        """Work that is due and that nobody gets done."""
        until = time.monotonic() + 90  # a slot of one that was killed is free after a minute
        while True:
            state = await look(self._fleet.ship)
            if not state.oldest or time.monotonic() > until:
                break
            await asyncio.sleep(0.5)
        found = [f"{kind}: due for {state.age(kind)} s" for kind in state.due if state.age(kind)]
        if not await self._fleet.sql("SELECT kind FROM sweep_runs WHERE kind = 'rates'"):
            found.append("no worker ever ran anything")
        skews = await self._fleet.sql("SELECT skew FROM workers")
        if not any(abs(skew) > AHEAD for (skew,) in skews):
            found.append("no worker's clock was ahead")
        return found


def slots_run_twice(log: Path) -> list[str]:
    """By the workers' own log."""
    began: Counter[tuple[str, int, int]] = Counter()
    ended: Counter[tuple[str, int]] = Counter()
    for line in log.read_text().splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # cut off by a kill
            continue
        if "slot" not in said:
            continue
        if said["event"] == "sweep.began":
            began[said["kind"], said["slot"], said["claims"]] += 1
        elif said["event"] == "sweep.ended" and said["result"] == "done":
            ended[said["kind"], said["slot"]] += 1
    found = [f"{claim}: begun {n} times" for claim, n in began.items() if n > 1]
    return [*found, *(f"{slot}: ended {n} times" for slot, n in ended.items() if n > 1)]
