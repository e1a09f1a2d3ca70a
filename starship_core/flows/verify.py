"""Check every invariant that shows in the data, on one snapshot; name the invariant and the row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from starship_core.database import Tx
from starship_core.ports import WalletBackend
from starship_core.ship import Ship
from starship_core.store.books import money_violations
from starship_core.store.claim import OpenCode
from starship_core.vault import MissingKey, Unsealable

MOST: Final = 100
"""Rows named per check; one is enough to stop a release."""
_CHUNK: Final = 5_000


class Violation(Struct, frozen=True, kw_only=True):
    """One broken invariant (architecture, section 1) in one row."""

    invariant: str
    row: str
    problem: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.row}: {self.problem}"


# (invariant, what is wrong, a query whose rows are the violations: row name, details …)
CHECKS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "I1",
        "item holds more than one valid voucher",
        """SELECT 'item ' || order_id || '/' || ordinal FROM vouchers WHERE state = 'assigned'
           GROUP BY order_id, ordinal HAVING count(*) > 1""",
    ),
    (
        "I1",
        "two vouchers have the same code",
        """SELECT 'voucher ' || max(id) FROM vouchers GROUP BY fingerprint HAVING count(*) > 1""",
    ),
    (
        "I1",
        "assigned to no delivered item",
        """SELECT 'voucher ' || v.id FROM vouchers v
           LEFT JOIN items i ON i.order_id = v.order_id AND i.ordinal = v.ordinal
           WHERE v.state = 'assigned' AND (i.status IS NULL OR i.status <> 'DELIVERED')""",
    ),
    (
        "I1",
        "belongs to an item, and is still for sale",
        """SELECT 'voucher ' || id FROM vouchers
           WHERE state IN ('pooled', 'received') AND order_id IS NOT NULL""",
    ),
    (
        "I1",
        "is of another product, denomination or currency than its order",
        """SELECT 'voucher ' || v.id FROM vouchers v JOIN orders o ON o.id = v.order_id
           WHERE v.state = 'assigned' AND (v.product_id <> o.product_id
             OR v.denomination <> o.denomination OR v.currency <> o.currency)""",
    ),
    (
        "I1",
        "delivered without a valid voucher",
        """SELECT 'item ' || i.order_id || '/' || i.ordinal FROM items i
           LEFT JOIN vouchers v
             ON v.order_id = i.order_id AND v.ordinal = i.ordinal AND v.state = 'assigned'
           WHERE i.status = 'DELIVERED' AND v.id IS NULL""",
    ),
    (
        "I2",
        "the wallet's transactions of the order do not come to charged less refunded",
        """SELECT 'order ' || o.id FROM orders o
           LEFT JOIN (SELECT order_id,
               sum(CASE transaction_type WHEN 'DEBIT' THEN amount ELSE -amount END) AS net,
               sum(CASE transaction_type WHEN 'DEBIT' THEN 1 ELSE 0 END) AS debits
             FROM transactions WHERE order_id IS NOT NULL GROUP BY order_id) t
             ON t.order_id = o.id
           WHERE t.net IS NULL OR t.net <> o.charged - o.refunded OR t.debits <> 1""",
    ),
    (
        "I3",
        "refunded more than charged",
        "SELECT 'order ' || id FROM orders WHERE refunded > charged OR refunded < 0",
    ),
    (
        "I3",
        "counters differ from its items",
        """SELECT 'order ' || o.id FROM orders o
           JOIN (SELECT order_id, count(*) AS n,
               sum(CASE status WHEN 'DELIVERED' THEN 1 ELSE 0 END) AS delivered,
               sum(CASE status WHEN 'PENDING' THEN 1 ELSE 0 END) AS pending
             FROM items GROUP BY order_id) i ON i.order_id = o.id
           WHERE i.n <> o.quantity OR i.delivered <> o.delivered_quantity
             OR i.pending <> o.pending_items""",
    ),
    (
        "I3",
        "item shares do not sum to the charge, or item refunds not to the refund",
        """SELECT 'order ' || o.id FROM orders o
           JOIN (SELECT order_id, sum(share) AS shares, sum(refunded) AS refunds
             FROM items GROUP BY order_id) i ON i.order_id = o.id
           WHERE i.shares <> o.charged OR i.refunds <> o.refunded""",
    ),
    (
        "I3",
        "has no items",
        """SELECT 'order ' || o.id FROM orders o LEFT JOIN items i
             ON i.order_id = o.id AND i.ordinal = 1
           WHERE i.order_id IS NULL AND (o.quantity <= 50 OR o.delivered_quantity > 0
             OR o.status NOT IN ('PENDING', 'CANCELLED')
             OR o.refunded <> (CASE o.status WHEN 'CANCELLED' THEN o.charged ELSE 0 END))""",
    ),
    (
        "I3",
        "status does not fit its counters",
        """SELECT 'order ' || id FROM orders WHERE
             (status = 'DELIVERED' AND (delivered_quantity <> quantity OR pending_items <> 0))
             OR (status = 'PENDING' AND delivered_quantity <> 0)
             OR (status = 'PARTIALLY_DELIVERED'
               AND (delivered_quantity = 0 OR pending_items = 0))
             OR (status = 'CANCELLED' AND pending_items <> 0)
             OR status = 'PLACED' OR delivered_quantity <> from_cache""",
    ),
    (
        "I6",
        "an event that its state calls for was never queued",
        """SELECT 'order ' || o.id FROM orders o WHERE
             NOT EXISTS (SELECT 1 FROM outbox e
               WHERE e.order_id = o.id AND e.event_type = 'order.created')
             OR (o.status = 'DELIVERED' AND NOT EXISTS (SELECT 1 FROM outbox e
               WHERE e.order_id = o.id AND e.event_type = 'order.delivered'))
             OR (o.status = 'CANCELLED' AND NOT EXISTS (SELECT 1 FROM outbox e
               WHERE e.order_id = o.id AND e.event_type = 'order.cancelled'))
             OR (o.status = 'PARTIALLY_DELIVERED' AND o.sub_status = 'PARTIAL'
               AND NOT EXISTS (SELECT 1 FROM outbox e
               WHERE e.order_id = o.id AND e.event_type = 'order.partially_delivered'))""",
    ),
    (
        "I6",
        "tells of a state that never was",
        """SELECT 'event ' || e.event_id FROM outbox e LEFT JOIN orders o ON o.id = e.order_id
           WHERE o.id IS NULL OR e.revision > o.revision OR e.client_id <> o.client_id
             OR (e.event_type = 'order.delivered' AND o.status <> 'DELIVERED')
             OR (e.event_type = 'order.cancelled' AND o.status <> 'CANCELLED')""",
    ),
    (
        "I7",
        "shares its idempotency key with another order",
        """SELECT 'order ' || max(id) FROM orders
           GROUP BY client_id, idempotency_key HAVING count(*) > 1""",
    ),
    (
        "I7",
        "shares its reference with another order",
        "SELECT 'order ' || max(id) FROM orders GROUP BY client_id, ref HAVING count(*) > 1",
    ),
)
_SEALED: Final = """
SELECT id, sealed, key_id FROM vouchers
WHERE id > $1 AND state IN ('received', 'pooled', 'assigned') ORDER BY id LIMIT $2
"""


async def verify(ship: Ship) -> list[Violation]:
    """All violations found, at most 100 a check; empty when every invariant holds."""
    return await ship.database.read(_verify, ship.wallet, ship.vault.reveal)


def _verify(tx: Tx, wallet: WalletBackend, reveal: OpenCode) -> list[Violation]:
    if tx.dialect == "postgresql":
        tx.execute("SET LOCAL statement_timeout = 0")  # all rows are read, however many
        tx.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    found = [
        Violation(invariant=invariant, row=str(row[0]), problem=problem)
        for invariant, problem, query in CHECKS
        for row in tx.execute(f"{query} LIMIT {MOST}")
    ]
    found += _money(tx, wallet)
    found += list(_unreadable(tx, reveal))[:MOST]
    return found


def _money(tx: Tx, wallet: WalletBackend) -> list[Violation]:
    """`I2 ledger_accounts wallet:3: what is wrong`, as the ledger's own check says it."""
    found = []
    for sentence in money_violations(tx, wallet):
        invariant, _, rest = sentence.partition(" ")
        row, _, problem = rest.partition(": ")
        found.append(Violation(invariant=invariant, row=row, problem=problem or row))
    return found


def _unreadable(tx: Tx, reveal: OpenCode) -> Iterator[Violation]:
    """Codes that no longer open: altered, moved to another row, or their key is gone."""
    last = 0
    while rows := tx.execute(_SEALED, last, _CHUNK):
        for voucher_id, sealed, key_id in rows:
            try:
                reveal(voucher_id, sealed, key_id)
            except (Unsealable, MissingKey) as error:
                yield Violation(
                    invariant="I8", row=f"voucher {voucher_id}", problem=type(error).__name__
                )
        last = rows[-1][0]
