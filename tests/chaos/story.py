"""Two phases: two servers on PostgreSQL, then one on SQLite; each is checked at its end."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from starship_core import schema
from starship_core.database import opened
from starship_core.testing.fixtures import _created, installed_migrations
from starship_core.testing.servers import RedisServer, postgresql, redis_server
from tests.chaos.checks import Readings, codes, one_order_a_key, untrue, wallets
from tests.chaos.crew import TEN_MINUTES, Crew
from tests.chaos.load import PRODUCTS, Load
from tests.chaos.market import Market, market
from tests.chaos.operating import Operator
from tests.chaos.victims import Killer, NoServer, Victim
from tests.race.fleet import Fleet, launched

A_SECOND: Final = 40.0
"""New orders: two or three are always under way, and all can be read back afterwards."""
BUYERS: Final = 8
EVIDENCE: Final = 5
"""Sentences printed a check."""


class Phase(Struct, frozen=True, kw_only=True):
    """What is attacked, how long, and how often."""

    name: str
    servers: int
    seconds: float
    kills: int
    share: float
    """Of all that workers and Redis have to bear in ten minutes."""
    reading: float
    """Seconds that reading back may take."""


class Ended(Struct, kw_only=True):
    """A phase's figures, and what its checks found: sentences by name."""

    figures: dict[str, str]
    checks: dict[str, list[str]]
    attacks: Counter[str]


class Attack:
    """One phase on one deployment."""

    def __init__(self, phase: Phase, fleet: Fleet, vendor: Market, seed: int) -> None:
        self.phase, self.fleet, self.vendor = phase, fleet, vendor
        self.victims = [Victim(fleet.folder, number) for number in range(phase.servers)]
        chance = random.Random(f"{seed} {phase.name}")
        self.chance = chance
        self.killer = Killer(self.victims, chance)
        self.crew = Crew(fleet, chance)

    async def run(self) -> Ended:
        buyers = [await self.fleet.buyer(f"client-{n}", "10000000.00") for n in range(BUYERS)]
        for product in range(1, PRODUCTS + 1):
            await self.fleet.stock(product, 20)
        bought = await self.vendor.stall(self.fleet.ship)
        self.load = Load(self.victims, buyers, self.chance, bought=bought)
        self.operator = Operator(self.fleet, self.load, self.chance, bought=bought)
        try:
            await asyncio.gather(*[victim.start() for victim in self.victims])
            await self.crew.start()
            await self._storm()
            return await self._calm()
        finally:
            await self.crew.gone()
            for victim in self.victims:
                await victim.gone()

    async def _storm(self) -> None:
        """Load for as long as there are attacks: all that are planned, however slow the machine."""
        phase, over = self.phase, asyncio.Event()

        def going_on() -> bool:
            return not over.is_set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.load.run_while(going_on, a_second=A_SECOND))
            tasks.create_task(self.operator.run_while(going_on))
            async with asyncio.TaskGroup() as attacks:
                attacks.create_task(asyncio.sleep(phase.seconds))
                attacks.create_task(self.crew.run(phase.seconds, share=phase.share))
                attacks.create_task(
                    self.killer.run(phase.kills, phase.seconds, lambda: self.load.in_flight)
                )
            over.set()

    async def _calm(self) -> Ended:
        """Nobody dies any more: look at everything."""
        load, fleet = self.load, self.fleet
        await self.operator.drain()
        lost_work = await self.crew.lost()
        hands = await self.crew.ends()
        readings = Readings(load, self.victims[-1])
        await readings.read(time.monotonic() + self.phase.reading)
        read = [asked for asked in load.asked if asked.key in readings.orders]
        twice, lost = await codes(fleet, load)
        money = await wallets(fleet, load, self.victims[-1].port)
        began = time.monotonic()
        violations = await fleet.faults()
        verified = time.monotonic() - began
        ends = [await victim.stop() for victim in self.victims]
        checks = {
            "every request was answered 200": load.faults + self._unanswered(),
            "every answer is true": [
                each for asked in read for each in untrue(asked, readings.orders[asked.key])
            ],
            "every order can be read": readings.faults,
            "every key is one order": await one_order_a_key(fleet, load),
            "no code was handed out twice": twice,
            "no code is lost": lost,
            "wallets hold what they should": money,
            "starship verify is clean": violations,
            "the operator met no fault": self.operator.faults,
            "no cron slot was run twice": await self.crew.twice(),
            "no work is lost": lost_work,
            "nothing was bought twice": await self.vendor.wrong(fleet),
            "workers and Redis bore all that was planned": self.crew.undone(),
            "workers end with 0": [f"a worker ended with {each}" for each in hands if each],
            "servers were killed, came back, and end with 0": self._deaths(ends),
        }
        figures = self._figures() | {
            "orders read back": f"{len(read)}",
            "verify": f"{verified:.1f} s",
        }
        attacks = Counter({"server kills": self.killer.kills, **self.crew.counts})
        return Ended(figures=figures, checks=checks, attacks=attacks)

    def _unanswered(self) -> list[str]:
        return [f"{asked.key}: no answer at all" for asked in self.load.asked if not asked.answers]

    def _deaths(self, ends: Sequence[int]) -> list[str]:
        found = [f"server {n} ended with {status}" for n, status in enumerate(ends) if status]
        if self.killer.kills < self.phase.kills:
            found.append(f"{self.killer.kills} of {self.phase.kills} kills")
        return found

    def _statuses(self) -> dict[str, str]:
        firsts = [asked.answers[0]["status"] for asked in self.load.asked if asked.answers]
        return {f"first answered {name}": str(n) for name, n in sorted(Counter(firsts).items())}

    def _figures(self) -> dict[str, str]:
        counts, acts = self.load.counts, self.operator.counts
        return {
            "kills": f"{self.killer.kills} of {self.phase.kills}",
            "kills while an order was under way": str(self.killer.busy_kills),
            "slowest start": f"{max(victim.slowest_boot for victim in self.victims):.1f} s",
            **{
                name: f"{self.crew.counts[name]} of {often}"
                for name, often in sorted(self.crew.plan.items())
            },
            "bought from the vendor": str(len(self.vendor.world.orders)),
            "orders": str(len(self.load.asked)),
            "answers": str(counts["answers"]),
            "of them replays": str(counts["replayed"]),
            "asked again without an answer": str(counts["unanswered"]),
            "asked again after a 503": str(counts["unavailable"]),
            **self._statuses(),
            "vouchers put in": str(sum(map(len, self.fleet.made.values()))),
            **{
                f"operator: {name}": str(acts[name])
                for name in ("pumps", "retries", "approvals", "cancels", "flushes", "refused")
            },
        }


def phases(seconds: int, kills: int) -> list[Phase]:
    """Four fifths of the time are load; the rest is for starting, reading back and verifying."""
    few = max(1, kills // 4)
    part = seconds / TEN_MINUTES
    return [
        Phase(
            name="PostgreSQL, 2 servers", servers=2, seconds=0.55 * seconds, kills=kills - few,
            share=0.7 * part, reading=10 + 0.15 * seconds,
        ),
        Phase(
            name="SQLite, 1 server", servers=1, seconds=0.25 * seconds, kills=few,
            share=0.3 * part, reading=5 + 0.08 * seconds,
        ),
    ]  # fmt: skip


async def attacked(phase: Phase, folder: Path, where: tuple[str, RedisServer], seed: int) -> Ended:
    url, redis = where
    async with opened(url, folder=folder, connections=1) as database:
        await schema.upgrade(database, installed_migrations())
    async with (
        market(random.Random(seed)) as vendor,
        launched(folder, url, redis, configured=vendor.configured) as fleet,
    ):
        return await Attack(phase, fleet, vendor, seed).run()


@contextmanager
def database_of(phase: Phase, folder: Path) -> Iterator[str]:
    """An empty one."""
    if phase.servers == 1:
        yield f"sqlite:///{folder / 'starship.db'}"
    elif chosen := os.environ.get("STARSHIP_TEST_DATABASE_URL"):
        with _created(chosen, "template1") as url:
            yield url
    else:
        with postgresql(folder / "pg") as url:
            yield url


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="tests/chaos/run.py", description=__doc__)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--kills", type=int, help="left out: 200 in ten minutes, at least 15")
    parser.add_argument("--seed", type=int, help="of the moments and the load; printed")
    given = parser.parse_args(arguments)
    seed = random.randrange(10**6) if given.seed is None else given.seed
    kills = given.kills or max(15, min(200, given.seconds // 3))
    console = Console(highlight=False)
    console.print(f"chaos: {kills} kills in {given.seconds} s, seed {seed}")
    found: dict[str, list[str]] = {}
    attacks: Counter[str] = Counter()
    for phase in phases(given.seconds, kills):
        with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
            ended = _phase(phase, Path(name), seed, console)
        found |= {f"{phase.name}: {check}": said for check, said in ended.checks.items()}
        attacks += ended.attacks
    failed = sum(bool(evidence) for evidence in found.values())
    console.print("all in all", ", ".join(f"{n} {name}" for name, n in attacks.items()))
    console.print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _phase(phase: Phase, folder: Path, seed: int, console: Console) -> Ended:
    with redis_server(folder / "redis") as redis, database_of(phase, folder) as url:
        try:
            ended = asyncio.run(attacked(phase, folder, (url, redis), seed))
        except* NoServer as gone:
            said = [str(each) for each in gone.exceptions]
            ended = Ended(figures={}, checks={"servers come back": said}, attacks=Counter())
    table = Table(title=phase.name, title_justify="left", show_header=False)
    for what, figure in ended.figures.items():
        table.add_row(what, figure)
    console.print(table)
    for check, evidence in ended.checks.items():
        console.print(f"{'FAILED' if evidence else 'ok    '} {check}")
        for sentence in evidence[:EVIDENCE]:
            sys.stdout.write(f"       {sentence}\n")
        if len(evidence) > EVIDENCE:
            console.print(f"       and {len(evidence) - EVIDENCE} more")
    if any(ended.checks.values()):
        for log in [*sorted(folder.glob("server-*.log")), *folder.glob("workers.log")]:
            sys.stdout.write(f"--- the end of {log.name}\n{log.read_text()[-4000:]}\n")
    return ended
