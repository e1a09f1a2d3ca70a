"""Random batches against a model of a few lines that keeps everything in dictionaries."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from starship_wallet_ledger.ledger import Ledger

from starship_core import Entry, InsufficientFunds, StarshipError, WrongState
from starship_core.database import SQLite, Tx
from starship_core.testing.clock import START
from starship_core.testing.plugs import NoDatabase

Sandbox = Callable[[Callable[[Tx], None]], None]

FLOORS = {"wallet:1": -40, "wallet:2": -100}
KINDS = ("credit", "debit", "refund", "reversal")


class Model:
    """What the ledger promises, without a database."""

    def __init__(self) -> None:
        self.balances = dict.fromkeys(FLOORS, 0)
        self.posted: dict[str, Entry] = {}

    def post(self, entries: list[Entry]) -> list[int]:
        balances, posted, answer = dict(self.balances), dict(self.posted), []
        for entry in entries:
            if entry.key in posted:
                if posted[entry.key] != entry:
                    raise WrongState("", found="")
            else:
                posted[entry.key] = entry
                balances[entry.account] += entry.minor
                if entry.minor < 0 and balances[entry.account] < FLOORS[entry.account]:
                    raise InsufficientFunds
            answer.append(balances[entry.account])
        for entry in posted.values():
            self._refuse_excess(entry, posted)
        self.balances, self.posted = balances, posted
        return answer

    def _refuse_excess(self, entry: Entry, posted: dict[str, Entry]) -> None:
        if entry.of is None:
            return
        origin = posted.get(entry.of)
        wanted = {"refund": "debit", "reversal": "credit"}[entry.kind]
        if origin is None or (origin.kind, origin.account) != (wanted, entry.account):
            raise WrongState("", found="")
        back = sum(each.minor for each in posted.values() if each.of == entry.of)
        if abs(back) > abs(origin.minor):
            raise WrongState("", found="")


@st.composite
def entries(draw: Callable[..., Any]) -> Entry:
    """Few keys, each usually for the same thing: repetitions, conflicts and shortages abound."""
    kind = draw(st.sampled_from(KINDS))
    number = draw(st.integers(0, 5))
    account = number % 2 + 1
    minor = 10 * (number % 3 + 1) * (1 if kind in ("refund", "reversal") else 2)
    if not draw(st.integers(0, 9)):
        account, minor = draw(st.integers(1, 2)), draw(st.integers(0, 60))
    takes_from = {"refund": "debit", "reversal": "credit"}.get(kind)
    return Entry(
        key=f"{kind}:{number}",
        account=f"wallet:{account}",
        minor=minor if kind in ("credit", "refund") else -minor,
        currency="GBP",
        kind=kind,
        of=f"{takes_from}:{number % 4}" if takes_from else None,
        at=START,
    )


class UndoneError(Exception):
    """Ends an example, whose rows are not kept."""


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def sandbox(database: SQLite) -> Sandbox:
    """Runs something in a transaction that is rolled back."""

    def run(work: Callable[[Tx], None]) -> None:
        def undone() -> None:
            with database.writer.begin() as connection:
                work(Tx(connection))
                raise UndoneError

        with pytest.raises(UndoneError):
            undone()

    return run


@given(st.lists(st.lists(entries(), max_size=4), min_size=4, max_size=25))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_ledger_is_its_model(sandbox: Sandbox, batches: list[list[Entry]]) -> None:
    """Same answers, refusals and balances; a refusal leaves nothing, the checks find nothing."""
    ledger = Ledger(NoDatabase())
    model = Model()

    def attempt(post: Callable[..., Sequence[int]], *given: Any) -> list[int] | type[StarshipError]:
        try:
            return list(post(*given))
        except StarshipError as error:
            event(type(error).__name__)
            return type(error)

    def history(tx: Tx) -> None:
        for name, floor in FLOORS.items():
            ledger.open_account(tx, name, "GBP", floor=floor)
        for batch in batches:
            expected = attempt(model.post, batch)
            with tx.connection.begin_nested() as savepoint:
                found = attempt(ledger.post, tx, batch)
                if isinstance(found, type):
                    savepoint.rollback()
            if isinstance(expected, type):
                assert isinstance(found, type)  # of two reasons to refuse, either may be told
            else:
                assert found == expected
            locked = ledger.lock(tx, sorted(FLOORS))
            assert {name: each.minor for name, each in locked.items()} == model.balances
        assert ledger.violations(tx) == []
        for entry in model.posted.values():
            event(f"kept a {entry.kind}")

    sandbox(history)
