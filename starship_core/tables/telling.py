"""What clients and operators are told: events, queued in the transaction of their change, where
they go, and how it went.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, UniqueConstraint, text

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
    maybe_integer("relayed_at"),
    PrimaryKeyConstraint("event_id"),
)
Index("ix_outbox_order", outbox.c.order_id)
Index(
    "ix_outbox_unrelayed",
    outbox.c.created_at,
    postgresql_where=text("position IS NULL"),
    sqlite_where=text("position IS NULL"),
)
Index(
    "uq_outbox_feed",
    outbox.c.client_id,
    outbox.c.position,
    unique=True,
    postgresql_where=text("position IS NOT NULL"),
    sqlite_where=text("position IS NOT NULL"),
)
webhooks = Table(
    "webhooks",
    metadata,
    identity(),
    reference("client_id", "clients.id"),
    string("name"),
    string("url"),
    string("events"),
    string("fingerprint"),
    reference("credential_id", "credentials.id", nullable=True),
    maybe_string("secret_sealed"),
    flag("is_active", default=True),
    maybe_string("inactive_reason"),
    integer("failures", 0),
    maybe_integer("failing_since"),
    maybe_integer("last_success_at"),
    integer("created_at"),
    integer("updated_at"),
    maybe_integer("deleted_at"),
)
Index(
    "uq_webhooks_fingerprint",
    webhooks.c.client_id,
    webhooks.c.fingerprint,
    unique=True,
    postgresql_where=text("deleted_at IS NULL"),
    sqlite_where=text("deleted_at IS NULL"),
)
deliveries = Table(
    "deliveries",
    metadata,
    identity(),
    reference("webhook_id", "webhooks.id"),
    string("event_id"),
    string("event_type"),
    integer("event_at"),
    maybe_string("data"),
    string("status"),
    integer("attempts", 0),
    maybe_integer("due_at"),
    maybe_string("lease"),
    maybe_string("error"),
    integer("created_at"),
    maybe_integer("delivered_at"),
    UniqueConstraint("webhook_id", "event_id"),
    CheckConstraint("status IN ('PENDING', 'DELIVERED', 'FAILED')", name="status"),
    CheckConstraint("(status = 'PENDING') = (due_at IS NOT NULL)", name="due"),
)
Index(
    "ix_deliveries_due",
    deliveries.c.webhook_id,
    deliveries.c.due_at,
    deliveries.c.id,
    postgresql_where=text("status = 'PENDING'"),
    sqlite_where=text("status = 'PENDING'"),
)
Index("ix_deliveries_webhook", deliveries.c.webhook_id, deliveries.c.id)
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    reference("delivery_id", "deliveries.id"),
    integer("number"),
    integer("at"),
    integer("milliseconds"),
    maybe_string("error"),
    PrimaryKeyConstraint("delivery_id", "number"),
)
notices = Table(
    "notices",
    metadata,
    identity(),
    string("kind"),
    string("key", unique=True),
    string("subject"),
    string("summary"),
    string("text"),
    string("data", "{}"),
    string("status", "PENDING"),
    integer("attempts", 0),
    maybe_integer("due_at"),
    maybe_string("lease"),
    string("sent_to", "[]"),
    maybe_string("error"),
    integer("created_at"),
    maybe_integer("sent_at"),
    CheckConstraint("status IN ('PENDING', 'SENT', 'FAILED')", name="status"),
    CheckConstraint("(status = 'PENDING') = (due_at IS NOT NULL)", name="due"),
)
Index(
    "ix_notices_due",
    notices.c.due_at,
    notices.c.id,
    postgresql_where=text("status = 'PENDING'"),
    sqlite_where=text("status = 'PENDING'"),
)
