"""How Bamboo is reached, against a server of raw bytes on this machine."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import starship_bamboo
from starship_bamboo.config import BambooConfig

from starship_core import (
    Accepted,
    Ambiguous,
    Money,
    Purchase,
    Refused,
    Secret,
    Sku,
    Unavailable,
)
from starship_core.testing.plugs import toolbox

Respond = Callable[[bytes], bytes | None]
GOLDEN = Path(__file__).parent / "golden"
REFERENCE = "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"
(VENDOR,) = starship_bamboo.register_vendor_fulfillers()
(RATES,) = starship_bamboo.register_fx_providers()


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def purchase(**changed: Any) -> Purchase:
    given = Purchase(
        reference=REFERENCE,
        sku=Sku(7, 5000, "AED"),
        quantity=2,
        vendor_product="910001",
        ceiling=Money(3000, "USD"),
        planned_at=datetime(2024, 2, 11, tzinfo=UTC),
    )
    return msgspec.structs.replace(given, **changed)


class Server:
    """Keeps what it was sent; answers what it was given; None: never."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.requests: list[bytes] = []
        self.port = 0
        self.talks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.create_task(self.talk(reader, writer)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
        body = await reader.readexactly(int(length[0].partition(b":")[2])) if length else b""
        self.requests.append(head + body)
        answer = self.respond(head + body)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def config(self, **changed: Any) -> BambooConfig:
        return BambooConfig(
            client_id="client-1",
            client_secret=Secret("its-secret"),
            account_id=4001,
            base_url=f"http://127.0.0.1:{self.port}",
            **{"timeout": 0.3, "page_seconds": 0, **changed},
        )


def http(status: int, body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status, size, body,
    )  # fmt: skip


@asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[Server]:
    server = Server(respond)
    async with await asyncio.start_server(server.accept, "127.0.0.1", 0) as sockets:
        server.port = sockets.sockets[0].getsockname()[1]
        yield server
    await asyncio.gather(*server.talks)


@asynccontextmanager
async def bamboo(server: Server, **changed: Any) -> AsyncIterator[Any]:
    async with VENDOR.open(server.config(**changed), toolbox(Path())) as vendor:
        yield vendor


async def test_a_checkout_on_the_wire() -> None:
    """One request: path, credentials and body as Bamboo wants them."""
    async with (
        serving(lambda _: http(200, golden("checkout_answer.json"))) as server,
        bamboo(server) as vendor,
    ):
        assert await vendor.buy(purchase()) == Accepted(vendor_reference=None)
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /api/integration/v1.0/orders/checkout http/1.1"
    assert "content-type: application/json" in lines
    credentials = base64.b64encode(b"client-1:its-secret").decode()
    assert f"Authorization: Basic {credentials}" in head.decode()
    assert body == golden("checkout_request.json").rstrip()


async def test_nothing_is_sent_that_cannot_be_bought() -> None:
    """501 cards, a product by name: refused here."""
    async with serving(lambda _: b"") as server, bamboo(server) as vendor:
        for changed in ({"quantity": 501}, {"vendor_product": "DEMO"}, {"reference": "7"}):
            assert isinstance(await vendor.buy(purchase(**changed)), Refused)
    assert server.requests == []


@pytest.mark.parametrize(
    "respond",
    [
        lambda _: None,
        lambda _: b"",
        lambda _: b"HTTP/1.1 200 OK\r\nContent-Len",
        lambda _: http(200, b'"6f1d', length=38),
        lambda _: b"SSH-2.0-OpenSSH\r\n",
        lambda _: http(500, b""),
    ],
    ids=["silence", "cut", "cut in head", "cut in body", "no HTTP", "500"],
)
async def test_no_answer_to_a_checkout_is_ambiguous(respond: Respond) -> None:
    """It may have been bought, so it is sent once and never again."""
    async with serving(respond) as server:
        async with bamboo(server) as vendor:
            with pytest.raises(Ambiguous) as raised:
                await vendor.buy(purchase())
        assert len(server.requests) == 1
    assert raised.value.__cause__ is None
    assert "its-secret" not in repr(raised.value)


@pytest.mark.parametrize("respond", [lambda _: None, lambda _: b"", lambda _: http(502, b"")])
async def test_no_answer_to_a_question_is_unavailable(respond: Respond) -> None:
    """A lookup that failed proves nothing, and is asked again by the core."""
    async with serving(respond) as server:
        async with bamboo(server) as vendor:
            with pytest.raises(Unavailable):
                await vendor.find(purchase())
            with pytest.raises(Unavailable):
                await vendor.balance()
        assert len(server.requests) == 2


async def test_a_refused_connection() -> None:
    """No byte was sent: the same purchase may be sent again."""
    async with serving(lambda _: b"") as server:
        pass
    async with bamboo(server) as vendor:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await vendor.buy(purchase())


async def test_orders_are_looked_up_by_our_reference() -> None:
    """And nothing is cached: the second question reaches Bamboo, too."""
    async with (
        serving(lambda _: http(404, golden("not_found.json"))) as server,
        bamboo(server) as vendor,
    ):
        assert await vendor.find(purchase()) is None
        assert await vendor.find(purchase()) is None
    wanted = f"GET /api/integration/v1.0/orders/{REFERENCE} HTTP/1.1".encode()
    assert [request.split(b"\r\n")[0] for request in server.requests] == [wanted, wanted]


async def test_the_catalogue_page_by_page() -> None:
    """From page 0 to the last by Bamboo's count; a product on two pages comes once."""
    async with (
        serving(lambda _: http(200, golden("catalogue_page.json"))) as server,
        bamboo(server, page_size=1) as vendor,
    ):
        products = [product.vendor_product async for product in vendor.catalogue()]
    assert products == ["910001", "910002", "910010"]
    assert [request.split(b" ")[1] for request in server.requests] == [
        b"/api/integration/v2.0/catalog?PageSize=1&PageIndex=0",
        b"/api/integration/v2.0/catalog?PageSize=1&PageIndex=1",
    ]


async def test_a_catalogue_that_ends_early() -> None:
    """An empty page ends it, whatever the count says."""
    async with serving(lambda _: http(200, b'{"count": 900, "items": []}')) as server:
        async with bamboo(server) as vendor:
            assert [product async for product in vendor.catalogue()] == []
        assert len(server.requests) == 1


async def test_balance_and_reports() -> None:
    """Of the account that pays; days as Bamboo writes them."""
    answers = {"accounts": "accounts.json", "orders?": "orders.json", "trans": "transactions.json"}

    def respond(request: bytes) -> bytes:
        path = request.split(b" ")[1].decode().rpartition("/")[2]
        return http(200, golden(next(f for start, f in answers.items() if path.startswith(start))))

    async with serving(respond) as server, bamboo(server) as vendor:
        days = (date(2024, 2, 1), date(2024, 2, 11))
        assert await vendor.balance() == [Money(1250055, "USD")]
        times = [datetime(each.year, each.month, each.day, 12, tzinfo=UTC) for each in days]
        assert [one.reference for one in await vendor.orders(*times)] == [REFERENCE]
        assert [one.transaction_id for one in await vendor.transactions(*days)] == ["T-000777"]
    span = b"?startDate=2024-02-01&endDate=2024-02-11"
    assert [request.split(b" ")[1].partition(b"v1.0/")[2] for request in server.requests] == [
        b"accounts",
        b"orders" + span,
        b"transactions" + span,
    ]


async def test_rates_as_a_provider() -> None:
    """Its own registration; the time is the core's clock."""
    async with serving(lambda _: http(200, golden("rates.json"))) as server:
        section = {
            "client_id": "client-1",
            "client_secret": Secret("s"),
            "base_url": server.config().base_url,
        }
        async with RATES.open(msgspec.convert(section, RATES.config), toolbox(Path())) as provider:
            table = await provider.rates("USD")
    assert table.as_of == datetime(2026, 1, 1, tzinfo=UTC)
    assert server.requests[0].startswith(
        b"GET /api/integration/v1.0/exchange-rates?baseCurrency=USD "
    )


async def test_a_callback() -> None:
    """Believed only with the secret of the section."""
    async with serving(lambda _: b"") as server:
        async with bamboo(server, callback_secret=Secret("shared-string")) as vendor:
            assert vendor.reference({}, golden("callback.json")) == REFERENCE
        async with bamboo(server) as vendor:
            assert vendor.reference({}, golden("callback.json")) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://api.bamboocardportal.com",
        "https://",
        "ftp://x.example",
        "https://user:pass@x.example",
        "https://x.example/?a=b",
        "http://127.0.0.1.evil.example",
    ],
)
def test_credentials_travel_encrypted(url: str) -> None:
    """Plain HTTP is for this machine only; credentials are no part of an address."""
    section = {
        "client_id": "c", "client_secret": Secret("s"), "account_id": 1, "base_url": url,
    }  # fmt: skip
    with pytest.raises(msgspec.ValidationError, match="base_url: must be https"):
        msgspec.convert(section, BambooConfig)


def test_http_is_imported_when_it_is_opened() -> None:
    """Not when the plugin is."""
    late = {"httpx2", "litestar", "uvicorn", "starship_bamboo.sandbox"}
    code = f"import sys, starship_bamboo; sys.exit(bool({late} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_core_knows_no_more_than_it_is_told() -> None:
    """The traits, each proven by the conformance kit or by Bamboo's documentation."""
    traits = VENDOR.traits
    assert (traits.duplicates, traits.lookup, traits.max_units) == ("rejects", True, 500)
    assert (traits.delayed_codes, traits.partial, traits.reference.form) == (True, True, "guid")
    assert traits.buy_timeout > 170, "a checkout ends before the core gives it up"
