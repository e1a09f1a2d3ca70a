"""Orders, their items, and the wallets and transactions that pay for them."""

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

wallets = Table(
    "wallets",
    metadata,
    identity(),
    reference("client_id", "clients.id"),
    string("currency"),
    string("account", unique=True),
    string("type", "PREPAID"),
    integer("credit_limit", 0),
    flag("is_active", default=True),
    integer("created_at"),
    integer("updated_at"),
    UniqueConstraint("client_id", "currency"),
)
orders = Table(
    "orders",
    metadata,
    identity(),
    reference("client_id", "clients.id"),
    string("idempotency_key"),
    string("fingerprint"),
    string("ref"),
    reference("product_id", "products.id"),
    string("product_name"),
    string("currency"),
    integer("denomination"),
    integer("quantity"),
    reference("wallet_id", "wallets.id"),
    string("amount_currency"),
    integer("charged"),
    integer("refunded", 0),
    string("price"),
    integer("min_expiry"),
    string("status"),
    maybe_string("sub_status"),
    string("delivery_time"),
    integer("delivered_quantity", 0),
    integer("pending_items", 0),
    integer("from_cache", 0),
    integer("revision", 1),
    maybe_string("email"),
    maybe_string("mobile"),
    maybe_string("customer_info"),
    string("metadata", "{}"),
    integer("placed_at"),
    maybe_integer("delivered_at"),
    integer("updated_at"),
    # What tells orders apart comes first, and statements say `client_id + 0`: without statistics
    # PostgreSQL takes the index below as soon for a key, and reads all orders of the client.
    UniqueConstraint("idempotency_key", "client_id"),
    UniqueConstraint("ref", "client_id"),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("refunded >= 0 AND refunded <= charged", name="refunded"),
)
Index("ix_orders_client_placed", orders.c.client_id, orders.c.placed_at, orders.c.id)
Index(
    "ix_orders_waiting",
    orders.c.placed_at,
    orders.c.id,
    postgresql_where=text("status IN ('PENDING', 'PARTIALLY_DELIVERED')"),
    sqlite_where=text("status IN ('PENDING', 'PARTIALLY_DELIVERED')"),
)
items = Table(
    "items",
    metadata,
    reference("order_id", "orders.id"),
    integer("ordinal"),
    string("status"),
    integer("share"),
    integer("refunded", 0),
    maybe_integer("settled_at"),
    PrimaryKeyConstraint("order_id", "ordinal"),
    CheckConstraint("status IN ('PENDING', 'DELIVERED', 'CANCELLED')", name="status"),
    CheckConstraint("refunded >= 0 AND refunded <= share", name="refunded"),
)
transactions = Table(
    "transactions",
    metadata,
    identity(),
    reference("wallet_id", "wallets.id"),
    reference("order_id", "orders.id", nullable=True),
    string("key", unique=True),
    string("transaction_type"),
    string("status", "COMPLETED"),
    integer("amount"),
    string("currency"),
    maybe_string("source_currency"),
    maybe_string("destination_currency"),
    maybe_string("forex_rate"),
    maybe_string("forex_source"),
    maybe_integer("forex_as_of"),
    maybe_integer("conversion_charges"),
    integer("balance_after"),
    string("remarks", ""),
    integer("created_at"),
)
Index("ix_transactions_wallet", transactions.c.wallet_id, transactions.c.id)
Index("ix_transactions_order", transactions.c.order_id)
