"""An operator's no to buying for an order, on an open transaction that has locked the order."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from starship_core.audit import By
from starship_core.clock import micros, moment
from starship_core.ports import Transaction

_INSERT: Final = """
INSERT INTO refusals (order_id, actor, reason, is_open, created_at, updated_at)
VALUES ($1, $2, $3, 1, $4, $4)
"""
_FIND: Final = """
SELECT actor, reason, created_at FROM refusals WHERE order_id = $1 AND is_open = 1
"""
_WITHDRAW: Final = """
UPDATE refusals SET is_open = 0, updated_at = $2 WHERE order_id = $1 AND is_open = 1
"""


class Refusal(Struct, frozen=True, kw_only=True):
    """Who does not want it bought, and why."""

    actor: str
    reason: str
    at: datetime


def insert_refusal(tx: Transaction, order_id: int, by: By, at: datetime) -> None:
    """There is none that holds."""
    tx.execute(_INSERT, order_id, by.actor, by.reason, micros(at))


def find_refusal(tx: Transaction, order_id: int) -> Refusal | None:
    """The one that holds; None: nobody refused, or an operator approved since."""
    rows = tx.execute(_FIND, order_id)
    if not rows:
        return None
    actor, reason, at = rows[0]
    return Refusal(actor=actor, reason=reason, at=moment(at))


def withdraw_refusal(tx: Transaction, order_id: int, at: datetime) -> None:
    """An operator approves it after all; it stays on record."""
    tx.execute(_WITHDRAW, order_id, micros(at))
