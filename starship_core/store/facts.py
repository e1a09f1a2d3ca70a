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
from starship_core.store.claim import Looked, Lot, OpenCode, Unit, complete, locking, lots_of


class Known(NamedTuple):
    """An order that already holds an idempotency key."""

    order_id: int
    fingerprint: str


class Facts(NamedTuple):
    """Read and locked; nothing in here is waited for again."""

    known: Mapping[tuple[int, str], Known]
    ids: Mapping[tuple[int, str], int]
    """Of an order if it is placed, by client and key; one that is refused leaves a gap."""
    taken: frozenset[tuple[int, str]]
    """(client, ref) pairs that belong to orders already."""
    units: Mapping[Sku, Sequence[Unit]]
    timed_out: frozenset[Lot]
    stale: frozenset[int]
    balances: Mapping[str, Balance]


class _Asked(NamedTuple):
    """An order, the id that it gets if it is placed, and who holds its key and its reference."""

    order: Order
    id: int
    of_key: int | None
    of_ref: int | None

    @property
    def name(self) -> tuple[int, str]:
        return self.order.client_id, self.order.key


# One look by index for each, whatever PostgreSQL believes of a young table: a join would be made by
# reading all of it, and a plan once made is kept until the next ANALYZE (see tables/orders.py).
_HELD: Final = """
SELECT key, {next_id} AS id,
  (SELECT id FROM orders
   WHERE idempotency_key = value->>1 AND client_id + 0 = cast(value->>0 AS bigint)) AS of_key,
  (SELECT id FROM orders
   WHERE ref = value->>2 AND client_id + 0 = cast(value->>0 AS bigint)) AS of_ref
FROM json_each($1)
"""
HELD: Final = {
    "postgresql": _HELD.format(next_id="nextval('orders_id_seq')"),
    "sqlite": _HELD.format(  # one writer
        next_id="(SELECT coalesce(max(id), 0) FROM orders) + 1 + cast(key AS bigint)"
    ),
}
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
    accounts = sorted({order.account for order in orders})
    # who will look for more vouchers, and may wait for one, does not hold a wallet meanwhile
    enough = len(suggested) >= sum(order.quantity for order in orders if not order.bulk)
    held = (HELD[tx.dialect], (json_rows((o.client_id, o.key, o.ref) for o in orders),))
    (rows, vouchers), balances = tx.abreast(
        [held, locking(tx, suggested, now)],
        lambda beside: wallet.lock(beside, accounts) if enough else {},
        plain=getattr(wallet, "plain_rows", False),
    )
    asked = [_Asked(orders[int(position)], *found) for position, *found in rows]
    known = _known(tx, asked)
    new = [order for order in orders if (order.client_id, order.key) not in known]
    wanted = lots_of(order for order in new if not order.bulk)
    claimed = complete(tx, wanted, Looked(suggested, vouchers), open_code=open_code)
    return Facts(
        known=known,
        ids={each.name: each.id for each in asked},
        taken=frozenset((a.order.client_id, a.order.ref) for a in asked if a.of_ref),
        units=claimed.units,
        timed_out=frozenset(claimed.timed_out),
        stale=claimed.stale,
        balances=balances if enough else wallet.lock(tx, accounts),
    )


def _known(tx: Tx, asked: Sequence[_Asked]) -> dict[tuple[int, str], Known]:
    """The orders that hold a key, and what was asked for with it."""
    held = {each.name: each.of_key for each in asked if each.of_key is not None}
    if not held:
        return {}
    fingerprints = dict(tx.execute(_FINGERPRINTS, json_rows((i,) for i in held.values())))
    return {name: Known(order_id, fingerprints[order_id]) for name, order_id in held.items()}
