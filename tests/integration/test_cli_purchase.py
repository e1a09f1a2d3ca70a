"""Settling purchases and reading their raw replies, with the commands."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner

from starship_core.access import Client
from starship_core.cli import main
from starship_core.errors import Ambiguous
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.model import Money, Secret
from tests.integration.scripted import Scripted, at_market
from tests.integration.ships import ANA, Dock

RAW = "HTTP 500 CODE-IN-RAW"
VOUCHERS = """\
product,denomination,currency,card_number
card,25.00,EUR,HAND-1
card,25.00,EUR,HAND-2
"""


async def starship(dock: Dock, *words: str, code: int = 0) -> Any:
    """A command in its own loop; its JSON, or what it says on stderr."""
    arguments = [*words, "--json", "--config", str(dock.ship.config.path)]
    found = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert found.exit_code == code, (found.output, found.exception)
    return json.loads(found.stdout) if not code else found.stderr


@pytest.fixture
async def doubted(dock: Dock, acme: Client) -> str:
    """The id of a purchase of two cards, about which nobody knows."""
    ship = await at_market(dock, {"north": Scripted([Ambiguous("cut off", Secret(RAW))])})
    order = (await dock.place(acme, "key-doubted", quantity=2)).order
    done = await approve_fallback(
        order.id, ANA, ship, vendors=["north"], ceiling=Money(9_000, "EUR")
    )
    await sweep_purchases(ship)
    return str(done.purchases[0])


async def test_the_raw_reply_is_shown_to_whoever_says_his_name(dock: Dock, doubted: str) -> None:
    """Never without `--raw`; with it, to a named operator, whose reason is in the audit."""
    assert "CODE-IN-RAW" not in json.dumps(await starship(dock, "purchase", "show", doubted))
    refused = await starship(dock, "purchase", "show", doubted, "--raw", code=2)
    assert "--raw is audited" in refused
    words = ("--raw", "--as", "ana", "--reason", "ticket 771")
    assert (await starship(dock, "purchase", "show", doubted, *words))["raw"] == RAW
    assert await dock.sql(
        "SELECT actor, subject, reason FROM audit WHERE action = 'purchase.reveal'"
    ) == [("operator:ana", f"purchase:{doubted}", "ticket 771")]


async def test_settled_as_not_bought(dock: Dock, doubted: str) -> None:
    """With evidence, once; the audit and the purchase say whose word it is."""
    words = ("purchase", "resolve", doubted, "--not-bought", "--as", "ana")
    assert "how you know" in await starship(dock, *words, code=1)
    done = await starship(dock, *words, "--evidence", "ticket 771")
    assert (done["state"], done["received"]) == ("NOT_BOUGHT", 0)
    shown = await starship(dock, "purchase", "show", doubted)
    assert shown["evidence"][-1].endswith("not bought, says operator:ana: ticket 771")
    assert "it is settled" in await starship(dock, *words, "--evidence", "again", code=1)
    await dock.sound()


async def test_settled_with_the_vouchers_of_a_file(dock: Dock, doubted: str) -> None:
    """They are delivered, and the file's codes are in no answer."""
    file = dock.ship.config.folder / "bought.csv"
    file.write_text(VOUCHERS)
    words = ("purchase", "resolve", doubted, "--bought", str(file), "--as", "ana")
    done = await starship(dock, *words)
    assert (done["state"], done["received"], done["quantity"]) == ("BOUGHT", 2, 2)
    assert "HAND-" not in json.dumps(done)
    (order,) = await dock.sql("SELECT status, sub_status FROM orders")
    assert tuple(order) == ("DELIVERED", "COMPLETED")
    await dock.sound()


async def test_one_answer_and_not_two(dock: Dock, doubted: str) -> None:
    """Neither and both are a mistake of the caller."""
    words = ("purchase", "resolve", doubted, "--as", "ana")
    assert "one of them" in await starship(dock, *words, code=2)
    both = ("--not-bought", "--bought", "x.csv")
    assert "one of them" in await starship(dock, *words, *both, code=2)
