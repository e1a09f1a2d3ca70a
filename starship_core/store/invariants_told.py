"""Invariants of what is told: an event for every change, a place in the feed, a delivery."""

from __future__ import annotations

from typing import Final

from starship_core.store.check import Check

EVENTS: Final = (
    Check(
        "I6",
        "an event that its state calls for was never queued",
        """SELECT 'order ' || o.id FROM orders o WHERE
             NOT EXISTS (SELECT 1 FROM outbox e WHERE e.order_id = o.id AND e.revision = 1
               AND e.event_type = 'order.created')
             OR NOT EXISTS (SELECT 1 FROM outbox e WHERE e.order_id = o.id AND e.revision = 1
               AND e.event_type = (CASE o.delivery_time
                 WHEN 'INSTANT' THEN 'order.delivered' ELSE 'order.pending' END))
             OR (o.status IN ('DELIVERED', 'CANCELLED') AND NOT EXISTS (SELECT 1 FROM outbox e
               WHERE e.order_id = o.id AND e.event_type = (CASE o.status
                 WHEN 'DELIVERED' THEN 'order.delivered' ELSE 'order.cancelled' END)))
             OR (o.status = 'PARTIALLY_DELIVERED' AND o.sub_status = 'PARTIAL'
               AND NOT EXISTS (SELECT 1 FROM outbox e
               WHERE e.order_id = o.id AND e.event_type = 'order.partially_delivered'))""",
    ),
    Check(
        "I6",
        "tells of a state that never was",
        """SELECT 'event ' || e.event_id FROM outbox e LEFT JOIN orders o ON o.id = e.order_id
           WHERE o.id IS NULL OR e.revision > o.revision OR e.revision < 1
             OR e.client_id <> o.client_id
             OR e.event_id <> 'evt_' || e.order_id || '_' || e.revision || '_' || e.event_type
             OR (e.event_type IN ('order.created', 'order.pending') AND e.revision <> 1)
             OR (e.event_type = 'order.delivered' AND o.status <> 'DELIVERED')
             OR (e.event_type = 'order.cancelled' AND o.status <> 'CANCELLED')
             OR (e.event_type = 'order.partially_delivered' AND o.delivered_quantity = 0)""",
    ),
    Check(
        "I6",
        "two events tell of one revision",
        """SELECT 'order ' || order_id FROM outbox WHERE event_type <> 'order.created'
           GROUP BY order_id, revision HAVING count(*) > 1""",
    ),
    Check(
        "I6",
        "was refunded or replaced more often, or less, than its events tell",
        """SELECT 'order ' || order_id FROM (
             SELECT order_id, event_type, 1 AS n FROM outbox
             WHERE event_type IN ('order.refunded', 'order.replaced')
             UNION ALL
             SELECT order_id, 'order.replaced', -1 FROM vouchers
             WHERE state = 'blocked' AND order_id IS NOT NULL
             UNION ALL
             SELECT order_id, 'order.refunded', -1 FROM transactions
             WHERE order_id IS NOT NULL AND key LIKE 'order:%:refund:%'
           ) AS told GROUP BY order_id, event_type HAVING sum(n) <> 0""",
    ),
)
DELIVERIES: Final = (
    Check(
        "I6",
        "positions in the feed have a gap, or are given twice",
        """SELECT 'client ' || client_id FROM outbox WHERE position IS NOT NULL GROUP BY client_id
           HAVING min(position) <> 1 OR max(position) <> count(*)
             OR count(DISTINCT position) <> count(*)""",
    ),
    Check(
        "I6",
        "has a place in the feed and no time of it, or a time and no place",
        """SELECT 'event ' || event_id FROM outbox
           WHERE (position IS NULL) <> (relayed_at IS NULL)""",
    ),
    Check(  # whoever changes a webhook may look at the clock a moment before it commits
        "I6",
        "is in the feed, and an endpoint that asked for it has no delivery",
        """SELECT DISTINCT 'event ' || e.event_id FROM outbox e
           JOIN webhooks w ON w.client_id = e.client_id AND w.deleted_at IS NULL
             AND w.updated_at < e.relayed_at - 60000000
             AND (w.events LIKE '%"order.*"%' OR w.events LIKE '%"' || e.event_type || '"%')
           LEFT JOIN deliveries d ON d.webhook_id = w.id AND d.event_id = e.event_id
           WHERE e.position IS NOT NULL AND d.id IS NULL AND e.relayed_at >= coalesce(
             (SELECT value FROM counters WHERE name = 'deliveries:kept-since'), 0)""",
    ),
    Check(
        "I6",
        "tells of no event in the feed of its endpoint's client",
        """SELECT 'delivery ' || d.id FROM deliveries d
           LEFT JOIN webhooks w ON w.id = d.webhook_id
           LEFT JOIN outbox e ON e.event_id = d.event_id
           WHERE w.id IS NULL OR (d.event_type <> 'webhook.test' AND (e.position IS NULL
             OR e.client_id <> w.client_id OR e.event_type <> d.event_type))""",
    ),
    Check(
        "I6",
        "is for the same event and endpoint as another one",
        """SELECT 'delivery ' || max(id) FROM deliveries
           GROUP BY webhook_id, event_id HAVING count(*) > 1""",
    ),
    Check(
        "I6",
        "neither waits, nor was taken, nor has visibly failed",
        """SELECT 'delivery ' || d.id FROM deliveries d
           WHERE d.status NOT IN ('PENDING', 'DELIVERED', 'FAILED')
             OR (d.status = 'PENDING') <> (d.due_at IS NOT NULL)
             OR (d.status = 'DELIVERED') <> (d.delivered_at IS NOT NULL)
             OR (d.status = 'FAILED' AND d.error IS NULL)
             OR (d.status = 'DELIVERED' AND NOT EXISTS (SELECT 1 FROM delivery_attempts a
               WHERE a.delivery_id = d.id AND a.error IS NULL))""",
    ),
)
