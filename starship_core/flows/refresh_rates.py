"""Exchange rates are fetched before an order needs them, and kept in SQL for every process."""

from __future__ import annotations

import asyncio
from typing import Final

from starship_core.errors import Unavailable
from starship_core.ports import Transaction
from starship_core.ship import Ship

_BASES: Final = """
SELECT DISTINCT currency FROM products
WHERE is_active = 1 AND EXISTS (
  SELECT 1 FROM wallets WHERE wallets.is_active = 1 AND wallets.currency <> products.currency
)
ORDER BY currency
"""


async def sweep_rates(ship: Ship) -> int:
    """Ask for the rates of every currency that is sold to a wallet in another one.

    Raises Unavailable when the provider gave none for some; the last good ones stay.
    """
    bases = await ship.database.read(_bases)
    answered = await asyncio.gather(*(ship.fx.refresh(base) for base in bases))
    missing = [base for base, fresh in zip(bases, answered, strict=True) if not fresh]
    if missing:
        raise Unavailable(f"no new exchange rates for {', '.join(missing)}", retry_after=60)
    return len(bases)


def _bases(tx: Transaction) -> list[str]:
    return [row[0] for row in tx.execute(_BASES)]
