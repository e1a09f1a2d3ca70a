"""Buying: what was approved, what was planned and sent, and whose items wait for it."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    text,
)

from starship_core.tables.columns import (
    flag,
    identity,
    integer,
    maybe_integer,
    maybe_string,
    metadata,
    reference,
    string,
)

approvals = Table(
    "approvals",
    metadata,
    identity(),
    reference("order_id", "orders.id", nullable=True),
    reference("product_id", "products.id"),
    integer("denomination"),
    string("currency"),
    string("actor"),
    string("reason"),
    maybe_string("case_seen"),
    maybe_string("verdicts"),
    string("items", "[]"),
    string("vendors"),
    integer("ceiling"),
    string("ceiling_currency"),
    integer("planned", 0),
    string("state"),
    integer("expires_at"),
    integer("created_at"),
    integer("updated_at"),
    CheckConstraint("state IN ('OPEN', 'USED', 'STANDING', 'ENDED')", name="state"),
    CheckConstraint("planned >= 0 AND planned <= ceiling", name="planned"),
    CheckConstraint("(state = 'STANDING') <= (order_id IS NULL)", name="standing"),
)
"""`actor`: `operator:ana` or `policy:products`; `case_seen` and `verdicts`: what a policy saw and
said, as JSON. `order_id`: null for a standing approval, whose `ceiling` is a budget of which
`planned` is given out. `items`: ordinals, as JSON; `vendors`: instances in order of preference, as
JSON, more than one when the next may be asked after a refusal.

`state`: OPEN until it has planned its purchases, once; USED: they may be sent until it expires;
STANDING: plans as long as its budget and its time last; ENDED: nothing is sent under it any more.
"""
Index("ix_approvals_order", approvals.c.order_id)
Index(
    "ix_approvals_standing",
    approvals.c.product_id,
    approvals.c.denomination,
    approvals.c.currency,
    postgresql_where=text("state = 'STANDING'"),
    sqlite_where=text("state = 'STANDING'"),
)
refusals = Table(
    "refusals",
    metadata,
    identity(),
    reference("order_id", "orders.id"),
    string("actor"),
    string("reason"),
    flag("is_open", default=True),
    integer("created_at"),
    integer("updated_at"),
)
"""An operator's no to buying for an order. `is_open`: it holds, until an operator approves."""
Index(
    "uq_refusals_open",
    refusals.c.order_id,
    unique=True,
    postgresql_where=text("is_open = 1"),
    sqlite_where=text("is_open = 1"),
)
purchases = Table(
    "purchases",
    metadata,
    identity(),
    reference("approval_id", "approvals.id"),
    reference("order_id", "orders.id", nullable=True),
    string("vendor"),
    string("vendor_product"),
    reference("product_id", "products.id"),
    integer("denomination"),
    string("currency"),
    integer("quantity"),
    string("reference", unique=True),
    maybe_string("vendor_reference"),
    string("state"),
    integer("ceiling"),
    string("ceiling_currency"),
    maybe_integer("charged"),
    maybe_string("charged_currency"),
    flag("price_flag", default=False),
    flag("is_late", default=False),
    integer("received", 0),
    maybe_integer("due_at"),
    maybe_string("lease"),
    integer("lease_until", 0),
    maybe_string("sender"),
    integer("sender_until", 0),
    integer("attempts", 0),
    integer("looks", 0),
    maybe_integer("waiting_since"),
    string("not_found", "[]"),
    maybe_integer("sender_ended_at"),
    maybe_string("raw_sealed"),
    maybe_string("raw_key_id"),
    string("evidence", ""),
    integer("planned_at"),
    maybe_integer("sent_at"),
    maybe_integer("closed_at"),
    integer("updated_at"),
    CheckConstraint(
        "(closed_at IS NULL) = (state NOT IN ('BOUGHT','REFUSED','NOT_BOUGHT','VOIDED'))",
        name="closed",
    ),
    CheckConstraint("quantity > 0 AND ceiling >= 0", name="quantity"),
    CheckConstraint("state IN ('PLANNED', 'NOT_BOUGHT', 'VOIDED') OR sent_at > 0", name="sent"),
)
"""`lease`, `lease_until`: who asks the vendor now, and until when. `sender`, `sender_until`: the
lease that it was last sent under; `sender_ended_at`: when that sender wrote how its call ended.

`waiting_since`: since when it is ACCEPTED or UNKNOWN, which `looks` (finds made) count on from.
`is_late`: bought after it had been closed as not bought, when its approval may have been planned
anew; its ceiling is no part of what the approval holds.
`not_found`: when the vendor said that it knows no such reference, as JSON. `evidence`: why it ended
as it did, for who reads it later; never a code.
"""
Index("ix_purchases_order", purchases.c.order_id)
Index("ix_purchases_approval", purchases.c.approval_id)
Index(
    "ix_purchases_ahead",
    purchases.c.product_id,
    purchases.c.denomination,
    purchases.c.currency,
    postgresql_where=text("order_id IS NULL"),
    sqlite_where=text("order_id IS NULL"),
)
Index(
    "ix_purchases_due",
    purchases.c.due_at,
    postgresql_where=text("due_at IS NOT NULL"),
    sqlite_where=text("due_at IS NOT NULL"),
)
purchase_items = Table(
    "purchase_items",
    metadata,
    reference("purchase_id", "purchases.id"),
    integer("order_id"),
    integer("ordinal"),
    flag("is_open", default=True),
    PrimaryKeyConstraint("purchase_id", "ordinal"),
    ForeignKeyConstraint(["order_id", "ordinal"], ["items.order_id", "items.ordinal"]),
)
"""`is_open`: the item belongs to this purchase, and nobody else may serve it."""
Index(
    "uq_purchase_items_open",
    purchase_items.c.order_id,
    purchase_items.c.ordinal,
    unique=True,
    postgresql_where=text("is_open = 1"),
    sqlite_where=text("is_open = 1"),
)
