import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy.exc import DBAPIError
from starship_wallet_ledger.ledger import Ledger

from starship_core import Balance, Entry, InsufficientFunds, NotFound, WrongState
from starship_core.database import Database, Tx
from starship_core.testing.plugs import NoDatabase

Make = Callable[..., Entry]


class Counting:
    """A transaction that keeps what is asked of it, round trip by round trip."""

    def __init__(self, tx: Tx) -> None:
        self.tx, self.dialect = tx, tx.dialect
        self.trips: list[list[str]] = []

    def execute(self, statement: str, *parameters: Any) -> Any:
        self.trips.append([statement])
        return self.tx.execute(statement, *parameters)

    def together(self, statements: Any) -> Any:
        self.trips.append([text for text, _ in statements])
        return self.tx.together(statements)


async def crowd(*works: Any) -> list[Any]:
    return await asyncio.gather(*works, return_exceptions=True)


async def test_each_entry_is_answered_with_the_balance_after_it(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """Running balances per account, in entry order, over several accounts."""
    batch = [
        entry("credit", "topup:1", 1000),
        entry("credit", "topup:3", 700, account="wallet:3", currency="JPY"),
        entry("debit", "order:1", -300),
        entry("debit", "order:2", -200, account="wallet:3", currency="JPY"),
        entry("refund", "refund:1", 100, of="order:1"),
        entry("reversal", "reversal:1", -800, of="topup:1"),
    ]
    balances = await database.run(ledger.post, batch)
    assert list(balances) == [1000, 700, 700, 500, 800, 0]
    assert await ledger.balance("wallet:1") == Balance(account="wallet:1", currency="GBP", minor=0)
    assert (await ledger.balance("wallet:3")).minor == 500
    assert await database.read(ledger.violations) == []


async def test_the_other_half_goes_to_sales_or_funding(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """Orders are paid to sales, money from outside comes out of funding; nothing else has a row."""
    batch = [entry("credit", "topup:1", 1000), entry("debit", "order:1", -300)]
    await database.run(ledger.post, batch)
    statement = """
    SELECT t.key, p.account, p.minor FROM ledger_postings p
    JOIN ledger_transactions t ON t.id = p.transaction_id ORDER BY p.transaction_id, p.minor
    """
    assert [tuple(row) for row in await database.read(lambda tx: tx.execute(statement))] == [
        ("topup:1", "funding:GBP", -1000),
        ("topup:1", "wallet:1", 1000),
        ("order:1", "wallet:1", -300),
        ("order:1", "sales:GBP", 300),
    ]
    for name in ("funding:GBP", "sales:GBP"):
        with pytest.raises(NotFound):
            await ledger.balance(name)


async def test_a_batch_of_debits_is_two_round_trips_whatever_its_size(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """The path that every order takes; one more when something is given back."""
    await database.run(ledger.post, [entry("credit", "topup:1", 6400)])

    def counted(tx: Tx, entries: list[Entry]) -> int:
        counting = Counting(tx)
        ledger.post(counting, entries)
        return len(counting.trips)

    debits = [entry("debit", f"order:{i}", -100) for i in range(64)]
    refunds = [entry("refund", f"refund:{i}", 100, of=f"order:{i}") for i in range(64)]
    assert await database.run(counted, debits[:1]) == 2
    assert await database.run(counted, debits[1:]) == 2
    assert await database.run(counted, refunds) == 3


async def test_a_key_posted_before_moves_nothing(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """Answered with the balance as it stands now, beside entries that do move."""
    await database.run(ledger.post, [entry("credit", "topup:1", 1000)])
    first = await database.run(ledger.post, [entry("debit", "order:1", -300)])
    await database.run(ledger.post, [entry("debit", "order:2", -50)])
    again = await database.run(ledger.post, [entry("debit", "order:1", -300)])
    mixed = [
        entry("debit", "order:3", -50),
        entry("debit", "order:1", -300),
        entry("debit", "order:3", -50),
    ]
    assert (list(first), list(again)) == ([700], [650])
    assert list(await database.run(ledger.post, mixed)) == [600, 600, 600]
    assert await database.read(ledger.violations) == []


@pytest.mark.parametrize(
    "other",
    [
        {"minor": -301},
        {"account": "wallet:2"},
        {"account": "wallet:3", "currency": "JPY"},
        {"kind": "refund", "minor": 300, "of": "order:0"},
    ],
)
@pytest.mark.parametrize("together", [False, True])
async def test_a_key_stands_for_one_entry(
    database: Database, ledger: Ledger, entry: Make, other: dict[str, Any], *, together: bool
) -> None:
    """Another amount, account, currency or kind under a known key is refused, also in one batch."""
    start = [
        entry("credit", "topup:1", 1000),
        entry("debit", "order:0", -300),
        entry("debit", "order:1", -300),
    ]
    changed = entry(**({"kind": "debit", "key": "order:1", "minor": -300} | other))
    if not together:
        await database.run(ledger.post, start)
    with pytest.raises(WrongState, match="another entry under the key order:1"):
        await database.run(ledger.post, [*start, changed] if together else [changed])
    assert (await ledger.balance("wallet:1")).minor == (0 if together else 400)


async def test_a_debit_never_passes_the_floor(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """To the minor unit; what is refused leaves nothing, not even its neighbours."""
    post = database.run
    await post(ledger.post, [entry("credit", "topup:1", 1000)])
    with pytest.raises(InsufficientFunds, match=r"10\.00 GBP to spend, 10\.01 GBP were asked"):
        await post(ledger.post, [entry("debit", "order:1", -1001)])
    neighbour = entry("debit", "order:2", -1, account="wallet:2")
    with pytest.raises(InsufficientFunds):
        await post(ledger.post, [neighbour, entry("debit", "order:1", -1001)])
    assert (await ledger.balance("wallet:2")).minor == 0
    assert list(await post(ledger.post, [entry("debit", "order:1", -1000)])) == [0]
    on_credit = entry("debit", "order:3", -500, account="wallet:2")
    assert list(await post(ledger.post, [on_credit])) == [-500]
    with pytest.raises(InsufficientFunds, match=r"0\.00 GBP to spend, 0\.01 GBP"):
        await post(ledger.post, [entry("debit", "order:4", -1, account="wallet:2")])


async def test_a_debit_is_not_paid_by_a_later_credit_of_the_same_batch(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """The floor holds after each entry, not only after the batch."""
    batch = [entry("debit", "order:1", -100), entry("credit", "topup:1", 100)]
    with pytest.raises(InsufficientFunds, match=r"0\.00 GBP to spend, 1\.00 GBP were asked"):
        await database.run(ledger.post, batch)
    assert list(await database.run(ledger.post, batch[::-1])) == [100, 0]


async def test_reversing_spent_money_is_refused(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """A reversal takes, so the floor holds for it."""
    batch = [entry("credit", "topup:1", 100), entry("debit", "order:1", -60)]
    await database.run(ledger.post, batch)
    with pytest.raises(InsufficientFunds):
        await database.run(ledger.post, [entry("reversal", "reversal:1", -100, of="topup:1")])


@pytest.mark.parametrize(
    ("kind", "of", "account"),
    [
        ("refund", "order:none", "wallet:1"),
        ("refund", "topup:1", "wallet:1"),
        ("refund", "order:1", "wallet:2"),
        ("reversal", "order:1", "wallet:1"),
        ("reversal", "topup:none", "wallet:1"),
    ],
)
async def test_only_what_was_taken_can_be_given_back(  # noqa: PLR0917  # three fixtures
    database: Database, ledger: Ledger, entry: Make, kind: str, of: str, account: str
) -> None:
    """An unknown key, an entry of another kind and another account's entry are all refused."""
    start = [
        entry("credit", "topup:1", 1000),
        entry("credit", "topup:2", 1000, account="wallet:2"),
        entry("debit", "order:1", -300),
    ]
    await database.run(ledger.post, start)
    minor = 100 if kind == "refund" else -100
    with pytest.raises(WrongState, match=f"there is no (debit|credit) {of} of {account}"):
        await database.run(ledger.post, [entry(kind, "back", minor, of=of, account=account)])


async def test_refunds_end_at_their_debit(database: Database, ledger: Ledger, entry: Make) -> None:
    """Share by share up to the debit and not a penny further, in one batch or in several."""
    start = [entry("credit", "topup:1", 1000), entry("debit", "order:1", -300)]
    await database.run(ledger.post, start)
    parts = [entry("refund", f"refund:{i}", 100, of="order:1") for i in range(4)]
    with pytest.raises(WrongState, match=r"order:1 was 3\.00 GBP; 4\.00 GBP would be given back"):
        await database.run(ledger.post, parts)
    assert list(await database.run(ledger.post, parts[:3])) == [800, 900, 1000]
    with pytest.raises(WrongState) as caught:
        await database.run(ledger.post, [entry("refund", "refund:x", 1, of="order:1")])
    assert caught.value.code == "ALREADY_GIVEN_BACK"
    assert list(await database.run(ledger.post, parts[:3])) == [1000, 1000, 1000]


async def test_an_unknown_account_and_another_currency_are_refused(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """Neither makes an account, and neither converts."""
    with pytest.raises(NotFound, match="there is no account wallet:9"):
        await database.run(ledger.post, [entry("credit", "topup:1", 1, account="wallet:9")])
    with pytest.raises(WrongState, match="wallet:3 is in JPY, not GBP"):
        await database.run(ledger.post, [entry("credit", "topup:1", 1, account="wallet:3")])
    with pytest.raises(NotFound):
        await ledger.balance("wallet:9")


@pytest.mark.parametrize(
    ("kind", "minor", "of"),
    [
        ("debit", 1, None),
        ("credit", -1, None),
        ("refund", -1, "order:1"),
        ("reversal", 1, "topup:1"),
        ("refund", 1, None),
        ("debit", -1, "order:1"),
        ("credit", 10**16 + 1, None),
    ],
)
def test_an_entry_without_sense_is_a_fault_of_the_program(
    entry: Make, kind: str, minor: int, of: str | None
) -> None:
    """Refused before any statement is run."""
    untouched = Mock(spec=Tx)
    with pytest.raises(ValueError, match="key:1"):
        Ledger(NoDatabase()).post(untouched, [entry(kind, "key:1", minor, of=of)])
    assert untouched.mock_calls == []


async def test_nothing_and_zero_are_fine(database: Database, ledger: Ledger, entry: Make) -> None:
    """No entries, no statements; a debit of nothing (a full discount) is posted like any other."""
    assert list(await database.run(ledger.post, [])) == []
    free = [entry("debit", "order:1", 0), entry("refund", "refund:1", 0, of="order:1")]
    assert list(await database.run(ledger.post, free)) == [0, 0]
    assert await database.read(ledger.violations) == []


async def test_locking_tells_balances_and_leaves_strangers_out(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """One statement, each existing account once, by name."""
    await database.run(ledger.post, [entry("credit", "topup:1", 1000)])

    def locked(tx: Tx) -> tuple[Any, int]:
        counting = Counting(tx)
        return ledger.lock(counting, ["wallet:2", "wallet:9", "wallet:1"]), len(counting.trips)

    balances, statements = await database.run(locked)
    assert statements == 1
    assert list(balances.items()) == [
        ("wallet:1", Balance(account="wallet:1", currency="GBP", minor=1000)),
        ("wallet:2", Balance(account="wallet:2", currency="GBP", minor=0, floor=-500)),
    ]
    assert balances["wallet:2"].spendable == 500


async def test_opening_again_sets_the_floor(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """A limit can be lowered only to what is owed; currency and counterpart names are fixed."""
    await database.run(ledger.post, [entry("debit", "order:1", -300, account="wallet:2")])

    async def open_account(account: str, currency: str, floor: int) -> None:
        await database.run(lambda tx: ledger.open_account(tx, account, currency, floor=floor))

    await open_account("wallet:2", "GBP", -300)
    assert await ledger.balance("wallet:2") == Balance(
        account="wallet:2", currency="GBP", minor=-300, floor=-300
    )
    with pytest.raises(WrongState, match=r"stands at -3\.00 GBP; its floor cannot be -2\.99 GBP"):
        await open_account("wallet:2", "GBP", -299)
    with pytest.raises(WrongState, match="wallet:2 is in GBP, not EUR"):
        await open_account("wallet:2", "EUR", -300)
    for account, floor in (("wallet:4", 1), ("sales:GBP", 0), ("funding:EUR", 0)):
        with pytest.raises(ValueError, match=account):
            await open_account(account, "GBP", floor)


async def test_fifty_refunds_of_one_debit_at_once_give_it_back_once(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """Without a lock taken first, under fifty different keys."""
    start = [entry("credit", "topup:1", 1000), entry("debit", "order:1", -300)]
    await database.run(ledger.post, start)
    done = await crowd(
        *(
            database.run(ledger.post, [entry("refund", f"refund:{i}", 300, of="order:1")])
            for i in range(50)
        )
    )
    assert [list(each) for each in done if not isinstance(each, Exception)] == [[1000]]
    assert {type(each) for each in done if isinstance(each, Exception)} == {WrongState}
    assert await database.read(ledger.violations) == []


async def test_fifty_times_the_same_key_at_once_moves_once(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """Whoever comes second waits, and then sees it."""
    done = await crowd(
        *(database.run(ledger.post, [entry("credit", "topup:1", 700)]) for _ in range(50))
    )
    assert [list(each) for each in done] == [[700]] * 50


@pytest.mark.parametrize("locks", [False, True])
async def test_of_fifty_debits_at_once_ten_fit(
    database: Database, ledger: Ledger, entry: Make, *, locks: bool
) -> None:
    """Money for ten; the same whether or not the caller locks and decides beforehand."""
    await database.run(ledger.post, [entry("credit", "topup:1", 1000)])

    def buy(tx: Tx, number: int) -> Any:
        if locks and ledger.lock(tx, ["wallet:1"])["wallet:1"].spendable < 100:
            raise InsufficientFunds("decided beforehand")
        return ledger.post(tx, [entry("debit", f"order:{number}", -100)])

    done = await crowd(*(database.run(buy, number) for number in range(50)))
    paid = sorted(each[0] for each in done if not isinstance(each, Exception))
    assert paid == [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]
    assert [type(each) for each in done if isinstance(each, Exception)] == [InsufficientFunds] * 40
    assert await database.read(ledger.violations) == []


async def test_batches_over_the_same_accounts_in_any_order_do_not_deadlock(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """Each locks first, by name, whatever the order of its entries."""
    names = [f"wallet:{10 + i}" for i in range(8)]

    def fund(tx: Tx) -> None:
        for name in names:
            ledger.open_account(tx, name, "GBP", floor=-10_000)

    await database.run(fund)

    def batch(tx: Tx, number: int) -> Any:
        order = names[number % 8 :] + names[: number % 8]
        ledger.lock(tx, order)
        return ledger.post(
            tx, [entry("debit", f"o:{number}:{name}", -1, account=name) for name in order]
        )

    done = await crowd(*(database.run(batch, number) for number in range(40)))
    assert [each for each in done if isinstance(each, Exception)] == []
    assert [(await ledger.balance(name)).minor for name in names] == [-40] * 8


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_postings SET minor = 0",
        "DELETE FROM ledger_postings",
        "UPDATE ledger_transactions SET kind = 'credit'",
        "DELETE FROM ledger_transactions",
        "DELETE FROM ledger_accounts",
        "UPDATE ledger_accounts SET currency = 'EUR'",
        "UPDATE ledger_accounts SET account = 'wallet:9' WHERE account = 'wallet:3'",
    ],
)
async def test_history_cannot_be_rewritten(
    database: Database, ledger: Ledger, entry: Make, statement: str
) -> None:
    """The database refuses, whoever asks."""
    await database.run(ledger.post, [entry("credit", "topup:1", 1000)])
    with pytest.raises(DBAPIError, match="ledger rows are never changed"):
        await database.run(lambda tx: tx.execute(statement))


@pytest.mark.parametrize("balance", ["-1", "1000000000000000001"])
async def test_the_table_itself_keeps_the_floor(
    database: Database, ledger: Ledger, balance: str
) -> None:
    """The last line of defence, and the same against sums that would not fit."""
    with pytest.raises(DBAPIError, match="ck_ledger_accounts_balance"):
        await database.run(
            lambda tx: tx.execute(
                f"UPDATE ledger_accounts SET balance = {balance} WHERE account = 'wallet:1'"
            )
        )
