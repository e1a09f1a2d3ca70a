"""Orders that wait for too long: why, and what takes them on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, NamedTuple

from starship_core.clock import micros, moment, rfc3339
from starship_core.database import Tx
from starship_core.reconciliation.finding import MOST, Finding, patient, told
from starship_core.ship import Ship

_WAITING: Final = """
SELECT o.id, o.status, coalesce(o.sub_status, '-'), o.pending_items, o.quantity, o.placed_at,
  p.id, p.state,
  CASE WHEN EXISTS (SELECT 1 FROM vouchers v
    WHERE v.product_id = o.product_id AND v.denomination = o.denomination
      AND v.currency = o.currency AND v.state = 'pooled'
      AND v.expires_at > $2 + o.min_expiry - o.placed_at) THEN 1 ELSE 0 END,
  (SELECT f.vendor FROM product_vendors f WHERE f.product_id = o.product_id AND f.is_active = 1
    AND o.denomination BETWEEN coalesce(f.minimum, 0) AND coalesce(f.maximum, o.denomination)
    ORDER BY f.priority, f.vendor LIMIT 1),
  (SELECT r.actor FROM refusals r WHERE r.order_id = o.id AND r.is_open = 1),
  o.total
FROM (
  SELECT id, status, sub_status, pending_items, quantity, placed_at, product_id, denomination,
    currency, min_expiry, count(*) OVER () AS total
  FROM orders WHERE status IN ('PENDING', 'PARTIALLY_DELIVERED') AND placed_at < $1
  ORDER BY placed_at, id LIMIT $3
) AS o
LEFT JOIN purchases p ON p.id = (
  SELECT max(i.purchase_id) FROM purchase_items i WHERE i.order_id = o.id AND i.is_open = 1)
ORDER BY o.placed_at, o.id
"""


async def waiting_orders(ship: Ship) -> list[Finding]:
    """PENDING or PARTIALLY_DELIVERED for longer than `[reconcile] order_hours`, oldest first."""
    return await ship.database.read(_waiting, ship)


def _waiting(tx: Tx, ship: Ship) -> list[Finding]:
    patient(tx)
    now = ship.now()
    before = now - timedelta(hours=ship.config.reconcile.order_hours)
    return told(tx.execute(_WAITING, micros(before), micros(now), MOST), _finding)


class _Way(NamedTuple):
    """What could serve an order."""

    purchase: int | None
    """Open: its items belong to it."""
    state: str | None
    servable: int
    """1: the pool has something for it."""
    vendor: str | None
    """Sells it, and would be asked first."""
    refused_by: str | None
    """Does not want it bought."""


def _finding(  # noqa: PLR0913, PLR0917  # a row of `_WAITING`
    order_id: int, status: str, sub_status: str, pending: int, quantity: int, placed: int, *way: Any
) -> Finding:
    cause, command = _next(order_id, _Way(*way))
    return Finding(
        kind="order.waiting",
        subject=f"order:{order_id}",
        problem=f"{status}/{sub_status} since {rfc3339(moment(placed))}, "
        f"{pending or quantity} of {quantity} units: {cause}",
        command=command,
    )


def _next(order_id: int, way: _Way) -> tuple[str, str]:
    """Why it waits, and what is to be done."""
    if way.state == "NEEDS_REVIEW":
        cause = f"its purchase {way.purchase} has to be settled by an operator"
        return cause, f"starship purchase resolve {way.purchase} --as NAME"
    if way.purchase is not None:
        cause = f"its purchase {way.purchase} is {way.state}"
        return cause, f"starship purchase show {way.purchase}"
    retry = f"starship order retry {order_id} --as NAME"
    if way.servable:
        return "the pool has what it waits for", retry
    if way.refused_by is not None:
        cause = f"{way.refused_by} refused to have it bought, and nothing fit is on sale"
        return cause, f"starship pump --as NAME && {retry}"
    cause = (
        "nothing that is valid for long enough is on sale; or give the money back with "
        f"`starship order cancel {order_id}`"
    )
    if way.vendor is not None:
        return cause, (
            f"starship order approve {order_id} --vendor {way.vendor} --ceiling AMOUNT "
            "--reason REASON --as NAME"
        )
    return cause, f"starship pump --as NAME && {retry}"
