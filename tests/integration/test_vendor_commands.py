"""Vendors' commands against the sandboxes of Bamboo and Pine Labs, over HTTP."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stamina
import starship_bamboo.sandbox as bamboo
import starship_pinelabs.sandbox as pinelabs
from click.testing import CliRunner

from starship_core.cli import main
from starship_core.config import load
from starship_core.errors import Unavailable
from starship_core.flows.import_products import import_products
from starship_core.flows.read_vendors import read_catalogue
from starship_core.ship import Ship
from starship_core.testing.serving import served
from tests.integration.ships import ANA, written

PRODUCTS = """\
code,name,category,currency,denominations
store-aed,Demo Store,Shops,AED,50.00;75.00
games-usd,Demo Games,Games,USD,12.50
pin-inr,Card with PIN,Shops,INR,1000
euro,Card,Shops,EUR,10.00
"""
SECTIONS = """
[vendors.bamboo-us]
use = "bamboo"
base_url = "{bamboo}"
client_id = "sandbox-client"
client_secret = "FAKE-FAKE-0001"
account_id = 4001
page_seconds = 0

[vendors.pine]
use = "pinelabs"
base_url = "{pinelabs}"
client_id = "sandbox-client"
client_secret = "{secret}"
username = "sandbox-user"
password = "{password}"
category = "121"
firstname = "Asha"
lastname = "Rao"
email = "asha@example.com"
telephone = "+919800000001"
page_size = 4
page_seconds = 0
"""


@dataclass(frozen=True)
class Market:
    """A deployment with both vendors, whose sandboxes may be looked into."""

    file: Path
    bamboo: bamboo.World
    pinelabs: pinelabs.World

    async def run(self, *words: str, code: int = 0) -> Any:
        """A command in its own loop, while the sandboxes answer in this one; its JSON."""
        arguments = [*words, "--json", "--config", str(self.file)]
        found = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        assert found.exit_code == code, (found.output, found.exception)
        return json.loads(found.stdout) if found.stdout else found.stderr

    @asynccontextmanager
    async def ship(self) -> AsyncIterator[Ship]:
        """One more process, as it were."""
        async with Ship.open(load(self.file, {})) as ship:
            yield ship


@pytest.fixture
async def market(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Market]:
    """With four products; Bamboo's limits are off, as the tests read more than twice an hour."""
    worlds = bamboo.World(bamboo.Settings(limits=False)), pinelabs.World()
    settings = worlds[1].settings
    stamina.set_testing(True, attempts=3, cap=True)
    async with AsyncExitStack() as stack:
        stack.callback(stamina.set_testing, False)
        sections = SECTIONS.format(
            bamboo=await stack.enter_async_context(served(bamboo.sandbox_app(worlds[0]))),
            pinelabs=await stack.enter_async_context(served(pinelabs.sandbox_app(worlds[1]))),
            secret=settings.client_secret,
            password=settings.password,
        )
        file = written(tmp_path, database_url, redis_url, more=sections)
        text = file.read_text().replace('"source-csv"', '"source-csv", "bamboo", "pinelabs"')
        file.write_text(text)
        (tmp_path / "products.csv").write_text(PRODUCTS)
        async with Ship.open(load(file, {})) as ship:
            await import_products(tmp_path / "products.csv", ANA, ship)
        yield Market(file, *worlds)


async def test_check_is_let_in_and_buys_nothing(market: Market) -> None:
    """Bamboo tells balance and catalogue, Pine Labs its catalogue; no order was made."""
    (balance, catalogue) = await market.run("vendor", "check", "bamboo-us")
    assert balance == {"what": "balance", "ok": True, "told": "12500.00 USD"}
    assert (catalogue["what"], catalogue["ok"]) == ("catalogue", True)
    (only,) = await market.run("vendor", "check", "pine")
    assert (only["what"], only["ok"]) == ("catalogue", True)
    assert (market.bamboo.orders, market.pinelabs.orders) == ({}, {})


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_check_of_a_vendor_that_refuses_us_fails(market: Market) -> None:
    """Exit 1, a sentence for each question, and no secret in any of them."""
    market.bamboo.settings = replace(market.bamboo.settings, client_secret="FAKE-FAKE-0009")
    steps = await market.run("vendor", "check", "bamboo-us", code=1)
    assert [(step["what"], step["ok"]) for step in steps] == [
        ("balance", False), ("catalogue", False),
    ]  # fmt: skip
    assert "FAKE" not in json.dumps(steps)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("words", [("check", "west"), ("catalogue", "west"), ("prices", "west")])
async def test_a_vendor_that_is_not_configured_is_named_with_those_that_are(
    market: Market, words: tuple[str, str]
) -> None:
    """Exit 1 and both names, so that a typing mistake mends itself."""
    answer = await market.run("vendor", *words, code=1)
    assert answer["error"]["problems"] == [
        "there is no vendor west; configured are: bamboo-us, pine"
    ]


async def test_catalogue_is_searched_in_a_copy(market: Market) -> None:
    """The second look asks the vendor nothing; --refresh does, and sees what has changed."""
    found = await market.run("vendor", "catalogue", "bamboo-us", "--search", "games 12")
    (line,) = found["products"]
    assert (line["vendor_product"], line["currency"], line["minimum"]) == (
        "910006", "USD", "12.5",
    )  # fmt: skip
    del market.bamboo.goods[910006]
    search = ("vendor", "catalogue", "bamboo-us", "--search", "910006")
    assert len((await market.run(*search))["products"]) == 1
    assert (await market.run(*search, "--refresh"))["products"] == []


async def test_a_proposal_can_be_imported(market: Market, tmp_path: Path) -> None:
    """All of Pine Labs' catalogue becomes products; mapped ones are not proposed again."""
    file = tmp_path / "new.csv"
    command = ("vendor", "catalogue", "pine", "--propose", str(file), "--category", "Pine")
    done = await market.run(*command)
    lines = list(csv.DictReader(file.read_text().splitlines()))
    assert len(lines) == len(done["proposed"]) == len(market.pinelabs.goods)
    assert await market.run("product", "import", str(file), "--as", "ana") == {
        "added": len(lines), "changed": 0, "unchanged": 0,
    }  # fmt: skip
    first = done["proposed"][0]
    words = (first["code"], "pine", first["vendor_product"])
    await market.run("vendor", "map", *words, "--as", "ana")
    file.unlink()
    again = await market.run(*command)
    assert first["code"] not in {each["code"] for each in again["proposed"]}


async def test_map_keeps_what_the_catalogue_says(market: Market) -> None:
    """Range, cost and time; listed as mapped, audited, and gone after unmap."""
    words = ("store-aed", "bamboo-us", "910001")
    offer = await market.run("vendor", "map", *words, "--priority", "7", "--as", "ana")
    product = market.bamboo.goods[910001]
    assert (offer["minimum"], offer["maximum"], offer["priority"]) == (5000, 5000, 7)
    assert offer["cost_face"] == 5000
    assert product.least == Decimal(50)
    (line,) = [one for one in await market.run("vendor", "list") if one["name"] == "bamboo-us"]
    assert (line["mapped"], line["buying"], line["breakers"]) == (1, "on", [])
    await market.run("vendor", "unmap", *words, "--as", "ana")
    await market.run("vendor", "unmap", *words, "--as", "ana", code=1)
    async with market.ship() as ship:
        rows = await ship.database.read(
            lambda tx: tx.execute(
                "SELECT action FROM audit WHERE action LIKE 'vendor.%' ORDER BY id"
            )
        )
    assert rows == [("vendor.map",), ("vendor.unmap",)]


async def test_offers_are_shown_in_the_order_of_preference(market: Market) -> None:
    """With the cost of one; a vendor that is switched off is not among them."""
    command = ("vendor", "offers", "store-aed", "50.00")
    assert await market.run(*command) == []
    await market.run("vendor", "map", "store-aed", "bamboo-us", "910001", "--as", "ana")
    assert await market.run(*command) == [
        {
            "vendor": "bamboo-us", "vendor_product": "910001", "priority": 100,
            "cost": {"minor": 1294, "currency": "USD"}, "failures": 0, "breaker_open": False,
        }
    ]  # fmt: skip
    why = ("--reason", "a test", "--as", "ana")
    await market.run("switch", "off", "vendor:bamboo-us", *why)
    assert await market.run(*command) == []
    (line, _) = await market.run("vendor", "list")
    assert line["buying"] == "STOPPED (vendor:bamboo-us): a test"
    await market.run("switch", "on", "vendor:bamboo-us", *why)
    assert len(await market.run(*command)) == 1


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("euro", "bamboo-us", "910001"), "in the currency it is sold in"),
        (("store-aed", "bamboo-us", "4"), "reads it anew"),
        (("nothing", "bamboo-us", "910001"), "there is no product nothing"),
        (("store-aed", "bamboo-us", "910002", "--from", "9.999"), "decimals of AED"),
        (("store-aed", "bamboo-us", "910002", "--from", "90", "--to", "80"), "above the largest"),
    ],
)
async def test_what_does_not_fit_is_not_mapped(
    market: Market, words: tuple[str, ...], told: str
) -> None:
    """A sentence, exit 1, and no row."""
    answer = await market.run("vendor", "map", *words, "--as", "ana", code=1)
    assert told in answer["error"]["problems"][0]
    assert [one["mapped"] for one in await market.run("vendor", "list")] == [0, 0]


async def test_prices_shows_what_became_dearer_and_takes_it(market: Market) -> None:
    """Against the cost kept: twice as dear, gone; taken, they are the same as before."""
    for code, number in (("store-aed", "910001"), ("games-usd", "910006")):
        await market.run("vendor", "map", code, "bamboo-us", number, "--as", "ana")
    same = await market.run("vendor", "prices", "bamboo-us")
    assert [one["kind"] for one in same] == ["same", "same"]
    product = market.bamboo.goods[910001]
    market.bamboo.goods[910001] = replace(product, share=product.share * 2)
    del market.bamboo.goods[910006]
    gone, dearer = await market.run("vendor", "prices", "bamboo-us", "--refresh")
    assert (gone["kind"], gone["now"], dearer["kind"]) == ("gone", None, "dearer")
    # 50.00 AED at 95 % of its value, and at twice that, rounded up to the cent
    costs = [dearer[when]["minor"] for when in ("before", "now")]
    assert (costs, dearer["percent"]) == ([1294, 2587], "99.92")
    await market.run("vendor", "take-prices", "bamboo-us", "--as", "ana")
    again = await market.run("vendor", "prices", "bamboo-us")
    assert [one["kind"] for one in again] == ["gone", "same"]


async def test_two_processes_share_one_token(market: Market) -> None:
    """One login for both, another one only when the vendor refuses the first."""
    async with market.ship() as one, market.ship() as two:
        ports = [ship.vendors["pine"].port for ship in (one, two)]
        await asyncio.gather(*(_first(port) for port in ports for _ in range(3)))
        assert market.pinelabs.issued == 2  # a code, and the token it was changed into
        market.pinelabs.tokens.clear()
        await asyncio.gather(*(_first(port) for port in ports for _ in range(3)))
        assert market.pinelabs.issued == 4
    async with market.ship() as late:
        await _first(late.vendors["pine"].port)
        rows = await late.database.read(
            lambda tx: tx.execute("SELECT instance, name, sealed FROM vendor_tokens")
        )
    assert market.pinelabs.issued == 4
    ((instance, name, sealed),) = rows
    assert (instance, name) == ("pine", "oauth")
    assert not any(token in sealed for token in market.pinelabs.tokens)


async def _first(port: Any) -> None:
    async for _ in port.catalogue():
        return


async def test_a_read_that_fails_for_a_moment_is_tried_again(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice 503, then the catalogue: the command never knows; the port was asked three times."""
    async with market.ship() as ship:
        port, asked = ship.vendors["pine"].port, []
        whole = type(port).catalogue

        def failing(this: Any) -> Any:
            asked.append(1)
            if len(asked) < 3:
                raise Unavailable("HTTP 503", retry_after=5)
            return whole(this)

        monkeypatch.setattr(type(port), "catalogue", failing)
        found = await read_catalogue("pine", ship)
    assert (len(asked), len(found.products)) == (3, len(market.pinelabs.goods))
