"""A deployment for measuring: eight clients with a wallet each, eight products, real vouchers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from msgspec import Struct

from starship_core.audit import By
from starship_core.clock import micros, utc_now
from starship_core.config import load
from starship_core.database import json_rows
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.model import Money, Secret, Sku
from starship_core.schema import upgrade
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts
from starship_core.vault import Code, create_keys

CLIENTS = 8
STARSHIP = str(Path(sys.executable).parent / "starship")
BY = By(actor="operator:bench", reason="benchmark")
_TOML = """
[deployment]
name = "bench"
environment = "test"
[database]
url = "{database}"
[redis]
url = "{redis}"
[limits]
orders = 100000000
reads = 100000000
[plugins]
enabled = ["wallet-ledger", "fx-fixed"]
[fx]
base = "GBP"
rates = {{ EUR = "1.15" }}
"""


class Caller(Struct, frozen=True):
    """A client's credentials, and its wallet."""

    key: str
    secret: str
    signing_secret: str
    wallet_id: int


class Bench(Struct, frozen=True):
    """Where the deployment is."""

    folder: Path
    callers: list[Caller]
    products: list[int]


async def build(folder: Path, database: str, redis: str) -> Bench:
    """Configuration, keys, schema, clients with money, products; no vouchers yet."""
    _write(folder, _TOML.format(database=database, redis=redis))
    async with opened(folder) as ship:
        await upgrade(ship.database, ship.plugins.migrations())
        products = await ship.database.run(_products)
        callers = [await _caller(ship, number) for number in range(1, CLIENTS + 1)]
    return Bench(folder, callers, products)


def _write(folder: Path, toml: str) -> None:
    folder.mkdir()
    (folder / "starship.toml").write_text(toml)
    create_keys(folder / "keys")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Ship]:
    """The deployment, as a command would open it."""
    async with Ship.open(load(folder / "starship.toml")) as ship:
        yield ship


def _products(tx: Any) -> list[int]:
    tx.execute(
        "INSERT INTO categories (name, slug, created_at, updated_at) VALUES ('All', 'all', 0, 0)"
    )
    tx.execute(
        """INSERT INTO products (code, name, category_id, currency, created_at, updated_at)
           SELECT value->>0, value->>0, 1, 'GBP', 0, 0 FROM json_each($1)""",
        json_rows([[f"card-{n}"] for n in range(1, CLIENTS + 1)]),
    )
    tx.execute(
        "INSERT INTO denominations (product_id, min_value, max_value) "
        "SELECT id, 1000, 1000 FROM products"
    )
    return [int(row[0]) for row in tx.execute("SELECT id FROM products ORDER BY id")]


async def _caller(ship: Ship, number: int) -> Caller:
    made = await create_client(ClientFacts(name=f"client-{number}"), BY, ship)
    wallet = await open_wallet(ship, made.client_id, "GBP", by=BY)
    money = Money.of("900000000", "GBP")
    await credit_wallet(ship, wallet.id, money, reference=f"bench-{number}", by=BY)
    assert made.secret is not None
    assert made.signing_secret is not None
    return Caller(made.api_key, made.secret.reveal(), made.signing_secret.reveal(), wallet.id)


async def fill(bench: Bench, per_product: int) -> None:
    """Pooled vouchers of every product, sealed for real; Redis is loaded with them."""
    async with opened(bench.folder) as ship:
        first = await ship.database.run(_draw, per_product * len(bench.products))
        expires = micros(utc_now()) + 10**15
        for position, product in enumerate(bench.products):
            ids = range(first + position * per_product, first + (position + 1) * per_product)
            for start in range(0, len(ids), 20_000):
                part = ids[start : start + 20_000]
                await _insert(ship, [_row(ship, i, product, expires) for i in part])
                await ship.pool.load(Sku(product, 1000, "GBP"), [(i, expires) for i in part])


def _draw(tx: Any, count: int) -> int:
    (last,) = tx.execute(
        """INSERT INTO counters (name, value) VALUES ('voucher', $1)
           ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
           RETURNING value""",
        count,
    )[0]
    return int(last) - count + 1


_COLUMNS = [
    "id", "product_id", "denomination", "currency", "state", "sealed", "key_id", "fingerprint",
    "origin", "expires_at", "created_at", "updated_at",
]  # fmt: skip


def _row(ship: Ship, voucher_id: int, product: int, expires: int) -> tuple[Any, ...]:
    code = Code(Secret(f"BENCH-{voucher_id:012}"), Secret("0000"), None)
    sealed, key_id = ship.vault.seal(voucher_id, code)
    print_ = ship.vault.fingerprint("bench", code)
    return (voucher_id, product, 1000, "GBP", "pooled", sealed, key_id, print_,
            f"bench:{voucher_id}", expires, 0, 0)  # fmt: skip


async def _insert(ship: Ship, rows: Sequence[tuple[Any, ...]]) -> None:
    if ship.database.dialect == "postgresql":
        db = await asyncpg.connect(ship.config.database.url)
        await db.copy_records_to_table("vouchers", records=rows, columns=_COLUMNS)
        await db.close()
        return
    marks = ", ".join(f"${n}" for n in range(1, len(_COLUMNS) + 1))
    statement = f"INSERT INTO vouchers ({', '.join(_COLUMNS)}) VALUES ({marks})"
    await ship.database.run(lambda tx: [tx.execute(statement, *row) for row in rows])


# --- a server, and requests for it ----------------------------------------------------------------


class Server(Struct):
    """A running `starship serve`."""

    process: subprocess.Popen[bytes]
    port: int

    def memory_mb(self) -> float:
        return memory_mb(self.process.pid)


def memory_mb(pid: int) -> float:
    """Of a process, as it is resident now."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@contextmanager
def serving(bench: Bench) -> Any:
    """One server process, answering."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [STARSHIP, "serve", "--port", str(port)]
    with (bench.folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=bench.folder, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit((bench.folder / "server.log").read_text()[-2000:])
            time.sleep(0.02)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def signed_orders(bench: Bench, count: int, *, callers: Sequence[Caller], run: str) -> list[bytes]:
    """Whole requests, ready to write: POST /orders, quantity 1, a key each."""
    now = str(int(time.time()))
    return [
        _signed(
            callers[n % len(callers)], bench.products[n % len(bench.products)], f"{run}-{n:08}", now
        )
        for n in range(count)
    ]


def _signed(caller: Caller, product: int, key: str, now: str) -> bytes:
    body = json.dumps({"product_id": product, "denomination": "10.00", "quantity": 1}).encode()
    canonical = "\n".join(
        ("POST", "/api/v1/orders", "", hashlib.sha256(body).hexdigest(), now)
    ).encode()
    signature = hmac.new(caller.signing_secret.encode(), canonical, "sha256").hexdigest()
    head = (
        f"POST /api/v1/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-API-Key: {caller.key}\r\n"
        f"X-API-Secret: {caller.secret}\r\n"
        f"X-Signature: t={now},v1={signature}\r\nIdempotency-Key: {key}\r\n\r\n"
    )
    return head.encode() + body


def unique(prefix: str) -> str:
    """A name that no earlier run used."""
    return f"{prefix}{base64.b32encode(os.urandom(5)).decode().lower()}"
