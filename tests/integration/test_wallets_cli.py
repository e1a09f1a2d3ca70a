"""`starship wallet …` and `starship ledger verify`, as an operator calls them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from starship_core.cli import main
from starship_core.database import opened
from starship_core.keyring import create_keys

Starship = Callable[..., Result]

TOML = """
[database]
url = "{url}"
[plugins]
enabled = ["wallet-ledger", "fx-fixed"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
rates = {{ EUR = "0.92" }}
"""


@pytest.fixture
def sql(database_url: str, tmp_path: Path) -> Callable[..., Any]:
    """Run one statement in the deployment's database."""

    async def run(statement: str) -> Any:
        async with opened(database_url, folder=tmp_path, connections=1) as database:
            return await database.run(lambda tx: tx.execute(statement))

    return lambda statement: asyncio.run(run(statement))


@pytest.fixture
def starship(database_url: str, tmp_path: Path, sql: Callable[..., Any]) -> Starship:
    """`starship("wallet", "show", "1")` in a deployment with one client; ana is the operator."""
    create_keys(tmp_path / "keys")
    config = tmp_path / "starship.toml"
    config.write_text(TOML.format(url=database_url))
    sql("INSERT INTO clients (name, created_at) VALUES ('acme', 0)")

    def run(*arguments: str, operator: str = "ana") -> Result:
        environment = {"STARSHIP_CONFIG": str(config), "STARSHIP_OPERATOR": operator}
        return CliRunner().invoke(main, arguments, env=environment)

    return run


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def test_money_in_and_out_again(starship: Starship, sql: Callable[..., Any]) -> None:
    """Every command with --json, each answer exact, each change audited under the operator."""
    opened_ = document(
        starship(
            "wallet", "open", "1", "KWD", "--type", "postpaid", "--credit-limit", "5", "--json"
        )
    )
    assert opened_ == {
        "id": 1, "client": 1, "currency": "KWD", "type": "POSTPAID", "balance": "0.000",
        "credit_limit": "5.000", "spendable": "5.000", "active": True,
    }  # fmt: skip
    credit = ("wallet", "credit", "1", "250.125", "--reference", "BANK 1", "--json")
    moved = {
        "wallet": 1, "transaction": 1, "reference": "BANK 1", "amount": "250.125",
        "currency": "KWD", "balance_after": "250.125", "repeated": False,
    }  # fmt: skip
    assert document(starship(*credit, "--reason", "transfer of monday")) == moved
    assert document(starship(*credit)) == moved | {"repeated": True}
    limited = document(starship("wallet", "limit", "1", "7.5", "--json"))
    assert limited["credit_limit"] == "7.500"
    assert document(starship("wallet", "show", "1", "--json")) == limited
    assert document(starship("wallet", "show", "--client", "1", "--json")) == [limited]
    assert document(starship("wallet", "show", "--client", "2", "--json")) == []
    assert document(starship("wallet", "reverse", "BANK 1", "--json")) == moved | {
        "transaction": 2, "balance_after": "0.000",
    }  # fmt: skip
    told = document(starship("wallet", "statement", "1", "--since", "2020-01-01", "--json"))
    assert [(line["key"], line["amount"], line["balance_after"]) for line in told["lines"]] == [
        ("topup:BANK 1", "250.125", "250.125"),
        ("reversal:BANK 1", "-250.125", "0.000"),
    ]
    assert {key: told[key] for key in told if key != "lines"} == {
        "wallet": 1, "currency": "KWD", "since": "2020-01-01T00:00:00Z", "until": None,
        "opening": "0.000", "closing": "0.000",
    }  # fmt: skip
    audit = sql("SELECT actor, action, reason FROM audit ORDER BY id")
    assert [tuple(row) for row in audit] == [
        ("operator:ana", "wallet.open", ""),
        ("operator:ana", "wallet.credit", "transfer of monday"),
        ("operator:ana", "wallet.limit", ""),
        ("operator:ana", "wallet.reversal", ""),
    ]


def test_what_a_person_reads(starship: Starship) -> None:
    """Sentences that say what happened, and when nothing did."""
    starship("wallet", "open", "1", "GBP")
    credit = ("wallet", "credit", "1", "250", "--reference", "BANK-1")
    assert starship(*credit).stdout == (
        "250.00 GBP credited, as transaction 1; wallet 1 stood at 250.00 GBP after it.\n"
    )
    assert starship(*credit).stdout == (
        "Nothing changed: BANK-1 was credited before, as transaction 1; "
        "wallet 1 stood at 250.00 GBP after it.\n"
    )
    assert starship("wallet", "reverse", "BANK-1").stdout == (
        "250.00 GBP taken back, as transaction 2; wallet 1 stood at 0.00 GBP after it.\n"
    )
    told = starship("wallet", "statement", "1", "--until", "2020-01-01T12:00:00+01:00").stdout
    assert [line.split() for line in told.splitlines()] == [
        ["Wallet", "1,", "GBP"],
        ["at", "kind", "key", "amount", "balance"],
        ["1970-01-01T00:00:00Z", "opening", "–", "–", "0.00"],
        ["2020-01-01T11:00:00Z", "closing", "–", "–", "0.00"],
    ]
    assert starship("ledger", "verify").stdout == "The ledger adds up.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ("credit 1 250", 2, "Missing option '--reference'"),
        ("credit 1 1e3 --reference x", 2, "write a decimal such as 250 or 250.00"),
        ("credit 1 NaN --reference x", 2, "write a decimal such as 250 or 250.00"),
        ("credit 1 0.001 --reference x", 1, "0.001 has more than the 2 decimals of GBP"),
        ("credit 1 0 --reference x", 1, "a credit is more than 0, not 0.00 GBP"),
        ("credit 9 250 --reference x", 1, "there is no wallet 9"),
        ("reverse x", 1, "there is no credit with the reference x"),
        ("open 9 GBP", 1, "there is no client 9"),
        ("open 1 GBP", 1, "client 1 has a wallet in GBP already"),
        ("open 1 gbp", 1, "'gbp' is no ISO 4217 currency"),
        ("limit 1 1.005", 1, "1.005 has more than the 2 decimals of GBP"),
        ("statement 1 --since monday", 2, "write 2027-01-31, or 2027-01-31T16:00:00Z"),
        ("show 1 --client 1", 2, "Give a wallet or --client, not both."),
        ("show 9", 1, "there is no wallet 9"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_errors_say_what_to_do(
    starship: Starship, arguments: str, code: int, complaint: str
) -> None:
    """Exit 2 for a wrong call, 1 for a refusal; nothing on stdout."""
    starship("wallet", "open", "1", "GBP")
    result = starship("wallet", *arguments.split())
    assert (result.exit_code, result.stdout) == (code, "")
    assert complaint in result.stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "command", ["open 1 GBP", "credit 1 1 --reference x", "reverse x", "limit 1 1"]
)
def test_changes_have_an_operator(starship: Starship, command: str) -> None:
    """Without a name nothing is done."""
    result = starship("wallet", *command.split(), operator="")
    assert result.exit_code == 2
    told = " ".join(result.stderr.replace("│", " ").split())
    assert "add --as NAME, or set STARSHIP_OPERATOR." in told


def test_ledger_verify_names_invariant_and_row(starship: Starship, sql: Callable[..., Any]) -> None:
    """And exits 1."""
    starship("wallet", "open", "1", "GBP")
    starship("wallet", "credit", "1", "250", "--reference", "BANK-1")
    sql("UPDATE ledger_accounts SET balance = 25001")
    sentences = [
        "I2 ledger_accounts wallet:1: its balance is 250.01 GBP, its postings sum to 250.00 GBP",
        """I2 wallets 1: it shows 250.00 GBP and may go to 0.00 GBP; \
the wallet backend has 250.01 GBP and may go to 0.00 GBP""",
    ]
    result = starship("ledger", "verify")
    assert (result.exit_code, result.stdout.splitlines()) == (1, sentences)
    result = starship("ledger", "verify", "--json")
    assert result.exit_code == 1
    assert msgspec.json.decode(result.stdout) == {"violations": sentences}


@pytest.mark.parametrize(
    "command", ["wallet", *(f"wallet {verb}" for verb in
                            ("open", "credit", "reverse", "limit", "show", "statement")),
                "ledger", "ledger verify"],
)  # fmt: skip
def test_every_command_explains_itself(command: str) -> None:
    """With an example that one can copy."""
    result = CliRunner().invoke(main, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"starship {command}" in result.stdout
    assert "Examples:" in result.stdout
