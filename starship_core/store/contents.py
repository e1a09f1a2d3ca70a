"""What an order holds: its items, its vouchers with their codes open."""

from __future__ import annotations

from typing import Final, NamedTuple

import structlog

from starship_core.model import Sku
from starship_core.ports import Transaction
from starship_core.store.claim import OpenCode, Unit
from starship_core.vault import Code, Unsealable

_log = structlog.get_logger("starship.store")


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
    """(ordinal, voucher) of all that is delivered, opened.

    A code that no longer opens is empty, and logged by its ids: of ten thousand one that was
    altered must not hide the others. Raises MissingKey.
    """
    held = []
    for (
        ordinal,
        voucher_id,
        product,
        value,
        currency,
        expires_at,
        number,
        sealed,
        key_id,
    ) in tx.execute(_VOUCHERS, order_id):
        try:
            code = open_code(voucher_id, sealed, key_id)
        except Unsealable:
            _log.error("voucher.unreadable", order=order_id, item=ordinal, voucher=voucher_id)
            code = Code(None, None, None)
        sku = Sku(product, value, currency)
        held.append((ordinal, Unit(voucher_id, sku, expires_at, number, code)))
    return held
