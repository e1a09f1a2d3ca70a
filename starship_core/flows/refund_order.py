"""Refund delivered items: a ledger entry and an event; the order's status stays."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.database import Tx, json_rows
from starship_core.errors import WrongState
from starship_core.model import Order
from starship_core.ports import WalletBackend
from starship_core.ship import Ship
from starship_core.store.change import HOLDING, facts_of, refund, save, take
from starship_core.store.events import announce

_OWED: Final = """
SELECT ordinal, share - refunded FROM items
WHERE order_id = $1 AND status = 'DELIVERED' AND refunded < share ORDER BY ordinal
"""
_REFUNDED: Final = """
UPDATE items SET refunded = share FROM json_each($1)
WHERE order_id = cast(value->>0 AS bigint) AND ordinal = cast(value->>1 AS bigint)
"""


async def refund_order(
    order_id: int, by: By, ship: Ship, *, items: Collection[int] | None = None
) -> Order:
    """Refund the delivered `items` (ordinals; None: all of them) not refunded before.

    Raises NotFound, WrongState.
    """
    return await ship.database.run(_refund, order_id, items, (by, ship.now()), ship.wallet)


def _refund(
    tx: Tx,
    order_id: int,
    items: Collection[int] | None,
    context: tuple[By, datetime],
    wallet: WalletBackend,
) -> Order:
    by, now = context
    taken = take(tx, order_id, HOLDING, "refunded")
    owed = {int(n): int(minor) for n, minor in tx.execute(_OWED, order_id)}
    chosen = set(owed) if items is None else set(items)
    if not chosen or not chosen <= set(owed):
        odd = ", ".join(f"item {n}" for n in sorted(chosen - set(owed)))
        why = f"{odd} is not delivered, or was" if odd else "all that is delivered was"
        raise WrongState(f"order {order_id}: {why} refunded before", found=taken.status)
    minor = sum(owed[n] for n in chosen)
    key = f"order:{order_id}:refund:{taken.revision}"
    order = refund(tx, taken, minor, wallet, key=key, at=now)
    tx.execute(_REFUNDED, json_rows((order_id, n) for n in sorted(chosen)))
    save(tx, order, now)
    announce(tx, [("order.refunded", order, micros(now))])
    record(
        tx, by, "order.refund", f"order:{order_id}", at=now, before=facts_of(taken),
        after=facts_of(order) | {"items": sorted(chosen)},
    )  # fmt: skip
    return order
