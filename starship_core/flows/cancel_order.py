"""Cancel: refund exactly what was not delivered, and end in CANCELLED."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import Order
from starship_core.ports import WalletBackend
from starship_core.ship import Ship
from starship_core.store.approvals import end_approvals
from starship_core.store.change import WAITING, facts_of, refund, save, take
from starship_core.store.events import announce
from starship_core.store.purchases import void_planned

_CANCEL_ITEMS: Final = """
UPDATE items SET status = 'CANCELLED', refunded = share, settled_at = $2
WHERE order_id = $1 AND status = 'PENDING' RETURNING share
"""


async def cancel_order(order_id: int, by: By, ship: Ship) -> Order:
    """Give the undelivered items' shares back, in one transaction; purchases that were not sent are
    voided in it. Raises NotFound, WrongState (`PURCHASE_OPEN`: one was sent, and is not settled).
    """
    return await ship.database.run(_cancel, order_id, by, ship.wallet, ship.now())


def _cancel(tx: Tx, order_id: int, by: By, wallet: WalletBackend, now: datetime) -> Order:
    taken = take(tx, order_id, WAITING, "cancelled")
    voided = void_planned(tx, order_id, now, why="the order was cancelled")
    end_approvals(tx, order_id, micros(now))
    shares = [int(row[0]) for row in tx.execute(_CANCEL_ITEMS, order_id, micros(now))]
    # before its first retry a bulk order has no items yet: all of it is undelivered
    itemless = taken.bulk and taken.sub_status == "INITIAL"
    owed = taken.price.total_payable if itemless else sum(shares)
    order = refund(tx, taken, owed, wallet, key=f"order:{order_id}:cancel", at=now)
    order = replace(
        order, status="CANCELLED", sub_status="PARTIAL" if order.delivered_quantity else None,
        pending_items=0,
    )  # fmt: skip
    save(tx, order, now)
    announce(tx, [("order.cancelled", order, micros(now))])
    record(
        tx, by, "order.cancel", f"order:{order_id}", at=now, before=facts_of(taken),
        after=facts_of(order) | ({"voided": voided} if voided else {}),
    )  # fmt: skip
    return order
