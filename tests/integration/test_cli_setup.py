"""`starship check`, `plugins` and `db`, with the plugins that are really installed."""

from __future__ import annotations

import json
import sqlite3
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from starship_core.cli import main

INSTALLED = sorted(entry.name for entry in entry_points(group="starship"))
FILE = """
[plugins]
enabled = ["wallet-ledger", "fx-fixed"]
[fx]
rates = { EUR = "0.9" }
"""


def starship(*arguments: str) -> Result:
    environment = {"STARSHIP_OPERATOR": None, "STARSHIP_CONFIG": None, "COLUMNS": "200"}
    return CliRunner().invoke(main, arguments, env=environment)


def answer(*arguments: str) -> Any:
    result = starship(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "starship.toml"
    path.write_text(FILE)
    return path


def test_check_of_a_deployment_in_order(file: Path) -> None:
    """Exit 0, and what would be opened; no database has been made by looking."""
    document = answer("check", "--config", str(file))
    human = starship("check", "--config", str(file))

    assert document == {
        "ok": True,
        "problems": [],
        "instances": [
            {
                "kind": "wallet",
                "instance": "wallet",
                "use": "wallet-ledger",
                "plugin": "wallet-ledger",
            },
            {"kind": "fx", "instance": "fx", "use": "fx-fixed", "plugin": "fx-fixed"},
        ],
    }
    assert human.stderr == f"{file} is in order.\n"
    assert [line.split() for line in human.stdout.splitlines()][1:] == [
        ["wallet", "wallet", "wallet-ledger", "wallet-ledger"],
        ["fx", "fx", "fx-fixed", "fx-fixed"],
    ]
    assert list(file.parent.iterdir()) == [file]


def test_check_tells_every_problem(file: Path) -> None:
    """Exit 2; the same problems on stderr and in the document."""
    file.write_text(
        '[plugins]\nenabled = ["wallet-ledger", "fx-fixd"]\n[wallet]\nuse = "ledger"\nfloor = 1\n'
        '[vendors.v]\nuse = "acme"\n'
    )

    result = starship("check", "--config", str(file), "--json")

    problems = [
        (
            f"{file}: [plugins] enabled: fx-fixd is not installed; "
            f"installed are: {', '.join(INSTALLED)}"
        )
    ]
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {"ok": False, "problems": problems, "instances": []}
    assert result.stderr.splitlines() == [f"Error: {problem}" for problem in problems]

    file.write_text(file.read_text().replace("fx-fixd", "fx-fixed"))
    again = starship("check", "--config", str(file))

    assert again.exit_code == 2
    assert again.stdout == ""
    assert again.stderr.splitlines() == [
        (
            f"Error: {file}: [wallet] use: no enabled plugin registers a wallet ledger; "
            "did you mean wallet-ledger?"
        ),
        f"Error: {file}: [fx] rates: is missing",
        (
            f"Error: {file}: [vendors.v] use: no enabled plugin registers a vendor acme; "
            "there are none"
        ),
    ]


def test_check_of_a_file_that_is_wrong_or_missing(tmp_path: Path) -> None:
    """The configuration's own refusals come out the same way."""
    file = tmp_path / "other.toml"
    missing = starship("check", "--config", str(file))
    file.write_text("[server]\nport = 70000")
    wrong = starship("check", "--config", str(file), "--json")

    assert (missing.exit_code, wrong.exit_code) == (2, 2)
    assert missing.stderr.startswith(f"Error: {file}: there is no such file;")
    assert json.loads(wrong.stdout)["problems"] == [
        f"{file}: [server] port: expected `int` <= 65535"
    ]


def test_plugins_are_listed_with_what_can_be_written(file: Path) -> None:
    """Enabled ones with their fields and facts; the others by version alone, not imported."""
    found = {one["name"]: one for one in answer("plugins", "--config", str(file))["plugins"]}

    assert {"bamboo", "fx-fixed", "source-csv", "wallet-ledger"} <= set(INSTALLED)
    assert sorted(found) == INSTALLED
    enabled = [name for name in INSTALLED if found[name]["enabled"]]
    assert enabled == ["fx-fixed", "wallet-ledger"]
    assert found["source-csv"]["registrations"] == []
    assert found["wallet-ledger"]["distribution"] == "starship-wallet-ledger"
    (ledger,) = found["wallet-ledger"]["registrations"]
    assert ledger == {
        "kind": "wallet",
        "name": "wallet-ledger",
        "api": 1,
        "config": [],
        "facts": {"migrations": "starship_wallet_ledger:migrations"},
    }
    (rates, base, _as_of) = found["fx-fixed"]["registrations"][0]["config"]
    assert (rates["name"], rates["type"], rates["required"]) == ("rates", "dict[str, str]", True)
    assert (base["name"], base["default"], base["required"]) == ("base", "USD", False)


def test_plugins_for_a_person(file: Path) -> None:
    """The same on a screen."""
    text = starship("plugins", "--config", str(file)).stdout

    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "fx-fixed starship-fx-fixed 0.1.0 enabled" in lines
    assert "source-csv starship-source-csv 0.1.0 not enabled" in lines
    assert "base str 'USD'" in lines
    assert any(line.startswith("rates dict[str, str] required") for line in lines)
    assert "migrations: starship_wallet_ledger:migrations" in lines


def test_plugins_of_vendors_side_by_side(file: Path) -> None:
    """What is enabled or named, in one table; other plugins are not in it."""
    none = answer("plugins", "matrix", "--config", str(file))
    (pine,) = answer("plugins", "matrix", "pinelabs", "--config", str(file))["vendors"]
    text = starship("plugins", "matrix", "voucherkart", "--config", str(file)).stdout
    wrong = starship("plugins", "matrix", "nowhere", "--config", str(file), "--json")

    assert none == {"vendors": [], "problems": []}
    statuses, errors = pine.pop("statuses"), pine.pop("errors")
    assert statuses[1] == {
        "word": "CANCELED", "meaning": "the money was returned", "becomes": "Refused", "then": "",
    }  # fmt: skip
    assert "5444, 6063" in [one["word"] for one in errors]
    assert pine == {
        "name": "pinelabs",
        "plugin": "pinelabs",
        "version": "0.1.0",
        "same reference twice": "rejects",
        "looks up": "by our reference",
        "codes": "at once, or later",
        "sells in parts": "no",
        "units at once": "100",
        "currencies": "any",
        "answers within": "120 s",
        "rate limits": "catalogue 1 in 1 s",
        "beyond buying": "reversal",
    }
    assert "look it up; answered with the vouchers, it is Bought" in text
    assert all(name in text for name in ("voucherkart", "voucherkart-rejects", "unsafe"))
    assert wrong.exit_code == 2
    assert "nowhere is not installed" in wrong.stderr


def test_plugins_can_be_listed_without_a_configuration(tmp_path: Path) -> None:
    """To see what may be enabled there need not be a file; one that is named is looked into."""
    nowhere = str(tmp_path / "starship.toml")

    listed = starship("plugins", "--config", nowhere)
    named = answer("plugins", "wallet-ledger", "--config", nowhere)

    assert listed.exit_code == 0
    assert listed.stderr == f"{nowhere}: there is no such file, so no plugin is enabled.\n"
    assert [(one["name"], one["enabled"]) for one in named["plugins"]] == [("wallet-ledger", False)]
    assert [one["name"] for one in named["plugins"][0]["registrations"]] == ["wallet-ledger"]


def test_plugins_that_cannot_be_used_are_listed_and_refused(file: Path) -> None:
    """The list is still shown, and the exit code says that something is wrong."""
    result = starship("plugins", "nowhere", "--config", str(file), "--json")

    document = json.loads(result.stdout)
    assert result.exit_code == 2
    assert document["plugins"] == []
    assert document["problems"] == [
        (f"enabled or named here: nowhere is not installed; installed are: {', '.join(INSTALLED)}")
    ]
    assert result.stderr == f"Error: {document['problems'][0]}\n"


def test_db_upgrade_makes_the_schema_and_writes_it_down(file: Path) -> None:
    """Status before and after; one audit row for each package that changed, then none."""
    config = ("--config", str(file))

    before = answer("db", "status", *config)
    first = answer("db", "upgrade", *config, "--as", "ana", "--reason", "new")
    second = answer("db", "upgrade", *config, "--as", "ana")
    after = starship("db", "status", *config)

    packages = ["starship_core", "starship_wallet_ledger"]
    assert [(one["package"], one["have"], one["current"]) for one in before] == [
        (package, None, False) for package in packages
    ]
    assert [(one["package"], one["have"] == one["want"], one["current"]) for one in first] == [
        (package, True, True) for package in packages
    ]
    assert second == first
    assert [line.split()[-3:] for line in after.stdout.splitlines()[1:]] == [
        ["up", "to", "date"],
        ["up", "to", "date"],
    ]
    with sqlite3.connect(file.parent / "starship.db") as database:
        rows = database.execute(
            "SELECT actor, action, subject, reason, before, after FROM audit ORDER BY id"
        ).fetchall()
    database.close()
    assert rows == [
        (
            "operator:ana",
            "schema.upgraded",
            f"schema:{one['package']}",
            "new",
            '{"revision":null}',
            f'{{"revision":"{one["have"]}"}}',
        )
        for one in first
    ]


def test_db_upgrade_asks_who_it_is(file: Path) -> None:
    """A change without a name is refused before a database is made."""
    result = starship("db", "upgrade", "--config", str(file))

    assert result.exit_code == 2
    assert list(file.parent.iterdir()) == [file]


def test_db_of_an_unreachable_database_is_a_sentence(file: Path) -> None:
    """Not a traceback of a driver."""
    file.write_text('[database]\nurl = "postgresql://nobody@127.0.0.1:9/none"\n' + FILE)

    result = starship("db", "status", "--config", str(file))

    assert result.exit_code == 1
    assert result.stderr == "Error: the database cannot be reached\n"
