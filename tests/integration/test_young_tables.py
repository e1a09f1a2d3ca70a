"""Plans that are made while a table is young are kept when it has grown: they must be right then.

Without statistics PostgreSQL takes any index that fits, or none; and a prepared statement keeps its
plan until the next ANALYZE, which is minutes away.
"""

from __future__ import annotations

from typing import Any

import pytest

from starship_core.database import Tx, json_rows
from starship_core.statements import for_postgresql
from starship_core.store import facts, orders

_NOBODY = json_rows([(1, "key", "ref")])
STATEMENTS = [
    pytest.param(facts.HELD, (_NOBODY,), 2, id="held keys and references"),
    pytest.param(orders._BY_KEY, (1, "key"), 1, id="by key"),
    pytest.param(orders._BY_REF, (1, "ref"), 1, id="by reference"),
]


@pytest.mark.parametrize(("statement", "parameters", "looks"), STATEMENTS)
async def test_orders_are_found_by_what_tells_them_apart(
    database: Any, statement: Any, parameters: tuple[Any, ...], looks: int
) -> None:
    """No plan on an empty table reads all orders of a client, or the whole table."""

    def explained(tx: Tx) -> str:
        text = statement if isinstance(statement, str) else statement[tx.dialect]
        if tx.dialect == "sqlite":
            return "\n".join(
                row[3] for row in tx.execute(f"EXPLAIN QUERY PLAN {text}", *parameters)
            )
        rows = tx.execute(f"EXPLAIN {for_postgresql(text)}", *parameters)
        return "\n".join(row[0] for row in rows)

    plan = await database.read(explained)
    unique = plan.count("uq_orders") + plan.count("idempotency_key=?") + plan.count("ref=?")
    assert unique == looks, plan
    for other in ("Seq Scan", "ix_orders", "SCAN orders"):
        assert other not in plan
