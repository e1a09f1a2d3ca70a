"""What policies decided, and how much they let through for a client in a day."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, text

from starship_core.tables.columns import (
    integer,
    maybe_integer,
    metadata,
    reference,
    string,
)

decisions = Table(
    "decisions",
    metadata,
    reference("order_id", "orders.id"),
    reference("client_id", "clients.id"),
    string("outcome"),
    string("case_seen"),
    string("verdicts"),
    string("reason"),
    integer("day"),
    string("currency"),
    integer("face"),
    reference("approval_id", "approvals.id", nullable=True),
    maybe_integer("again_at"),
    integer("decided_at"),
    PrimaryKeyConstraint("order_id"),
    CheckConstraint("outcome IN ('Allow', 'AskOperator', 'Refuse')", name="outcome"),
    CheckConstraint("(outcome = 'Allow') = (approval_id IS NOT NULL)", name="approval"),
)
"""One an order. `case_seen` and `verdicts`: what the policies saw and said, as JSON; a decision can
be repeated from them. `face`: the face value of the case, in `currency`.

`again_at`: when it is decided anew, because nobody could be asked; null: it is final.
"""
Index("ix_decisions_client_day", decisions.c.client_id, decisions.c.day, decisions.c.currency)
Index(
    "uq_decisions_approval",
    decisions.c.approval_id,
    unique=True,
    postgresql_where=text("approval_id IS NOT NULL"),
    sqlite_where=text("approval_id IS NOT NULL"),
)
policy_spending = Table(
    "policy_spending",
    metadata,
    reference("client_id", "clients.id"),
    integer("day"),
    string("currency"),
    integer("spent", 0),
    integer("updated_at"),
    PrimaryKeyConstraint("client_id", "day", "currency"),
    CheckConstraint("spent >= 0", name="spent"),
)
"""A client's limit row: the face value that policies allowed on that UTC day (counted from
1970-01-01). Who writes a decision locks it before the order, so decisions for one client and day
come one after the other.
"""
