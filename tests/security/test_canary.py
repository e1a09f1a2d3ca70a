"""A canary sent through everything, with every logger at DEBUG, is found nowhere."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import redis

from starship_core.clock import utc_now
from starship_core.keyring import create_keys
from starship_core.testing.fixtures import in_loop
from tests.e2e.servers import Credential, Signed, running
from tests.security.canary import files, forms, in_redis, in_tables, rows_in, sightings

HERE = Path(__file__).parent
CONFIG = """
[deployment]
name = "canary"
[database]
url = "{database}"
[redis]
url = "{redis}"
[plugins]
enabled = ["leaky", "fx-fixed", "source-csv"]
[wallet]
use = "leaky-wallet"
[fx]
use = "fx-fixed"
base = "GBP"
rates = {{ EUR = "1.17" }}
[sources.files]
use = "source-csv"
folder = "vouchers"
[sources.leaky]
use = "leaky-source"
"""
PRODUCTS = """\
code,name,category,currency,denominations,delivery_type
card,Card,Any,GBP,20.00,code_with_pin
link,Link,Any,GBP,50.00,claim_url
"""
COLUMNS = ("product", "denomination", "currency", "card_number", "pin_code", "claim_url",
           "reference", "expires_at", "voucher_reference_number")  # fmt: skip
ODD = "/é+\"q'<&>=%\\{}$"
"""Behind each canary, so that every form of it is another."""
PLANTED = f"PLANTED73c1{ODD}"


@dataclass
class Deployment:
    """A folder, its server, and all that it said."""

    folder: Path
    database: str
    redis: str
    environment: dict[str, str]
    logs: list[Path]
    """Of servers that stand outside the folder."""
    said: list[bytes] = field(default_factory=list)
    """By commands, on both streams."""
    errors: list[bytes] = field(default_factory=list)
    """Answers of the server that are no 2xx, heads and all."""

    def voucher(self, number: str) -> int:
        """The id of the one with this `voucher_reference_number`."""
        (found,) = [row[0] for row in rows_in(self.database) if number in row]
        return int(found)

    @property
    def flag(self) -> Path:
        return Path(self.environment["LEAKY_FLAG"])

    def starship(self, *commands: str) -> list[Any]:
        """Run them; those after `!` must fail. The documents of those with `--json`."""
        lines = [shlex.split(command.lstrip("!")) for command in commands]
        done = subprocess.run(
            [sys.executable, HERE / "commands.py"], cwd=self.folder, env=self.environment,
            check=False, capture_output=True, input=json.dumps(lines).encode(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        self.said.append(done.stderr)
        documents = []
        for command, (status, stdout, stderr) in zip(
            commands, json.loads(done.stdout), strict=True
        ):
            assert status == command.startswith("!"), (command, stdout, stderr)
            # new secrets are shown by these two, once
            shows = command.startswith(("client create", "client rotate"))
            self.said += [stderr.encode(), b"" if shows else stdout.encode()]
            if "--json" in command:
                documents.append(json.loads(stdout))
        return documents

    def places(self) -> dict[str, bytes]:
        """Everywhere a secret could have come to lie: files, rows, Redis, what was said."""
        return {
            **files(self.folder, "vouchers", "delivery", "keys"),
            **{str(path): path.read_bytes() for path in self.logs if path.exists()},
            "rows": in_tables(self.database),
            "redis": in_redis(self.redis),
            "said": b"\n".join(self.said),
            "errors": b"\n".join(self.errors),
        }


@pytest.fixture
def deployment(
    database_url: str, redis_url: str, tmp_path: Path, run_folder: Path
) -> Iterator[Deployment]:
    folder, plugins = tmp_path / "shop", tmp_path / "plugins"
    folder.mkdir()
    shutil.copytree(HERE / "leaky", plugins)
    _offered(plugins)
    if database_url.startswith("sqlite"):
        database_url = database_url.replace(str(tmp_path), str(folder))
        (tmp_path / "starship.db").rename(folder / "starship.db")
    (folder / "starship.toml").write_text(CONFIG.format(database=database_url, redis=redis_url))
    (folder / "products.csv").write_text(PRODUCTS)
    create_keys(folder / "keys")
    environment = {
        **os.environ,
        "PYTHONPATH": str(plugins),
        "LEAKY_CODE": SECRETS["code in an exception"],
        "LEAKY_FLAG": str(tmp_path / "flag"),
        "STARSHIP_OPERATOR": "ana",
        "STARSHIP_LOG_LEVEL": "debug",
    }
    logs = [run_folder / "postgresql" / "log", *run_folder.glob("*/redis.log")]
    with redis.Redis.from_url(redis_url) as client:  # remembers every command
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", 100_000)
        client.slowlog_reset()
        yield Deployment(folder, database_url, redis_url, environment, logs)
        client.config_set("slowlog-log-slower-than", 10_000)
        client.config_set("slowlog-max-len", 128)
        client.slowlog_reset()


def _offered(plugins: Path) -> None:
    """What an installation would leave there, so that the plugin is found."""
    about = plugins / "leaky_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[starship]\nleaky = leaky_plugin\n")


def code(name: str) -> str:
    return f"CANARY{name}{ODD}"


SECRETS = {
    "code in an exception": code("leaky"),
    **{f"card {n}": code(f"card{n}") for n in range(1, 10)},
    **{f"pin {n}": code(f"pin{n}") for n in range(1, 10)},
    **{f"link {n}": "https://claim.example.com/" + code(f"link{n}") for n in range(1, 3)},
    **{f"misplaced {name}": code(f"misplaced{name}") for name in COLUMNS[:3]},
    "misplaced expiry": code("misplacedexpires_at"),
    "malformed": code("malformed"),
    "header": code("header"),
}


def vouchers(folder: Path) -> None:
    """Good rows, and rows with a code where none belongs, in a file without its header."""
    folder.mkdir()
    good = [_row("card", n) for n in range(1, 5)] + [
        {"product": "link", "denomination": "50.00", "claim_url": SECRETS[f"link {n}"],
         "reference": f"L{n}"} for n in range(1, 3)
    ]  # fmt: skip
    bad = [
        _row("card", 5) | {name: code(f"misplaced{name}"), "reference": f"bad-{name}"}
        for name in (*COLUMNS[:3], "expires_at")
    ]
    with (folder / "good.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(row | {"currency": row.get("currency", "GBP")} for row in good + bad)
        file.write(f'card,20.00,GBP,"{SECRETS["malformed"]},1,,x,,\n')
        file.write(f"{SECRETS['malformed']},too,few\n")
    (folder / "headless.csv").write_text(f"card,20.00,GBP,{SECRETS['header']}\n")


def _row(product: str, number: int) -> dict[str, str]:
    return {
        "product": product, "denomination": "20.00", "card_number": SECRETS[f"card {number}"],
        "pin_code": SECRETS[f"pin {number}"], "reference": f"C{number}",
        "voucher_reference_number": f"VR-{number}",
    }  # fmt: skip


def test_a_canary_is_found_nowhere(deployment: Deployment) -> None:
    """CSV → stock → pool → order → answer → read → replay → replace, and every command about it."""
    plant(deployment)
    credential = founded(deployment)
    secrets = SECRETS | {
        f"key {path.name}": json.loads(path.read_text())["key"]
        for path in (deployment.folder / "keys").iterdir()
    }
    secrets |= _named("first", credential)
    with running(deployment.folder, "serve", environment=deployment.environment) as process:
        with client(process.url, credential) as http:
            answers = ordered(deployment, http)
            raised(deployment, http)
        secrets |= operated(deployment)
        with client(process.url, credential) as http:
            listed = [each["id"] for each in http.get("/api/v1/orders").json()]
            assert len(listed) == 4
            answers += [http.get(f"/api/v1/orders/{n}").text for n in listed]
        assert sightings(deployment.places(), secrets) == []
        process.stop()
    assert sightings(deployment.places(), secrets) == []
    seen = {code for answer in answers for code in codes_in(json.loads(answer))}
    assert seen >= {SECRETS[f"{kind} {n}"] for kind in ("card", "pin") for n in range(1, 9)}
    assert seen >= {SECRETS["link 1"], SECRETS["link 2"], SECRETS["code in an exception"]}
    log = deployment.places()["server.log"]
    assert b"leaky_plugin.py" in log  # its exception was logged
    assert b'"level":"debug"' in log  # and so was what libraries have to say


def codes_in(order: Any) -> Iterator[str]:
    for voucher in order["vouchers"]:
        for name in ("card_number", "pin_code", "claim_url"):
            if voucher[name]:
                yield (
                    voucher[name].removesuffix("-1") if "leaky" in voucher[name] else voucher[name]
                )


def _named(when: str, credential: Credential) -> dict[str, str]:
    return {
        f"{when} API secret": credential.secret,
        f"{when} signing secret": credential.signing.removeprefix("whsec_"),
    }


# --- the proof that it would be found -------------------------------------------------------------


def plant(deployment: Deployment) -> None:
    """In every place, in every form: each is found, or the rest of this proves nothing."""
    texts = list(forms(PLANTED).values())
    (deployment.folder / "server.log").write_bytes(b"\n".join(texts) + b"\n")
    deployment.said.append(b"\n".join(texts))
    deployment.errors.append(b"\n".join(texts))
    with redis.Redis.from_url(deployment.redis) as client:
        client.set(b"planted", b"\n".join(texts))
        client.zadd("planted-too", dict.fromkeys(texts, 1.5))
        client.hset("planted-hash", mapping=dict.fromkeys(texts, "1"))
        client.set(PLANTED, "a key")
    with _planted_rows(deployment, texts) as in_files:
        wanted = {"server.log", "said", "errors", "redis", "rows", *in_files}
        seen = sightings(deployment.places(), {"planted": PLANTED})
        for place in wanted:
            missed = set(forms(PLANTED)) - {form for where, _, form in seen if where == place}
            assert missed == (_NO_TEXT if place in {"rows", *in_files} else set()), place


_NO_TEXT = frozenset({"UTF-16", "core, UTF-16"})
"""It holds NUL, and a column of text cannot."""


@contextmanager
def _planted_rows(deployment: Deployment, texts: list[bytes]) -> Iterator[list[str]]:
    """In a table; of SQLite first in its log, then in the file."""
    rows = [(text.decode(),) for text in texts if b"\0" not in text]
    statement = (
        "INSERT INTO audit (at, actor, action, subject, reason) VALUES (0, 'x', 'x', 'x', {})"
    )
    if not deployment.database.startswith("sqlite"):
        in_loop(_planted_in_postgresql(deployment.database, statement.format("$1"), rows))
        yield []
        return
    connection = sqlite3.connect(deployment.folder / "starship.db")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executemany(statement.format("?"), rows)
        connection.commit()
        yield ["starship.db-wal"]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        seen = sightings(files(deployment.folder), {"planted": PLANTED})
        missed = set(forms(PLANTED)) - {form for where, _, form in seen if where == "starship.db"}
        assert missed == _NO_TEXT
    finally:
        connection.close()


async def _planted_in_postgresql(url: str, statement: str, rows: list[tuple[str]]) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.executemany(statement, rows)
    finally:
        await connection.close()


# --- the story ------------------------------------------------------------------------------------


def founded(deployment: Deployment) -> Credential:
    """A client with money; stock from files, and from a plugin that cannot be read to its end."""
    vouchers(deployment.folder / "vouchers")
    made, *_ = deployment.starship(
        "client create acme --json", "product import products.csv", "wallet open 1 GBP",
        "wallet credit 1 1000.00 --reference first", "!pump --dry-run", "!pump --dry-run --json",
        "!pump", "!pump --json", "stock list", "stock list --json",
    )  # fmt: skip
    return Credential(key=made["api_key"], secret=made["secret"], signing=made["signing_secret"])


@contextmanager
def client(url: str, credential: Credential) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url, auth=Signed(credential, utc_now), timeout=60) as http:
        yield http


def order(http: httpx2.Client, key: str, **body: Any) -> httpx2.Response:
    whole = {"product_id": 1, "denomination": "20.00", "quantity": 1} | body
    return http.post("/api/v1/orders", json=whole, headers={"Idempotency-Key": key})


def ordered(deployment: Deployment, http: httpx2.Client) -> list[str]:
    """Hits, a replay, reads, a miss; what answers told."""
    hits = [order(http, "first-key", quantity=3), order(http, "other-key", product_id=2,
            denomination="50.00", quantity=2), order(http, "third-key", quantity=9)]  # fmt: skip
    assert [each.json()["status"] for each in hits] == ["DELIVERED", "DELIVERED", "PENDING"]
    replay = order(http, "first-key", quantity=3)
    assert replay.headers["Idempotency-Replayed"] == "true"
    reads = [
        http.get(f"/api/v1/orders/{path}")
        for path in ("1", "2", "by-reference/" + hits[0].json()["ref"])
    ]
    for path in ("orders", "orders/1/timeline", "products/1", "wallets", "transactions"):
        assert http.get(f"/api/v1/{path}").status_code == 200
    return [answer.text for answer in (*hits, replay, *reads)]


def raised(deployment: Deployment, http: httpx2.Client) -> None:
    """A wallet that raises, refusals of every kind, and secrets in the wrong places."""
    deployment.flag.touch()
    failed = [order(http, "fault-key"), http.get("/api/v1/wallets")]
    deployment.flag.unlink()
    assert [each.status_code for each in failed] == [500, 500]
    assert isinstance(http.auth, Signed)
    secret, canary = http.auth.credential.secret, SECRETS["card 1"]
    failed += [
        http.get("/api/v1/orders", headers={"X-API-Secret": secret[:-1]}, auth=None),
        http.post("/api/v1/orders", content=b"{", headers={"Idempotency-Key": "k" * 8}),
        order(http, "short"),
        order(http, "wrong-key", quantity=0),
        order(http, "wrong-key", quote="x.y.z"),
        order(http, "first-key", quantity=4),
        http.post("/api/v1/nothing", json={"card_number": canary}),
        http.delete("/api/v1/orders"),
    ]
    assert all(400 <= each.status_code <= 500 for each in failed), failed
    for each in failed:
        deployment.errors.append(str(each.headers.raw).encode() + each.content)
    assert order(http, "fault-key").status_code == 200  # nothing was kept of the fault


def operated(deployment: Deployment) -> dict[str, str]:
    """Everything an operator may do about it while the server runs; returns the new secrets."""
    delivery = deployment.folder / "delivery"
    delivery.mkdir()
    with (delivery / "more.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(_row("card", n) | {"currency": "GBP"} for n in range(5, 10))
    deployment.starship("stock import delivery/more.csv --json")
    ninth = deployment.voucher("VR-9")
    *_, rotated = deployment.starship(
        f"stock block {ninth} --reason audit", "order replace 1 2 --reason bad", "order retry 3",
        "order list", "order list --json", "order show 1", "order show 1 --json",
        "order explain 3", "order explain 3 --json", "order refund 1 --item 1",
        "keys rotate --json", "keys list", "order cancel 3", "wallet statement 1", "client list",
        "client list --json", "plugins --json", "check", "db status", "fx show",
        "ledger verify --json", "stock list --json", "verify",
        "!order retry 1", "!order replace 1 9", "!stock block 999", "client rotate acme --json",
    )  # fmt: skip
    credential = Credential(
        key=rotated["api_key"], secret=rotated["secret"], signing=rotated["signing_secret"]
    )
    newest = max((deployment.folder / "keys").glob("k*"), key=lambda path: path.stat().st_mtime)
    return _named("second", credential) | {"key new": json.loads(newest.read_text())["key"]}
