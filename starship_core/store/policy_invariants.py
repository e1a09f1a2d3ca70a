"""I4 as it shows in what policies allowed."""

from __future__ import annotations

from typing import Final

from starship_core.store.check import Check

POLICIES: Final = (
    Check(
        "I4",
        "is the policies', and no decision of theirs allows just that",
        """SELECT 'approval ' || a.id FROM approvals a LEFT JOIN decisions d ON d.approval_id = a.id
           WHERE a.actor LIKE 'policy:%' AND (d.order_id IS NULL OR d.outcome <> 'Allow'
             OR d.order_id <> coalesce(a.order_id, 0) OR d.currency <> a.currency
             OR d.face <> a.denomination
               * (1 + length(a.items) - length(replace(a.items, ',', ''))))""",
    ),
    Check(
        "I4",
        "says Allow without an approval by policies, or has one and does not say it",
        """SELECT 'decision ' || d.order_id FROM decisions d
           LEFT JOIN approvals a ON a.id = d.approval_id AND a.actor LIKE 'policy:%'
           WHERE (d.outcome = 'Allow') <> (a.id IS NOT NULL)
             OR (d.approval_id IS NOT NULL AND a.id IS NULL)""",
    ),
    Check(
        "I4",
        "says Allow, and its verdicts do not",
        """SELECT 'decision ' || order_id FROM decisions WHERE outcome = 'Allow'
             AND (verdicts NOT LIKE '%"says":"Allow"%' OR verdicts LIKE '%"says":"AskOperator"%'
               OR verdicts LIKE '%"says":"Refuse"%')""",
    ),
    Check(
        "I4",
        "a day's total is not what policies allowed on it",
        """SELECT 'client ' || client_id FROM (
             SELECT client_id, day, currency, spent AS n FROM policy_spending
             UNION ALL
             SELECT client_id, day, currency, -face FROM decisions WHERE outcome = 'Allow'
           ) AS told GROUP BY client_id, day, currency HAVING sum(n) <> 0""",
    ),
)
