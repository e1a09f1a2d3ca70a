"""Posting: a batch of entries over any accounts in two round trips, three when it gives money back.

Order matters. The key goes in first, so that of two who post the same key one waits and then sees
it. The balance moves second, which locks the account's row until commit. What is left of a debit is
read last, under that lock and with a fresh snapshot, so that two refunds of it cannot both fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import structs

from starship_core import (
    Balance,
    Entry,
    InsufficientFunds,
    Money,
    NotFound,
    Transaction,
    WrongState,
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

COUNTERPART: Final = {
    "debit": "sales",
    "refund": "sales",
    "credit": "funding",
    "reversal": "funding",
}
"""Where the other half of an entry goes: `sales:GBP`, `funding:GBP`. These are sums, not rows."""
GIVES_BACK: Final = {"refund": "debit", "reversal": "credit"}
_TAKES: Final = {"debit", "reversal"}
LARGEST: Final = 10**16
"""Minor units in one entry; far above any order, and 64 of them still fit a bigint."""

_INSERT = """
INSERT INTO ledger_transactions (key, kind, of_key, account, currency, at)
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, cast(value->>5 AS bigint)
FROM json_each($1) WHERE true ON CONFLICT DO NOTHING RETURNING id, key
"""
_MOVE = """
UPDATE ledger_accounts SET balance = balance + moved.minor
FROM (SELECT value->>0 AS name, value->>1 AS unit, cast(value->>2 AS bigint) AS minor
      FROM json_each($1)) AS moved
WHERE account = moved.name AND currency = moved.unit AND balance + moved.minor >= floor
RETURNING account, currency, balance, floor
"""
_POST = """
INSERT INTO ledger_postings (transaction_id, account, minor)
SELECT cast(value->>0 AS bigint), value->>1, cast(value->>2 AS bigint) FROM json_each($1)
"""
_ACCOUNTS = """
SELECT account, currency, balance, floor FROM ledger_accounts
WHERE account IN (SELECT key FROM json_each($1)) ORDER BY account
"""
_POSTED = """
SELECT t.key, t.kind, t.of_key, t.account, t.currency, p.minor
FROM ledger_transactions AS t
JOIN ledger_postings AS p ON p.transaction_id = t.id AND p.account = t.account
WHERE t.key IN (SELECT key FROM json_each($1))
"""
_LEFT = """
SELECT t.key, t.kind, t.account, p.minor,
  (SELECT cast(sum(back.minor) AS bigint) FROM ledger_transactions AS r
   JOIN ledger_postings AS back ON back.transaction_id = r.id AND back.account = r.account
   WHERE r.of_key = t.key)
FROM ledger_transactions AS t
JOIN ledger_postings AS p ON p.transaction_id = t.id AND p.account = t.account
WHERE t.key IN (SELECT key FROM json_each($1))
"""
_encode = msgspec.json.Encoder().encode


def post(tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
    """Post `entries` in order; see `Ledger.post` for what is promised."""
    asked: dict[str, Entry] = {}
    for entry in entries:
        _refuse_nonsense(entry)
        if _facts(asked.setdefault(entry.key, entry)) != _facts(entry):
            raise _another_entry(entry.key)
    if not asked:
        return ()
    ids = _insert(tx, asked)
    moved = [entry for key, entry in asked.items() if key in ids]
    before: dict[str, Balance] = {}
    if moved:
        before = _move(tx, ids, moved)
    if backs := [entry for entry in moved if entry.of is not None]:
        _refuse_excess(tx, backs)
    if repeated := [entry for key, entry in asked.items() if key not in ids]:
        _refuse_another(tx, repeated)
        before = accounts(tx, {entry.account for entry in repeated} - before.keys()) | before
    return _running(entries, before, set(ids))


def accounts(tx: Transaction, names: Iterable[str], *, lock: str = "") -> dict[str, Balance]:
    """The accounts that exist, by name; `lock` is the dialect's locking clause."""
    return {
        account: Balance(account=account, currency=currency, minor=minor, floor=floor)
        for account, currency, minor, floor in tx.execute(_ACCOUNTS + lock, set_of(names))
    }


def _refuse_nonsense(entry: Entry) -> None:
    """An entry that no caller should have made is a fault of the program, not a state."""
    if (entry.minor > 0) if entry.kind in _TAKES else (entry.minor < 0):
        raise ValueError(f"{entry.key}: a {entry.kind} of {entry.minor} has the wrong sign")
    if (entry.of is None) == (entry.kind in GIVES_BACK):
        raise ValueError(
            f"{entry.key}: refunds and reversals, and only these, say what they are of"
        )
    if abs(entry.minor) > LARGEST:
        raise ValueError(f"{entry.key}: more than {LARGEST} minor units in one entry")


def _facts(entry: Entry) -> tuple[Any, ...]:
    """What a key stands for. The time is not part of it: a repetition comes later."""
    return (entry.kind, entry.of, entry.account, entry.currency, entry.minor)


def _another_entry(key: str) -> WrongState:
    return WrongState(
        f"the ledger has another entry under the key {key}", found=key, code="KEY_TAKEN"
    )


def _insert(tx: Transaction, asked: Mapping[str, Entry]) -> dict[str, int]:
    rows = _numbered(
        (e.key, e.kind, e.of, e.account, e.currency, (e.at - EPOCH) // MICROSECOND)
        for e in asked.values()
    )
    return {key: number for number, key in tx.execute(_INSERT, rows)}


def _move(tx: Transaction, ids: Mapping[str, int], moved: Sequence[Entry]) -> dict[str, Balance]:
    """Change the balances and write what changed them; the accounts as they were before."""
    sums: dict[tuple[str, str], int] = {}
    for entry in moved:
        of = (entry.account, entry.currency)
        sums[of] = sums.get(of, 0) + entry.minor
    rows = _numbered((*of, sums[of]) for of in sorted(sums))
    halves = _numbered(half for entry in moved for half in _halves(ids[entry.key], entry))
    changed, _ = tx.together([(_MOVE, (rows,)), (_POST, (halves,))])
    before = {
        (account, currency): Balance(
            account=account,
            currency=currency,
            minor=balance - sums[account, currency],
            floor=floor,
        )
        for account, currency, balance, floor in changed
    }
    for account, currency in sums.keys() - before.keys():
        raise _why_not(tx, account, Money(sums[account, currency], currency))
    return {account: balance for (account, _), balance in before.items()}


def _halves(number: int, entry: Entry) -> Iterable[tuple[int, str, int]]:
    """Both postings of an entry."""
    yield number, entry.account, entry.minor
    yield number, f"{COUNTERPART[entry.kind]}:{entry.currency}", -entry.minor


def _numbered(rows: Iterable[tuple[Any, ...]]) -> str:
    """Rows as the one parameter that `json_each` reads: in this order, which a database that sorts
    an object's names keeps.
    """
    return _encode({str(i): row for i, row in enumerate(rows)}).decode()


def _why_not(tx: Transaction, account: str, moved: Money) -> Exception:
    """The reason why an account was not moved."""
    found = accounts(tx, [account]).get(account)
    if found is None:
        return NotFound("account", account)
    if found.currency != moved.currency:
        return WrongState(
            f"{account} is in {found.currency}, not {moved.currency}", found=found.currency
        )
    return _short(found, moved.minor)


def _short(found: Balance, minor: int) -> InsufficientFunds:
    return InsufficientFunds(
        f"{found.account} has {Money(found.spendable, found.currency)} to spend, "
        f"{Money(-minor, found.currency)} were asked for"
    )


def _refuse_excess(tx: Transaction, backs: Sequence[Entry]) -> None:
    """Refunds and reversals, this batch's included, must fit what they are of."""
    origins = {
        key: (kind, account, minor, back)
        for key, kind, account, minor, back in tx.execute(_LEFT, set_of(e.of or "" for e in backs))
    }
    for entry in backs:
        kind, account, minor, back = origins.get(entry.of or "", (None, None, 0, 0))
        if kind != GIVES_BACK[entry.kind] or account != entry.account:
            raise WrongState(
                f"there is no {GIVES_BACK[entry.kind]} {entry.of} of {entry.account}",
                found=str(kind),
                code="NOTHING_TO_GIVE_BACK",
            )
        if abs(back) > abs(minor):
            raise WrongState(
                f"{entry.of} was {Money(abs(minor), entry.currency)}; "
                f"{Money(abs(back), entry.currency)} would be given back",
                found=Money(abs(minor), entry.currency).text,
                code="ALREADY_GIVEN_BACK",
            )


def _refuse_another(tx: Transaction, repeated: Sequence[Entry]) -> None:
    """A key that was posted before must have stood for the same entry."""
    posted = {
        key: tuple(facts) for key, *facts in tx.execute(_POSTED, set_of(e.key for e in repeated))
    }
    for entry in repeated:
        if posted.get(entry.key) != _facts(entry):
            raise _another_entry(entry.key)


def _running(entries: Sequence[Entry], before: Mapping[str, Balance], new: set[str]) -> list[int]:
    """The balance after each entry. A debit that only a later credit would pay is refused."""
    now = {account: balance.minor for account, balance in before.items()}
    answer = []
    for entry in entries:
        if entry.key in new:
            new.remove(entry.key)  # the same key again in one batch moves nothing
            now[entry.account] += entry.minor
            if entry.minor < 0 and now[entry.account] < (at := before[entry.account]).floor:
                had = structs.replace(at, minor=now[entry.account] - entry.minor)
                raise _short(had, entry.minor)
        answer.append(now[entry.account])
    return answer


def set_of(given: Iterable[str]) -> str:
    """A set of names as the one parameter whose keys `json_each` reads."""
    return _encode(dict.fromkeys(given, 1)).decode()
