"""`starship target …` and what `starship pump` tells of targets, with a vendor of the file."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from starship_core.cli import main
from starship_core.store.vendor_products import VendorOffer, write_offer
from tests.integration.ships import Dock

BAMBOO = """
[vendors.bamboo-eu]
use = "bamboo"
base_url = "https://127.0.0.1:1"
client_id = "c"
client_secret = "s"
account_id = 1
"""
CARD = ("card", "25.00")
SET = ("target", "set", *CARD, "--minimum", "5", "--maximum", "8", "--as", "ana")
APPROVE = ("target", "approve", *CARD, "--budget", "60.00", "--as", "ana")


@pytest.fixture
def database_kind() -> str:
    """What is done is tested on both databases elsewhere; here it is how it is said."""
    return "sqlite"


@pytest.fixture
async def file(dock: Dock) -> str:
    """The configuration of a shop that may buy the card from Bamboo."""
    path = dock.ship.config.path
    text = path.read_text().replace('"source-csv"', '"source-csv", "bamboo"')
    path.write_text(text + BAMBOO)
    offer = VendorOffer(
        product_id=1, code="card", currency="EUR", vendor="bamboo-eu", vendor_product="7"
    )
    await dock.ship.database.run(write_offer, offer, 1)
    return str(path)


async def starship(file: str, *words: str, code: int = 0) -> Any:
    """The JSON of a command in its own loop, or what it says on stderr."""
    arguments = [*words, "--json", "--config", file]
    found = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert found.exit_code == code, (found.output, found.exception)
    return json.loads(found.stdout) if not code else found.stderr


async def said(file: str, *words: str) -> str:
    """What a person reads."""
    found = await asyncio.to_thread(CliRunner().invoke, main, [*words, "--config", file])
    assert found.exit_code == 0, (found.output, found.exception)
    return found.stdout


def day(number: int) -> str:
    """So many days ahead, by the clock that commands have."""
    return f"{datetime.now(UTC) + timedelta(days=number):%F}"


async def test_from_a_target_to_a_purchase(dock: Dock, file: str) -> None:
    """Set, approved, rehearsed, pumped: two units for the budget, planned once; then no more."""
    assert "There is no target" in await said(file, "target", "list")
    kept = await starship(file, *SET, "--vendor", "bamboo-eu", "--budget", "100")
    assert (kept["sku"], kept["budget"], kept["vendors"]) == (
        "1/25.00/EUR", "100.00 EUR", ["bamboo-eu"],
    )  # fmt: skip
    words = ("--until", day(9), "--reason", "a sale")
    approved = await starship(file, *APPROVE, *words)
    assert (approved["left"], approved["approved_by"]) == ("60.00 EUR", "operator:ana")
    rehearsed = (await starship(file, "pump", "--dry-run", "--as", "ana"))["targets"]
    assert await dock.sql("SELECT id FROM purchases") == []
    (told,) = (await starship(file, "pump", "--as", "ana"))["targets"]
    assert [one | {"purchases": []} for one in told["ahead"]] == rehearsed[0]["ahead"]
    assert told == rehearsed[0] | {"ahead": told["ahead"]}
    assert told["ahead"] == [
        {"vendor": "bamboo-eu", "quantity": 2, "ceiling": "50.00 EUR", "approval_id": 1,
         "purchases": told["ahead"][0]["purchases"]},
    ]  # fmt: skip
    assert await dock.sql("SELECT sum(quantity) FROM purchases") == [(2,)]
    assert "2 from bamboo-eu for at most" not in (read := await said(file, "pump", "--as", "ana"))
    assert "the budget of its standing approvals is used up" in read
    listed = await said(file, "target", "list")
    assert "bamboo-eu" in listed
    assert "10.00 EUR" in listed  # of 60.00
    ended = await starship(file, "target", "revoke", "1", "--as", "ana", "--reason", "enough")
    assert (ended["state"], ended["left"]) == ("ENDED", "10.00 EUR")
    gone = await starship(file, "target", "remove", *CARD, "--as", "ana")
    assert (gone["minimum"], gone["maximum"]) == (5, 8)
    assert await starship(file, "target", "list") == []


async def test_what_is_wrong_is_said(file: str) -> None:
    """What, and what to do; nothing is kept."""
    assert "target of 1/25.00/EUR; set one with `starship target set`" in await starship(
        file, *APPROVE, "--until", day(1), "--reason", "r", code=1
    )
    assert "there is no vendor west; configured: bamboo-eu" in await starship(
        file, *SET, "--vendor", "west", code=1
    )
    await starship(file, *SET, "--vendor", "bamboo-eu")
    assert "an approval needs a reason" in await starship(file, *APPROVE, "--until", day(1), code=1)
    assert "within 92 days" in await starship(
        file, *APPROVE, "--until", day(99), "--reason", "r", code=1
    )
    assert "write 2027-01-01T09:30:00Z" in await starship(
        file, *APPROVE, "--until", "soon", "--reason", "r", code=2
    )
    assert "there is no approval 7" in await starship(
        file, "target", "revoke", "7", "--as", "ana", code=1
    )
