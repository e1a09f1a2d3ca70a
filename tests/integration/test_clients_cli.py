"""`starship client …`, as an operator calls it."""

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
def starship(database_url: str, tmp_path: Path) -> Starship:
    """`starship("client", "list")` in an empty deployment; ana is the operator."""
    create_keys(tmp_path / "keys")
    config = tmp_path / "starship.toml"
    config.write_text(TOML.format(url=database_url))

    def run(*arguments: str, operator: str = "ana") -> Result:
        environment = {"STARSHIP_CONFIG": str(config), "STARSHIP_OPERATOR": operator}
        return CliRunner().invoke(main, ("client", *arguments), env=environment)

    return run


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def test_secrets_are_shown_once(starship: Starship) -> None:
    """At creation and at a rotation, and by no other command."""
    made = document(starship("create", "acme", "--json"))
    assert made["api_key"].startswith("sk_test_")
    assert made["signing_secret"].startswith("whsec_")
    rotated = document(starship("rotate", "acme", "--only", "secret", "--json"))
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["signing_secret"] is None
    shown = starship("list").output + starship("list", "--json").output
    assert made["api_key"] in shown
    for secret in (made["secret"], made["signing_secret"], rotated["secret"]):
        assert secret not in shown


def test_the_answer_for_people_has_what_json_has(starship: Starship) -> None:
    """Whoever reads the table can copy the same three values out of it."""
    text = starship("create", "acme", "--bulk-limit", "500").stdout
    (listed,) = document(starship("list", "--json"))
    assert listed["credentials"][0]["api_key"] in text
    assert listed["client"]["bulk_limit"] == 500
    assert "whsec_" in text


def test_set_changes_what_is_named(starship: Starship) -> None:
    """What is not named stays; `default` goes back to the deployment's limit."""
    starship("create", "acme", "--min-validity-days", "30")
    changed = document(
        starship("set", "acme", "--orders-per-minute", "60", "--inactive", "--require-signatures",
                 "--json")
    )["client"]  # fmt: skip
    assert (changed["orders_per_minute"], changed["is_active"]) == (60, False)
    assert (changed["min_validity_days"], changed["bulk_limit"]) == (30, 10_000)
    (listed,) = document(starship("list", "--json"))
    assert listed["credentials"][0]["signature_required"] is True
    changed = document(starship("set", "acme", "--orders-per-minute", "default", "--json"))
    assert changed["client"]["orders_per_minute"] is None


def test_a_client_is_named_by_id_or_name(starship: Starship) -> None:
    """Both stand for the same client in every command."""
    made = document(starship("create", "acme", "--json"))
    for which in ("acme", str(made["client_id"])):
        found = document(starship("allow-ip", which, "10.0.0.0/8", "203.0.113.7", "--json"))
        assert found["allowlist"] == ["10.0.0.0/8", "203.0.113.7/32"]
    assert document(starship("allow-ip", "acme", "--anywhere", "--json"))["allowlist"] == []


def test_a_further_key_and_revoking_the_first(starship: Starship) -> None:
    """Keys are exchanged without a gap: a new one first, then the old one is revoked."""
    first = document(starship("create", "acme", "--json"))
    second = document(starship("rotate", "acme", "--new-key", "--json"))
    assert first["api_key"] != second["api_key"]
    assert starship("revoke", "acme").exit_code == 1
    number = str(first["credential_id"])
    revoked = document(starship("revoke", "acme", "--credential", number, "--json"))
    assert revoked["revoked_at"]
    (listed,) = document(starship("list", "--json"))
    assert [bool(each["revoked_at"]) for each in listed["credentials"]] == [True, False]


def test_a_discount_is_given_and_taken(starship: Starship, sql: Any) -> None:
    """In percent, on one product, of this client alone."""
    starship("create", "acme")
    sql(
        "INSERT INTO categories (id, name, slug, created_at, updated_at) VALUES (1, 'a', 'a', 0, 0)"
    )
    sql(
        "INSERT INTO products (id, code, name, category_id, currency, created_at, updated_at)"
        " VALUES (310, 'p', 'p', 1, 'GBP', 0, 0)"
    )
    assert starship("set", "acme", "--discount", "310=2.5").exit_code == 0
    assert [tuple(row) for row in sql("SELECT * FROM client_discounts")] == [(1, 310, "2.5")]
    assert starship("set", "acme", "--discount", "310=none").exit_code == 0
    assert sql("SELECT * FROM client_discounts") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "acme"),
        ("set", "acme", "--discount", "310"),
        ("set", "acme", "--orders-per-minute", "many"),
        ("rotate", "acme", "--grace", "soon"),
        ("rotate", "acme", "--new-key", "--only", "secret"),
        ("allow-ip", "acme"),
        ("allow-ip", "acme", "10.0.0.1", "--anywhere"),
        ("create",),
    ],
)
def test_a_wrong_command_line_is_exit_2(starship: Starship, arguments: Any) -> None:
    """Nothing is guessed and nothing is changed."""
    starship("create", "acme")
    before = starship("list", "--json").stdout
    assert starship(*arguments).exit_code == 2
    assert starship("list", "--json").stdout == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "acme"), "named acme already"),
        (("set", "nobody", "--inactive"), "no client nobody"),
        (("set", "acme", "--default-wallet", "9"), "not this client's"),
        (("set", "acme", "--discount", "9=1"), "no product 9"),
        (("allow-ip", "acme", "10.0.0.300"), "10.0.0.300"),
        (("revoke", "acme", "--credential", "99"), "credential"),
    ],
)
def test_what_cannot_be_done_is_exit_1(starship: Starship, arguments: Any, told: Any) -> None:
    """With the reason, for whoever typed it."""
    starship("create", "acme")
    result = starship(*arguments)
    assert result.exit_code == 1
    assert told in result.stderr


def test_changes_need_a_name(starship: Starship) -> None:
    """The audit wants to know whose hand it was."""
    assert starship("create", "acme", operator="").exit_code == 2
    assert document(starship("list", "--json")) == []


def test_every_change_is_audited(starship: Starship, sql: Any) -> None:
    """One row a change, by the operator, under the command's request id."""
    starship("create", "acme")
    starship("rotate", "acme", "--reason", "yearly")
    rows = [
        tuple(row) for row in sql("SELECT action, actor, reason, request_id FROM audit ORDER BY id")
    ]
    assert [row[:3] for row in rows] == [
        ("client.created", "operator:ana", ""),
        ("credential.created", "operator:ana", ""),
        ("credential.rotated", "operator:ana", "yearly"),
    ]
    assert rows[0][3] == rows[1][3] != rows[2][3]
    assert all(row[3].startswith("cli-") for row in rows)
