from collections.abc import Callable

import pytest
from starship_wallet_ledger.ledger import Ledger

from starship_core import Entry
from starship_core.database import Database, Tx
from starship_core.testing.clock import ManualClock

Make = Callable[..., Entry]


class UndoneError(Exception):
    """Ends a transaction in which something was broken on purpose."""


def disarm(tx: Tx) -> None:
    """Take away what keeps the ledger right, so that something can be wrong."""
    if tx.dialect == "postgresql":
        for table in ("ledger_accounts", "ledger_transactions", "ledger_postings"):
            tx.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        tx.execute("ALTER TABLE ledger_postings DROP CONSTRAINT fk_ledger_postings_transaction_id")
        for constraint in ("floor", "balance"):
            tx.execute(
                f"ALTER TABLE ledger_accounts DROP CONSTRAINT ck_ledger_accounts_{constraint}"
            )
        return
    tx.execute("PRAGMA ignore_check_constraints = ON")
    tx.execute("PRAGMA defer_foreign_keys = ON")
    for (name,) in tx.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        tx.execute(f"DROP TRIGGER {name}")


# what is done to the rows below, and what must be said of it
PLANTS = {
    "a posting changed": (
        """UPDATE ledger_postings SET minor = 301 WHERE account = 'sales:GBP'
        AND transaction_id = 2""",
        """I2 ledger_transactions 2 (order:1): two or more postings that sum to zero were due; \
there are 2, and they sum to 0.01 GBP""",
    ),
    "a posting lost": (
        "DELETE FROM ledger_postings WHERE transaction_id = 4 AND account = 'sales:GBP'",
        """I2 ledger_transactions 4 (order:free): two or more postings that sum to zero were due; \
there are 1, and they sum to 0.00 GBP""",
    ),
    "a transaction lost": (
        "DELETE FROM ledger_transactions WHERE key = 'order:free'",
        """I2 ledger_postings 4/sales:GBP: 0 minor units of no transaction
I2 ledger_postings 4/wallet:1: 0 minor units of no transaction""",
    ),
    "a debit that gives": (
        "UPDATE ledger_transactions SET kind = 'debit' WHERE key = 'topup:1'",
        "I2 ledger_transactions 1 (topup:1): a debit moves 10.00 GBP, which is the wrong way",
    ),
    "a balance changed": (
        "UPDATE ledger_accounts SET balance = balance + 1 WHERE account = 'wallet:1'",
        "I2 ledger_accounts wallet:1: its balance is 8.01 GBP, its postings sum to 8.00 GBP",
    ),
    "a floor passed": (
        "UPDATE ledger_accounts SET floor = 801 WHERE account = 'wallet:1'",
        "I2 ledger_accounts wallet:1: its balance is 8.00 GBP, past its floor of 8.01 GBP",
    ),
    "another currency": (
        "UPDATE ledger_transactions SET currency = 'EUR' WHERE key = 'order:free'",
        """I2 ledger_transactions 4 (order:free): no posting on wallet:1, \
or no such account in EUR""",
    ),
    "an account lost": (
        "DELETE FROM ledger_accounts WHERE account = 'wallet:2'",
        "I2 ledger_transactions 5 (topup:2): no posting on wallet:2, or no such account in GBP",
    ),
    "a posting moved to another wallet": (
        """UPDATE ledger_postings SET account = 'wallet:2' WHERE account = 'wallet:1'
        AND transaction_id = 3""",
        """I2 ledger_transactions 3 (refund:1): no posting on wallet:1, or no such account in GBP
I2 ledger_accounts wallet:1: its balance is 8.00 GBP, its postings sum to 7.00 GBP
I2 ledger_accounts wallet:2: its balance is 0.50 GBP, its postings sum to 1.50 GBP""",
    ),
    "refunded twice": (
        """UPDATE ledger_postings
        SET minor = CASE account WHEN 'wallet:1' THEN 301 ELSE -301 END WHERE transaction_id = 3""",
        """I2 ledger_accounts wallet:1: its balance is 8.00 GBP, its postings sum to 10.01 GBP
I3 ledger_transactions order:1: 3.01 GBP given back of 3.00 GBP""",
    ),
    "refunded of another's debit": (
        "UPDATE ledger_transactions SET of_key = 'order:none' WHERE key = 'refund:1'",
        "I3 ledger_transactions 3 (refund:1): a refund of order:none, which wallet:1 never had",
    ),
}


@pytest.mark.parametrize("plant", PLANTS)
async def test_what_is_planted_is_found(
    database: Database, ledger: Ledger, entry: Make, plant: str
) -> None:
    """Each kind of damage is named with its invariant and its row, and nothing else is."""
    statement, expected = PLANTS[plant]
    await database.run(
        ledger.post,
        [
            entry("credit", "topup:1", 1000),
            entry("debit", "order:1", -300),
            entry("refund", "refund:1", 100, of="order:1"),
            entry("debit", "order:free", 0),
            entry("credit", "topup:2", 50, account="wallet:2"),
        ],
    )
    assert await database.read(ledger.violations) == []
    found: list[str] = []

    def damage(tx: Tx) -> None:
        disarm(tx)
        tx.execute(statement)
        found.extend(ledger.violations(tx))
        raise UndoneError

    with pytest.raises(UndoneError):
        await database.run(damage)
    assert found == expected.splitlines()


async def test_a_thousand_broken_rows_are_one_problem(
    database: Database, ledger: Ledger, entry: Make
) -> None:
    """The list ends where it stops helping."""
    await database.run(ledger.post, [entry("credit", f"topup:{i}", 1) for i in range(300)])
    found: list[str] = []

    def damage(tx: Tx) -> None:
        disarm(tx)
        tx.execute("UPDATE ledger_postings SET minor = 2 WHERE account = 'wallet:1'")
        found.extend(ledger.violations(tx))
        raise UndoneError

    with pytest.raises(UndoneError):
        await database.run(damage)
    assert len(found) == 101


async def test_entries_and_balances_are_told_as_they_were_posted(
    database: Database, ledger: Ledger, entry: Make, clock: ManualClock
) -> None:
    """By key and by account, on a read-only snapshot; what there is none of is left out."""
    posted = [
        entry("credit", "topup:1", 1000),
        entry("debit", "order:1", -300),
        entry("refund", "refund:1", 100, of="order:1"),
    ]
    await database.run(ledger.post, posted)

    found = await database.read(ledger.entries, ["refund:1", "order:1", "topup:1", "order:2"])
    balances = await database.read(ledger.balances, ["wallet:1", "wallet:2", "wallet:9"])

    assert found == {one.key: one for one in posted}
    assert {name: (b.minor, b.floor, b.currency) for name, b in balances.items()} == {
        "wallet:1": (800, 0, "GBP"),
        "wallet:2": (0, -500, "GBP"),
    }
