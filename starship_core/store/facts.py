"""The facts that a batch is decided on: known keys and references, claimed vouchers, locked
balances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from starship_core.clock import micros
from starship_core.database import Tx, json_rows
from starship_core.model import Balance, Order, Sku
from starship_core.ports import WalletBackend
from starship_core.statements import Statement
from starship_core.store.claim import Looked, Lot, OpenCode, Unit, complete, locking, lots_of


class Known(NamedTuple):
    """An order that already holds an idempotency key."""

    order_id: int
    fingerprint: str


class Facts(NamedTuple):
    """Read and locked; nothing in here is waited for again."""

    known: Mapping[tuple[int, str], Known]
    taken: frozenset[tuple[int, str]]
    """(client, ref) pairs that belong to orders already."""
    units: Mapping[Sku, Sequence[Unit]]
    timed_out: frozenset[Lot]
    stale: frozenset[int]
    balances: Mapping[str, Balance]


_KNOWN: Final = """
SELECT client_id, idempotency_key, ref, orders.id, fingerprint FROM json_each($1)
JOIN orders ON client_id = cast(value->>0 AS bigint) AND idempotency_key = value->>1
UNION
SELECT client_id, idempotency_key, ref, orders.id, fingerprint FROM json_each($1)
JOIN orders ON client_id = cast(value->>0 AS bigint) AND ref = value->>2
"""


def gather(
    tx: Tx,
    orders: Sequence[Order],
    suggested: frozenset[int],
    *,
    wallet: WalletBackend,
    open_code: OpenCode,
) -> Facts:
    """Lock order: vouchers (skipping), then wallets by name."""
    now = max(micros(order.placed_at) for order in orders)
    asked = Statement(_KNOWN, (json_rows((o.client_id, o.key, o.ref) for o in orders),))
    rows, vouchers = tx.together([asked, locking(tx, suggested, now)])
    known = {(row[0], row[1]): Known(row[3], row[4]) for row in rows}
    new = [order for order in orders if (order.client_id, order.key) not in known]
    wanted = lots_of(order for order in new if not order.bulk)
    claimed = complete(tx, wanted, Looked(suggested, vouchers), open_code=open_code)
    accounts = sorted({order.account for order in new})
    return Facts(
        known=known,
        taken=frozenset((row[0], row[2]) for row in rows),
        units=claimed.units,
        timed_out=frozenset(claimed.timed_out),
        stale=claimed.stale,
        balances=wallet.lock(tx, accounts) if accounts else {},
    )
