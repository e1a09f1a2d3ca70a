"""A deployment on the real clock, served by several processes, and the clients who buy there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starship_core.config import Config
from starship_core.flows.import_products import import_products
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.flows.pump_inventory import pump
from starship_core.flows.verify import verify
from starship_core.model import NO_EXPIRY, Money, Secret, Sku, Voucher
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts
from starship_core.testing.servers import RedisServer
from tests.e2e.servers import ANA, PATIENCE, Credential, Shelf, running, written

PRODUCTS = """\
code,name,category,currency,denominations,discount,delivery_type
card,Card,Shops,GBP,20.00,,code
cafe,Café,Food,GBP,20.00,,code
souk,Souk,Shops,GBP,20.00,,code
"""
FACE = Decimal("20.00")


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """A client with one wallet."""

    credential: Credential
    client_id: int
    wallet_id: int
    money: Decimal


@dataclass(kw_only=True)
class Fleet:
    """The open deployment; `ports` are those of its server processes."""

    ship: Ship
    redis: RedisServer
    ports: Sequence[int] = ()
    made: dict[int, list[str]] = field(default_factory=dict)
    """All codes ever put in, by product."""

    @property
    def folder(self) -> Path:
        return self.ship.config.folder

    async def buyer(self, name: str, money: str) -> Buyer:
        """A client whose only wallet, in pounds, holds that much."""
        issued = await create_client(ClientFacts(name=name), ANA, self.ship)
        wallet = await open_wallet(self.ship, issued.client_id, "GBP", by=ANA)
        await self.credit(wallet.id, money)
        return Buyer(
            credential=Credential.of(issued), client_id=issued.client_id, wallet_id=wallet.id,
            money=Decimal(money),
        )  # fmt: skip

    async def credit(self, wallet_id: int, money: str) -> None:
        put_in = Money.of(money, "GBP")
        await credit_wallet(self.ship, wallet_id, put_in, reference=f"T-{wallet_id}", by=ANA)

    def vouchers(self, product: int, count: int) -> list[Voucher]:
        """New ones, each with a code of its own that is remembered in `made`."""
        made = self.made.setdefault(product, [])
        codes = [f"C-{product}-{len(made) + n:06}" for n in range(1, count + 1)]
        made += codes
        sku = Sku(product, Money.of(FACE, "GBP").minor, "GBP")
        return [
            Voucher(
                sku=sku,
                reference=code,
                card_number=Secret(code),
                voucher_reference_number=f"VR-{code}",
                expires_at=NO_EXPIRY,
            )
            for code in codes
        ]

    async def stock(self, product: int, count: int) -> None:
        """Pump that many new vouchers in."""
        shelf = Shelf(self.vouchers(product, count))
        report = await pump(self.ship, by=ANA, sources={"shelf": shelf})
        assert report.sources[0].counts == {"taken": count}, report

    async def sql(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        return await self.ship.database.read(lambda tx: tx.execute(statement, *parameters))

    async def in_stock(self, product: int) -> set[str]:
        """Codes of the pooled rows, opened as a delivery would open them."""
        rows = await self.sql(
            "SELECT id, sealed, key_id FROM vouchers WHERE product_id = $1 AND state = 'pooled'",
            product,
        )
        codes = [self.ship.vault.reveal(*row).card_number for row in rows]
        return {code.reveal() for code in codes if code is not None}

    async def faults(self) -> list[str]:
        """What `starship verify` names; also, if the ledger as a whole does not sum to zero."""
        found = [str(each) for each in await verify(self.ship)]
        ((total,),) = await self.sql("SELECT sum(minor) FROM ledger_postings")  # pounds, all of it
        return [*found, f"the ledger sums to {total}"] if total else found


@asynccontextmanager
async def launched(
    folder: Path,
    database: str,
    redis: RedisServer,
    *,
    configured: Callable[[Config], Config] = lambda config: config,
) -> AsyncIterator[Fleet]:
    """Configured, with three products; served by nobody yet."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    config = configured(written(folder, database=database, redis=redis.url, as_of=now))
    async with Ship.open(config) as ship:
        file = folder / "products.csv"
        file.write_text(PRODUCTS, encoding="utf-8")
        await import_products(file, ANA, ship)
        yield Fleet(ship=ship, redis=redis)


@contextmanager
def processes(folder: Path, count: int) -> Iterator[list[int]]:
    """So many `starship serve`, each on a port of its own; all have to end with status 0."""
    with ExitStack() as stack, ThreadPoolExecutor(count) as starting:
        started = starting.map(lambda _: stack.enter_context(running(folder)), range(count))
        servers = list(started)
        yield [urlsplit(server.url).port or 0 for server in servers]
        for server in servers:
            server.process.terminate()
        for server in servers:
            status = server.process.wait(PATIENCE)
            assert status == 0, server.log.read_text()[-4000:]


async def command(folder: Path, *words: str) -> tuple[int, str]:
    """Exit status and output of `starship` with these words."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("starship"), *words, cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
