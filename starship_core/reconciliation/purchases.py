"""Purchases of which it should be known by now what became of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from starship_core.clock import micros, moment, rfc3339
from starship_core.database import Tx
from starship_core.reconciliation.finding import MOST, Finding, patient, told
from starship_core.ship import Ship

_OPEN: Final = """
SELECT id, vendor, state, coalesce(order_id, 0), since, count(*) OVER () FROM (
  SELECT id, vendor, state, order_id, CASE state
    WHEN 'PLANNED' THEN planned_at WHEN 'SENT' THEN sent_at
    ELSE coalesce(waiting_since, updated_at) END AS since
  FROM purchases WHERE state IN ('PLANNED', 'SENT', 'ACCEPTED', 'UNKNOWN')
) AS open WHERE since < $1 ORDER BY since, id LIMIT $2
"""
_REVIEW: Final = """
SELECT id, vendor, state, coalesce(order_id, 0), updated_at, count(*) OVER () FROM purchases
WHERE state = 'NEEDS_REVIEW' AND updated_at < $1 ORDER BY updated_at, id LIMIT $2
"""
_WHY: Final = {
    "PLANNED": ("nobody sent it; is buying switched off?", "starship switch list"),
    "SENT": ("whoever sent it never said how it ended", "starship purchase show {}"),
    "ACCEPTED": ("the vendor took it and has not delivered", "starship purchase show {}"),
    "UNKNOWN": ("the vendor's answer was unclear", "starship purchase show {}"),
    "NEEDS_REVIEW": (
        "only an operator can say what became of it",
        "starship purchase resolve {} --as NAME",
    ),
}


async def late_purchases(ship: Ship) -> list[Finding]:
    """Not settled for longer than `[reconcile] purchase_hours`: their money is at the vendor, and
    their items can be served by nobody else.
    """
    return await ship.database.read(_late, ship)


def _late(tx: Tx, ship: Ship) -> list[Finding]:
    patient(tx)
    before = micros(ship.now() - timedelta(hours=ship.config.reconcile.purchase_hours))
    return [
        *told(tx.execute(_OPEN, before, MOST), _finding),
        *told(tx.execute(_REVIEW, before, MOST), _finding),
    ]


def _finding(purchase_id: int, vendor: str, state: str, order_id: int, since: int) -> Finding:
    why, command = _WHY[state]
    of = f" for order {order_id}" if order_id else ""
    return Finding(
        kind="purchase.review" if state == "NEEDS_REVIEW" else "purchase.open",
        subject=f"purchase:{purchase_id}",
        problem=f"{state} at {vendor}{of} since {rfc3339(moment(since))}: {why}",
        command=command.format(purchase_id),
    )
