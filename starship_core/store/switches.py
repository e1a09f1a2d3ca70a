"""Kill switches in SQL: what says that nothing may be bought, and why.

A purchase reads them in the transaction that makes it SENT, so that a switch holds for everything
that has not been sent when it commits, whatever Redis or a process remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from starship_core.clock import micros, moment
from starship_core.ports import Transaction

GLOBAL: Final = "global"

_BLOCKING: Final = """
SELECT scope, reason FROM switches
WHERE is_off = 1 AND scope IN ('global', 'vendor:' || $1, 'product:' || $2)
ORDER BY scope
"""
_LIST: Final = "SELECT scope, is_off, reason, actor, at FROM switches ORDER BY scope"
_FIND: Final = "SELECT scope, is_off, reason, actor, at FROM switches WHERE scope = $1"
_SET: Final = """
INSERT INTO switches (scope, is_off, reason, actor, at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scope) DO UPDATE SET is_off = $2, reason = $3, actor = $4, at = $5
"""


class Switch(Struct, frozen=True, kw_only=True):
    """The last thing that was done with a switch; of most scopes there is none."""

    scope: str
    off: bool
    """Nothing is bought there."""
    reason: str
    actor: str
    at: datetime


def vendor_scope(instance: str) -> str:
    """The switch of one vendor instance."""
    return f"vendor:{instance}"


def product_scope(product_id: int) -> str:
    """The switch of one product."""
    return f"product:{product_id}"


def blocking(tx: Transaction, *, vendor: str, product_id: int) -> str | None:
    """Why this product may not be bought from this vendor now; None: no switch is off.

    Reads committed rows only: call it in the transaction that goes on to act.
    """
    rows = tx.execute(_BLOCKING, vendor, str(product_id))
    if not rows:
        return None
    return "; ".join(f"buying is switched off ({scope}): {reason}" for scope, reason in rows)


def list_switches(tx: Transaction) -> Sequence[Switch]:
    """All that were ever switched, by scope."""
    return [_switch(row) for row in tx.execute(_LIST)]


def find_switch(tx: Transaction, scope: str) -> Switch | None:
    """None: never switched, so it is on."""
    rows = tx.execute(_FIND, scope)
    return _switch(rows[0]) if rows else None


def set_switch(tx: Transaction, switch: Switch) -> None:
    """Whatever it was before."""
    tx.execute(_SET, switch.scope, int(switch.off), switch.reason, switch.actor, micros(switch.at))


def _switch(row: tuple[str, int, str, str, int]) -> Switch:
    scope, is_off, reason, actor, at = row
    return Switch(scope=scope, off=bool(is_off), reason=reason, actor=actor, at=moment(at))
