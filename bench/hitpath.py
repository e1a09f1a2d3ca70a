"""POST /orders that hits, against the bare drivers: pairs of runs, in turn, median ratios."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import baseline_postgresql
import baseline_sqlite
import msgspec
from deployment import Bench, Caller, Server, build, fill, serving, signed_orders, unique
from floors import Line
from msgspec import Struct

LOAD = Path(__file__).parent / "load.py"
EXPECT = '"status":"DELIVERED"'


class Plan(Struct, frozen=True):
    """What one benchmark run is made of."""

    folder: Path
    redis: str
    quick: bool
    say: Callable[[str], None]

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 3

    @property
    def seconds(self) -> float:
        return 2.0 if self.quick else 4.0

    @property
    def stock(self) -> int:
        """Vouchers a product: enough for every round."""
        return 9_000 if self.quick else 30_000


def play(  # noqa: PLR0913  # what a run is made of
    bench: Bench,
    port: int,
    *,
    connections: int,
    seconds: float,
    callers: Sequence[Caller] = (),
    rate: float | None = None,
) -> dict[str, Any]:
    """One run of the load process; aborts when its findings cannot be trusted."""
    warm_up = 0.5
    count = int((rate or 6_000) * (seconds + warm_up) * 1.05) + 100
    requests = signed_orders(bench, count, callers=callers or bench.callers, run=unique("k"))
    plan = {
        "host": "127.0.0.1", "port": port, "connections": connections, "rate": rate,
        "warm_up": warm_up, "seconds": seconds, "expect": EXPECT, "requests": requests,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(LOAD)],
        input=msgspec.msgpack.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    if found["unexpected"] or found["lost"] or not found["answers"]:
        raise SystemExit(f"wrong answers under load: {found}")
    if found["cpu_share"] > 0.85:
        raise SystemExit(f"the load process is the bottleneck: {found}")
    if found["exhausted"] and rate is None:
        raise SystemExit("the load ran out of requests")
    return found


async def on_postgresql(plan: Plan, server_url: str) -> list[Line]:
    """Ratios at 16 and 64 connections, latency at half load, one hot wallet against eight."""
    await _print_durability(plan, server_url)
    own = await created(server_url, "bench_server")
    bare_url = await created(server_url, "bench_bare")
    bench = await build(plan.folder / "pg-server", own, plan.redis)
    bare = await build(plan.folder / "pg-bare", bare_url, plan.redis)
    await fill(bare, plan.stock)
    await fill(bench, plan.stock)  # second: Redis holds one set a product, and these ids
    await checkpoint(server_url)
    vouchers = await _vouchers(bare_url)
    lines: list[Line] = []
    with serving(bench) as server:
        for size in (16, 64):
            pairs = []
            for _ in range(plan.rounds):
                base = await baseline_postgresql.measure(bare_url, vouchers, size, plan.seconds)
                if base < 100:
                    raise SystemExit(f"implausible baseline: {base:.0f} orders a second")
                ours = play(bench, server.port, connections=size, seconds=plan.seconds)
                pairs.append((ours["per_second"], base, ours["p50_ms"], ours["p99_ms"]))
                plan.say(f"{size}: {ours['per_second']:.0f}/s, bare {base:.0f}/s")
            lines.append(_ratio(f"pg{size}", f"PostgreSQL, {size} connections", pairs))
        lines += await _half_load(plan, bench, server, lines, postgresql=server_url)
        lines.append(_hot_wallet(plan, bench, server))
        lines.append(_memory(server))
    return lines


async def on_sqlite(plan: Plan) -> list[Line]:
    """The same against bare sqlite3, one connection, one order a transaction."""
    bench = await build(plan.folder / "sqlite-server", "sqlite:///starship.db", plan.redis)
    bare = await build(plan.folder / "sqlite-bare", "sqlite:///starship.db", plan.redis)
    await fill(bare, plan.stock)
    await fill(bench, plan.stock)
    stock = _in_turn(bare.products, plan.stock)
    path = str(bare.folder / "starship.db")
    lines: list[Line] = []
    with serving(bench) as server:
        for size in (16, 64):
            pairs = []
            for _ in range(plan.rounds):
                base = baseline_sqlite.measure(path, stock, plan.seconds)
                if base < 100:
                    raise SystemExit(f"implausible baseline: {base:.0f} orders a second")
                ours = play(bench, server.port, connections=size, seconds=plan.seconds)
                pairs.append((ours["per_second"], base, ours["p50_ms"], ours["p99_ms"]))
                plan.say(f"{size}: {ours['per_second']:.0f}/s, bare {base:.0f}/s")
            lines.append(_ratio(f"sqlite{size}", f"SQLite, {size} connections", pairs))
        lines += await _half_load(plan, bench, server, lines)
    return lines


def _ratio(key: str, name: str, pairs: Sequence[tuple[float, float, float, float]]) -> Line:
    ratio = median(ours / base for ours, base, _, _ in pairs)
    ours, base = median(p[0] for p in pairs), median(p[1] for p in pairs)
    p50, p99 = median(p[2] for p in pairs), median(p[3] for p in pairs)
    detail = f"{ours:.0f}/s, bare {base:.0f}/s; p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    return Line(key, f"{name}, ratio to the bare driver", ratio, f"{ratio:.2f}", detail)


async def _half_load(
    plan: Plan,
    bench: Bench,
    server: Server,
    measured: Sequence[Line],
    postgresql: str | None = None,
) -> list[Line]:
    """Latency at half of what 16 connections reach, and at half of what 64 do: batches are larger
    there, so that the same half is more.
    """
    lines = []
    name = "pg" if postgresql else "sqlite"
    for size in (16, 64):
        if postgresql:
            await checkpoint(postgresql)
        (fastest,) = (line for line in measured if line.key == f"{name}{size}")
        rate = float(fastest.detail.partition("/s")[0]) / 2
        runs = [
            play(bench, server.port, connections=64, seconds=plan.seconds, rate=rate)
            for _ in range(plan.rounds + 2)  # a p99 scatters more than a rate
        ]
        p50, p99 = (median(run[f"{which}_ms"] for run in runs) for which in ("p50", "p99"))
        worst = max(run["p99_ms"] for run in runs)
        text = f"{name}: p99 at half of what {size} connections reach ({rate:.0f}/s, open loop)"
        detail = f"p50 {p50:.1f} ms; the worst of {len(runs)} runs' p99 {worst:.1f} ms"
        lines.append(Line(f"{name}_p99_half{size}", text, p99, f"{p99:.1f} ms", detail))
    return lines


def _hot_wallet(plan: Plan, bench: Bench, server: Server) -> Line:
    pairs = []
    for _ in range(plan.rounds):
        eight = play(bench, server.port, connections=16, seconds=plan.seconds / 2)
        hot = play(
            bench, server.port, connections=16, seconds=plan.seconds / 2, callers=bench.callers[:1]
        )
        pairs.append(hot["per_second"] / eight["per_second"])
    return Line(
        "hot", "PostgreSQL: one hot wallet against eight", median(pairs), f"{median(pairs):.2f}"
    )


def _memory(server: Server) -> Line:
    used = server.memory_mb()
    return Line("memory", "memory of the server after the load", used, f"{used:.0f} MB")


async def _print_durability(plan: Plan, url: str) -> None:
    db = await asyncpg.connect(url)
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    shown = [f"{name}={await db.fetchval(f'SHOW {name}')}" for name in names]
    await db.close()
    if shown[1:] != ["fsync=on", "synchronous_commit=on", "full_page_writes=on"]:
        raise SystemExit(f"durability is off: {', '.join(shown)}")
    plan.say("PostgreSQL " + ", ".join(shown))


async def created(server_url: str, name: str) -> str:
    """A fresh database beside the server's own; its URL."""
    await executed(server_url, f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"')
    base, _, query = server_url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


async def checkpoint(server_url: str) -> None:
    """A server that has run for minutes recycles its WAL files; one that has just been filled makes
    each anew, in 20 to 60 ms in which nobody commits.
    """
    await executed(server_url, "CHECKPOINT")


async def executed(url: str, *statements: str) -> None:
    """By a connection of its own, one by one."""
    db = await asyncpg.connect(url)
    for statement in statements:
        await db.execute(statement)
    await db.close()


async def _vouchers(url: str) -> deque[tuple[int, int]]:
    db = await asyncpg.connect(url)
    rows = await db.fetch("SELECT id, product_id FROM vouchers ORDER BY id")
    await db.close()
    by_product: dict[int, deque[int]] = {}
    for row in rows:
        by_product.setdefault(row[1], deque()).append(row[0])
    return deque(
        (ids.popleft(), product)
        for _ in range(len(rows) // len(by_product))
        for product, ids in by_product.items()
    )


def _in_turn(products: Sequence[int], per_product: int) -> deque[tuple[int, int]]:
    return deque(
        (1 + position * per_product + n, product)
        for n in range(per_product)
        for position, product in enumerate(products)
    )
