"""Who did what, and why: one append-only row for every change by an operator and every reveal of a
code.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from starship_core.clock import micros
from starship_core.errors import InvalidInput
from starship_core.ports import Transaction

_INSERT = """
INSERT INTO audit (at, actor, action, subject, reason, before, after, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


class By(Struct, frozen=True, kw_only=True):
    """Whose hand it is: goes with every operator's change into its flow."""

    actor: str
    """`operator:ana`, `credential:12`, `pump`."""
    reason: str = ""
    request_id: str = ""


def require_reason(by: By, what: str) -> None:
    """Raises InvalidInput when `what`, such as `an approval`, is done without one."""
    if not by.reason.strip():
        raise InvalidInput(f"{what} needs a reason: who reads it later must know", field="reason")


def record(  # noqa: PLR0913  # an audit row has this many columns
    tx: Transaction,
    by: By,
    action: str,
    subject: str,
    *,
    at: datetime,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write the row in the transaction of the change itself. `subject` is `order:4411`, `client:3`,
    …

    `before` and `after` are JSON-able facts; a Secret in them is a TypeError, by design.
    """
    tx.execute(
        _INSERT, micros(at), by.actor, action, subject, by.reason, _text(before), _text(after),
        by.request_id,
    )  # fmt: skip


def _text(fact: Any) -> str | None:
    return None if fact is None else msgspec.json.encode(fact).decode()
