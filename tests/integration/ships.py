"""A real deployment for tests: plugins, vault, database and Redis as a server has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from starship_core.access import Client
from starship_core.audit import By
from starship_core.clock import Clock
from starship_core.config import load
from starship_core.flows.import_products import import_products
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.flows.place_order import Replayed, place_order
from starship_core.flows.pump_inventory import pump
from starship_core.flows.verify import verify
from starship_core.keyring import create_keys
from starship_core.model import NO_EXPIRY, Money, Order, Secret, Sku, Voucher, Want
from starship_core.new_order import NewOrder
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts, Issued
from starship_core.store.orders import find_order
from starship_core.store.write import Placed

ANA: Final = By(actor="operator:ana", reason="a test", request_id="req-ana")
CARD: Final = Sku(1, 2500, "EUR")
SMALL: Final = Sku(1, 1000, "EUR")
YEN: Final = Sku(2, 1000, "JPY")
DINAR: Final = Sku(3, 5000, "KWD")
_PRODUCTS: Final = """\
code,name,category,currency,denominations,discount,delivery_type
card,Card,Shops,EUR,10.00;25.00,,code
yen,Yen card,Shops,JPY,1000,,code
dinar,Dinar card,Shops,KWD,5.000,,code
"""
_CONFIG: Final = """
[deployment]
name = "{name}"
[database]
url = "{database}"
connections = {connections}
[redis]
url = "{redis}"
[limits]
orders = 100000000
reads = 100000000
[plugins]
enabled = ["wallet-ledger", "fx-fixed", "source-csv", "notify-webhook"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
base = "EUR"
rates = {{ JPY = "160", KWD = "0.33" }}
[notifiers.webhooks]
use = "notify-webhook"
{more}
"""


@dataclass
class Shelf:
    """An inventory source in memory: offers each unit until it is confirmed."""

    waiting: dict[str, Voucher] = field(default_factory=dict)
    recalls: list[str] = field(default_factory=list)
    made: int = 0

    def put(self, count: int, sku: Sku = CARD, expires_at: datetime = NO_EXPIRY) -> list[str]:
        """So many new units, each with a code of its own; their references."""
        references = [f"u{self.made + n}" for n in range(1, count + 1)]
        self.made += count
        for name in references:
            self.waiting[name] = Voucher(
                sku=sku, reference=name, card_number=Secret(f"CODE-{name}"),
                voucher_reference_number=f"VR-{name}", expires_at=expires_at,
            )  # fmt: skip
        return references

    async def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        for voucher in list(self.waiting.values()):
            yield voucher

    async def confirm(self, references: Sequence[str]) -> None:
        for reference in references:
            self.waiting.pop(reference, None)

    async def recalled(self) -> Sequence[str]:
        return self.recalls


@dataclass(frozen=True, kw_only=True)
class Dock:
    """An open ship with a shelf to pump from, and what tests ask of it."""

    ship: Ship
    shelf: Shelf

    async def issue(
        self, name: str = "acme", money: Mapping[str, str] | None = None, **facts: Any
    ) -> tuple[Issued, Client]:
        """A client with wallets of these amounts (one of 1,000.00 EUR), and its first key."""
        ship = self.ship
        issued = await create_client(ClientFacts(name=name, **facts), ANA, ship)
        for currency, amount in (money or {"EUR": "1000.00"}).items():
            wallet = await open_wallet(ship, issued.client_id, currency, by=ANA)
            if put_in := Money.of(amount, currency).minor:
                await credit_wallet(
                    ship, wallet.id, Money(put_in, currency), reference=f"T-{wallet.id}", by=ANA
                )
        credential = await ship.access.credential(issued.api_key)
        assert credential is not None
        return issued, credential.client

    async def client(self, name: str = "acme", money: Any = None, **facts: Any) -> Client:
        return (await self.issue(name, money, **facts))[1]

    async def stock(
        self, count: int, sku: Sku = CARD, expires_at: datetime = NO_EXPIRY
    ) -> list[int]:
        """Pump that many new vouchers in; their ids, in the order of their making."""
        references = self.shelf.put(count, sku, expires_at)
        report = await pump(self.ship, by=ANA)
        assert report.sources[0].counts == {"taken": count}
        rows = await self.sql("SELECT origin, id FROM vouchers")
        ids = dict(rows)
        return [ids[f"shelf:{reference}"] for reference in references]

    async def place(
        self, client: Client, key: str, sku: Sku = CARD, quantity: int = 1, **asked: Any
    ) -> Placed:
        """Through the till, as a POST does; a replay is a mistake here."""
        placed = await self.ask(client, key, sku, quantity, **asked)
        assert isinstance(placed, Placed)
        return placed

    async def ask(
        self, client: Client, key: str, sku: Sku = CARD, quantity: int = 1, **asked: Any
    ) -> Placed | Replayed:
        new = NewOrder(
            key=key, product_id=sku.product_id, denomination=Decimal(sku.face.amount),
            quantity=quantity, request_id=f"req-{key}", **asked,
        )  # fmt: skip
        return await place_order(new, client, self.ship)

    async def order(self, order_id: int) -> Order:
        """As it stands."""
        found = await self.ship.database.read(find_order, order_id)
        assert found is not None
        return found

    async def sql(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Read on a snapshot."""
        return await self.ship.database.read(lambda tx: tx.execute(statement, *parameters))

    async def change(self, statement: str, *parameters: Any) -> None:
        """What only a test does to the rows."""
        await self.ship.database.run(lambda tx: tx.execute(statement, *parameters))

    async def balance(self, client: Client, currency: str = "EUR") -> int:
        """Of the client's wallet in it, in minor units."""
        (account,) = (w.account for w in client.wallets if w.currency == currency)
        return (await self.ship.wallet.balance(account)).minor

    async def on_sale(self, sku: Sku = CARD) -> set[int]:
        """Ids of the pooled rows."""
        rows = await self.sql(
            "SELECT id FROM vouchers WHERE state = 'pooled' AND product_id = $1"
            " AND denomination = $2 AND currency = $3",
            sku.product_id, sku.denomination, sku.currency,
        )  # fmt: skip
        return {row[0] for row in rows}

    async def events(self, order_id: int) -> list[tuple[str, int]]:
        """(type, revision) of all that was announced of it, in order."""
        rows = await self.sql(
            "SELECT event_type, revision FROM outbox WHERE order_id = $1"
            " ORDER BY revision, event_type",
            order_id,
        )
        return [(kind, revision) for kind, revision in rows]

    async def sound(self) -> None:
        """No invariant is broken, and Redis misses nothing that is on sale.

        What it has too much of is found out when it is suggested.
        """
        found = [str(each) for each in await verify(self.ship)]
        assert found == [], found
        for sku in (CARD, SMALL, YEN, DINAR):
            assert await self.on_sale(sku) - await self.ship.pool.members(sku) == set()


def written(
    folder: Path, database: str, redis: str, *, more: str = "", connections: int = 4
) -> Path:
    """A configuration file and its keys."""
    file = folder / "starship.toml"
    values = {"name": folder.name, "database": database, "redis": redis, "more": more}
    file.write_text(_CONFIG.format(connections=connections, **values))
    if not (folder / "keys").exists():
        create_keys(folder / "keys")
    return file


@asynccontextmanager
async def docked(file: Path, now: Clock) -> AsyncIterator[Dock]:
    """The deployment of that file, open; its one source is the shelf."""
    shelf = Shelf()
    async with Ship.open(load(file, {}), now=now) as ship:
        yield Dock(ship=replace(ship, sources={"shelf": shelf}), shelf=shelf)


async def add_products(dock: Dock) -> None:
    """The three products of the skus above, in currencies of 2, 0 and 3 decimals."""
    file = dock.ship.config.folder / "products.csv"
    file.write_text(_PRODUCTS)
    await import_products(file, ANA, dock.ship)
