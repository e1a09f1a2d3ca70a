"""I4 and I5 as they show in the rows of approvals and purchases."""

from __future__ import annotations

from typing import Final

from starship_core.store.check import Check

_OPEN: Final = "('PLANNED', 'SENT', 'ACCEPTED', 'UNKNOWN', 'NEEDS_REVIEW')"
_UNBOUGHT: Final = "('REFUSED', 'NOT_BOUGHT', 'VOIDED')"

BUYING: Final = (
    Check(
        "I4",
        "no approval names its order, vendor and product",
        """SELECT 'purchase ' || p.id FROM purchases p LEFT JOIN approvals a ON a.id = p.approval_id
           WHERE a.id IS NULL OR coalesce(a.order_id, 0) <> coalesce(p.order_id, 0)
             OR a.vendors NOT LIKE '%"' || p.vendor || '"%' OR a.product_id <> p.product_id
             OR a.denomination <> p.denomination OR a.currency <> p.currency
             OR a.ceiling_currency <> p.ceiling_currency OR a.state = 'OPEN'
             OR p.planned_at < a.created_at""",
    ),
    Check(
        "I4",
        "is for no order, and no operator's standing approval allows it",
        """SELECT 'purchase ' || p.id FROM purchases p JOIN approvals a ON a.id = p.approval_id
           WHERE p.order_id IS NULL
             AND (a.actor NOT LIKE 'operator:%' OR a.state NOT IN ('STANDING', 'ENDED'))""",
    ),
    Check(
        "I4",
        "its purchases may cost more than its ceiling",
        f"""SELECT 'approval ' || a.id FROM approvals a JOIN (
             SELECT approval_id, sum(ceiling) AS total FROM purchases
             WHERE state NOT IN {_UNBOUGHT} AND coalesce(is_late, 0) = 0 GROUP BY approval_id
           ) p ON p.approval_id = a.id
           WHERE p.total > a.ceiling OR (a.order_id IS NULL AND p.total > a.planned)""",
    ),
    Check(
        "I4",
        "was sent after its approval had ended, or before it was planned",
        """SELECT 'purchase ' || p.id FROM purchases p JOIN approvals a ON a.id = p.approval_id
           WHERE p.sent_at >= a.expires_at OR p.sent_at < p.planned_at
             OR (p.attempts > 0) <> (p.sent_at IS NOT NULL)""",
    ),
    Check(
        "I4",
        "was given by policies after an operator refused, or holds while a refusal does",
        """SELECT DISTINCT 'approval ' || a.id FROM approvals a
           JOIN refusals r ON r.order_id = a.order_id
           WHERE (a.actor LIKE 'policy:%' AND a.created_at > r.created_at)
             OR (r.is_open = 1 AND a.state IN ('OPEN', 'USED'))""",
    ),
    Check(
        "I4",
        "is for other items than it says",
        """SELECT 'purchase ' || p.id FROM purchases p LEFT JOIN (
             SELECT purchase_id, count(*) AS n, min(order_id) AS low, max(order_id) AS high
             FROM purchase_items GROUP BY purchase_id
           ) i ON i.purchase_id = p.id
           WHERE coalesce(i.n, 0) <> (CASE WHEN p.order_id IS NULL THEN 0 ELSE p.quantity END)
             OR coalesce(i.low, p.order_id, 0) <> coalesce(p.order_id, 0)
             OR coalesce(i.high, p.order_id, 0) <> coalesce(p.order_id, 0)""",
    ),
    Check(
        "I5",
        "has the reference of another purchase",
        "SELECT 'purchase ' || max(id) FROM purchases GROUP BY reference HAVING count(*) > 1",
    ),
    Check(
        "I5",
        "item belongs to two open purchases",
        """SELECT 'item ' || order_id || '/' || ordinal FROM purchase_items WHERE is_open = 1
           GROUP BY order_id, ordinal HAVING count(*) > 1""",
    ),
    Check(
        "I5",
        "item is held by a purchase that is closed, or does not wait for it",
        f"""SELECT 'item ' || h.order_id || '/' || h.ordinal FROM purchase_items h
           LEFT JOIN purchases p ON p.id = h.purchase_id
           LEFT JOIN items i ON i.order_id = h.order_id AND i.ordinal = h.ordinal
           WHERE h.is_open = 1 AND (p.id IS NULL OR p.state NOT IN {_OPEN}
             OR i.status IS NULL OR i.status <> 'PENDING')""",
    ),
    Check(
        "I5",
        "is in doubt, and was never sent; or waits for nobody to look after it",
        f"""SELECT 'purchase ' || id FROM purchases
           WHERE (state NOT IN ('PLANNED', 'NOT_BOUGHT', 'VOIDED') AND sent_at IS NULL
               AND received = 0)
             OR (state IN ('PLANNED', 'SENT', 'ACCEPTED', 'UNKNOWN')) <> (due_at IS NOT NULL)
             OR (state IN {_OPEN}) <> (closed_at IS NULL)
             OR (state = 'SENT' AND (lease IS NULL OR coalesce(sender, '') <> lease))""",
    ),
    Check(
        "I5",
        "ended without goods, and nothing says how that is known",
        f"""SELECT 'purchase ' || id FROM purchases
           WHERE state IN {_UNBOUGHT} AND (evidence = '' OR received > 0)""",
    ),
)
