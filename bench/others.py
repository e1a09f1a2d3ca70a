"""Everything but the hit path: stock size, bulk, pump, start-up."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import arrivals
import asyncpg
import httpx2
import webhooks
from deployment import BY, STARSHIP, Bench, build, fill, memory_mb, opened, serving, unique
from floors import Line
from hitpath import Plan, created, executed, play
from redis.asyncio import Redis

from starship_core.access import Client
from starship_core.flows.place_order import place_order
from starship_core.flows.pump_inventory import pump
from starship_core.flows.retry_order import retry_order
from starship_core.new_order import NewOrder
from starship_core.ship import Ship


async def measure(plan: Plan, server_url: str) -> list[Line]:
    """All of them."""
    return [
        await _stock_sizes(plan, server_url),
        *await _bulk(plan, server_url),
        *await _pump(plan, server_url),
        await webhooks.measure(plan, server_url),
        *await arrivals.measure(plan, server_url),
        *_start_up(plan),
    ]


async def _stock_sizes(plan: Plan, server_url: str) -> Line:
    """The same load on a small and on a large pool, in turn."""
    small, large = (10_000, 100_000) if plan.quick else (10_000, 1_000_000)
    benches: list[Bench] = []
    for size in (large, small):
        url = await created(server_url, f"bench_{size}")
        bench = await build(
            plan.folder / f"stock-{size}", url, plan.redis + f"?db={len(benches) + 1}"
        )
        await fill(bench, size // len(bench.products))
        await executed(url, "ANALYZE vouchers")
        benches.append(bench)
    ratios = []
    with serving(benches[0]) as a_lot, serving(benches[1]) as a_few:
        for _ in range(plan.rounds):
            # short runs: the small pool must not run dry
            many = play(benches[0], a_lot.port, connections=16, seconds=0.5)["per_second"]
            few = play(benches[1], a_few.port, connections=16, seconds=0.5)["per_second"]
            plan.say(f"{large:,}: {many:.0f}/s, {small:,}: {few:.0f}/s")
            ratios.append(few / many)
    ratio = median(ratios)
    name = f"PostgreSQL: cost of an order at {large:,} pooled against {small:,}"
    return Line("million", name, ratio, f"{ratio:.2f}")


async def _bulk(plan: Plan, server_url: str) -> list[Line]:
    """One order of 10,000: the POST's transaction, and its allocation by a retry."""
    url = await created(server_url, "bench_bulk")
    bench = await build(plan.folder / "bulk", url, plan.redis + "?db=3")
    await fill(bench, 10_500)
    async with opened(bench.folder) as ship:
        client = await _client(ship, bench)
        asked = NewOrder(
            key="bulk-order-1",
            product_id=bench.products[0],
            denomination=Decimal(10),
            quantity=10_000,
        )
        began = time.perf_counter()
        placed = await place_order(asked, client, ship)
        accepted = time.perf_counter() - began
        began = time.perf_counter()
        order = await retry_order(placed.order.id, BY, ship)  # type: ignore[union-attr]  # an order, or the bench has failed
        allocated = time.perf_counter() - began
    if order.status != "DELIVERED":
        raise SystemExit(f"the bulk order ended {order.status}")
    return [
        Line("bulk_post", "bulk of 10,000: accepted in", accepted, f"{accepted * 1000:.0f} ms"),
        Line("bulk_retry", "bulk of 10,000: allocated in", allocated, f"{allocated:.1f} s",
             f"{10_000 / allocated:,.0f} vouchers/s"),
    ]  # fmt: skip


async def _client(ship: Ship, bench: Bench) -> Client:
    credential = await ship.access.credential(bench.callers[0].key)
    assert credential is not None
    return credential.client


async def _pump(plan: Plan, server_url: str) -> list[Line]:
    """CSV → encrypted stock → Redis, against COPY of the same rows and pipelined ZADD, in turn."""
    count = 20_000 if plan.quick else 100_000
    pairs = []
    for number in range(plan.rounds):
        url = await created(server_url, f"bench_pump_{number}")
        bench = await build(plan.folder / f"pump-{number}", url, plan.redis + "?db=4")
        pumped, grown = await _pumped(bench, count)
        if await _pooled(url) != count:
            raise SystemExit(f"the pump left {await _pooled(url)} of {count} pooled")
        bare = await _copy_and_zadd(plan, server_url, url)
        plan.say(f"pump: {count / pumped:,.0f}/s, bare {count / bare:,.0f}/s")
        pairs.append((bare / pumped, pumped, bare, grown))
    ratio, pumped, bare, grown = (median(figures) for figures in zip(*pairs, strict=True))
    detail = f"{count / pumped:,.0f} vouchers/s, bare {count / bare:,.0f}/s"
    name = f"pump of {count:,}"
    return [
        Line("pump", f"{name}, ratio to COPY and ZADD", ratio, f"{ratio:.2f}", detail),
        Line("pump_memory", f"{name}: memory grown after its first quarter", grown,
             f"{grown:.0f} MB"),
    ]  # fmt: skip


async def _pumped(bench: Bench, count: int) -> tuple[float, float]:
    """(seconds, megabytes by which memory grew after the first quarter)."""
    inbox = bench.folder / "inbox"
    inbox.mkdir()
    _write_csv(inbox / "vouchers.csv", bench.products, count)
    settings = bench.folder / "starship.toml"
    text = settings.read_text().replace('"fx-fixed"]', '"fx-fixed", "source-csv"]')
    settings.write_text(text + f'\n[sources.csv]\nuse = "source-csv"\nfolder = "{inbox}"\n')
    done, memory = 0, [0.0]

    def progress(units: int) -> None:
        nonlocal done
        done += units
        if done >= count / 4:
            memory.append(memory_mb(os.getpid()))

    async with opened(bench.folder) as ship:
        began = time.perf_counter()
        report = await pump(ship, by=BY, progress=progress)
        pumped = time.perf_counter() - began
    if report.failed:
        raise SystemExit(f"the pump failed: {report}")
    return pumped, max(memory) - memory[1]


_CSV = (
    "product", "denomination", "currency", "card_number", "pin_code", "claim_url", "reference",
    "expires_at",
)  # fmt: skip


def _write_csv(file: Path, products: list[int], count: int) -> None:
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(_CSV)
        for n in range(count):
            rows.writerow(
                [products[n % 8], "10.00", "GBP", f"PUMP-{n:012}", "0000", "", f"r{n}", ""]
            )


async def _pooled(url: str) -> int:
    db = await asyncpg.connect(url)
    found = await db.fetchval("SELECT count(*) FROM vouchers WHERE state = 'pooled'")
    await db.close()
    return int(found)


async def _copy_and_zadd(plan: Plan, server_url: str, pumped_url: str) -> float:
    """Seconds for the bare drivers: the same rows under the same indexes, the same sets."""
    pumped = await asyncpg.connect(pumped_url)
    rows = [tuple(row) for row in await pumped.fetch("SELECT * FROM vouchers")]
    await pumped.close()
    url = await created(server_url, "bench_copy")
    await build(plan.folder / unique("copy"), url, plan.redis + "?db=5")
    db, redis = await asyncpg.connect(url), Redis.from_url(plan.redis + "?db=5")
    began = time.perf_counter()
    await db.copy_records_to_table("vouchers", records=rows)
    async with redis.pipeline(transaction=False) as pipe:
        for part in _parts(rows, 1000):
            pipe.zadd(f"bare:{part[0][1]}", {str(row[0]): row[11] // 1_000_000 for row in part})
        await pipe.execute()
    seconds = time.perf_counter() - began
    await db.close()
    await redis.aclose()
    return seconds


def _parts(rows: list[tuple[Any, ...]], size: int) -> Iterable[list[tuple[Any, ...]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _start_up(plan: Plan) -> list[Line]:
    """Import, help, and `starship up` until it answers, in a fresh folder."""
    help_ms = _median_ms([STARSHIP, "--help"])
    empty = _median_ms([sys.executable, "-c", "pass"])
    import_ms = _median_ms([sys.executable, "-c", "import starship_core"]) - empty
    up = median(_up_seconds() for _ in range(2 if plan.quick else 3))
    return [
        Line("import", "import starship_core", import_ms, f"{import_ms:.0f} ms"),
        Line("help", "starship --help", help_ms, f"{help_ms:.0f} ms"),
        Line("up", "starship up, until it answers", up * 1000, f"{up * 1000:.0f} ms"),
    ]


def _median_ms(command: list[str]) -> float:
    def once() -> float:
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return (time.perf_counter() - began) * 1000

    once()
    return median(once() for _ in range(5))


def _up_seconds() -> float:
    with tempfile.TemporaryDirectory(prefix="starship-up-") as folder:
        shop = Path(folder) / "shop"
        subprocess.run([STARSHIP, "init", str(shop)], stdout=subprocess.DEVNULL, check=True)
        port = 20_000 + os.getpid() % 20_000
        began = time.perf_counter()
        process = subprocess.Popen(
            [STARSHIP, "up", "--port", str(port)], cwd=shop, stdout=subprocess.DEVNULL
        )
        try:
            while time.perf_counter() - began < 30:
                try:
                    if httpx2.get(f"http://127.0.0.1:{port}/status").status_code == 200:
                        return time.perf_counter() - began
                except httpx2.TransportError:
                    time.sleep(0.01)
            raise SystemExit("starship up did not answer within 30 seconds")
        finally:
            process.terminate()
            process.wait(20)
