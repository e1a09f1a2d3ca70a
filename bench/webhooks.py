"""Deliveries of one worker, against a bare loop of posts to the same receiver."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from deployment import BY, Bench, build, opened
from floors import Line
from hitpath import Plan, created

from starship_core.database import json_rows
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.manage_webhooks import NewWebhook, register_webhook
from starship_core.flows.relay_events import sweep_relay
from starship_core.ship import Ship

ENDPOINTS = 10
AT_ONCE = 16
_ORDER = """
INSERT INTO orders (client_id, idempotency_key, fingerprint, ref, product_id, product_name,
  currency, denomination, quantity, wallet_id, amount_currency, charged, price, min_expiry, status,
  delivery_time, placed_at, updated_at)
SELECT w.client_id, 'key-hooks', 'f', 'hooks', p.id, p.name, 'GBP', 1000, 1, w.id, 'GBP', 1000,
  '{}', 0, 'PENDING', 'DELAYED', 0, 0
FROM wallets w, products p ORDER BY w.id, p.id LIMIT 1 RETURNING id, client_id
"""
_EVENTS = """
INSERT INTO outbox (event_id, order_id, client_id, event_type, revision, data, created_at)
SELECT value->>0, cast(value->>1 AS bigint), cast(value->>2 AS bigint), 'order.created', 1,
  value->>3, cast(value->>4 AS bigint) FROM json_each($1)
"""
_DATA = {
    "id": 4411, "reference_code": "acme-77", "status": "DELIVERED", "sub_status": "COMPLETED",
    "product_id": 310, "denomination": "20.00", "quantity": 3, "amount": "58.80",
    "amount_currency": "GBP", "refunded_amount": "0.00", "delivered_quantity": 3,
    "pendingItems": 0, "fulfilledFromCache": 3, "revision": 1,
}  # fmt: skip


async def measure(plan: Plan, server_url: str) -> Line:
    """One worker's rate as a ratio to the bare loop's, measured right after it."""
    count = 1_000 if plan.quick else 5_000
    url = await created(server_url, "bench_webhooks")
    bench = await build(plan.folder / "webhooks", url, plan.redis + "?db=5")
    with_webhooks(bench)
    with receiving() as target:
        async with opened(bench.folder) as ship:
            await _queued(ship, target, count)
            began = time.perf_counter()
            sent = await sweep_deliveries(ship)
            ours = sent / (time.perf_counter() - began)
        if sent != count:
            raise SystemExit(f"{sent} of {count} deliveries were made")
        bare = await _bare(target, count)
    detail = f"{ours:,.0f}/s, bare {bare:,.0f}/s"
    return Line(
        "webhooks", "webhooks, ratio to bare posts", ours / bare, f"{ours / bare:.2f}", detail
    )


def with_webhooks(bench: Bench) -> None:
    """Switch the transport of webhooks on."""
    settings = bench.folder / "starship.toml"
    text = settings.read_text().replace('"fx-fixed"]', '"fx-fixed", "notify-webhook"]')
    settings.write_text(text + '\n[notifiers.webhooks]\nuse = "notify-webhook"\n')


async def _queued(ship: Ship, target: str, count: int) -> None:
    def events(tx: Any) -> int:
        order, client = tx.execute(_ORDER)[0]
        rows = ((f"evt_{n}", order, client, _DATA, n) for n in range(count // ENDPOINTS))
        tx.execute(_EVENTS, json_rows(rows))
        return int(client)

    client = await ship.database.run(events)
    for number in range(ENDPOINTS):
        new = NewWebhook(name="bench", url=f"{target}/{number}", events=["order.*"])
        await register_webhook(client, new, BY, ship)
    await sweep_relay(ship)


async def _bare(target: str, count: int) -> float:
    """The same number of posts of the same size, with nothing before or after them."""
    left = iter(range(count))
    body = httpx2.Request("POST", target, json={"event_id": "evt_1", "data": _DATA}).content

    async def post(client: httpx2.AsyncClient) -> None:
        for _ in left:
            answer = await client.post(target, content=body)
            answer.raise_for_status()

    began = time.perf_counter()
    async with httpx2.AsyncClient() as client:
        await asyncio.gather(*(post(client) for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - began)


@contextmanager
def receiving() -> Iterator[str]:
    """A receiver's address."""
    script = str(Path(__file__).with_name("receiver.py"))
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        assert process.stdin is not None
        process.stdin.close()
