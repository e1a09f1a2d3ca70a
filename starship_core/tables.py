"""The core's tables on one screen.

Times are microseconds since 1970 UTC, money is minor units, both bigint.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigInt = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows only in INTEGER keys


def _id() -> Column[int]:
    return Column("id", BigInt, primary_key=True, autoincrement=True)


def _ref(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInt, ForeignKey(target), nullable=nullable)


def _int(name: str, default: int | None = None) -> Column[int]:
    return Column(
        name, BigInt, nullable=False, server_default=None if default is None else str(default)
    )


def _maybe_int(name: str) -> Column[int]:
    return Column(name, BigInt)


def _text(name: str, default: str | None = None, *, unique: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default, unique=unique)


def _maybe_text(name: str) -> Column[str]:
    return Column(name, Text)


def _flag(name: str, *, default: bool) -> Column[bool]:
    # 0/1, so that one statement text serves both databases
    return _int(name, int(default))  # type: ignore[return-value]  # a flag to whoever reads it


# --- who ------------------------------------------------------------------------------------------
clients = Table(
    "clients",
    metadata,
    _id(),
    _text("name", unique=True),
    _flag("is_active", default=True),
    _int("bulk_limit", 10_000),
    _int("min_validity_days", 0),
    _maybe_int("default_wallet_id"),
    _maybe_int("orders_per_minute"),
    _maybe_int("reads_per_minute"),
    _int("created_at"),
)
credentials = Table(
    "credentials",
    metadata,
    _id(),
    _ref("client_id", "clients.id"),
    _text("api_key", unique=True),
    _text("secret_hash"),
    _text("signing_sealed"),
    _maybe_text("older_secret_hash"),
    _maybe_int("older_secret_until"),
    _maybe_text("older_signing_sealed"),
    _maybe_int("older_signing_until"),
    _text("allowlist", "[]"),
    _flag("signature_required", default=True),
    _maybe_int("revoked_at"),
    _int("created_at"),
)

# --- what -----------------------------------------------------------------------------------------
currencies = Table(
    "currencies",
    metadata,
    _id(),
    _text("code", unique=True),
    _text("name"),
    _text("symbol"),
    _int("decimal_places"),
    _flag("is_active", default=True),
    _int("created_at"),
    _int("updated_at"),
)
countries = Table(
    "countries",
    metadata,
    _id(),
    _text("code", unique=True),
    _text("name"),
    _maybe_text("currency_code"),
    _flag("is_active", default=True),
    _int("created_at"),
    _int("updated_at"),
)
categories = Table(
    "categories",
    metadata,
    _id(),
    _ref("parent_id", "categories.id", nullable=True),
    _text("name"),
    _text("slug", unique=True),
    _text("description", ""),
    _maybe_text("icon"),
    _flag("is_active", default=True),
    _int("created_at"),
    _int("updated_at"),
)
products = Table(
    "products",
    metadata,
    _id(),
    _text("code", unique=True),
    _text("name"),
    _maybe_text("brand"),
    _ref("category_id", "categories.id"),
    _ref("subcategory_id", "categories.id", nullable=True),
    _ref("country_id", "countries.id", nullable=True),
    _text("currency"),
    _text("description", ""),
    _text("terms", ""),
    _maybe_text("image_url"),
    _text("delivery_type", "code"),
    _maybe_text("validity"),
    _text("vendors", "[]"),
    _maybe_text("discount"),
    _flag("is_active", default=True),
    _int("created_at"),
    _int("updated_at"),
)
denominations = Table(
    "denominations",
    metadata,
    _ref("product_id", "products.id"),
    _int("min_value"),
    _int("max_value"),
    _maybe_text("discount"),
    PrimaryKeyConstraint("product_id", "min_value", "max_value"),
    CheckConstraint("min_value > 0 AND max_value >= min_value", name="range"),
)
client_discounts = Table(
    "client_discounts",
    metadata,
    _ref("client_id", "clients.id"),
    _ref("product_id", "products.id"),
    _text("discount"),
    PrimaryKeyConstraint("client_id", "product_id"),
)

# --- money ----------------------------------------------------------------------------------------
wallets = Table(
    "wallets",
    metadata,
    _id(),
    _ref("client_id", "clients.id"),
    _text("currency"),
    _text("account", unique=True),
    _text("type", "PREPAID"),
    _int("credit_limit", 0),
    _flag("is_active", default=True),
    _int("created_at"),
    _int("updated_at"),
    UniqueConstraint("client_id", "currency"),
)

# --- orders ---------------------------------------------------------------------------------------
orders = Table(
    "orders",
    metadata,
    _id(),
    _ref("client_id", "clients.id"),
    _text("idempotency_key"),
    _text("fingerprint"),
    _text("ref"),
    _ref("product_id", "products.id"),
    _text("product_name"),
    _text("currency"),
    _int("denomination"),
    _int("quantity"),
    _ref("wallet_id", "wallets.id"),
    _text("amount_currency"),
    _int("charged"),
    _int("refunded", 0),
    _text("price"),
    _int("min_expiry"),
    _text("status"),
    _maybe_text("sub_status"),
    _text("delivery_time"),
    _int("delivered_quantity", 0),
    _int("pending_items", 0),
    _int("from_cache", 0),
    _int("revision", 1),
    _maybe_text("email"),
    _maybe_text("mobile"),
    _maybe_text("customer_info"),
    _text("metadata", "{}"),
    _int("placed_at"),
    _maybe_int("delivered_at"),
    _int("updated_at"),
    UniqueConstraint("client_id", "idempotency_key"),
    UniqueConstraint("client_id", "ref"),
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
    _ref("order_id", "orders.id"),
    _int("ordinal"),
    _text("status"),
    _int("share"),
    _int("refunded", 0),
    _maybe_int("settled_at"),
    PrimaryKeyConstraint("order_id", "ordinal"),
    CheckConstraint("status IN ('PENDING', 'DELIVERED', 'CANCELLED')", name="status"),
    CheckConstraint("refunded >= 0 AND refunded <= share", name="refunded"),
)
transactions = Table(
    "transactions",
    metadata,
    _id(),
    _ref("wallet_id", "wallets.id"),
    _ref("order_id", "orders.id", nullable=True),
    _text("key", unique=True),
    _text("transaction_type"),
    _text("status", "COMPLETED"),
    _int("amount"),
    _text("currency"),
    _maybe_text("source_currency"),
    _maybe_text("destination_currency"),
    _maybe_text("forex_rate"),
    _maybe_text("forex_source"),
    _maybe_int("forex_as_of"),
    _maybe_int("conversion_charges"),
    _int("balance_after"),
    _text("remarks", ""),
    _int("created_at"),
)
Index("ix_transactions_wallet", transactions.c.wallet_id, transactions.c.id)
Index("ix_transactions_order", transactions.c.order_id)

# --- goods ----------------------------------------------------------------------------------------
vouchers = Table(
    "vouchers",
    metadata,
    _id(),
    _ref("product_id", "products.id"),
    _int("denomination"),
    _text("currency"),
    _text("state"),
    _maybe_text("state_reason"),
    _text("sealed"),
    _text("key_id"),
    _text("fingerprint", unique=True),
    _text("origin", unique=True),
    _maybe_text("voucher_reference_number"),
    _int("expires_at"),
    _maybe_int("order_id"),
    _maybe_int("ordinal"),
    _int("created_at"),
    _int("updated_at"),
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
Index("ix_vouchers_order", vouchers.c.order_id)
Index("ix_vouchers_key", vouchers.c.key_id, vouchers.c.id)
quarantine = Table(
    "quarantine",
    metadata,
    _id(),
    _text("origin", unique=True),
    _text("fingerprint"),
    _text("sealed"),
    _text("key_id"),
    _maybe_int("voucher_id"),
    _text("reason"),
    _int("created_at"),
)

# --- what was said --------------------------------------------------------------------------------
outbox = Table(
    "outbox",
    metadata,
    _text("event_id"),
    _ref("order_id", "orders.id"),
    _int("client_id"),
    _text("event_type"),
    _int("revision"),
    _text("data"),
    _int("created_at"),
    _maybe_int("position"),
    PrimaryKeyConstraint("event_id"),
)
Index("ix_outbox_order", outbox.c.order_id)
Index(
    "ix_outbox_unrelayed",
    outbox.c.created_at,
    postgresql_where=text("position IS NULL"),
    sqlite_where=text("position IS NULL"),
)
audit = Table(
    "audit",
    metadata,
    _id(),
    _int("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("reason", ""),
    _maybe_text("before"),
    _maybe_text("after"),
    _text("request_id", ""),
)
Index("ix_audit_subject", audit.c.subject, audit.c.id)
counters = Table(
    "counters", metadata, _text("name"), _int("value", 0), PrimaryKeyConstraint("name")
)
"""`voucher`: ids of vouchers and of quarantined ones, drawn before encryption binds to them.
`lease:…`: who does something that only one may do at a time.

`catalogue`: bumped by every change.
"""
fx_tables = Table(
    "fx_tables",
    metadata,
    _id(),
    _text("base"),
    _text("rates"),
    _text("source"),
    _int("as_of"),
    _int("fetched_at"),
    UniqueConstraint("base", "source", "as_of"),
)
