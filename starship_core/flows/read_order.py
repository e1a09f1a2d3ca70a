"""GET /orders: the order as it stands; codes only in the full view, opened here and audited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from starship_core.access import Client
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import NotFound
from starship_core.model import Order
from starship_core.ship import Ship
from starship_core.store.claim import OpenCode, Unit
from starship_core.store.contents import Item, items_of, units_of
from starship_core.store.orders import COLUMNS, debit_transaction, find_by_ref, find_order, order_of
from starship_core.store.write import record_reveals


class OrderView(NamedTuple):
    """An order with all that the API shows of it; `units` are (ordinal, opened voucher)."""

    order: Order
    items: Sequence[Item]
    units: Sequence[tuple[int, Unit]]


class Asker(NamedTuple):
    """Who asks, for the audit row of the reveal."""

    client: Client
    request_id: str


async def read_order(order_id: int, asker: Asker, ship: Ship) -> OrderView:
    """The client's own order, codes included, the reveal audited in the same transaction.

    Raises NotFound.
    """
    return await ship.database.run(_view, order_id, asker, ship.vault.reveal, ship.now())


def _view(tx: Tx, order_id: int, asker: Asker, reveal: OpenCode, now: datetime) -> OrderView:
    order = find_order(tx, order_id, tx.for_share)  # its items and vouchers, too, stay as they are
    if order is None or order.client_id != asker.client.id:
        raise NotFound("order", order_id)
    units = units_of(tx, order_id, reveal) if order.delivered_quantity else []
    seen = replace(
        order,
        transaction_id=debit_transaction(tx, order_id),
        credential_id=asker.client.credential_id,
        request_id=asker.request_id,
    )
    if units:
        record_reveals(tx, [replace(seen, placed_at=now)])
    return OrderView(seen, items_of(tx, order_id), units)


async def id_by_reference(ref: str, client: Client, ship: Ship) -> int:
    """The id of the client's order of that reference. Raises NotFound."""
    order = await ship.database.read(find_by_ref, client.id, ref)
    if order is None:
        raise NotFound("order", ref)
    return order.id


class OrderFilter(Struct, frozen=True, kw_only=True):
    """What `GET /orders` may narrow by; None: not asked."""

    status: str | None = None
    product_id: int | None = None
    reference_code: str | None = None
    placed_after: datetime | None = None
    placed_before: datetime | None = None

    def conditions(self, client_id: int) -> tuple[str, tuple[Any, ...]]:
        """The WHERE clause of literal conditions, and its parameters."""
        asked = {
            "client_id = ?": client_id,
            "status = ?": self.status and self.status.upper(),
            "product_id = ?": self.product_id,
            "ref = ?": self.reference_code,
            "placed_at > ?": self.placed_after and micros(self.placed_after),
            "placed_at < ?": self.placed_before and micros(self.placed_before),
        }
        given = [(text, value) for text, value in asked.items() if value is not None]
        clauses = [text.replace("?", f"${n}") for n, (text, _) in enumerate(given, 1)]
        return " AND ".join(clauses), tuple(value for _, value in given)


async def list_orders(
    wanted: OrderFilter, client: Client, ship: Ship, *, page: int, limit: int
) -> tuple[list[Order], int]:
    """One page, newest first, and how many there are in all; no vouchers."""
    return await ship.database.read(_page, wanted.conditions(client.id), page, limit)


def _page(
    tx: Tx, conditions: tuple[str, tuple[Any, ...]], page: int, limit: int
) -> tuple[list[Order], int]:
    where, values = conditions
    total = int(tx.execute(f"SELECT count(*) FROM orders WHERE {where}", *values)[0][0])
    n = len(values)
    rows = tx.execute(
        f"SELECT {COLUMNS}, (SELECT t.id FROM transactions t "
        "WHERE t.key = 'order:' || orders.id || ':debit') "
        f"FROM orders WHERE {where} ORDER BY placed_at DESC, orders.id DESC "
        f"LIMIT ${n + 1} OFFSET ${n + 2}",
        *values, limit, (page - 1) * limit,
    )  # fmt: skip
    return [replace(order_of(row[:-1]), transaction_id=row[-1]) for row in rows], total
