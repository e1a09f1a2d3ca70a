"""The invariants that show in the rows (docs/invariants.md), each as the query that finds its
violations.

A test plants a violation of each; a check that is added here without one fails it.
"""

from __future__ import annotations

from typing import Final

from starship_core.store.buying_invariants import BUYING
from starship_core.store.check import Check
from starship_core.store.invariants_told import DELIVERIES, EVENTS
from starship_core.store.policy_invariants import POLICIES

__all__ = ["CHECKS", "Check"]

GOODS: Final = (
    Check(
        "I1",
        "item holds more than one valid voucher",
        """SELECT 'item ' || order_id || '/' || ordinal FROM vouchers WHERE state = 'assigned'
           GROUP BY order_id, ordinal HAVING count(*) > 1""",
    ),
    Check(
        "I1",
        "has the code of another voucher",
        "SELECT 'voucher ' || max(id) FROM vouchers GROUP BY fingerprint HAVING count(*) > 1",
    ),
    Check(
        "I1",
        "has the origin of another voucher",
        "SELECT 'voucher ' || max(id) FROM vouchers GROUP BY origin HAVING count(*) > 1",
    ),
    Check(
        "I1",
        "names an item that is not delivered",
        """SELECT 'voucher ' || v.id FROM vouchers v
           LEFT JOIN items i ON i.order_id = v.order_id AND i.ordinal = v.ordinal
           WHERE (v.state = 'assigned' OR v.order_id IS NOT NULL OR v.ordinal IS NOT NULL)
             AND (i.status IS NULL OR i.status <> 'DELIVERED')""",
    ),
    Check(
        "I1",
        "belongs to an item, and is neither its voucher nor a replaced one",
        """SELECT 'voucher ' || id FROM vouchers
           WHERE state NOT IN ('assigned', 'blocked') AND order_id IS NOT NULL""",
    ),
    Check(
        "I1",
        "is of another product, denomination or currency than its order",
        """SELECT 'voucher ' || v.id FROM vouchers v JOIN orders o ON o.id = v.order_id
           WHERE v.product_id <> o.product_id OR v.denomination <> o.denomination
             OR v.currency <> o.currency""",
    ),
    Check(
        "I1",
        "delivered without a valid voucher",
        """SELECT 'item ' || i.order_id || '/' || i.ordinal FROM items i
           LEFT JOIN vouchers v
             ON v.order_id = i.order_id AND v.ordinal = i.ordinal AND v.state = 'assigned'
           WHERE i.status = 'DELIVERED' AND v.id IS NULL""",
    ),
    Check(
        "I9",
        "was delivered with less validity than the order's minimum",
        """SELECT 'voucher ' || v.id FROM vouchers v
           JOIN items i ON i.order_id = v.order_id AND i.ordinal = v.ordinal
           JOIN orders o ON o.id = v.order_id
           WHERE v.state = 'assigned'
             AND v.expires_at <= i.settled_at + (o.min_expiry - o.placed_at)""",
    ),
)
NO_DEBIT: Final = Check(
    "I2",
    "the debit that pays for it is missing, or of another wallet, amount or currency",
    """SELECT 'order ' || o.id FROM orders o
       LEFT JOIN transactions t ON t.key = 'order:' || o.id || ':debit'
       WHERE t.id IS NULL OR coalesce(t.order_id, 0) <> o.id OR t.wallet_id <> o.wallet_id
         OR t.transaction_type <> 'DEBIT' OR t.status <> 'COMPLETED'
         OR t.amount <> o.charged OR t.currency <> o.amount_currency""",
)
"""Reconciliation tells of it by itself."""
MONEY: Final = (
    NO_DEBIT,
    Check(
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
    Check(
        "I2",
        "is of another wallet or currency than its order, or its amount is below zero",
        """SELECT 'transaction ' || t.id FROM transactions t
           LEFT JOIN wallets w ON w.id = t.wallet_id LEFT JOIN orders o ON o.id = t.order_id
           WHERE t.amount < 0 OR w.id IS NULL OR w.currency <> t.currency
             OR t.transaction_type NOT IN ('CREDIT', 'DEBIT')
             OR (t.order_id IS NOT NULL AND (o.id IS NULL OR o.wallet_id <> t.wallet_id))""",
    ),
    Check(
        "I2",
        "has the key of another transaction",
        "SELECT 'transaction ' || max(id) FROM transactions GROUP BY key HAVING count(*) > 1",
    ),
    Check(
        "I2",
        "is not kept under its own account",
        "SELECT 'wallet ' || id FROM wallets WHERE account <> 'wallet:' || id",
    ),
    Check(
        "I3",
        "is paid from a wallet of another client or currency",
        """SELECT 'order ' || o.id FROM orders o LEFT JOIN wallets w ON w.id = o.wallet_id
           WHERE w.id IS NULL OR w.client_id <> o.client_id OR w.currency <> o.amount_currency""",
    ),
    Check(
        "I3",
        "refunded more than charged",
        "SELECT 'order ' || id FROM orders WHERE refunded > charged OR refunded < 0",
    ),
    Check(
        "I3",
        "item shares do not sum to the charge, or item refunds not to the refund",
        """SELECT 'order ' || o.id FROM orders o
           JOIN (SELECT order_id, sum(share) AS shares, sum(refunded) AS refunds
             FROM items GROUP BY order_id) i ON i.order_id = o.id
           WHERE i.shares <> o.charged OR i.refunds <> o.refunded""",
    ),
    Check(
        "I3",
        "item shares differ by more than one minor unit",
        """SELECT 'order ' || order_id FROM items
           GROUP BY order_id HAVING max(share) - min(share) > 1""",
    ),
    Check(
        "I3",
        "its refund does not fit its status or its share",
        """SELECT 'item ' || order_id || '/' || ordinal FROM items
           WHERE refunded < 0 OR refunded > share OR (status = 'PENDING' AND refunded <> 0)
             OR (status = 'CANCELLED' AND refunded <> share)""",
    ),
)
ORDERS: Final = (
    Check(
        "I3",
        "counters or ordinals differ from its items",
        """SELECT 'order ' || o.id FROM orders o
           JOIN (SELECT order_id, count(*) AS n, min(ordinal) AS lowest, max(ordinal) AS highest,
               sum(CASE status WHEN 'DELIVERED' THEN 1 ELSE 0 END) AS delivered,
               sum(CASE status WHEN 'PENDING' THEN 1 ELSE 0 END) AS pending
             FROM items GROUP BY order_id) i ON i.order_id = o.id
           WHERE i.n <> o.quantity OR i.lowest <> 1 OR i.highest <> o.quantity
             OR i.delivered <> o.delivered_quantity OR i.pending <> o.pending_items""",
    ),
    Check(
        "I3",
        "has no items",
        """SELECT 'order ' || o.id FROM orders o LEFT JOIN items i
             ON i.order_id = o.id AND i.ordinal = 1
           WHERE i.order_id IS NULL AND (o.quantity <= 50 OR o.delivered_quantity > 0
             OR o.pending_items > 0 OR o.status NOT IN ('PENDING', 'CANCELLED')
             OR o.refunded <> (CASE o.status WHEN 'CANCELLED' THEN o.charged ELSE 0 END))""",
    ),
    Check(
        "I3",
        "belongs to no order",
        """SELECT 'item ' || i.order_id || '/' || i.ordinal FROM items i
           LEFT JOIN orders o ON o.id = i.order_id WHERE o.id IS NULL""",
    ),
    Check(
        "I3",
        "was settled and has no time of it, or waits and has one",
        """SELECT 'item ' || order_id || '/' || ordinal FROM items
           WHERE status NOT IN ('PENDING', 'DELIVERED', 'CANCELLED')
             OR (status = 'PENDING') <> (settled_at IS NULL)""",
    ),
    Check(
        "I3",
        "status does not fit its counters",
        """SELECT 'order ' || id FROM orders WHERE
             (status = 'DELIVERED' AND (delivered_quantity <> quantity OR pending_items <> 0))
             OR (status = 'PENDING' AND delivered_quantity <> 0)
             OR (status = 'PARTIALLY_DELIVERED'
               AND (delivered_quantity = 0 OR pending_items = 0))
             OR (status = 'CANCELLED' AND (pending_items <> 0 OR delivered_quantity = quantity))
             OR status NOT IN ('PENDING', 'PARTIALLY_DELIVERED', 'DELIVERED', 'CANCELLED')
             OR delivered_quantity <> from_cache""",
    ),
    Check(
        "I3",
        "sub-status or time of delivery does not fit its status",
        """SELECT 'order ' || id FROM orders WHERE
             (status = 'DELIVERED') <> (coalesce(sub_status, '') = 'COMPLETED')
             OR (status = 'DELIVERED') <> (delivered_at IS NOT NULL)
             OR (status = 'CANCELLED' AND coalesce(sub_status, '')
               <> (CASE delivered_quantity WHEN 0 THEN '' ELSE 'PARTIAL' END))
             OR (status = 'PENDING' AND (coalesce(sub_status, 'PARTIAL') = 'PARTIAL'
               OR (sub_status = 'INITIAL' AND (quantity <= 50 OR pending_items > 0))))
             OR (status = 'PARTIALLY_DELIVERED' AND coalesce(sub_status, 'INITIAL') = 'INITIAL')""",
    ),
    Check(
        "I9",
        "was INSTANT, and yet not delivered when it was placed",
        """SELECT 'order ' || id FROM orders
           WHERE delivery_time <> 'DELAYED' AND (delivery_time <> 'INSTANT' OR quantity > 50
             OR status <> 'DELIVERED' OR coalesce(delivered_at, 0) <> placed_at)""",
    ),
    Check(
        "I8",
        "was delivered in the answer, and no audit row tells of that reveal",
        """SELECT 'order ' || o.id FROM orders o WHERE o.delivery_time = 'INSTANT'
             AND NOT EXISTS (SELECT 1 FROM audit a
               WHERE a.subject = 'order:' || o.id AND a.action = 'reveal')""",
    ),
    Check(
        "I7",
        "shares its idempotency key with another order",
        """SELECT 'order ' || max(id) FROM orders
           GROUP BY client_id, idempotency_key HAVING count(*) > 1""",
    ),
    Check(
        "I7",
        "shares its reference with another order",
        "SELECT 'order ' || max(id) FROM orders GROUP BY client_id, ref HAVING count(*) > 1",
    ),
)
CHECKS: Final[tuple[Check, ...]] = GOODS + MONEY + ORDERS + EVENTS + DELIVERIES + BUYING + POLICIES
