"""What reconciliation finds: data, each with the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from starship_core.database import Tx

MOST: Final = 50
"""Findings told of each kind; the rest is counted."""
Kind = Literal[
    "order.waiting",
    "order.no_debit",
    "debit.no_order",
    "balance.low",
    "purchase.open",
    "purchase.review",
    "pool.unlike",
    "pool.away",
    "stock.low",
    "ledger.broken",
    "invariant.broken",
    "webhook.disabled",
    "delivery.failed",
    "notice.failed",
    "vendor.silent",
    "float.low",
    "statement.unknown_here",
    "statement.unknown_there",
    "statement.amount",
    "part.unseen",
]
"""Each has its entry in the runbook of docs/operations.md, which a test checks."""


class Finding(Struct, frozen=True, kw_only=True):
    """Something that a human should know of today. Never holds a code."""

    kind: Kind
    subject: str
    """`order:4411`, `vendor:bamboo-eu`; `more` for those that are only counted."""
    problem: str
    """One sentence: what, since when, and the cause as far as the rows tell it."""
    command: str
    """What mends it, or where mending begins; words in capitals are yours to fill in."""
    aspect: str = ""
    """Tells findings of one kind and subject apart: a currency, an invariant."""
    count: int = 1
    """How many this stands for."""

    @property
    def key(self) -> str:
        """The same for what is the same finding, however much it has grown meanwhile."""
        return ":".join(filter(None, (self.kind, self.subject, self.aspect)))


def told(rows: Sequence[tuple[Any, ...]], find: Callable[..., Finding]) -> list[Finding]:
    """A finding a row, and one for all that the query left out: its last column counts them all."""
    found = [find(*row[:-1]) for row in rows]
    return found + rest(found, rows[0][-1] - len(rows) if rows else 0)


def rest(found: Sequence[Finding], count: int) -> list[Finding]:
    """What stands for so many more of the kind of the last one found."""
    if count <= 0:
        return []
    last = found[-1]
    return [
        Finding(
            kind=last.kind,
            subject="more",
            problem=f"and {count} more of these, told when those before are mended",
            command="starship reconcile",
            aspect=last.aspect,
            count=count,
        )
    ]


def patient(tx: Tx) -> None:
    """All rows may be read, however long that takes."""
    if tx.dialect == "postgresql":
        tx.execute("SET LOCAL statement_timeout = 0")
