"""Orders as operators look for them: over all clients, oldest first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.model import Order
from starship_core.ship import Ship
from starship_core.store.orders import COLUMNS, order_of


async def find_orders(  # noqa: PLR0913  # what may be asked
    ship: Ship,
    *,
    status: str | None = None,
    client_id: int | None = None,
    ref: str | None = None,
    older_than_hours: int | None = None,
    limit: int = 50,
) -> list[Order]:
    """At most `limit` orders that fit all that is asked."""
    before = None
    if older_than_hours is not None:
        before = micros(ship.now() - timedelta(hours=older_than_hours))
    asked = {
        "status = ?": status and status.upper(),
        "client_id = ?": client_id,
        "ref = ?": ref,
        "placed_at < ?": before,
    }
    given = [(text, value) for text, value in asked.items() if value is not None]
    return await ship.database.read(_found, given, limit)


def _found(tx: Tx, given: list[tuple[str, Any]], limit: int) -> list[Order]:
    clauses = [text.replace("?", f"${n}") for n, (text, _) in enumerate(given, 1)] or ["1 = 1"]
    rows = tx.execute(
        f"SELECT {COLUMNS} FROM orders WHERE {' AND '.join(clauses)} "
        f"ORDER BY placed_at, id LIMIT ${len(given) + 1}",
        *(value for _, value in given), limit,
    )  # fmt: skip
    return [order_of(row) for row in rows]
