"""How the file is fetched, from a server of raw bytes on this machine."""

import asyncio
import gzip
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import starship_fx_ecb
from hypothesis import given
from hypothesis import strategies as st
from starship_fx_ecb import EcbConfig
from starship_fx_ecb.daily import Daily
from starship_fx_ecb.provider import LARGEST, PRECISION, EcbRates

from starship_core import PLUGIN_API, FxProvider, NotFound, Unavailable
from starship_core.config_file import Place
from starship_core.fx import checked
from starship_core.testing.clock import ManualClock
from starship_core.testing.plugs import toolbox

FILES = Path(__file__).parent / "files"
FRIDAY = (FILES / "friday.xml").read_bytes()
MONDAY = (FILES / "monday.xml").read_bytes()
(REGISTRATION,) = starship_fx_ecb.register_fx_providers()
Respond = Callable[[], bytes | None]


def http(body: bytes, status: int = 200, *extra: str, length: int | None = None) -> bytes:
    head = [
        f"HTTP/1.1 {status} X",
        f"Content-Length: {len(body) if length is None else length}",
        "Content-Type: text/xml",
        "Connection: close",
        *extra,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def in_turn(*answers: bytes | None) -> Respond:
    """One after the other, and the last one again: whoever asks too often is counted, not hung."""
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


class Server:
    """Answers what it is told to; None: never. Keeps what it was asked."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        self.port = 0
        self.talks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.create_task(self.talk(reader, writer)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        self.asked.set()
        answer = self.respond()
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def ecb(
    respond: Respond, clock: ManualClock, kind: type[Server] = Server, **changed: Any
) -> AsyncIterator[tuple[FxProvider, Server]]:
    """The provider, opened as the core opens it, and the server that it asks."""
    server = kind(respond)
    async with await asyncio.start_server(server.accept, "127.0.0.1", 0) as sockets:
        server.port = sockets.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{server.port}/stats/eurofxref/eurofxref-daily.xml"
        config = EcbConfig(url=url, **changed)
        tools = replace(toolbox(Path(), "fx"), now=clock)
        async with REGISTRATION.open(config, tools) as provider:
            yield provider, server
    await asyncio.gather(*server.talks)


async def test_seen_from_the_euro_rates_are_as_written(clock: ManualClock) -> None:
    """The day's publication is the table's time, and the core takes the table."""
    clock.set(datetime(2027, 1, 8, 18, tzinfo=UTC))
    async with ecb(lambda: http(FRIDAY), clock) as (provider, server):
        table = await provider.rates("EUR")
    checked(table, "EUR", clock())
    assert (table.base, table.source, table.as_of) == (
        "EUR", "ecb", datetime(2027, 1, 8, 15, tzinfo=UTC),
    )  # fmt: skip
    assert {code: str(rate) for code, rate in table.rates.items()} == {
        "EUR": "1", "USD": "1.2500", "JPY": "160.40", "GBP": "0.80000", "INR": "97.5310",
        "CHF": "0.9377",
    }  # fmt: skip
    (request,) = server.requests
    lines = request.lower().split("\r\n")
    assert lines[0] == "get /stats/eurofxref/eurofxref-daily.xml http/1.1"
    assert "accept-encoding: identity" in lines


async def test_crosses_go_through_the_euro(clock: ManualClock) -> None:
    """Exact where the division ends, else 28 digits; to itself exactly 1."""
    async with ecb(lambda: http(FRIDAY), clock) as (provider, _):
        dollars = (await provider.rates("USD")).rates
        francs = (await provider.rates("CHF")).rates
    assert dollars["EUR"] == Decimal("0.8")
    assert dollars["GBP"] == Decimal("0.64")
    assert dollars["JPY"] == Decimal("128.32")
    assert dollars["USD"] == Decimal(1)
    assert francs["EUR"] == Decimal("1.066439159645942198997547190")


async def test_a_currency_that_the_bank_does_not_list(clock: ManualClock) -> None:
    """As a base it is not found; as a target it is absent, and the others are there."""
    async with ecb(lambda: http(MONDAY), clock) as (provider, _):
        with pytest.raises(NotFound, match="there is no exchange rate of the ECB for INR"):
            await provider.rates("INR")
        assert set((await provider.rates("USD")).rates) == {"EUR", "USD", "JPY", "GBP", "CHF"}


async def test_over_a_weekend_fridays_file_stays_fridays(clock: ManualClock) -> None:
    """Its time is never made younger: on Monday before four it is almost 72 hours old."""
    files = {"09T12:00": FRIDAY, "10T12:00": FRIDAY, "11T14:59": FRIDAY, "11T15:10": MONDAY}
    ages = []
    async with ecb(in_turn(*map(http, files.values())), clock) as (provider, _):
        for moment in files:
            clock.set(datetime.fromisoformat(f"2027-01-{moment}:00+00:00"))
            ages.append((clock() - (await provider.rates("USD")).as_of) / timedelta(minutes=1))
    assert ages == [21 * 60, 45 * 60, 72 * 60 - 1, 10]


async def test_one_download_serves_all_for_a_while(clock: ManualClock) -> None:
    """Twenty currencies at once are one request, and the next comes after `every_minutes`."""
    files = in_turn(http(FRIDAY), http(MONDAY))
    async with ecb(files, clock, every_minutes=30) as (provider, server):
        bases = ("USD", "GBP", "EUR", "CHF", "JPY") * 4
        tables = await asyncio.gather(*(provider.rates(base) for base in bases))
        clock.advance(minutes=29, seconds=59)
        before = await provider.rates("USD")
        asked = len(server.requests)
        clock.advance(seconds=1)
        after = await provider.rates("USD")
    assert [table.base for table in tables] == list(bases)
    assert (asked, len(server.requests)) == (1, 2)
    assert (before.rates["EUR"], after.rates["EUR"]) == (
        Decimal("0.8"), Decimal("0.7936507936507936507936507937"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "gave no answer (TimeoutError)"),
        (b"", "gave no answer (RemoteProtocolError)"),
        (http(FRIDAY, length=len(FRIDAY) + 1), "gave no answer (RemoteProtocolError)"),
        (http(b"", 503), "was answered with HTTP 503"),
        (http(FRIDAY, 404), "was answered with HTTP 404"),
        (http(FRIDAY, 301, "Location: http://127.0.0.1:9/"), "was answered with HTTP 301"),
        (http(b"", 204), "was answered with HTTP 204"),
        (http(b"<html>"), "cannot be used: it is not XML: no element found"),
        (http(b" " * (LARGEST + 1)), f"is larger than {LARGEST} bytes"),
        (
            http(gzip.compress(FRIDAY), 200, "Content-Encoding: gzip"),
            "came compressed, which was not asked for",
        ),
    ],
)
async def test_a_file_that_cannot_be_had(
    clock: ManualClock, answer: bytes | None, told: str
) -> None:
    """Unavailable, with what came instead, and asked again a few seconds later."""
    seconds = 0.3 if answer is None else 4.0
    async with ecb(lambda: answer, clock, timeout=seconds) as (provider, _):
        with pytest.raises(Unavailable) as caught:
            await provider.rates("USD")
    assert str(caught.value) == f"the ECB's daily file {told}"
    assert caught.value.retry_after == 5


class Dripping(Server):
    """Sends a byte now and then, for as long as somebody listens."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b"", length=LARGEST))
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
            writer.close()
            await writer.wait_closed()


async def test_a_server_that_drips_is_not_waited_for(clock: ManualClock) -> None:
    """The limit is on the whole download, not on the pause between two bytes."""
    async with ecb(lambda: None, clock, Dripping, timeout=0.3) as (provider, _):
        with pytest.raises(Unavailable, match=r"gave no answer \(TimeoutError\)"):
            await provider.rates("USD")


async def test_a_dead_server_is_asked_once_in_five_seconds(clock: ManualClock) -> None:
    """However many currencies ask; then it is asked again, and its answer counts."""
    answers = in_turn(http(b"", 500), http(FRIDAY))
    async with ecb(answers, clock) as (provider, server):
        for base in ("USD", "GBP", "EUR"):
            with pytest.raises(Unavailable, match="HTTP 500"):
                await provider.rates(base)
        clock.advance(seconds=5)
        table = await provider.rates("USD")
    assert table.rates["EUR"] == Decimal("0.8")
    assert len(server.requests) == 2


async def test_a_file_that_can_no_longer_be_had_is_not_made_up(clock: ManualClock) -> None:
    """The core keeps the last good table and decides how old it may be; here nothing is kept."""
    answers = in_turn(http(FRIDAY), http(b"", 500), http(MONDAY))
    async with ecb(answers, clock) as (provider, _):
        assert (await provider.rates("GBP")).as_of == datetime(2027, 1, 8, 15, tzinfo=UTC)
        clock.advance(minutes=10)
        with pytest.raises(Unavailable):
            await provider.rates("GBP")
        clock.advance(seconds=5)
        assert (await provider.rates("GBP")).as_of == datetime(2027, 1, 11, 15, tzinfo=UTC)


async def test_whoever_gives_up_leaves_the_way_free(clock: ManualClock) -> None:
    """The core's deadline cancels a question in the middle; the next one asks anew."""
    answers = in_turn(None, http(FRIDAY))
    async with ecb(answers, clock) as (provider, server):
        asking = asyncio.ensure_future(provider.rates("USD"))
        await server.asked.wait()
        asking.cancel()
        await asyncio.wait({asking})
        assert (await provider.rates("USD")).rates["EUR"] == Decimal("0.8")
    assert len(server.requests) == 2


rates = st.decimals(Decimal("0.000000001"), Decimal("999999999.999999999"), places=9)


@given(st.dictionaries(st.sampled_from(("USD", "GBP", "JPY", "KWD", "INR")), rates, min_size=1))
async def test_every_table_passes_the_core_and_agrees_with_the_file(
    written: dict[str, Decimal],
) -> None:
    """A cross times its base's rate is the written rate again, but for the last of 28 digits."""
    published = datetime(2027, 1, 8, 15, tzinfo=UTC)

    async def fetch() -> Daily:
        return Daily(written, published)

    provider = EcbRates(fetch, every=timedelta(minutes=1), now=lambda: published)
    exact = {"EUR": Decimal(1)} | written
    for base in exact:
        table = await provider.rates(base)
        checked(table, base, published)
        assert set(table.rates) == set(exact)
        for code, rate in table.rates.items():
            error = abs(rate * exact[base] - exact[code])
            assert error <= exact[code] * Decimal(10) ** (2 - PRECISION)


def read(section: str) -> tuple[EcbConfig | None, list[str]]:
    """As the core does, from TOML into the registration's own type."""
    place = Place(file=Path("starship.toml"), section="fx")
    return place.fit(tomllib.loads(section), REGISTRATION.config)


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ('url = "ftp://rates.example/"', " url: 'ftp://rates.example/' is no https:// address"),
        ('url = "eurofxref-daily.xml"', " url: 'eurofxref-daily.xml' is no https:// address"),
        ('url = "http://rates.example/"', " url: rates are money; without https://"),
        ("every_minutes = 0", " every_minutes: expected `int` >= 1"),
        ("timeout = 5", " timeout: expected `float` <= 4.5"),
        ('base = "EUR"', " base: there is no such field"),
    ],
)
def test_a_section_that_is_wrong_is_refused_by_name(section: str, complaint: str) -> None:
    """Before anything has started."""
    settings, problems = read(section)
    assert settings is None
    assert len(problems) == 1
    assert problems[0].startswith(f"starship.toml: [fx]{complaint}")


def test_nothing_has_to_be_set() -> None:
    """Left out, the bank's own file is asked for."""
    settings, problems = read("")
    assert problems == []
    assert settings == EcbConfig(
        url="https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml",
        every_minutes=10,
        timeout=4.0,
    )


def test_the_registration_is_light() -> None:
    """One of this plugin API; to list it no HTTP client is loaded."""
    assert (REGISTRATION.name, REGISTRATION.kind) == ("fx-ecb", "fx")
    assert REGISTRATION.api == PLUGIN_API
    script = "import sys, starship_fx_ecb; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
