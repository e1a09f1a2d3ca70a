"""How much of a sku could be delivered now: the question behind every `delivery_time`.

It counts exactly the rows that the claim may take: pooled, and valid beyond the order's floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from starship_core.clock import micros
from starship_core.database import json_rows
from starship_core.model import BULK_ABOVE, DeliveryTime, Sku
from starship_core.ports import Transaction

_POOLED: Final = """
SELECT asked.key, (
    SELECT count(*) FROM (
        SELECT 1 FROM vouchers
        WHERE state = 'pooled' AND product_id = cast(asked.value->>0 AS bigint)
          AND denomination = cast(asked.value->>1 AS bigint) AND currency = asked.value->>2
          AND expires_at > $2
        LIMIT $3
    ) AS found
)
FROM json_each($1) AS asked
"""


def pooled(
    tx: Transaction, skus: Sequence[Sku], *, valid_beyond: datetime, at_most: int
) -> dict[Sku, int]:
    """Units of each sku that expire after `valid_beyond`, counted to `at_most`; one statement."""
    if not skus:
        return {}
    asked = json_rows((sku.product_id, sku.denomination, sku.currency) for sku in skus)
    rows = tx.execute(_POOLED, asked, micros(valid_beyond), at_most)
    return {skus[int(place)]: count for place, count in rows}


def delivery_time(found: int, quantity: int) -> DeliveryTime:
    """INSTANT exactly when an order for `quantity` would be delivered by the POST itself."""
    return "INSTANT" if found >= quantity and quantity <= BULK_ABOVE else "DELAYED"
