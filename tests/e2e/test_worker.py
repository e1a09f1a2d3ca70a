"""Worker processes: killed, stopped, told to end, and the one inside `starship up`."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from starship_core.clock import utc_now
from starship_core.sweeps import registered
from tests.e2e.test_serve import ended, output_of, running
from tests.integration.ships import Dock, add_products, docked, written

SCRIPT = Path(__file__).with_name("sweeping_process.py")
SOURCE = '[sources.incoming]\nuse = "source-csv"\nfolder = "incoming"\n'


@pytest.fixture
async def dock(database_url: str, tmp_path: Path) -> AsyncIterator[Dock]:
    """A deployment on the real clock whose Redis is the one that `up` brings, or none."""
    file = written(tmp_path, database_url, f"unix://{tmp_path}/nobody", more=SOURCE)
    text = file.read_text().replace(f'[redis]\nurl = "unix://{tmp_path}/nobody"\n', "")
    file.write_text(
        text.replace("rates = {", f"as_of = {utc_now():%Y-%m-%dT%H:%M:%SZ}\nrates = {{", 1)
    )
    (tmp_path / "incoming").mkdir()
    async with docked(file, utc_now) as dock:
        await add_products(dock)
        yield dock


@contextlib.asynccontextmanager
async def sweeping(folder: Path, name: str, lease: int = 60_000) -> AsyncIterator[Process]:
    """A process whose sweep lasts until there is a file `go`; killed if it is still there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, folder, name, str(lease), stdin=DEVNULL
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def diary(folder: Path) -> list[str]:
    file = folder / "diary"
    return file.read_text().splitlines() if file.exists() else []


async def written_down(folder: Path, *lines: str) -> None:
    """Until the diary says exactly this."""
    async with asyncio.timeout(20):
        while True:
            if diary(folder) == list(lines):
                return
            await asyncio.sleep(0.02)


async def ran(dock: Dock) -> list[Any]:
    return list(await dock.sql("SELECT runs, done FROM sweep_runs WHERE kind = 'test'"))


async def test_a_worker_killed_in_a_sweep_is_replaced(dock: Dock) -> None:
    """Its slot is run by another as soon as its lease has ended, and counted once."""
    folder = dock.ship.config.folder
    async with sweeping(folder, "slow", lease=1500) as victim:
        await written_down(folder, "began slow")
        async with sweeping(folder, "heir"):
            victim.kill()
            await written_down(folder, "began slow", "began heir", "ended heir")
            await counted(dock)
    rows = await dock.sql("SELECT claims FROM cron_slots WHERE ended_at IS NOT NULL")
    assert (await ran(dock), rows) == ([(1, 1)], [(2,)])


async def counted(dock: Dock) -> None:
    async with asyncio.timeout(20):
        while True:
            if await ran(dock):
                return
            await asyncio.sleep(0.02)


async def test_a_worker_stopped_in_a_sweep_cannot_write_late(dock: Dock) -> None:
    """SIGSTOP until its lease has ended and another has run the slot: its end counts nothing."""
    folder = dock.ship.config.folder
    async with sweeping(folder, "slow", lease=1500) as victim:
        await written_down(folder, "began slow")
        victim.send_signal(signal.SIGSTOP)
        async with sweeping(folder, "heir"):
            await written_down(folder, "began slow", "began heir", "ended heir")
            await counted(dock)
            before = await dock.sql("SELECT * FROM cron_slots")
            (folder / "go").touch()
            victim.send_signal(signal.SIGCONT)
            await written_down(folder, "began slow", "began heir", "ended heir", "ended slow")
            victim.terminate()
            assert await ended(victim) == 0
    assert await dock.sql("SELECT * FROM cron_slots") == before
    assert await ran(dock) == [(1, 1)]


async def test_sigterm_drains(dock: Dock) -> None:
    """What it has is finished and written down before it ends with 0."""
    folder = dock.ship.config.folder
    async with sweeping(folder, "slow") as worker:
        await written_down(folder, "began slow")
        worker.terminate()
        await asyncio.sleep(0.2)
        assert worker.returncode is None
        (folder / "go").touch()
        assert await ended(worker) == 0
    assert diary(folder) == ["began slow", "ended slow"]
    assert await ran(dock) == [(1, 1)]
    assert await dock.sql("SELECT name FROM workers") == []


async def test_the_command_works_and_tells(dock: Dock) -> None:
    """`starship worker` does what is due without any Redis; `status` tells of it, and ends with 1
    when nobody works.
    """
    folder = dock.ship.config.folder
    soon = datetime.now(UTC) + timedelta(seconds=1)
    await dock.stock(1, expires_at=soon)
    code, out, _ = await output_of(folder, "worker", "status", "--json")
    assert (code, json.loads(out)["workers"]) == (1, [])
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("starship"), "worker", "--json", "--kinds", "expiry,rates",
        cwd=folder, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    said = json.loads(await process.stdout.readuntil(b"\n}\n"))
    assert said["kinds"] == ["expiry", "rates"]
    async with asyncio.timeout(20):
        while True:
            if await dock.sql("SELECT kind FROM sweep_runs WHERE kind = 'expiry'"):
                break
            await asyncio.sleep(0.05)
    assert await dock.sql("SELECT state FROM vouchers") == [("expired",)]
    code, out, _ = await output_of(folder, "worker", "status", "--json")
    found = json.loads(out)
    assert (code, [each["name"] for each in found["workers"]]) == (0, [said["worker"]])
    told = {each["kind"]: each for each in found["kinds"]}
    assert list(told) == list(registered(dock.ship.config))
    assert {"pump", "bulk", "purchases", "expiry", "rates"} <= told.keys()
    assert (told["expiry"]["last_result"], told["expiry"]["last_done"]) == ("done", 1)
    process.terminate()
    assert await ended(process) == 0


async def test_an_unknown_kind_is_refused(dock: Dock) -> None:
    """It says which there are, and ends with 2 like every wrong configuration."""
    code, _, err = await output_of(dock.ship.config.folder, "worker", "--kinds", "pumpe")
    assert (code, "there is no sweep pumpe" in err) == (2, True)


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_up_pumps_and_retries_by_itself(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    """No separate worker: a file in the source's folder becomes stock, and with auto-retry on the
    order that waited for it is delivered.
    """
    folder = dock.ship.config.folder
    order = (await dock.place(await dock.client(), "key-00001")).order
    (folder / "incoming" / "a.csv").write_text(
        "product,denomination,currency,card_number\ncard,25.00,EUR,CODE-1\n"
    )
    monkeypatch.setitem(os.environ, "DISABLE_AUTO_ORDER_RETRY", "false")
    async with running(folder, "up") as (process, _):
        async with asyncio.timeout(20):
            while True:
                if (await dock.order(order.id)).status == "DELIVERED":
                    break
                await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0
    rows = await dock.sql("SELECT actor FROM audit WHERE action = 'order.retry'")
    assert rows == [("retry",)]
