"""The ledger behind the wallets: `WalletBackend`, `Statements`, `Verifies`, `Reconciles` on its own
tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from starship_core import (
    Balance,
    Database,
    Entry,
    Money,
    NotFound,
    StatementLine,
    Transaction,
    WrongState,
)
from starship_wallet_ledger import checks, posting

_OPEN = """
INSERT INTO ledger_accounts (account, currency, floor) VALUES ($1, $2, $3)
ON CONFLICT (account) DO UPDATE SET floor = excluded.floor
WHERE ledger_accounts.currency = excluded.currency AND ledger_accounts.balance >= excluded.floor
RETURNING account
"""
_SINCE = """
SELECT cast(coalesce(sum(p.minor), 0) AS bigint)
FROM ledger_transactions AS t
JOIN ledger_postings AS p ON p.transaction_id = t.id AND p.account = t.account
WHERE t.account = $1 AND t.at >= $2
"""
_LINES = """
SELECT t.key, t.kind, t.at, p.minor
FROM ledger_transactions AS t
JOIN ledger_postings AS p ON p.transaction_id = t.id AND p.account = t.account
WHERE t.account = $1 AND t.at >= $2 AND t.at < $3 ORDER BY t.id
"""


class Line(Struct, kw_only=True):
    """One line of a statement, in minor units."""

    key: str
    kind: str
    at: datetime
    minor: int
    balance_after: int


class Ledger:
    """Wallets have a row with a running balance and a floor; `sales:GBP` and the like are sums."""

    plain_rows: Final = True

    def __init__(self, database: Database) -> None:
        self._database = database

    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        """One statement, in order of name. FOR NO KEY UPDATE, so that foreign keys' locks pass."""
        clause = "FOR NO KEY UPDATE" if tx.dialect == "postgresql" else ""
        return posting.accounts(tx, accounts, lock=clause)

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        """Post all entries in order; the account's balance after each.

        A key that was posted before moves nothing, and its place in the answer is the balance as
        it stands there now. Raises InsufficientFunds for a debit or reversal past the floor;
        WrongState for a key that stands for another entry, for giving back more than is left, and
        for giving back what was never taken; NotFound for an unknown account; ValueError for an
        entry that makes no sense (a debit that adds). Call `lock` first when there are several
        accounts: it is what keeps two batches from waiting for each other.
        """
        return posting.post(tx, entries)

    def open_account(self, tx: Transaction, account: str, currency: str, *, floor: int) -> None:
        """Make the account, or set its floor. Idempotent.

        Raises WrongState for another currency, and for a floor above what the account stands at.
        """
        if floor > 0 or account.partition(":")[0] in posting.COUNTERPART.values():
            raise ValueError(f"{account} cannot be an account with a floor of {floor}")
        if tx.execute(_OPEN, account, currency, floor):
            return
        found = posting.accounts(tx, [account])[account]
        if found.currency != currency:
            raise WrongState(
                f"{account} is in {found.currency}, not {currency}", found=found.currency
            )
        raise WrongState(
            f"{account} stands at {Money(found.minor, currency)}; "
            f"its floor cannot be {Money(floor, currency)}",
            found=Money(found.minor, currency).text,
        )

    async def balance(self, account: str) -> Balance:
        """The balance now. Raises NotFound."""
        return await self._database.read(lambda tx: _existing(tx, account))

    async def statement(
        self, account: str, since: datetime, until: datetime
    ) -> tuple[int, Sequence[StatementLine], int]:
        """Opening balance, the lines with since ≤ at < until in posting order, closing balance.

        They add up for any window, because all come from one snapshot. Raises NotFound.
        """
        first, end = ((time - posting.EPOCH) // posting.MICROSECOND for time in (since, until))

        def read(tx: Transaction) -> tuple[int, Sequence[StatementLine], int]:
            now = _existing(tx, account).minor
            # back from now rather than up from zero: most windows are recent
            balance = opening = now - _sum_since(tx, account, first)
            lines = []
            for key, kind, at, minor in tx.execute(_LINES, account, first, end):
                balance += minor
                lines.append(
                    Line(
                        key=key,
                        kind=kind,
                        at=posting.EPOCH + at * posting.MICROSECOND,
                        minor=minor,
                        balance_after=balance,
                    )
                )
            return opening, lines, now - _sum_since(tx, account, end)

        return await self._database.read(read)

    def violations(self, tx: Transaction) -> Sequence[str]:
        """What is wrong in the ledger, one sentence each; empty when I2 and I3 hold in it."""
        return checks.violations(tx)

    def entries(self, tx: Transaction, keys: Sequence[str]) -> Mapping[str, Entry]:
        """What was posted under each of these keys; a key that never was is absent."""
        return checks.entries(tx, keys)

    def balances(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        """As `lock` answers, and locks nothing."""
        return posting.accounts(tx, accounts)


def _existing(tx: Transaction, account: str) -> Balance:
    found = posting.accounts(tx, [account])
    if account not in found:
        raise NotFound("account", account)
    return found[account]


def _sum_since(tx: Transaction, account: str, first: int) -> int:
    return int(tx.execute(_SINCE, account, first)[0][0])
