"""What must be true of the ledger's rows, and the query that finds each row of which it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from starship_core import Entry, Money, Transaction
from starship_wallet_ledger.posting import EPOCH, MICROSECOND, set_of

_SHOWN: Final = 100
"""At most so many rows a check: whoever has more broken rows has one problem, not many."""

_HALVES = """
SELECT t.id, t.key, t.currency, count(p.account), cast(coalesce(sum(p.minor), 0) AS bigint)
FROM ledger_transactions AS t LEFT JOIN ledger_postings AS p ON p.transaction_id = t.id
GROUP BY t.id, t.key, t.currency HAVING count(p.account) < 2 OR coalesce(sum(p.minor), 0) <> 0
ORDER BY t.id LIMIT $1
"""
_LOOSE = """
SELECT p.transaction_id, p.account, p.minor FROM ledger_postings AS p
WHERE NOT EXISTS (SELECT 1 FROM ledger_transactions AS t WHERE t.id = p.transaction_id)
ORDER BY p.transaction_id, p.account LIMIT $1
"""
_STRANGERS = """
SELECT t.id, t.key, t.account, t.currency FROM ledger_transactions AS t
LEFT JOIN ledger_accounts AS a ON a.account = t.account AND a.currency = t.currency
WHERE a.account IS NULL
OR NOT EXISTS (SELECT 1 FROM ledger_postings AS p
               WHERE p.transaction_id = t.id AND p.account = t.account)
ORDER BY t.id LIMIT $1
"""
_BALANCES = """
SELECT a.account, a.currency, a.balance, cast(coalesce(s.minor, 0) AS bigint)
FROM ledger_accounts AS a
LEFT JOIN (SELECT account, sum(minor) AS minor FROM ledger_postings GROUP BY account) AS s
ON s.account = a.account
WHERE a.balance <> coalesce(s.minor, 0) ORDER BY a.account LIMIT $1
"""
_FLOORS = """
SELECT account, currency, balance, floor FROM ledger_accounts
WHERE balance < floor OR floor > 0 ORDER BY account LIMIT $1
"""
_EXCESS = """
SELECT o.key, o.currency, taken.minor, cast(sum(back.minor) AS bigint)
FROM ledger_transactions AS r
JOIN ledger_postings AS back ON back.transaction_id = r.id AND back.account = r.account
JOIN ledger_transactions AS o ON o.key = r.of_key
JOIN ledger_postings AS taken ON taken.transaction_id = o.id AND taken.account = o.account
GROUP BY o.key, o.currency, taken.minor HAVING abs(sum(back.minor)) > abs(taken.minor)
ORDER BY o.key LIMIT $1
"""
_UNFOUNDED = """
SELECT r.id, r.key, r.kind, r.of_key, r.account FROM ledger_transactions AS r
LEFT JOIN ledger_transactions AS o
ON o.key = r.of_key AND o.account = r.account AND o.currency = r.currency
AND o.kind = CASE r.kind WHEN 'refund' THEN 'debit' ELSE 'credit' END
WHERE r.kind IN ('refund', 'reversal') AND o.key IS NULL ORDER BY r.id LIMIT $1
"""
_SIGNS = """
SELECT t.id, t.key, t.kind, t.currency, p.minor FROM ledger_transactions AS t
JOIN ledger_postings AS p ON p.transaction_id = t.id AND p.account = t.account
WHERE CASE WHEN t.kind IN ('debit', 'reversal') THEN p.minor > 0 ELSE p.minor < 0 END
ORDER BY t.id LIMIT $1
"""
_ENTRIES = """
SELECT t.key, t.account, p.minor, t.currency, t.kind, t.of_key, t.at
FROM ledger_transactions AS t
JOIN ledger_postings AS p ON p.transaction_id = t.id AND p.account = t.account
WHERE t.key IN (SELECT key FROM json_each($1))
"""


def entries(tx: Transaction, keys: Sequence[str]) -> Mapping[str, Entry]:
    """What stands under these keys."""
    return {
        key: Entry(
            key=key, account=account, minor=minor, currency=currency, kind=kind, of=of,
            at=EPOCH + at * MICROSECOND,
        )
        for key, account, minor, currency, kind, of, at in tx.execute(_ENTRIES, set_of(keys))
    }  # fmt: skip


def violations(tx: Transaction) -> Sequence[str]:
    """One sentence a broken row, which names the invariant and the row."""
    return [sentence for check in (_double_entry, _accounts, _given_back) for sentence in check(tx)]


def _double_entry(tx: Transaction) -> Iterator[str]:
    for number, key, currency, count, total in tx.execute(_HALVES, _SHOWN):
        yield (
            f"I2 ledger_transactions {number} ({key}): two or more postings that sum to zero "
            f"were due; there are {count}, and they sum to {Money(total, currency)}"
        )
    for number, account, minor in tx.execute(_LOOSE, _SHOWN):
        yield f"I2 ledger_postings {number}/{account}: {minor} minor units of no transaction"
    for number, key, kind, currency, minor in tx.execute(_SIGNS, _SHOWN):
        yield (
            f"I2 ledger_transactions {number} ({key}): a {kind} moves {Money(minor, currency)}, "
            "which is the wrong way"
        )


def _accounts(tx: Transaction) -> Iterator[str]:
    for number, key, account, currency in tx.execute(_STRANGERS, _SHOWN):
        yield (
            f"I2 ledger_transactions {number} ({key}): no posting on {account}, "
            f"or no such account in {currency}"
        )
    for account, currency, balance, total in tx.execute(_BALANCES, _SHOWN):
        yield (
            f"I2 ledger_accounts {account}: its balance is {Money(balance, currency)}, "
            f"its postings sum to {Money(total, currency)}"
        )
    for account, currency, balance, floor in tx.execute(_FLOORS, _SHOWN):
        yield (
            f"I2 ledger_accounts {account}: its balance is {Money(balance, currency)}, "
            f"past its floor of {Money(floor, currency)}"
        )


def _given_back(tx: Transaction) -> Iterator[str]:
    for key, currency, taken, back in tx.execute(_EXCESS, _SHOWN):
        yield (
            f"I3 ledger_transactions {key}: {Money(abs(back), currency)} given back of "
            f"{Money(abs(taken), currency)}"
        )
    for number, key, kind, of, account in tx.execute(_UNFOUNDED, _SHOWN):
        yield (
            f"I3 ledger_transactions {number} ({key}): a {kind} of {of}, which {account} never had"
        )
