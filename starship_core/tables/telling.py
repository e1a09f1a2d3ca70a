"""What clients are told: events, queued in the transaction of their change."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, text

from starship_core.tables.columns import integer, maybe_integer, metadata, reference, string

outbox = Table(
    "outbox",
    metadata,
    string("event_id"),
    reference("order_id", "orders.id"),
    integer("client_id"),
    string("event_type"),
    integer("revision"),
    string("data"),
    integer("created_at"),
    maybe_integer("position"),
    PrimaryKeyConstraint("event_id"),
)
Index("ix_outbox_order", outbox.c.order_id)
Index(
    "ix_outbox_unrelayed",
    outbox.c.created_at,
    postgresql_where=text("position IS NULL"),
    sqlite_where=text("position IS NULL"),
)
