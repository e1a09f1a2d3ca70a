"""How soon a client hears of its hit, at half load: from its event to the webhook's arrival.

One server, one worker, a receiver in a process of its own; the load is open loop, at half of what
the server was measured to take just before.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployment import BY, STARSHIP, Bench, build, fill, opened, serving
from floors import Line
from hitpath import Plan, created, play
from webhooks import with_webhooks

from starship_core.flows.manage_webhooks import NewWebhook, register_webhook
from starship_core.ship import Ship

STOCK = 3_000
"""Vouchers a product."""
PATIENCE = 60.0
_ORDERS = "SELECT count(*) FROM orders WHERE id > $1"
_LAST = "SELECT coalesce(max(id), 0) FROM orders"
_LEFT = """
SELECT (SELECT count(*) FROM outbox WHERE position IS NULL)
  + (SELECT count(*) FROM deliveries WHERE status = 'PENDING')
"""


async def measure(plan: Plan, server_url: str) -> list[Line]:
    """Median and longest; aborts when an event never arrived."""
    url = await created(server_url, "bench_arrivals")
    bench = await build(plan.folder / "arrivals", url, plan.redis + "?db=6")
    with_webhooks(bench)
    await fill(bench, STOCK)
    async with opened(bench.folder) as ship:
        with serving(bench) as server, _working(bench), _receiving() as receiver:
            most = play(bench, server.port, connections=64, seconds=1.0)["per_second"]
            await _caught_up(ship)
            await _everybody_listens(ship, receiver.url)
            before = await _number(ship, _LAST)
            rate = most / 2
            play(bench, server.port, connections=64, seconds=plan.seconds, rate=rate)
            await _caught_up(ship)
            orders = await _number(ship, _ORDERS, before)
            waited = receiver.ended()
    if len(waited) != orders:
        raise SystemExit(f"{len(waited)} of {orders} orders were told of")
    p99 = waited[len(waited) * 99 // 100]
    shown = f"p50 {waited[len(waited) // 2]:.2f} s, longest {waited[-1]:.2f} s"
    name = f"a hit's webhook arrives, p99 at half the maximum ({rate:.0f}/s, open loop)"
    return [Line("arrival_p99", name, p99, f"{p99:.2f} s", shown)]


async def _everybody_listens(ship: Ship, url: str) -> None:
    rows = await ship.database.read(lambda tx: tx.execute("SELECT DISTINCT client_id FROM wallets"))
    for (client_id,) in rows:
        hook = NewWebhook(name="bench", url=f"{url}/{client_id}", events=["order.delivered"])
        await register_webhook(client_id, hook, BY, ship)


async def _caught_up(ship: Ship) -> None:
    """Until the worker has nothing left to tell."""
    until = time.monotonic() + PATIENCE
    while await _number(ship, _LEFT):
        if time.monotonic() > until:
            raise SystemExit(f"the worker had events left after {PATIENCE:.0f} seconds")
        await asyncio.sleep(0.1)


async def _number(ship: Ship, statement: str, *parameters: int) -> int:
    rows = await ship.database.read(lambda tx: tx.execute(statement, *parameters))
    return int(rows[0][0])


@contextmanager
def _working(bench: Bench) -> Iterator[None]:
    """One worker."""
    with (bench.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen([STARSHIP, "worker"], cwd=bench.folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


class _Receiver:
    """A process that notes how old each event is when it arrives."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        self._process = process

    def ended(self) -> list[float]:
        """Seconds, the shortest first."""
        said, _ = self._process.communicate("")
        return sorted(json.loads(said))


@contextmanager
def _receiving() -> Iterator[_Receiver]:
    script = str(Path(__file__).with_name("receiver.py"))
    with subprocess.Popen(
        [sys.executable, script, "--ages"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _Receiver(process)
        finally:
            process.kill()
