"""Whether the money adds up: the wallet backend's own checks, and the rows that the API shows."""

from __future__ import annotations

from typing import Any, Final

from starship_core.model import Money
from starship_core.ports import Transaction, Verifies, WalletBackend

_MOST: Final = 100
_CHAIN: Final = """
SELECT id, wallet_id, currency, balance_after, expected FROM (
  SELECT id, wallet_id, currency, balance_after,
    coalesce(lag(balance_after) OVER (PARTITION BY wallet_id ORDER BY id), 0)
    + CASE transaction_type WHEN 'CREDIT' THEN amount ELSE -amount END AS expected
  FROM transactions WHERE status = 'COMPLETED') AS chain
WHERE balance_after <> expected ORDER BY id LIMIT $1
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
    return found
