"""A deployment behind a real HTTP server, and callers who sign."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import uvicorn

from starship_core.audit import By
from starship_core.config import Config, DatabaseSection, LimitsSection, PluginsSection
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.keyring import create_keys
from starship_core.model import Money
from starship_core.ship import Ship
from starship_core.signature import Request, sign
from starship_core.store.clients import ClientFacts
from starship_core.testing.clock import ManualClock
from starship_core.web.app import create_app
from starship_core.web.server import bind, uvicorn_config

ANA = By(actor="operator:ana", request_id="test")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A client's program: holds a credential, signs, and speaks HTTP to one server."""

    http: httpx2.AsyncClient
    ship: Ship
    client_id: int
    credential_id: int
    key: str
    secret: str
    signing: str
    always_sign: bool = True

    async def __call__(
        self, method: str, target: str, *, json_body: Any = None, **others: Any
    ) -> httpx2.Response:
        """Send a signed request. `body`, `headers` (None drops one), `signature` can be given."""
        body = others.pop("body", b"" if json_body is None else json.dumps(json_body).encode())
        headers = {"X-API-Key": self.key, "X-API-Secret": self.secret}
        if json_body is not None:
            headers["Content-Type"] = "application/json"
        if "signature" in others:
            headers["X-Signature"] = others.pop("signature")
        elif self.always_sign:
            headers["X-Signature"] = self.signature(method, target, body)
        headers.update(others.pop("headers", {}))
        kept = {name: value for name, value in headers.items() if value is not None}
        return await self.http.request(method, target, content=body, headers=kept, **others)

    def signature(
        self, method: str, target: str, body: bytes = b"", *, at: int | None = None
    ) -> str:
        path, _, query = target.encode().partition(b"?")
        moment = int(self.ship.now().timestamp()) if at is None else at
        return sign(self.signing.encode(), Request(method, path, query, body), moment)

    def unsigned(self) -> "Caller":
        return replace(self, always_sign=False)


class Server(uvicorn.Server):
    """Leaves the test run's signals alone, and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.answers.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
def configure(tmp_path: Path, database_url: Any) -> Any:
    """A configuration of the test's own database; sections can be replaced."""
    create_keys(tmp_path / "keys")

    def configured(**sections: Any) -> Config:
        config = Config(
            path=tmp_path / "starship.toml",
            database=DatabaseSection(url=database_url, connections=8),
            plugins=PluginsSection(enabled=["wallet-ledger", "fx-fixed"]),
            limits=LimitsSection(failed_authentications=100_000),
            wallet={"use": "wallet-ledger"},
            fx={"use": "fx-fixed", "rates": {"EUR": "0.92", "GBP": "0.79", "JPY": "150"}},
        )
        return msgspec.structs.replace(config, **sections)

    return configured


@pytest.fixture
async def start(configure: Any, clock: ManualClock) -> AsyncIterator[Any]:
    """`await start(ship)` serves a deployment over HTTP and returns its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(ship: Ship) -> str:
            listener = bind("127.0.0.1", 0)
            server = Server(uvicorn_config(create_app(ship)))
            task = asyncio.create_task(server.serve(sockets=[listener]))

            async def stop() -> None:
                server.should_exit = True
                await task

            stack.push_async_callback(stop)
            await server.answers.wait()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield started


@pytest.fixture
async def ship(configure: Any, clock: ManualClock) -> AsyncIterator[Ship]:
    """A test deployment without Redis, with two currencies and no clients."""
    async with Ship.open(configure(), now=clock) as ship:
        await ship.database.run(add_currencies)
        yield ship


def add_currencies(tx: Any) -> None:
    for code, name, places in (("GBP", "Pound", 2), ("EUR", "Euro", 2), ("JPY", "Yen", 0)):
        tx.execute(
            "INSERT INTO currencies (code, name, symbol, decimal_places, created_at, updated_at)"
            " VALUES ($1, $2, $3, $4, 0, 0)",
            *(code, name, code, places),
        )


@pytest.fixture
async def caller_of(start: Any) -> AsyncIterator[Any]:
    """`await caller_of(ship, "acme")` makes a client and its program; one server a deployment."""
    addresses: dict[int, str] = {}
    async with contextlib.AsyncExitStack() as stack:

        async def made(ship: Ship, name: str, **facts: Any) -> Caller:
            if id(ship) not in addresses:
                addresses[id(ship)] = await start(ship)
            issued = await create_client(ClientFacts(name=name, **facts), ANA, ship)
            assert issued.secret is not None
            assert issued.signing_secret is not None
            http = httpx2.AsyncClient(base_url=addresses[id(ship)], timeout=30)
            return Caller(
                http=await stack.enter_async_context(http),
                ship=ship,
                client_id=issued.client_id,
                credential_id=issued.credential_id,
                key=issued.api_key,
                secret=issued.secret.reveal(),
                signing=issued.signing_secret.reveal(),
            )

        yield made


@pytest.fixture
async def acme(ship: Any, caller_of: Any) -> Caller:
    """A client without wallets."""
    caller: Caller = await caller_of(ship, "acme")
    return caller


@pytest.fixture
def fund(ship: Any) -> Any:
    """`await fund(caller, "100.00", "GBP")` opens a wallet and fills it; returns its id."""

    async def funded(caller: Caller, amount: str, currency: str) -> int:
        wallet = await open_wallet(ship, caller.client_id, currency, by=ANA)
        money = Money.of(amount, currency)
        await credit_wallet(ship, wallet.id, money, reference=f"T-{wallet.id}", by=ANA)
        return wallet.id

    return funded
