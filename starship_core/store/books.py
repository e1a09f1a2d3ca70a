"""Whether the money adds up: the wallet backend's own checks, the rows that the API shows, and the
one against the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from starship_core.model import Balance, Entry, Money
from starship_core.ports import Reconciles, Transaction, Verifies, WalletBackend
from starship_core.store.orders import debit_key

_MOST: Final = 100
_CHUNK: Final = 5_000
_CHAIN: Final = """
SELECT id, wallet_id, currency, balance_after, expected FROM (
  SELECT id, wallet_id, currency, balance_after,
    coalesce(lag(balance_after) OVER (PARTITION BY wallet_id ORDER BY id), 0)
    + CASE transaction_type WHEN 'CREDIT' THEN amount ELSE -amount END AS expected
  FROM transactions WHERE status = 'COMPLETED') AS chain
WHERE balance_after <> expected ORDER BY id LIMIT $1
"""
_ROWS: Final = """
SELECT t.id, t.key, w.account, t.currency, t.transaction_type, t.amount, t.order_id
FROM transactions AS t JOIN wallets AS w ON w.id = t.wallet_id
WHERE t.id > $1 ORDER BY t.id LIMIT $2
"""
_WALLETS: Final = """
SELECT id, account, currency, credit_limit, (
    SELECT balance_after FROM transactions
    WHERE wallet_id = wallets.id AND status = 'COMPLETED' ORDER BY id DESC LIMIT 1)
FROM wallets WHERE id > $1 ORDER BY id LIMIT $2
"""


def money_violations(tx: Transaction, wallet: WalletBackend) -> list[str]:
    """One sentence a broken row: `I2 ledger_accounts wallet:3: …`; empty when all adds up."""
    if tx.dialect == "postgresql":
        tx.execute("SET LOCAL statement_timeout = 0")  # all rows are read, however many
    found = [
        f"I2 transactions {number}: its balance_after is {Money(after, currency)}; the row before "
        f"and its amount make {Money(expected, currency)} (wallet {wallet_id})"
        for number, wallet_id, currency, after, expected in tx.execute(_CHAIN, _MOST)
    ]
    backend: Any = wallet
    if hasattr(backend, "violations"):
        checker: Verifies = backend
        found += checker.violations(tx)
    if hasattr(backend, "entries"):
        found += islice(_unlike_entries(tx, backend), _MOST)
        found += islice(_unlike_balances(tx, backend), _MOST)
    return found


def _unlike_entries(tx: Transaction, backend: Reconciles) -> Iterator[str]:
    """Transactions that the client sees and the backend does not have, or has otherwise."""
    last = 0
    while rows := tx.execute(_ROWS, last, _CHUNK):
        entries = backend.entries(tx, [row[1] for row in rows])
        for number, key, *facts in rows:
            if problem := _unlike(entries.get(key), *facts):
                yield f"I2 transactions {number}: {problem} ({key})"
        last = rows[-1][0]


def _unlike(  # noqa: PLR0913, PLR0917  # a row of `_ROWS`
    entry: Entry | None, account: str, currency: str, kind: str, amount: int, order_id: int | None
) -> str | None:
    if entry is None:
        return "the wallet backend has no such entry"
    minor = amount if kind == "CREDIT" else -amount
    if (entry.account, entry.currency, entry.minor) != (account, currency, minor):
        return (
            f"it moves {Money(minor, currency)} on {account}; the wallet backend moved "
            f"{Money(entry.minor, entry.currency)} on {entry.account}"
        )
    if order_id is not None and kind == "CREDIT" and entry.of != debit_key(order_id):
        return f"it refunds order {order_id}; the wallet backend gave back {entry.of or 'nothing'}"
    return None


def _unlike_balances(tx: Transaction, backend: Reconciles) -> Iterator[str]:
    """Wallets that the client sees with another balance, currency or limit than the backend has."""
    last = 0
    while rows := tx.execute(_WALLETS, last, _CHUNK):
        balances = backend.balances(tx, [row[1] for row in rows])
        for number, account, currency, limit, balance in rows:
            shown = Balance(
                account=account, currency=currency, minor=balance or 0, floor=-limit
            )  # fmt: skip
            if (held := balances.get(account)) != shown:
                yield f"I2 wallets {number}: it shows {_told(shown)}; the wallet backend has " + (
                    _told(held) if held else f"no account {account}"
                )
        last = rows[-1][0]


def _told(balance: Balance) -> str:
    held, floor = (Money(minor, balance.currency) for minor in (balance.minor, balance.floor))
    return f"{held} and may go to {floor}"
