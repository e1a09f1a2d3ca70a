"""Replace a bad code in a delivered item: the old one is blocked for good, another is claimed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import NotFound, Unavailable, WrongState
from starship_core.model import Order
from starship_core.ship import Ship
from starship_core.store.change import HOLDING, facts_of, floor_now, save, take
from starship_core.store.claim import Lot, OpenCode, claim
from starship_core.store.events import announce
from starship_core.store.orders import find_order
from starship_core.store.write import assign
from starship_core.suggestions import suggestions

_BLOCK: Final = """
UPDATE vouchers SET state = 'blocked', state_reason = $3, updated_at = $4
WHERE order_id = $1 AND ordinal = $2 AND state = 'assigned' RETURNING id
"""


async def replace_voucher(order_id: int, ordinal: int, by: By, ship: Ship) -> Order:
    """Item `ordinal` gets another voucher; the blocked one keeps the item for the record.

    Raises NotFound, WrongState (nothing delivered there, or no stock: nothing is changed then).
    """
    found = await ship.database.read(find_order, order_id)
    if found is None:
        raise NotFound("order", order_id)
    async with suggestions(ship.pool, {found.sku: 1}) as hints:
        order, used, stale = await ship.database.run(
            _replace, (order_id, ordinal), await hints.popped, ship.vault.reveal, (by, ship.now())
        )
        hints.keep(used, stale)
    return order


def _replace(
    tx: Tx,
    which: tuple[int, int],
    hints: frozenset[int],
    reveal: OpenCode,
    context: tuple[By, datetime],
) -> tuple[Order, frozenset[int], frozenset[int]]:
    (order_id, ordinal), (by, now) = which, context
    order = take(tx, order_id, HOLDING, "given another voucher")
    lot = Lot(order.sku, micros(floor_now(order, now)))
    claimed = claim(tx, {lot: 1}, hints, now=micros(now), open_code=reveal)
    if lot in claimed.timed_out:
        raise Unavailable("the stock is busy; try again", retry_after=1)
    units = claimed.units.get(order.sku, [])
    if not units:
        raise WrongState(
            f"there is no other voucher of {order.sku} in the pool", found=order.status
        )
    blocked = tx.execute(_BLOCK, order_id, ordinal, by.reason or "replaced", micros(now))
    if not blocked:
        raise WrongState(f"item {ordinal} of order {order_id} holds no voucher", found=order.status)
    assign(tx, [(units[0].id, order_id, ordinal, micros(now))])
    save(tx, order, now)
    announce(tx, [("order.replaced", order, micros(now))])
    record(
        tx, by, "order.replace", f"order:{order_id}", at=now,
        before={"item": ordinal, "voucher": blocked[0][0]},
        after=facts_of(order) | {"item": ordinal, "voucher": units[0].id},
    )  # fmt: skip
    return order, frozenset([units[0].id]), claimed.stale
