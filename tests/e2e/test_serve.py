"""`starship serve` and `starship up` as processes: they answer, drain, and refuse what is wrong."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from starship_core.audit import By
from starship_core.config import load
from starship_core.flows.manage_clients import create_client
from starship_core.keyring import create_keys
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts

STARSHIP = (sys.executable, "-c", "from starship_core.cli import main; main()")
TOML = """
[database]
url = "{url}"
[plugins]
enabled = ["wallet-ledger", "fx-fixed"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
rates = {{ EUR = "0.92" }}
"""


@pytest.fixture
def folder(tmp_path: Path, database_url: Any) -> Any:
    """A deployment's folder: configuration and keys beside a migrated database."""
    create_keys(tmp_path / "keys")
    (tmp_path / "starship.toml").write_text(TOML.format(url=database_url))
    return tmp_path


@contextlib.asynccontextmanager
async def running(folder: Any, *arguments: Any) -> AsyncIterator[Any]:
    """The process, and what it announced on its standard output; killed if it is still there."""
    process = await asyncio.create_subprocess_exec(
        *STARSHIP, *arguments, "--port", "0", "--json", cwd=folder, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            announced = b""
            while not announced.endswith(b"}\n"):
                line = await process.stdout.readline()
                assert line, (await process.stderr.read()).decode()
                announced += line
        yield process, json.loads(announced)["url"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def ended(process: Any) -> Any:
    async with asyncio.timeout(60):
        return await process.wait()


async def output_of(folder: Any, *arguments: Any) -> Any:
    process = await asyncio.create_subprocess_exec(
        *STARSHIP, *arguments, cwd=folder, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_told_to_stop_ends_with_0(folder: Any, told: Any) -> None:
    """It answers, is told to stop, and ends as a service manager expects."""
    async with running(folder, "serve") as (process, url), httpx2.AsyncClient() as http:
        assert (await http.get(f"{url}/status")).status_code == 200
        assert (await http.get(f"{url}/ready")).json()["status"] == "degraded"
        process.send_signal(told)
        assert await ended(process) == 0


async def test_what_was_accepted_is_finished(folder: Any) -> None:
    """A request that is half sent when the order to stop comes is still answered."""
    async with running(folder, "serve") as (process, url):
        async with Ship.open(config_of(folder)) as ship:
            issued = await create_client(ClientFacts(name="acme"), By(actor="operator:ana"), ship)
        assert issued.secret is not None
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            "POST /api/v1/signature/explain HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
            f"X-API-Key: {issued.api_key}\r\nX-API-Secret: {issued.secret.reveal()}\r\n"
            "Expect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        async with asyncio.timeout(30):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"12")
            process.send_signal(signal.SIGTERM)
            await closed(host, int(port))
            writer.write(b"34")
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert await ended(process) == 0


async def closed(host: Any, port: Any) -> None:
    """Returns when nothing is accepted there any more."""
    with contextlib.suppress(OSError):
        while True:
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await asyncio.sleep(0.02)


def config_of(folder: Any) -> Any:
    return load(folder / "starship.toml")


async def settled(http: httpx2.AsyncClient, url: str) -> Any:
    """The answer once the worker beside the server has begun, and has done what was due."""
    async with asyncio.timeout(60):
        while True:
            found = (await http.get(url)).json()
            if found["workers"] and found["oldest_due_seconds"] is None:
                return found
            await asyncio.sleep(0.2)


async def test_another_schema_is_refused(folder: Any) -> None:
    """A server of this release serves this release's tables; it says what to run, and exits 2."""
    async with Ship.open(config_of(folder)) as ship:
        await ship.database.run(
            lambda tx: tx.execute("UPDATE starship_core_version SET version_num = '0000'")
        )
    code, _, err = await output_of(folder, "serve", "--port", "0")
    assert code == 2
    assert "starship db upgrade" in err


async def test_a_taken_port_is_refused(folder: Any) -> None:
    """The address is told, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = await output_of(folder, "serve", "--port", str(port))
    assert code == 2
    assert f"127.0.0.1:{port}" in err
    assert "Traceback" not in err


class TestWorkers:
    """Several processes on one port."""

    @pytest.fixture
    def database_kind(self) -> Any:
        return "postgresql"

    async def test_they_share_the_port_and_the_metrics(self, folder: Any) -> None:
        """Requests are spread or not, as the kernel likes; the counters are everybody's."""
        async with running(folder, "serve", "--workers", "2") as (process, url):
            async with httpx2.AsyncClient() as first:
                await answers(first, url)
            for _ in range(20):
                async with httpx2.AsyncClient() as http:
                    assert (await http.get(f"{url}/docs")).status_code == 200
            async with httpx2.AsyncClient() as http:
                text = (await http.get(f"{url}/metrics")).text
            labels = 'method="GET",route="/docs",status="200"'
            assert f"starship_http_requests_total{{{labels}}} 20.0" in text
            process.send_signal(signal.SIGTERM)
            assert await ended(process) == 0

    async def test_one_that_dies_is_replaced(self, folder: Any) -> None:
        """The port stays open, and soon there are as many as before."""
        async with running(folder, "serve", "--workers", "2") as (process, url):
            async with httpx2.AsyncClient() as http:
                await answers(http, url)
            before = children(process.pid)
            os.kill(before[0], signal.SIGKILL)
            async with asyncio.timeout(60):
                while len(set(children(process.pid)) - {before[0]}) < 2:  # noqa: ASYNC110  # no event tells of other processes
                    await asyncio.sleep(0.1)
            async with httpx2.AsyncClient() as http:
                await answers(http, url)

    async def test_they_end_with_their_supervisor(self, folder: Any) -> None:
        """A supervisor that is killed leaves no server behind that holds the port."""
        async with running(folder, "serve", "--workers", "2") as (process, url):
            async with httpx2.AsyncClient() as http:
                await answers(http, url)
            workers = children(process.pid)
            assert len(workers) == 2
            process.kill()
            async with asyncio.timeout(60):
                while any(alive(worker) for worker in workers):  # noqa: ASYNC110  # no event tells of other processes
                    await asyncio.sleep(0.1)


async def answers(http: Any, url: Any) -> None:
    """Workers start behind the open port: the first answer takes as long as one of them needs."""
    assert (await http.get(f"{url}/status", timeout=60)).status_code == 200


def processes() -> dict[int, int]:
    """Process → parent, of all that run; one that ended and was not waited for does not."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in table.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def children(pid: int) -> list[int]:
    return [child for child, parent in processes().items() if parent == pid]


def alive(pid: int) -> bool:
    return pid in processes()


class TestSqlite:
    """What is only so with the embedded database."""

    @pytest.fixture
    def database_kind(self) -> Any:
        return "sqlite"

    async def test_workers_need_postgresql(self, folder: Any) -> None:
        """SQLite has one writer; a second process would only wait for it."""
        code, _, err = await output_of(folder, "serve", "--workers", "2")
        assert code == 2
        assert "PostgreSQL" in err

    async def test_up_brings_everything(self, folder: Any) -> None:
        """An empty database and no Redis: one command makes both, and takes both away again."""
        (folder / "starship.db").unlink()
        async with running(folder, "up") as (process, url), httpx2.AsyncClient() as http:
            assert await settled(http, f"{url}/ready") == {
                "status": "ready",
                "database": "ok",
                "database_schema": "current",
                "redis": "ok",
                "oldest_due_seconds": None,
                "workers": 1,
                "clock_skew_seconds": None,
            }
            assert (await http.get(f"{url}/docs")).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert await ended(process) == 0
        assert not (folder / "run" / "redis.sock").exists()
