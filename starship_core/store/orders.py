"""Orders to rows and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from starship_core.clock import micros, moment
from starship_core.database import json_rows
from starship_core.model import Order, Price, Sku
from starship_core.ports import Query, Transaction

_encode_price = msgspec.json.Encoder().encode
_decode_price = msgspec.json.Decoder(Price).decode

COLUMNS: Final = (
    "id, client_id, idempotency_key, fingerprint, ref, product_id, product_name, currency, "
    "denomination, quantity, wallet_id, amount_currency, charged, refunded, price, min_expiry, "
    "status, sub_status, delivery_time, delivered_quantity, pending_items, from_cache, revision, "
    "email, mobile, customer_info, metadata, placed_at, delivered_at"
)

_INSERT: Final = """
INSERT INTO orders (id, client_id, idempotency_key, fingerprint, ref, product_id, product_name,
  currency, denomination, quantity, wallet_id, amount_currency, charged, price, min_expiry, status,
  sub_status, delivery_time, delivered_quantity, pending_items, from_cache, email, mobile,
  customer_info, metadata, placed_at, delivered_at, updated_at)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), value->>2, value->>3, value->>4,
  cast(value->>5 AS bigint), value->>6, value->>7, cast(value->>8 AS bigint),
  cast(value->>9 AS bigint), cast(value->>10 AS bigint), value->>11, cast(value->>12 AS bigint),
  value->>13, cast(value->>14 AS bigint), value->>15, value->>16, value->>17,
  cast(value->>18 AS bigint), cast(value->>19 AS bigint), cast(value->>20 AS bigint), value->>21,
  value->>22, value->>23, value->>24, cast(value->>25 AS bigint), cast(value->>26 AS bigint),
  cast(value->>25 AS bigint)
FROM json_each($1)
"""


def inserting(orders: Iterable[Order]) -> Query:
    """New orders under the ids they were given.

    A key or a reference that another process took meanwhile violates a unique constraint.
    """
    return _INSERT, (json_rows(_row(order) for order in orders),)


def _row(order: Order) -> tuple[Any, ...]:
    delivered_at = None if order.delivered_at is None else micros(order.delivered_at)
    return (
        order.id, order.client_id, order.key, order.fingerprint, order.ref, order.sku.product_id,
        order.product_name, order.sku.currency, order.sku.denomination, order.quantity,
        order.wallet_id, order.price.currency, order.price.total_payable,
        _encode_price(order.price).decode(), micros(order.min_expiry), order.status,
        order.sub_status, order.delivery_time, order.delivered_quantity, order.pending_items,
        order.from_cache, order.email, order.mobile, order.customer_info, order.metadata,
        micros(order.placed_at), delivered_at,
    )  # fmt: skip


def order_of(row: Sequence[Any]) -> Order:
    """From a row of `COLUMNS`."""
    (
        order_id, client_id, key, fingerprint, ref, product_id, product_name, currency,
        denomination,
        quantity, wallet_id, _amount_currency, _charged, refunded, price, min_expiry, status,
        sub_status, delivery_time, delivered_quantity, pending_items, from_cache, revision, email,
        mobile, customer_info, metadata, placed_at, delivered_at,
    ) = row  # fmt: skip
    return Order(
        id=order_id, client_id=client_id, key=key, fingerprint=fingerprint, ref=ref,
        sku=Sku(product_id, denomination, currency), product_name=product_name, quantity=quantity,
        wallet_id=wallet_id, account=account_of(wallet_id), price=_decode_price(price),
        min_expiry=moment(min_expiry), status=status, sub_status=sub_status,
        delivery_time=delivery_time, refunded=refunded, delivered_quantity=delivered_quantity,
        pending_items=pending_items, from_cache=from_cache, revision=revision, email=email,
        mobile=mobile, customer_info=customer_info, metadata=metadata, placed_at=moment(placed_at),
        delivered_at=None if delivered_at is None else moment(delivered_at),
    )  # fmt: skip


def account_of(wallet_id: int) -> str:
    """The wallet backend's name for the core's wallet."""
    return f"wallet:{wallet_id}"


def debit_key(order_id: int) -> str:
    """The ledger entry that pays for the order: derived from our id, never from time or chance."""
    return f"order:{order_id}:debit"


_BY_ID: Final = f"SELECT {COLUMNS} FROM orders WHERE id = $1"
# `+ 0`: by key and by reference, whatever PostgreSQL believes of a young table (tables/orders.py)
_BY_REF: Final = f"SELECT {COLUMNS} FROM orders WHERE ref = $2 AND client_id + 0 = $1"
_BY_KEY: Final = """
SELECT id, fingerprint FROM orders WHERE idempotency_key = $2 AND client_id + 0 = $1
"""
_DEBIT: Final = "SELECT id FROM transactions WHERE key = $1"


def find_order(tx: Transaction, order_id: int, lock: str = "") -> Order | None:
    """The order as it stands; `lock` is a clause of `Tx` (`FOR SHARE`: it stays so)."""
    rows = tx.execute(f"{_BY_ID} {lock}", order_id)
    return order_of(rows[0]) if rows else None


def find_by_ref(tx: Transaction, client_id: int, ref: str) -> Order | None:
    """The client's order of that reference."""
    rows = tx.execute(_BY_REF, client_id, ref)
    return order_of(rows[0]) if rows else None


def find_by_key(tx: Transaction, client_id: int, key: str) -> tuple[int, str] | None:
    """(order id, fingerprint) of the order that holds this idempotency key."""
    rows = tx.execute(_BY_KEY, client_id, key)
    return (rows[0][0], rows[0][1]) if rows else None


def debit_transaction(tx: Transaction, order_id: int) -> int:
    """The id of the transaction that the API shows for the order's debit."""
    return int(tx.execute(_DEBIT, debit_key(order_id))[0][0])
