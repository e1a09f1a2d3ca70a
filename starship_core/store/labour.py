"""Who works, and what became of the work: rows that operators and monitors read."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from starship_core.ports import Transaction
from starship_core.store.slots import SECOND

ALIVE: Final = 30 * SECOND
"""A worker that polled within this time is alive."""
_FORGOTTEN: Final = 24 * 60 * 60 * SECOND

_POLLED: Final = """
INSERT INTO workers (name, host, pid, started_at, polled_at, skew)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE SET polled_at = excluded.polled_at, skew = excluded.skew
"""
_FORGET: Final = "DELETE FROM workers WHERE polled_at < $1"
_GONE: Final = "DELETE FROM workers WHERE name = $1"
_WORKERS: Final = """
SELECT name, host, pid, started_at, polled_at, skew FROM workers WHERE polled_at > $1
ORDER BY started_at, name
"""
_RAN: Final = """
INSERT INTO sweep_runs (kind, runs, failures, began_at, ended_at, result, done, worker)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (kind) DO UPDATE
SET runs = sweep_runs.runs + 1, failures = sweep_runs.failures + excluded.failures,
  began_at = excluded.began_at, ended_at = excluded.ended_at, result = excluded.result,
  done = excluded.done, worker = excluded.worker
"""
_RUNS: Final = """
SELECT kind, runs, failures, began_at, ended_at, result, done, worker FROM sweep_runs
"""


class Hand(Struct, frozen=True, kw_only=True):
    """A worker, as its row says. Times in microseconds."""

    name: str
    host: str
    pid: int
    started_at: int
    polled_at: int
    skew: int
    """The database's clock less its own."""


class Run(Struct, frozen=True, kw_only=True):
    """How the last run of a kind ended, and how many there were."""

    kind: str
    runs: int
    failures: int
    began_at: int
    ended_at: int
    result: str
    """`done`, or the class of what it failed with."""
    done: int
    worker: str


def polled(tx: Transaction, hand: Hand) -> None:
    """It lives. Those not heard of for a day are forgotten."""
    tx.execute(
        _POLLED, hand.name, hand.host, hand.pid, hand.started_at, hand.polled_at, hand.skew
    )  # fmt: skip
    tx.execute(_FORGET, hand.polled_at - _FORGOTTEN)


def gone(tx: Transaction, name: str) -> None:
    """It was told to stop, and has."""
    tx.execute(_GONE, name)


def alive(tx: Transaction, now: int) -> list[Hand]:
    """Workers that polled lately, the oldest first."""
    names = Hand.__struct_fields__
    return [Hand(**dict(zip(names, row, strict=True))) for row in tx.execute(_WORKERS, now - ALIVE)]


def ran(tx: Transaction, run: Run) -> None:
    """Count a run. `runs` and `failures` of `run` are this one's: 1, and 0 or 1."""
    tx.execute(
        _RAN, run.kind, run.failures, run.began_at, run.ended_at, run.result, run.done, run.worker
    )  # fmt: skip


def runs(tx: Transaction) -> dict[str, Run]:
    """By kind; a kind that never did anything is missing."""
    names = Run.__struct_fields__
    found = [Run(**dict(zip(names, row, strict=True))) for row in tx.execute(_RUNS)]
    return {run.kind: run for run in found}
