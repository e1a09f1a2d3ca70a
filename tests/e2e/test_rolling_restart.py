"""`examples/production` under load: its units' commands, its very configuration, all restarted."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from starship_core.config import load
from starship_core.flows.import_products import import_products
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.model import Money
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts
from tests.e2e.balancing import Balancer, Place, balancing
from tests.e2e.servers import ANA, PATIENCE, STARSHIP, Credential
from tests.race.wire import signed

PRODUCTION = Path(__file__).parents[2] / "examples" / "production"
CLIENTS = 4
STOCK = 4000
PAUSE = 0.05
"""Seconds between two orders of a client: about fifty a second in all."""
PRODUCTS = """\
code,name,category,currency,denominations,discount,delivery_type
card,Card,Shops,GBP,20.00,,code
"""
ECB = """<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube><Cube time="{day}">
<Cube currency="USD" rate="1.2500"/><Cube currency="GBP" rate="0.80000"/></Cube></Cube>
</gesmes:Envelope>"""
ORDER = {"product_id": 1, "denomination": "20.00", "quantity": 1}


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


def command_of(unit: str, instance: str) -> list[str]:
    """What systemd would run, from this checkout."""
    text = (PRODUCTION / "systemd" / unit).read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=/srv/starship/current/bin/starship (.*)$", text, re.MULTILINE)
    return [str(STARSHIP), *shlex.split(line.replace("%i", instance))]


@asynccontextmanager
async def central_bank() -> AsyncIterator[str]:
    """The address of a daily file of yesterday."""
    body = ECB.format(day=datetime.now(UTC).date() - timedelta(days=1)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/eurofxref-daily.xml"


@dataclass(kw_only=True)
class Deployment:
    """A folder as the README makes it, and what runs there."""

    folder: Path
    environ: Mapping[str, str]
    running: AsyncExitStack

    async def told(self, *words: str) -> str:
        """What a command says; it has to end with 0."""
        process = await asyncio.create_subprocess_exec(
            STARSHIP, *words, cwd=self.folder, env=self.environ,
            stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, (words, out, err)
        return out.decode()

    async def start(self, unit: str, instance: str) -> tuple[Process, str]:
        """A unit's process, and the first line that it says: then it works."""
        log = self.running.enter_context((self.folder / "log").open("ab"))
        process = await asyncio.create_subprocess_exec(
            *command_of(unit, instance), cwd=self.folder, env=self.environ,
            stdin=DEVNULL, stdout=PIPE, stderr=log,
        )  # fmt: skip
        self.running.push_async_callback(_ended, process)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert line, (self.folder / "log").read_text()[-4000:]
        return process, line.decode()

    async def serve(self, port: int = 0) -> tuple[Process, int]:
        process, line = await self.start("starship-server@.service", str(port))
        found = re.match(r"Serving: http://127\.0\.0\.1:(\d+)  \(live\)\n", line)
        assert found, line
        return process, int(found[1])

    async def work(self, name: str) -> Process:
        process, line = await self.start("starship-worker@.service", name)
        assert line.startswith("Working: pump, "), line
        return process

    async def stop(self, process: Process) -> None:
        """As systemd would, within its patience; it must end by itself, with 0."""
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0, (
            self.folder / "log"
        ).read_text()[-4000:]


async def _ended(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


@pytest.fixture
async def deployment(
    bare_database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Deployment]:
    """Set up with the README's commands; of the environment, only addresses are other ones."""
    folder = tmp_path / "starship"
    async with central_bank() as ecb, AsyncExitStack() as running:
        environ = {
            **os.environ,
            "STARSHIP_CONFIG": str(folder / "starship.toml"),
            "STARSHIP_DATABASE_URL": bare_database_url,
            "STARSHIP_REDIS_URL": redis_url,
            "STARSHIP_ECB_URL": ecb,
            "STARSHIP_MAIL_HOST": "127.0.0.1",
        }
        deployment = Deployment(folder=folder, environ=environ, running=running)
        process = await asyncio.create_subprocess_exec(
            STARSHIP, "init", folder, cwd=tmp_path, stdout=DEVNULL
        )
        assert await process.wait() == 0
        (folder / "starship.db").unlink()
        shutil.copy(PRODUCTION / "starship.toml", folder)
        (folder / "secrets").mkdir(mode=0o700)
        (folder / "secrets" / "mail-password").write_text("not-a-password\n")
        await deployment.told("check")
        await deployment.told("db", "upgrade", "--as", "deploy")
        yield deployment


async def clients(ship: Ship) -> list[Credential]:
    """Clients of a product in pounds, whose wallets hold euros."""
    made = []
    for number in range(CLIENTS):
        issued = await create_client(ClientFacts(name=f"client-{number}"), ANA, ship)
        wallet = await open_wallet(ship, issued.client_id, "EUR", by=ANA)
        money = Money.of("1000000.00", "EUR")
        await credit_wallet(ship, wallet.id, money, reference=f"T-{number}", by=ANA)
        made.append(Credential.of(issued))
    return made


async def pooled(ship: Ship) -> int:
    ((count,),) = await ship.database.read(
        lambda tx: tx.execute("SELECT count(*) FROM vouchers WHERE state = 'pooled'")
    )
    return int(count)


async def stocked(deployment: Deployment, ship: Ship) -> None:
    """A file is put where the source finds it, and pumped."""
    lines = [f"card,20.00,GBP,CODE-{number:05}" for number in range(STOCK)]
    text = "\n".join(["product,denomination,currency,card_number", *lines, ""])
    (deployment.folder / "vouchers" / "delivery.csv").write_text(text)
    await deployment.told("pump", "--as", "deploy")
    assert await pooled(ship) == STOCK


@dataclass(kw_only=True)
class Load:
    """Clients that order one unit after the other until they are told to stop."""

    balancer: Balancer
    orders: list[dict[str, Any]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def client(self, number: int, who: Credential) -> None:
        sent = 0
        while not self.over.is_set():
            key = f"roll-{number}-{sent:05}"
            answer = await self.balancer.send(signed(who, "POST", "/orders", ORDER, key=key))
            assert (answer.status, answer.replayed) == (200, False), answer.body
            self.orders.append(answer.json)
            sent += 1
            await asyncio.sleep(PAUSE)

    async def reaches(self, place: Place) -> None:
        """Until the server there has answered ten orders more."""
        goal = place.answered + 10
        async with asyncio.timeout(PATIENCE):
            while True:
                if place.answered >= goal:
                    return
                await asyncio.sleep(PAUSE)


async def test_everything_is_restarted_and_no_order_fails(deployment: Deployment) -> None:
    """Each server and worker is told to stop, ends by itself and is replaced, one after the other;
    every order is sent once, answered 200 and delivered, by all servers, old and new.
    """
    config = load(deployment.folder / "starship.toml", deployment.environ)
    async with Ship.open(config) as ship:
        (deployment.folder / "products.csv").write_text(PRODUCTS)
        await import_products(deployment.folder / "products.csv", ANA, ship)
        buyers = await clients(ship)
        await stocked(deployment, ship)
        servers = await asyncio.gather(deployment.serve(), deployment.serve())
        workers = await asyncio.gather(deployment.work("1"), deployment.work("2"))
        async with (
            balancing([port for _, port in servers]) as balancer,
            asyncio.TaskGroup() as all_,
        ):
            load_ = Load(balancer=balancer)
            for number, who in enumerate(buyers):
                all_.create_task(load_.client(number, who))
            for place, (server, port) in zip(balancer.places, servers, strict=True):
                await load_.reaches(place)
                await deployment.stop(server)
                await deployment.serve(port)
            for place in balancer.places:
                await load_.reaches(place)
            renewed = []
            for name, worker in zip(("1", "2"), workers, strict=True):
                await deployment.stop(worker)
                renewed.append((await deployment.work(name)).pid)
            load_.over.set()
        await agree(deployment, ship, load_.orders)
        await only(deployment, renewed)


async def only(deployment: Deployment, pids: list[int]) -> None:
    """Until these workers, and no other, are known to work; `status` ends with 0 by then."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = json.loads(await deployment.told("worker", "status", "--json"))
            if sorted(each["pid"] for each in found["workers"]) == sorted(pids):
                return
            await asyncio.sleep(PAUSE)


async def agree(deployment: Deployment, ship: Ship, orders: list[dict[str, Any]]) -> None:
    """What clients were told is what the database has, and nothing in it is wrong."""
    assert {(each["status"], each["amount"]) for each in orders} == {("DELIVERED", "25.00")}
    codes = {voucher["card_number"] for each in orders for voucher in each["vouchers"]}
    assert len(codes) == len(orders)
    assert await pooled(ship) == STOCK - len(orders)
    ((known,),) = await ship.database.read(lambda tx: tx.execute("SELECT count(*) FROM orders"))
    assert known == len(orders)
    await deployment.told("verify")
