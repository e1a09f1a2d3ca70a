"""Tokens of operators: what commands do to them, and what a server process makes of them."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from starship_core.audit import By
from starship_core.cli import main
from starship_core.database import opened
from starship_core.errors import InvalidInput, NotFound, Unavailable
from starship_core.flows.manage_operators import (
    IssuedToken,
    issue_token,
    list_tokens,
    revoke_tokens,
)
from starship_core.keyring import create_keys
from starship_core.operators import ABILITIES, Operator, Operators
from starship_core.testing.clock import ManualClock

ROOT = By(actor="operator:root", reason="new hand", request_id="req-1")
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
def ship(database: Any, clock: ManualClock) -> Any:
    """As much of a deployment as tokens need."""
    deployment = SimpleNamespace(environment="test")
    return SimpleNamespace(
        database=database, now=clock, config=SimpleNamespace(deployment=deployment)
    )


class Monotonic:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def operators(ship: Any, environment: Any = "test", **options: Any) -> Operators:
    return Operators(ship.database, environment=environment, **({"ttl": 0.0} | options))


async def audited(ship: Any) -> list[tuple[Any, ...]]:
    rows = await ship.database.read(
        lambda tx: tx.execute(
            "SELECT action, subject, actor, reason, request_id, before, after FROM audit"
            " ORDER BY id"
        )
    )
    return [tuple(row) for row in rows]


async def ana(ship: Any, *abilities: str) -> IssuedToken:
    return await issue_token("ana", abilities, ROOT, ship)


async def test_a_new_token_says_who_it_is_and_what_it_may(ship: Any) -> None:
    """The name is the actor of audit rows; what was not given is not there."""
    issued = await ana(ship, "retry", "cancel")
    token = issued.token.reveal()
    assert token.startswith("op_test_")
    assert await operators(ship).operator(token) == Operator(
        token_id=1, name="ana", abilities=frozenset({"retry", "cancel"})
    )
    assert Operator(token_id=1, name="ana", abilities=frozenset()).actor == "operator:ana"


async def test_tokens_are_not_in_the_database(ship: Any) -> None:
    """The table holds SHA-256 of it; the audit row, the list and every repr hold neither."""
    issued = await ana(ship)
    token = issued.token.reveal()
    digest = hashlib.sha256(token.encode()).hexdigest()
    rows = await ship.database.read(lambda tx: tx.execute("SELECT token_hash FROM operator_tokens"))
    assert [tuple(row) for row in rows] == [(digest,)]
    shown = repr([await audited(ship), await list_tokens(ship), issued])
    assert token not in shown
    assert digest not in shown


async def test_every_change_is_written_down(ship: Any) -> None:
    """Who gave and took a token, why, in which request, and what it could do."""
    await ana(ship, "pump", "approve")
    await revoke_tokens("ana", ROOT, ship)
    by = ("operator:root", "new hand", "req-1")
    after = (
        '{"id":1,"name":"ana","abilities":["approve","pump"],'
        '"created_at":"2027-01-01T00:00:00Z","revoked_at":null}'
    )
    assert await audited(ship) == [
        ("token.issued", "operator_token:1", *by, None, after),
        ("token.revoked", "operator_token:1", *by, '{"name":"ana"}', None),
    ]


async def test_the_other_environments_token_is_unknown(ship: Any) -> None:
    """A test token opens nothing in a live deployment, whatever the database says."""
    token = (await ana(ship)).token.reveal()
    assert await operators(ship, "live").operator(token) is None


@pytest.mark.parametrize(
    "token",
    ["", "op_test_", "op_test_" + "a" * 42, "op_test_" + "a" * 44, "op_test_" + "é" * 43,
     "op_test_'; DROP TABLE x", "\x00" * 51, "op_test_" + "a" * 43 + "\n"],
)  # fmt: skip
async def test_what_cannot_be_a_token_is_not_looked_up(ship: Any, token: str) -> None:
    """Garbage costs no read and fills no memory."""
    known = operators(ship)
    await ship.database.close()
    assert await known.operator(token) is None


async def test_revoked_stops_within_the_ttl(ship: Any) -> None:
    """A revoked token works at most as long as it is remembered: 2 s unless said otherwise."""
    token, time = (await ana(ship)).token.reveal(), Monotonic()
    known = operators(ship, ttl=2, monotonic=time)
    assert await known.operator(token) is not None
    await revoke_tokens("ana", ROOT, ship)
    time.time += 0.9
    assert await known.operator(token) is not None
    time.time += 1.1
    assert await known.operator(token) is None


async def test_a_busy_token_is_read_once_a_ttl(ship: Any) -> None:
    """Calls at the same time share a read, and those after are answered from memory."""
    token, reads, read = (await ana(ship)).token.reveal(), 0, ship.database.read

    async def counted(*arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*arguments)

    ship.database.read = counted
    known = operators(ship, ttl=60)
    await asyncio.gather(*(known.operator(token) for _ in range(50)))
    for _ in range(2):
        assert await known.operator("op_test_" + "u" * 43) is None
    assert reads == 2


async def test_without_a_database_nobody_is_let_in(ship: Any) -> None:
    """What is not known cannot be refused either: it is Unavailable, which is a 503."""
    token = (await ana(ship)).token.reveal()

    async def away(*_: Any) -> None:
        raise Unavailable

    ship.database.read = away
    with pytest.raises(Unavailable):
        await operators(ship).operator(token)


async def test_one_token_or_all_of_an_operator(ship: Any) -> None:
    """A stolen laptop ends one token, or all of its operator at once; nobody else's."""
    first, second = await ana(ship), await ana(ship)
    bob = await issue_token("bob", (), ROOT, ship)
    ended = await revoke_tokens("ana", ROOT, ship, token_id=second.facts.id)
    assert [(each.id, each.revoked_at) for each in ended] == [(2, "2027-01-01T00:00:00Z")]
    known = operators(ship)
    tokens = [each.token.reveal() for each in (first, second, bob)]
    assert [bool(await known.operator(each)) for each in tokens] == [True, False, True]
    third = await ana(ship)
    assert [each.id for each in await revoke_tokens("ana", ROOT, ship)] == [1, third.facts.id]
    assert [bool(await known.operator(each)) for each in tokens] == [False, False, True]


@pytest.mark.parametrize("token_id", [None, 1, 3, 99])
async def test_what_is_not_in_use_is_not_revoked(ship: Any, token_id: int | None) -> None:
    """No such name, a token that was revoked, somebody else's, none at all."""
    await ana(ship)
    await revoke_tokens("ana", ROOT, ship)
    await issue_token("bob", (), ROOT, ship)
    before = await audited(ship)
    with pytest.raises(NotFound):
        await revoke_tokens("ana", ROOT, ship, token_id=token_id)
    assert await audited(ship) == before


@pytest.mark.parametrize("name", ["", "a" * 65, "ana b", "ana\n", "ana\u2028", "ana\xa0b"])
async def test_names_are_names(ship: Any, name: str) -> None:
    """They stand in audit rows and logs, one word each."""
    with pytest.raises(InvalidInput, match="a name has 1 to 64 characters"):
        await issue_token(name, (), ROOT, ship)


async def test_abilities_are_known(ship: Any) -> None:
    """A misspelt ability is refused by name, with those that there are; nothing is issued."""
    with pytest.raises(InvalidInput, match="no ability refnd; there are: approve, retry, cancel"):
        await ana(ship, "retry", "refnd")
    assert await list_tokens(ship) == []


# --- starship operator token … --------------------------------------------------------------------

Starship = Callable[..., Result]


@pytest.fixture
def starship(database_url: str, tmp_path: Path) -> Starship:
    """`starship("list")` is `starship operator token list` in an empty deployment."""
    create_keys(tmp_path / "keys")
    config = tmp_path / "starship.toml"
    config.write_text(TOML.format(url=database_url))

    def run(*arguments: str, operator: str = "root") -> Result:
        environment = {"STARSHIP_CONFIG": str(config), "STARSHIP_OPERATOR": operator}
        return CliRunner().invoke(main, ("operator", "token", *arguments), env=environment)

    return run


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def test_the_token_is_shown_once(starship: Starship, database_url: str, tmp_path: Path) -> None:
    """At its making, for people and as JSON, and by no other command; it works."""
    made = document(starship("create", "--name", "ana", "--can", "retry,cancel", "--json"))
    assert (made["id"], made["name"], made["abilities"]) == (1, "ana", ["retry", "cancel"])
    told = starship("create", "--name", "bob")
    assert "not shown again" in told.stderr
    shown = starship("list").output + starship("list", "--json").output
    assert "op_test_" in told.stdout
    assert "op_test_" not in shown

    async def who() -> Operator | None:
        async with opened(database_url, folder=tmp_path, connections=1) as database:
            return await Operators(database, environment="test").operator(made["token"])

    assert asyncio.run(who()) == Operator(
        token_id=1, name="ana", abilities=frozenset({"retry", "cancel"})
    )


def test_list_and_revoke(starship: Starship) -> None:
    """Everything that was issued stays in the list, with when it ended."""
    starship("create", "--name", "ana", "--can", ",".join(ABILITIES))
    starship("create", "--name", "bob")
    ended = document(starship("revoke", "ana", "--json"))
    assert [(each["id"], each["name"]) for each in ended] == [(1, "ana")]
    listed = document(starship("list", "--json"))
    assert [(each["name"], each["abilities"], bool(each["revoked_at"])) for each in listed] == [
        ("ana", list(ABILITIES), True), ("bob", [], False),
    ]  # fmt: skip
    again = starship("revoke", "ana")
    assert (again.exit_code, again.stderr) == (1, "Error: there is no token of ana in use\n")


def test_wrong_options_are_named(starship: Starship) -> None:
    """An ability that is none, and a change that nobody does."""
    odd = starship("create", "--name", "ana", "--can", "retry,refnd")
    assert odd.exit_code == 2
    assert "refnd is no ability" in odd.stderr
    assert starship("create", "--name", "ana", operator="").exit_code == 2
    assert document(starship("list", "--json")) == []
