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


# One look by index for each, whatever PostgreSQL believes of a young table: a join would be made by
# reading all of it, and a plan once made is kept until the next ANALYZE (see tables/orders.py).
_HELD: Final = """
SELECT key,
  (SELECT id FROM orders
   WHERE idempotency_key = value->>1 AND client_id + 0 = cast(value->>0 AS bigint)) AS of_key,
  (SELECT id FROM orders
   WHERE ref = value->>2 AND client_id + 0 = cast(value->>0 AS bigint)) AS of_ref
FROM json_each($1)
"""
_FINGERPRINTS: Final = """
SELECT id, fingerprint FROM orders
WHERE id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
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
    asked = Statement(_HELD, (json_rows((o.client_id, o.key, o.ref) for o in orders),))
    rows, vouchers = tx.together([asked, locking(tx, suggested, now)])
    held = [(orders[int(number)], of_key, of_ref) for number, of_key, of_ref in rows]
    known = _known(tx, {(o.client_id, o.key): of_key for o, of_key, _ in held if of_key})
    new = [order for order in orders if (order.client_id, order.key) not in known]
    wanted = lots_of(order for order in new if not order.bulk)
    claimed = complete(tx, wanted, Looked(suggested, vouchers), open_code=open_code)
    accounts = sorted({order.account for order in new})
    return Facts(
        known=known,
        taken=frozenset((o.client_id, o.ref) for o, _, of_ref in held if of_ref),
        units=claimed.units,
        timed_out=frozenset(claimed.timed_out),
        stale=claimed.stale,
        balances=wallet.lock(tx, accounts) if accounts else {},
    )


def _known(tx: Tx, held: Mapping[tuple[int, str], int]) -> dict[tuple[int, str], Known]:
    """What was asked for when the keys that are held were taken."""
    if not held:
        return {}
    fingerprints = dict(tx.execute(_FINGERPRINTS, json_rows((i,) for i in held.values())))
    return {key: Known(order_id, fingerprints[order_id]) for key, order_id in held.items()}
