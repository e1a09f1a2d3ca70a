from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from starship_core.audit import By
from starship_core.cli import main
from starship_core.config import load
from starship_core.flows.manage_clients import create_client
from starship_core.keyring import create_keys
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts

CONFIG = """
[database]
url = "{url}"
[plugins]
enabled = ["wallet-ledger", "fx-fixed"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
base = "GBP"
as_of = 2020-01-01T00:00:00Z
rates = {{ EUR = "1.25" }}
"""
PRODUCTS = """\
code,name,category,currency,denominations,discount
card,Store Card,Shopping,GBP,20.00;50.00@2.5,2.0
cafe,Café Zürich,Food,EUR,5.00-100.00,
"""
Run = Callable[..., Result]


@pytest.fixture
def database_kind() -> str:
    """The commands end in flows that are tested on both."""
    return "sqlite"


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Run:
    (tmp_path / "starship.toml").write_text(CONFIG.format(url=database_url))
    (tmp_path / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    create_keys(tmp_path / "keys")

    def invoke(*words: str, code: int = 0) -> Result:
        config = ["--config", str(tmp_path / "starship.toml")]
        found = CliRunner().invoke(main, [*words, *config])
        assert found.exit_code == code, (found.output, found.exception)
        return found

    return invoke


@pytest.fixture
def shop(run: Run, tmp_path: Path) -> Run:
    """With its two products and one client."""
    run("product", "import", str(tmp_path / "products.csv"), "--as", "ana")

    async def fill() -> None:
        async with Ship.open(load(tmp_path / "starship.toml", {})) as ship:
            await create_client(ClientFacts(name="acme"), By(actor="operator:ana"), ship)

    asyncio.run(fill())
    return run


def audited(tmp_path: Path, action: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(tmp_path / "starship.db")
    try:
        statement = "SELECT actor, subject, reason, before, after FROM audit WHERE action = ?"
        return connection.execute(statement, (action,)).fetchall()
    finally:
        connection.close()


def test_import_says_what_it_did(run: Run, tmp_path: Path) -> None:
    """In words, and as JSON."""
    file = str(tmp_path / "products.csv")
    first = run("product", "import", file, "--as", "ana")
    again = run("product", "import", file, "--as", "ana", "--json")
    assert first.stdout == "2 added, 0 changed, 0 unchanged\n"
    assert json.loads(again.stdout) == {"added": 0, "changed": 0, "unchanged": 2}


def test_a_file_with_mistakes_is_refused_with_all_of_them(run: Run, tmp_path: Path) -> None:
    """One line each on stderr, exit 1, nothing written."""
    (tmp_path / "bad.csv").write_text(PRODUCTS + "x,,Food,EUX,1,\n", encoding="utf-8")
    refused = run("product", "import", str(tmp_path / "bad.csv"), "--as", "ana", code=1)
    assert refused.stderr == (
        "Error: line 4: name is missing\nError: line 4: currency: 'EUX' is no ISO 4217 currency\n"
    )
    assert json.loads(run("product", "list", "--json").stdout) == []


def test_list_shows_offers_and_discounts(shop: Run) -> None:
    """All facts as JSON; searched by code, name or brand."""
    found = json.loads(shop("product", "list", "--search", "STORE", "--json").stdout)
    assert found == [
        {
            "id": 1, "code": "card", "name": "Store Card", "brand": None, "category": "Shopping",
            "currency": "GBP", "denominations": ["20.00", "50.00@2.5"], "discount": "2.0",
            "client_discounts": {}, "active": True,
        }
    ]  # fmt: skip
    lines = shop("product", "list").stdout.splitlines()
    assert lines[2].split() == ["2", "cafe", "Café", "Zürich", "EUR", "5.00-100.00", "–", "yes"]


def test_set_changes_a_product_and_leaves_one_audit_row(shop: Run, tmp_path: Path) -> None:
    """All that was asked for in one transaction, with who, why, before and after."""
    words = ["--inactive", "--discount", "3.5", "--client-discount", "acme=5", "--as", "ana"]
    shop("product", "set", "card", *words, "--reason", "recalled")
    (found,) = json.loads(shop("product", "list", "--inactive", "--json").stdout)
    assert (found["code"], found["discount"], found["client_discounts"]) == (
        "card",
        "3.5",
        {"1": "5"},
    )
    ((actor, subject, reason, before, after),) = audited(tmp_path, "product.set")
    assert (actor, subject, reason) == ("operator:ana", "product:1", "recalled")
    assert json.loads(before) == {"is_active": True, "discount": "2.0", "client:1": None}
    assert json.loads(after) == {"is_active": False, "discount": "3.5", "client:1": "5"}


def test_set_takes_discounts_away(shop: Run) -> None:
    """ "none" is no discount at all, which is not a discount of 0."""
    shop("product", "set", "card", "--client-discount", "1=0", "--as", "ana")
    answer = shop(
        "product", "set", "card", "--discount", "none", "--client-discount", "acme=none",
        "--as", "ana", "--json",
    )  # fmt: skip
    assert json.loads(answer.stdout) == {
        "code": "card",
        "before": {"is_active": True, "discount": "2.0", "client:1": "0"},
        "after": {"is_active": True, "discount": None, "client:1": None},
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nix", "--active"], "there is no product nix"),
        (["card", "--discount", "101"], "'101' is no percentage from 0 to 100"),
        (["card", "--inactive", "--client-discount", "nobody=5"], "there is no client nobody"),
        (["card", "--inactive", "--client-discount", "acme=-5"], "'-5' is no percentage from 0"),
    ],
)
def test_what_cannot_be_set_changes_nothing(
    shop: Run, tmp_path: Path, words: list[str], message: str
) -> None:
    """Also not the half of it that could be."""
    refused = shop("product", "set", *words, "--as", "ana", code=1)
    assert refused.stderr.startswith(f"Error: {message}")
    assert json.loads(shop("product", "list", "--inactive", "--json").stdout) == []
    assert audited(tmp_path, "product.set") == []


@pytest.mark.parametrize(
    "words", [["card"], ["card", "--client-discount", "acme"], ["card", "--discount"]]
)
def test_set_without_a_sense_is_a_usage_error(shop: Run, words: list[str]) -> None:
    """Exit 2, before anything is opened."""
    shop("product", "set", *words, "--as", "ana", code=2)


def test_fx_show_marks_what_is_stale(shop: Run, tmp_path: Path) -> None:
    """Source and age of every rate; those too old to price with are shown as such."""
    stale = json.loads(shop("fx", "show", "--base", "EUR", "--json").stdout)
    assert stale == [
        {
            "base": "EUR", "rates": {"GBP": "0.8"}, "source": "fx-fixed",
            "as_of": "2020-01-01T00:00:00Z", "state": "stale",
        }
    ]  # fmt: skip
    path = tmp_path / "starship.toml"
    path.write_text(path.read_text().replace("as_of = 2020-01-01T00:00:00Z", ""))
    fresh = json.loads(shop("fx", "show", "--json").stdout)
    assert [(table["base"], table["rates"], table["state"]) for table in fresh] == [
        ("EUR", {"GBP": "0.8"}, "good"),
        ("GBP", {"EUR": "1.25"}, "good"),
    ]
    shop("fx", "show", "--base", "XXX", code=1)
