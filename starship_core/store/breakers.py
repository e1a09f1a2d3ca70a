"""Breakers in SQL: shared by every process, and kept whatever Redis forgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from starship_core.breaker import Breaker, Rule, failed, released, succeeded, tried
from starship_core.database import Tx
from starship_core.ports import Transaction

_FIND: Final = (
    "SELECT failures, opened_at, trial_until, cause FROM breakers"
    " WHERE vendor = $1 AND operation = $2"
)
_LIST: Final = (
    "SELECT failures, opened_at, trial_until, cause, vendor, operation FROM breakers"
    " ORDER BY vendor, operation"
)
_MAKE: Final = """
INSERT INTO breakers (vendor, operation, updated_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_WRITE: Final = """
UPDATE breakers SET failures = $3, opened_at = $4, trial_until = $5, cause = $6, updated_at = $7
WHERE vendor = $1 AND operation = $2
"""
_times: Final = msgspec.json.Decoder(tuple[int, ...]).decode


def admitted(tx: Tx, vendor: str, operation: str, *, rule: Rule, at: int) -> int:
    """Microseconds until a call may be made; 0: make it now, and tell `ended` how it went.

    Call it in the transaction that goes on to act. While the breaker is half open, the one that is
    let through is the trial, and everybody else waits.
    """
    found = find_breaker(tx, vendor, operation)
    if found is None or found.opened_at is None:
        return 0
    locked = _locked(tx, vendor, operation, at)
    wait = locked.wait(rule, at)
    if not wait:
        _write(tx, vendor, operation, tried(locked, at), at)
    return wait


def ended(  # noqa: PLR0913  # which, how, by which rule, and when
    tx: Tx, vendor: str, operation: str, *, rule: Rule, cause: str | None, at: int
) -> tuple[Breaker, Breaker]:
    """A call ended: `cause` is the class of its failure, None when it was answered.

    What the breaker was, and what it is now.
    """
    if cause is None:
        return _changed(tx, vendor, operation, succeeded, at)
    return _changed(tx, vendor, operation, lambda one: failed(one, rule, at, cause=cause), at)


def release(tx: Tx, vendor: str, operation: str, at: int) -> None:
    """What had been let through was not done after all, and says nothing of the vendor."""
    _changed(tx, vendor, operation, released, at)


def close(tx: Tx, vendor: str, operation: str, at: int) -> Breaker | None:
    """An operator knows better: what it was; None: there is no such breaker."""
    if find_breaker(tx, vendor, operation) is None:
        return None
    return _changed(tx, vendor, operation, lambda _: Breaker(), at)[0]


def find_breaker(tx: Transaction, vendor: str, operation: str) -> Breaker | None:
    """None: no call of it ever failed."""
    rows = tx.execute(_FIND, vendor, operation)
    return _breaker(*rows[0]) if rows else None


def list_breakers(tx: Transaction) -> Mapping[tuple[str, str], Breaker]:
    """All that ever counted a failure, by vendor and operation."""
    return {(row[4], row[5]): _breaker(*row[:4]) for row in tx.execute(_LIST)}


def _changed(
    tx: Tx, vendor: str, operation: str, step: Callable[[Breaker], Breaker], at: int
) -> tuple[Breaker, Breaker]:
    before = _locked(tx, vendor, operation, at)
    after = step(before)
    if after != before:
        _write(tx, vendor, operation, after, at)
    return before, after


def _locked(tx: Tx, vendor: str, operation: str, at: int) -> Breaker:
    tx.execute(_MAKE, vendor, operation, at)
    return _breaker(*tx.execute(f"{_FIND} {tx.for_update}", vendor, operation)[0])


def _write(tx: Transaction, vendor: str, operation: str, breaker: Breaker, at: int) -> None:
    failures = msgspec.json.encode(breaker.failures).decode()
    tx.execute(
        _WRITE, vendor, operation, failures, breaker.opened_at, breaker.trial_until, breaker.cause,
        at,
    )  # fmt: skip


def _breaker(failures: str, opened_at: int | None, trial_until: int | None, cause: str) -> Breaker:
    return Breaker(
        failures=_times(failures), opened_at=opened_at, trial_until=trial_until, cause=cause
    )
