"""Write what a batch decided: set-based, only what succeeded, and all of that or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import structs
from sqlalchemy.exc import IntegrityError

from starship_core.clock import micros
from starship_core.database import Tx, json_rows
from starship_core.faults import RaceLost, taken_meanwhile
from starship_core.model import Balance, Entry, Order, share
from starship_core.ports import Query, Transaction, WalletBackend
from starship_core.store.claim import Unit
from starship_core.store.events import announcing, placed_events
from starship_core.store.orders import debit_key, inserting


class Placed(NamedTuple):
    """An order that is written, or will be: delivered when it has units, else parked."""

    order: Order
    units: tuple[Unit, ...] = ()


_ITEMS: Final = """
INSERT INTO items (order_id, ordinal, status, share, settled_at)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), value->>2, cast(value->>3 AS bigint),
  cast(value->>4 AS bigint)
FROM json_each($1)
"""
_ASSIGN: Final = """
UPDATE vouchers SET state = 'assigned', order_id = cast(value->>1 AS bigint),
  ordinal = cast(value->>2 AS bigint), updated_at = cast(value->>3 AS bigint)
FROM json_each($1)
WHERE vouchers.id = cast(value->>0 AS bigint) AND state || '' = 'pooled'
RETURNING id
"""  # `|| ''`: by the primary key, see store/claim.py
_TRANSACTIONS: Final = """
INSERT INTO transactions (wallet_id, order_id, key, transaction_type, amount, currency,
  source_currency, destination_currency, forex_rate, forex_source, forex_as_of, conversion_charges,
  balance_after, remarks, created_at)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), value->>2, value->>3,
  cast(value->>4 AS bigint), value->>5, value->>6, value->>7, value->>8, value->>9,
  cast(value->>10 AS bigint), cast(value->>11 AS bigint), cast(value->>12 AS bigint), value->>13,
  cast(value->>14 AS bigint)
FROM json_each($1) WHERE true
RETURNING id, key
"""
_REVEALS: Final = """
INSERT INTO audit (at, actor, action, subject, request_id)
SELECT cast(value->>0 AS bigint), value->>1, 'reveal', value->>2, value->>3 FROM json_each($1)
"""


def write_placed(
    tx: Tx, placed: Sequence[Placed], balances: Mapping[str, Balance], wallet: WalletBackend
) -> list[Placed]:
    """Orders, items, assignments, debits, events and the reveals' audit rows; returns them with the
    ids of their debits.

    `balances` are those that this transaction has locked. Raises RaceLost when another process took
    a key or a reference meanwhile.
    """
    if not placed:
        return []
    orders = [each.order for each in placed]
    left = _left(orders, balances)
    try:
        (_, _, assigned, debits, *_), posted = tx.abreast(
            _statements(placed, left),
            lambda beside: wallet.post(beside, [_debit(order) for order in orders]),
            plain=getattr(wallet, "plain_rows", False),
        )
    except IntegrityError as error:
        if taken_meanwhile(error, "uq_orders"):
            raise RaceLost from error
        raise
    if len(assigned) != sum(len(each.units) for each in placed):
        raise RaceLost  # as in `assign`
    if list(posted) != left:
        raise RuntimeError("the wallet's balances are not those that it had locked")
    # given under the wallets' locks: a wallet's transactions are in the order of their ids
    ids = {key: row_id for row_id, key in debits}
    return [
        Placed(structs.replace(order, transaction_id=ids[debit_key(order.id)]), units)
        for order, units in placed
    ]


def _statements(placed: Sequence[Placed], left: Sequence[int]) -> list[Query]:
    """In an order that foreign keys allow, where they are executed one by one."""
    orders = [each.order for each in placed]
    return [
        inserting(orders),
        (_ITEMS, (json_rows(row for each in placed for row in _items_of(each)),)),
        (_ASSIGN, (json_rows(row for each in placed for row in _assignments_of(each)),)),
        _debits(orders, left),
        announcing(event for order in orders for event in placed_events(order)),
        _revealing([each.order for each in placed if each.units]),
    ]


def _left(orders: Iterable[Order], balances: Mapping[str, Balance]) -> list[int]:
    """What each order leaves of the balance that pays for it."""
    now = {account: balance.minor for account, balance in balances.items()}
    left = []
    for order in orders:
        now[order.account] -= order.price.total_payable
        left.append(now[order.account])
    return left


def _items_of(placed: Placed) -> Iterable[tuple[Any, ...]]:
    order = placed.order
    if order.bulk:  # created by the first retry or approval
        return
    settled = micros(order.placed_at) if placed.units else None
    status = "DELIVERED" if placed.units else "PENDING"
    for ordinal in range(1, order.quantity + 1):
        part = share(order.price.total_payable, ordinal, order.quantity)
        yield order.id, ordinal, status, part, settled


def insert_items(tx: Transaction, rows: Iterable[tuple[Any, ...]]) -> None:
    """(order id, ordinal, status, share, settled at) each."""
    if listed := list(rows):
        tx.execute(_ITEMS, json_rows(listed))


def _assignments_of(placed: Placed) -> Iterable[tuple[int, int, int, int]]:
    at = micros(placed.order.placed_at)
    for ordinal, unit in enumerate(placed.units, 1):
        yield unit.id, placed.order.id, ordinal, at


def assign(tx: Transaction, rows: Sequence[tuple[int, int, int, int]]) -> None:
    """(voucher id, order id, ordinal, at) each: rows that this transaction has locked as pooled."""
    if rows and len(tx.execute(_ASSIGN, json_rows(rows))) != len(rows):
        raise RaceLost  # cannot happen under the claim's locks; if it does, nothing of it may stay


def _debits(orders: Sequence[Order], left: Sequence[int]) -> Query:
    rows = (
        transaction_row(order, key=debit_key(order.id), kind="DEBIT",
                        minor=order.price.total_payable, balance_after=balance,
                        at=micros(order.placed_at))
        for order, balance in zip(orders, left, strict=True)
    )  # fmt: skip
    return _TRANSACTIONS, (json_rows(rows),)


def _debit(order: Order) -> Entry:
    return Entry(
        key=debit_key(order.id),
        account=order.account,
        minor=-order.price.total_payable,
        currency=order.price.currency,
        kind="debit",
        at=order.placed_at,
    )


def transaction_row(  # noqa: PLR0913  # a transaction has these facts
    order: Order, *, key: str, kind: str, minor: int, balance_after: int, at: int, remarks: str = ""
) -> tuple[Any, ...]:
    """A row of `insert_transactions` that belongs to an order."""
    price = order.price
    converted = price.forex_rate is not None
    as_of = micros(price.forex_as_of) if price.forex_as_of else None
    return (
        order.wallet_id, order.id, key, kind, minor, price.currency,
        order.sku.currency if converted else None, price.currency if converted else None,
        price.forex_rate, price.forex_source, as_of, price.conversion_fee if converted else None,
        balance_after, remarks, at,
    )  # fmt: skip


def insert_transactions(tx: Transaction, rows: Sequence[tuple[Any, ...]]) -> dict[str, int]:
    """What the API's transaction list shows; returns key → id."""
    return {key: row_id for row_id, key in tx.execute(_TRANSACTIONS, json_rows(rows))}


def record_reveals(tx: Transaction, orders: Sequence[Order]) -> None:
    """One audit row for every order whose codes are about to be shown."""
    text, parameters = _revealing(orders)
    tx.execute(text, *parameters)


def _revealing(orders: Sequence[Order]) -> Query:
    rows = (
        (micros(o.placed_at), f"credential:{o.credential_id}", f"order:{o.id}", o.request_id)
        for o in orders
    )
    return _REVEALS, (json_rows(rows),)
