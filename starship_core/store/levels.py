"""What runs low: clients' balances and stock, found where it shows and told once until it is
filled up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from starship_core.database import Tx, json_rows
from starship_core.model import Money, Sku, minor_text
from starship_core.ports import Transaction
from starship_core.store.notices import notify

_BALANCES: Final = """
SELECT w.id, w.client_id, w.currency, cast(given.value->>1 AS bigint), w.credit_limit + coalesce(
    (SELECT t.balance_after FROM transactions t WHERE t.wallet_id = w.id
      ORDER BY t.id DESC LIMIT 1), 0),
  coalesce((SELECT t.id FROM transactions t WHERE t.wallet_id = w.id AND t.order_id IS NULL
    ORDER BY t.id DESC LIMIT 1), 0)
FROM json_each($1) AS given JOIN wallets w ON w.currency = given.value->>0
JOIN clients k ON k.id = w.client_id
WHERE w.is_active = 1 AND k.is_active = 1
"""
_STOCK: Final = """
SELECT p.id, d.min_value, p.currency,
  (SELECT count(*) FROM (SELECT 1 FROM vouchers v
    WHERE v.product_id = p.id AND v.denomination = d.min_value AND v.currency = p.currency
      AND v.state = 'pooled' AND v.expires_at > $2 LIMIT $1) AS few),
  (SELECT max(v.id) FROM vouchers v
    WHERE v.product_id = p.id AND v.denomination = d.min_value AND v.currency = p.currency)
FROM products p JOIN denominations d ON d.product_id = p.id AND d.min_value = d.max_value
WHERE p.is_active = 1
"""


def tell_low_balances(tx: Transaction, least: Mapping[str, Decimal], at: datetime) -> int:
    """A notice for every wallet that can spend less than its currency's `least`; how many are new.

    Told once until an operator moves money on it again.
    """
    floors = [(currency, Money.of(amount, currency).minor) for currency, amount in least.items()]
    told = 0
    for wallet, client, currency, floor, spendable, moved in tx.execute(
        _BALANCES, json_rows(floors)
    ):
        if spendable >= floor:
            continue
        left, wanted = minor_text(spendable, currency), minor_text(floor, currency)
        told += notify(
            tx,
            "balance.low",
            subject=f"wallet:{wallet}",
            summary=f"client {client} has {left} {currency} left to spend, less than {wanted}",
            text=f"When paid:\nstarship wallet credit {wallet} AMOUNT --reference REFERENCE",
            data={"client_id": client, "wallet_id": wallet, "spendable": left},
            key=f"wallet:{wallet}:low:{moved}",
            at=at,
        )
    return told


def tell_low_stock(tx: Tx, least: int, at: datetime, now: int) -> int:
    """A notice for every fixed denomination that was stocked once and has less than `least` in the
    pool; how many are new. Told once until another voucher of it comes.
    """
    told = 0
    for product, denomination, currency, pooled, newest in tx.execute(_STOCK, least, now):
        if newest is None or pooled >= least:
            continue
        sku = Sku(product, denomination, currency)
        told += notify(
            tx,
            "stock.low",
            subject=f"sku:{sku}",
            summary=f"{sku} has {pooled} vouchers in the pool, less than {least}",
            text="Put more where the pump finds them, and:\nstarship pump",
            data={"product_id": product, "denomination": sku.face.text, "pooled": pooled},
            key=f"sku:{sku}:low:{newest}",
            at=at,
        )
    return told
