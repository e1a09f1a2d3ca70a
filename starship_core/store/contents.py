"""What an order holds: its items, its vouchers with their codes open."""

from __future__ import annotations

from typing import Final, NamedTuple

from starship_core.model import Sku
from starship_core.ports import Transaction
from starship_core.store.claim import OpenCode, Unit


class Item(NamedTuple):
    """One unit of an order; its id in the API is its ordinal, from 1."""

    ordinal: int
    status: str
    share: int


_ITEMS: Final = "SELECT ordinal, status, share FROM items WHERE order_id = $1 ORDER BY ordinal"
_VOUCHERS: Final = """
SELECT ordinal, id, product_id, denomination, currency, expires_at, voucher_reference_number,
sealed,
  key_id
FROM vouchers WHERE order_id = $1 AND state = 'assigned' ORDER BY ordinal
"""


def items_of(tx: Transaction, order_id: int) -> list[Item]:
    """All items, in order; none for a bulk order before its first retry."""
    return [Item(*row) for row in tx.execute(_ITEMS, order_id)]


def units_of(tx: Transaction, order_id: int, open_code: OpenCode) -> list[tuple[int, Unit]]:
    """(ordinal, voucher) of all that is delivered, opened. Raises Unsealable."""
    return [
        (
            ordinal,
            Unit(voucher_id, Sku(product, value, currency), expires_at, number,
                 open_code(voucher_id, sealed, key_id)),
        )
        for ordinal, voucher_id, product, value, currency, expires_at, number, sealed, key_id
        in tx.execute(_VOUCHERS, order_id)
    ]  # fmt: skip
