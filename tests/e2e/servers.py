"""A deployment behind a real HTTP server, in this process or its own, and callers who sign."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import httpx2
import uvicorn
from msgspec import Struct

from starship_core.audit import By
from starship_core.config import Config, load
from starship_core.flows.import_products import import_products
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.flows.pump_inventory import pump
from starship_core.keyring import create_keys
from starship_core.model import NO_EXPIRY, Money, Secret, Sku, Voucher, Want
from starship_core.ship import Ship
from starship_core.signature import Request, sign
from starship_core.store.clients import ClientFacts, Issued
from starship_core.testing.clock import ManualClock
from starship_core.web.app import create_app
from starship_core.web.server import bind, uvicorn_config

ANA = By(actor="operator:ana", reason="test")
ROOT = "/api/v1"
PATIENCE = 60.0
"""Seconds that a server process may take to come or go: a laden machine is slow, not broken."""
_CONFIG = """
[deployment]
name = "shop"
environment = "{environment}"
[database]
url = "{database}"
connections = 8
[redis]
url = "{redis}"
[limits]
orders = 100000000
reads = 100000000
operators = 100000000
failed_authentications = 100000000
[plugins]
enabled = ["wallet-ledger", "fx-fixed", "notify-webhook"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
base = "GBP"
as_of = {as_of}
rates = {{ EUR = "1.17342199", JPY = "191.5", KWD = "0.39" }}
[notifiers.webhooks]
use = "notify-webhook"
[pricing]
{pricing}
"""
PRICING = {
    "discount": "1",
    "handling_percent": "1.5",
    "convenience_percent": "0.25",
    "conversion_percent": "2",
    "tax_percent": "18",
}
"""Fees of every kind, so that each printed line is something."""


class Credential(Struct, frozen=True, kw_only=True):
    """What a client's program is given."""

    key: str
    secret: str
    signing: str

    @classmethod
    def of(cls, issued: Issued) -> Credential:
        assert issued.secret is not None
        assert issued.signing_secret is not None
        return cls(
            key=issued.api_key,
            secret=issued.secret.reveal(),
            signing=issued.signing_secret.reveal(),
        )

    def headers(
        self, method: str, target: bytes, body: bytes, *, at: float, required: bool = True
    ) -> dict[str, str]:
        """Of a request whose target (path and query) goes over the wire as it is given here."""
        head = {"X-API-Key": self.key, "X-API-Secret": self.secret}
        path, _, query = target.partition(b"?")
        signature = sign(self.signing.encode(), Request(method, path, query, body), int(at))
        return head | {"X-Signature": signature} if required else head


class Signed(httpx2.Auth):
    """Signs what is sent, as it is sent."""

    requires_request_body = True

    def __init__(self, credential: Credential, now: Callable[[], datetime]) -> None:
        self.credential, self._now = credential, now

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers.update(
            self.credential.headers(
                request.method,
                request.url.raw_path,
                request.content,
                at=self._now().timestamp(),
            )
        )
        yield request


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A client's program; every call is signed."""

    http: httpx2.AsyncClient
    client_id: int
    credential: Credential
    wallets: Mapping[str, int]
    """Id by currency."""

    async def send(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx2.Response:
        """`body`: bytes go as they are, anything else as JSON. `path` is below /api/v1."""
        headers = dict(options.pop("headers", {}))
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.request(method, ROOT + path, headers=headers, **options)

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.send("GET", path, params=query or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        answer = await self.send("POST", path, body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def order(self, key: str, status: int = 200, **body: Any) -> Any:
        """`POST /orders`, 1 unit of 20.00 of product 1 unless said otherwise; the answer's JSON."""
        return (await self.ordered(key, status, **body)).json()

    async def ordered(self, key: str, status: int = 200, **body: Any) -> httpx2.Response:
        whole = {"product_id": 1, "denomination": "20.00", "quantity": 1} | body
        answer = await self.send("POST", "/orders", whole, headers={"Idempotency-Key": key})
        assert answer.status_code == status, answer.text
        return answer


class Shelf:
    """An inventory source that has what it was given, until it is confirmed."""

    def __init__(self, vouchers: Iterable[Voucher]) -> None:
        self.left = {voucher.reference: voucher for voucher in vouchers}

    async def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        for voucher in list(self.left.values()):
            yield voucher

    async def confirm(self, references: Sequence[str]) -> None:
        for reference in references:
            self.left.pop(reference, None)


@dataclass(kw_only=True)
class Shop:
    """An assembled deployment, served over HTTP on a loopback port."""

    ship: Ship
    url: str
    clock: ManualClock
    folder: Path
    callers: list[Caller] = field(default_factory=list)
    stocked: int = 0

    async def products(self, rows: str) -> None:
        """Import a catalogue file's text."""
        file = self.folder / "products.csv"
        file.write_text(rows, encoding="utf-8")
        await import_products(file, ANA, self.ship)
        await self.seen()

    async def client(self, name: str, money: Mapping[str, str], **facts: Any) -> Caller:
        """A client with these wallets, filled; the first one is its default."""
        issued = await create_client(ClientFacts(name=name, **facts), ANA, self.ship)
        wallets = {}
        for currency, amount in money.items():
            wallet = await open_wallet(self.ship, issued.client_id, currency, by=ANA)
            wallets[currency] = wallet.id
            if amount != "0":
                await self.credit(wallet.id, Money.of(amount, currency), f"first-{wallet.id}")
        credential = Credential.of(issued)
        caller = Caller(
            http=httpx2.AsyncClient(
                base_url=self.url, auth=Signed(credential, self.ship.now), timeout=PATIENCE
            ),
            client_id=issued.client_id,
            credential=credential,
            wallets=wallets,
        )
        self.callers.append(caller)
        await self.seen()
        return caller

    async def credit(self, wallet_id: int, amount: Money, reference: str) -> None:
        await credit_wallet(self.ship, wallet_id, amount, reference=reference, by=ANA)

    async def stock(self, product_id: int, face: str, count: int, **facts: Any) -> list[Voucher]:
        """Pump that many vouchers in; returns them."""
        product = (await self.ship.catalogue.current()).products[product_id]
        money = Money.of(face, product.currency)
        sku = Sku(product_id, money.minor, money.currency)
        vouchers = [self._voucher(sku, **facts) for _ in range(count)]
        report = await pump(self.ship, by=ANA, sources={"shelf": Shelf(vouchers)})
        assert report.sources[0].counts == {"taken": count}, report
        return vouchers

    def _voucher(self, sku: Sku, *, expires_at: datetime = NO_EXPIRY, **codes: str) -> Voucher:
        self.stocked += 1
        number = f"{self.stocked:04}"
        secrets = codes or {"card_number": "CARD-{}", "pin_code": "PIN-{}"}
        return Voucher(
            sku=sku,
            reference=f"R-{number}",
            voucher_reference_number=f"VR-{number}",
            expires_at=expires_at,
            **{name: Secret(text.format(number)) for name, text in secrets.items()},
        )

    async def seen(self) -> None:
        """Processes look for changes once a second; this one looks now."""
        self.ship.catalogue._confirmed = self.ship.catalogue._next_look = 0.0
        await self.ship.catalogue.current()
        self.ship.access.forget()

    async def close(self) -> None:
        for caller in self.callers:
            await caller.http.aclose()


def written(folder: Path, **given: Any) -> Config:
    """A configuration file with all its keys; `pricing` and `environment` can be given."""
    pricing = "\n".join(f'{name} = "{value}"' for name, value in given.pop("pricing", {}).items())
    text = _CONFIG.format(
        **{"environment": "test", "as_of": "2027-01-01T00:00:00Z", **given}, pricing=pricing
    )
    (folder / "starship.toml").write_text(text)
    if not (folder / "keys").exists():
        create_keys(folder / "keys")
    return load(folder / "starship.toml", {})


@asynccontextmanager
async def opened_shop(config: Config, clock: ManualClock) -> AsyncIterator[Shop]:
    """Assembled and served in this process, with the test's own clock; empty."""
    async with Ship.open(config, now=clock) as ship, served(ship) as url:
        shop = Shop(ship=ship, url=url, clock=clock, folder=config.folder)
        try:
            yield shop
        finally:
            await shop.close()


@asynccontextmanager
async def served(ship: Ship) -> AsyncIterator[str]:
    """Where the deployment answers, on a loopback port; as a server process would have it."""
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn_config(create_app(ship)))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                break
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@dataclass(frozen=True, kw_only=True)
class Process:
    """A running `starship serve` or `starship up`."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def stop(self) -> None:
        """As an operator would; the exit status must be 0."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.log.read_text()[-4000:]


STARSHIP = Path(sys.executable).with_name("starship")


@contextmanager
def running(
    folder: Path,
    *command: str,
    program: Path = STARSHIP,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """`starship serve` (or another command that serves) in the folder, on a free port."""
    log = folder / "server.log"
    arguments = [str(program), *(command or ("serve",)), "--port", "0", "--json"]
    with log.open("a") as stderr:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    try:
        said = _document(process.stdout)
        assert said, log.read_text()[-4000:]
        yield Process(process=process, url=json.loads(said)["url"], log=log)
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        process.kill()
        process.wait()
        process.stdout.close()


def _document(stdout: IO[str]) -> str:
    lines = []
    for line in stdout:
        lines.append(line)
        if line.startswith("}"):
            break
    return "".join(lines)
