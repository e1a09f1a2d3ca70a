"""Goods: every voucher we hold, what was kept out of the stock, and how much there should be."""

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
    identity,
    integer,
    maybe_integer,
    maybe_string,
    metadata,
    reference,
    string,
)

vouchers = Table(
    "vouchers",
    metadata,
    identity(),
    reference("product_id", "products.id"),
    integer("denomination"),
    string("currency"),
    string("state"),
    maybe_string("state_reason"),
    string("sealed"),
    string("key_id"),
    string("fingerprint", unique=True),
    string("origin", unique=True),
    maybe_string("voucher_reference_number"),
    integer("expires_at"),
    maybe_integer("order_id"),
    maybe_integer("ordinal"),
    integer("created_at"),
    integer("updated_at"),
    ForeignKeyConstraint(["order_id", "ordinal"], ["items.order_id", "items.ordinal"]),
    CheckConstraint(
        "state IN ('received', 'pooled', 'assigned', 'blocked', 'expired', 'quarantined')",
        name="state",
    ),
    CheckConstraint("(state = 'assigned') <= (order_id IS NOT NULL)", name="assigned"),
)
Index(
    "uq_vouchers_item",
    vouchers.c.order_id,
    vouchers.c.ordinal,
    unique=True,
    postgresql_where=text("state = 'assigned'"),
    sqlite_where=text("state = 'assigned'"),
)
Index(
    "ix_vouchers_pooled",
    vouchers.c.product_id,
    vouchers.c.denomination,
    vouchers.c.currency,
    vouchers.c.expires_at,
    vouchers.c.id,
    postgresql_where=text("state = 'pooled'"),
    sqlite_where=text("state = 'pooled'"),
)
Index(
    "ix_vouchers_received",
    vouchers.c.id,
    postgresql_where=text("state = 'received'"),
    sqlite_where=text("state = 'received'"),
)
Index(
    "ix_vouchers_perishable",
    vouchers.c.expires_at,
    postgresql_where=text("state IN ('received', 'pooled')"),
    sqlite_where=text("state IN ('received', 'pooled')"),
)
Index("ix_vouchers_order", vouchers.c.order_id)
Index("ix_vouchers_key", vouchers.c.key_id, vouchers.c.id)
quarantine = Table(
    "quarantine",
    metadata,
    identity(),
    string("origin", unique=True),
    string("fingerprint"),
    string("sealed"),
    string("key_id"),
    maybe_integer("voucher_id"),
    string("reason"),
    integer("created_at"),
)
targets = Table(
    "targets",
    metadata,
    reference("product_id", "products.id"),
    integer("denomination"),
    string("currency"),
    integer("minimum"),
    integer("maximum"),
    maybe_integer("budget"),
    maybe_string("budget_currency"),
    string("vendors", "[]"),
    integer("created_at"),
    integer("updated_at"),
    PrimaryKeyConstraint("product_id", "denomination", "currency"),
    CheckConstraint("minimum > 0 AND maximum >= minimum", name="range"),
    CheckConstraint(
        "(budget IS NULL) = (budget_currency IS NULL) AND coalesce(budget, 1) > 0", name="budget"
    ),
)
"""How many of a sku the pump keeps on sale: below `minimum` it fills up to `maximum`.

`vendors`: instances, as JSON, that may be bought from ahead of orders, under a standing approval;
none: sources only. `budget`: what one run may plan for at most; null: what the approvals hold. A
target's row is locked by whoever plans for its sku, so that no gap is bought twice.
"""
