"""An operator says no: the order is not bought, and goes on waiting for stock.

What was planned is voided and every approval ended, in one transaction; policies do not decide
about the order any more. Only an operator's approval takes it back. Money is not moved: that is
`cancel_order`.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from starship_core.audit import By, record, require_reason
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import WrongState
from starship_core.model import Order
from starship_core.ship import Ship
from starship_core.store.approvals import end_approvals
from starship_core.store.change import WAITING, facts_of, save, take
from starship_core.store.purchases import void_planned
from starship_core.store.refusals import find_refusal, insert_refusal


async def refuse_fallback(order_id: int, by: By, ship: Ship) -> Order:
    """Raises NotFound, InvalidInput (no reason), WrongState: it does not wait, is refused already,
    or (`PURCHASE_OPEN`) something was sent for it and is not settled; then nothing is changed.
    """
    require_reason(by, "a refusal")
    return await ship.database.run(_refuse, order_id, by, ship.now())


def _refuse(tx: Tx, order_id: int, by: By, now: datetime) -> Order:
    taken = order = take(tx, order_id, WAITING, "refused")
    if before := find_refusal(tx, order_id):
        raise WrongState(
            f"buying for order {order_id} is refused already, by {before.actor}: {before.reason}",
            found=order.status,
        )
    voided = void_planned(tx, order_id, now, why=f"refused by {by.actor}")
    ended = end_approvals(tx, order_id, micros(now))
    insert_refusal(tx, order_id, by, now)
    if voided:  # as it was before something was planned
        waits = "VENDOR_ORDER_PENDING" if order.status == "PENDING" else "PARTIAL"
        order = replace(order, sub_status=waits)
    save(tx, order, now)
    record(
        tx, by, "order.refuse", f"order:{order_id}", at=now, before=facts_of(taken),
        after=facts_of(order) | {"voided": voided, "approvals": ended},
    )  # fmt: skip
    return order
