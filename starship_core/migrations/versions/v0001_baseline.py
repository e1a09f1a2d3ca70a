"""starship_core, revision 0001: baseline."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("at", BigInt, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "id"], unique=False)
    op.create_table(
        "breakers",
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("failures", sa.Text(), server_default="[]", nullable=False),
        sa.Column("opened_at", BigInt, nullable=True),
        sa.Column("trial_until", BigInt, nullable=True),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("vendor", "operation", name=op.f("pk_breakers")),
    )
    op.create_table(
        "categories",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("parent_id", BigInt, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("icon", sa.Text(), nullable=True),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["categories.id"], name=op.f("fk_categories_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_categories")),
        sa.UniqueConstraint("slug", name=op.f("uq_categories_slug")),
    )
    op.create_table(
        "clients",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("bulk_limit", BigInt, server_default="10000", nullable=False),
        sa.Column("min_validity_days", BigInt, server_default="0", nullable=False),
        sa.Column("default_wallet_id", BigInt, nullable=True),
        sa.Column("orders_per_minute", BigInt, nullable=True),
        sa.Column("reads_per_minute", BigInt, nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
        sa.UniqueConstraint("name", name=op.f("uq_clients_name")),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", BigInt, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "countries",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency_code", sa.Text(), nullable=True),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_countries")),
        sa.UniqueConstraint("code", name=op.f("uq_countries_code")),
    )
    op.create_table(
        "cron_slots",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("slot", BigInt, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("claims", BigInt, server_default="1", nullable=False),
        sa.Column("claimed_at", BigInt, nullable=False),
        sa.Column("held_until", BigInt, nullable=False),
        sa.Column("ended_at", BigInt, nullable=True),
        sa.PrimaryKeyConstraint("kind", "slot", name=op.f("pk_cron_slots")),
    )
    op.create_table(
        "currencies",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("decimal_places", BigInt, nullable=False),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_currencies")),
        sa.UniqueConstraint("code", name=op.f("uq_currencies_code")),
    )
    op.create_table(
        "fx_tables",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("rates", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("as_of", BigInt, nullable=False),
        sa.Column("fetched_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fx_tables")),
        sa.UniqueConstraint("base", "source", "as_of", name=op.f("uq_fx_tables_base_source_as_of")),
    )
    op.create_table(
        "notices",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), server_default="{}", nullable=False),
        sa.Column("status", sa.Text(), server_default="PENDING", nullable=False),
        sa.Column("attempts", BigInt, server_default="0", nullable=False),
        sa.Column("due_at", BigInt, nullable=True),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("sent_to", sa.Text(), server_default="[]", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("sent_at", BigInt, nullable=True),
        sa.CheckConstraint(
            "(status = 'PENDING') = (due_at IS NOT NULL)", name=op.f("ck_notices_due")
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'SENT', 'FAILED')", name=op.f("ck_notices_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_notices_key")),
    )
    op.create_index(
        "ix_notices_due",
        "notices",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING'"),
        sqlite_where=sa.text("status = 'PENDING'"),
    )
    op.create_table(
        "operator_tokens",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("abilities", sa.Text(), server_default="[]", nullable=False),
        sa.Column("revoked_at", BigInt, nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_operator_tokens_token_hash")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("voucher_id", BigInt, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("origin", name=op.f("uq_quarantine_origin")),
    )
    op.create_table(
        "sweep_runs",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("runs", BigInt, server_default="0", nullable=False),
        sa.Column("failures", BigInt, server_default="0", nullable=False),
        sa.Column("began_at", BigInt, nullable=False),
        sa.Column("ended_at", BigInt, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("done", BigInt, server_default="0", nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_sweep_runs")),
    )
    op.create_table(
        "switches",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("is_off", BigInt, server_default="1", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_switches")),
    )
    op.create_table(
        "vendor_products",
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("vendor_product", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("minimum", sa.Text(), nullable=False),
        sa.Column("maximum", sa.Text(), nullable=False),
        sa.Column("cost", BigInt, nullable=True),
        sa.Column("cost_currency", sa.Text(), nullable=True),
        sa.Column("stock", BigInt, nullable=True),
        sa.Column("seen_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("vendor", "vendor_product", name=op.f("pk_vendor_products")),
    )
    op.create_table(
        "vendor_tokens",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("generation", BigInt, server_default="0", nullable=False),
        sa.Column("expires_at", BigInt, nullable=True),
        sa.Column("lease_until", BigInt, nullable=True),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("instance", "name", name=op.f("pk_vendor_tokens")),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", BigInt, nullable=False),
        sa.Column("started_at", BigInt, nullable=False),
        sa.Column("polled_at", BigInt, nullable=False),
        sa.Column("skew", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "credentials",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("api_key", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("signing_sealed", sa.Text(), nullable=False),
        sa.Column("older_secret_hash", sa.Text(), nullable=True),
        sa.Column("older_secret_until", BigInt, nullable=True),
        sa.Column("older_signing_sealed", sa.Text(), nullable=True),
        sa.Column("older_signing_until", BigInt, nullable=True),
        sa.Column("allowlist", sa.Text(), server_default="[]", nullable=False),
        sa.Column("signature_required", BigInt, server_default="1", nullable=False),
        sa.Column("revoked_at", BigInt, nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_credentials_client_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("api_key", name=op.f("uq_credentials_api_key")),
    )
    op.create_table(
        "policy_spending",
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("day", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("spent", BigInt, server_default="0", nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.CheckConstraint("spent >= 0", name=op.f("ck_policy_spending_spent")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_policy_spending_client_id")
        ),
        sa.PrimaryKeyConstraint("client_id", "day", "currency", name=op.f("pk_policy_spending")),
    )
    op.create_table(
        "products",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("category_id", BigInt, nullable=False),
        sa.Column("subcategory_id", BigInt, nullable=True),
        sa.Column("country_id", BigInt, nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("terms", sa.Text(), server_default="", nullable=False),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("delivery_type", sa.Text(), server_default="code", nullable=False),
        sa.Column("validity", sa.Text(), nullable=True),
        sa.Column("vendors", sa.Text(), server_default="[]", nullable=False),
        sa.Column("discount", sa.Text(), nullable=True),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_products_category_id")
        ),
        sa.ForeignKeyConstraint(
            ["country_id"], ["countries.id"], name=op.f("fk_products_country_id")
        ),
        sa.ForeignKeyConstraint(
            ["subcategory_id"], ["categories.id"], name=op.f("fk_products_subcategory_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("code", name=op.f("uq_products_code")),
    )
    op.create_table(
        "wallets",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), server_default="PREPAID", nullable=False),
        sa.Column("credit_limit", BigInt, server_default="0", nullable=False),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_wallets_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallets")),
        sa.UniqueConstraint("account", name=op.f("uq_wallets_account")),
        sa.UniqueConstraint("client_id", "currency", name=op.f("uq_wallets_client_id_currency")),
    )
    op.create_table(
        "client_discounts",
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("discount", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_client_discounts_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_client_discounts_product_id")
        ),
        sa.PrimaryKeyConstraint("client_id", "product_id", name=op.f("pk_client_discounts")),
    )
    op.create_table(
        "denominations",
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("min_value", BigInt, nullable=False),
        sa.Column("max_value", BigInt, nullable=False),
        sa.Column("discount", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "min_value > 0 AND max_value >= min_value", name=op.f("ck_denominations_range")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_denominations_product_id")
        ),
        sa.PrimaryKeyConstraint(
            "product_id", "min_value", "max_value", name=op.f("pk_denominations")
        ),
    )
    op.create_table(
        "orders",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("denomination", BigInt, nullable=False),
        sa.Column("quantity", BigInt, nullable=False),
        sa.Column("wallet_id", BigInt, nullable=False),
        sa.Column("amount_currency", sa.Text(), nullable=False),
        sa.Column("charged", BigInt, nullable=False),
        sa.Column("refunded", BigInt, server_default="0", nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("min_expiry", BigInt, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sub_status", sa.Text(), nullable=True),
        sa.Column("delivery_time", sa.Text(), nullable=False),
        sa.Column("delivered_quantity", BigInt, server_default="0", nullable=False),
        sa.Column("pending_items", BigInt, server_default="0", nullable=False),
        sa.Column("from_cache", BigInt, server_default="0", nullable=False),
        sa.Column("revision", BigInt, server_default="1", nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("mobile", sa.Text(), nullable=True),
        sa.Column("customer_info", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), server_default="{}", nullable=False),
        sa.Column("placed_at", BigInt, nullable=False),
        sa.Column("delivered_at", BigInt, nullable=True),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_orders_quantity")),
        sa.CheckConstraint(
            "refunded >= 0 AND refunded <= charged", name=op.f("ck_orders_refunded")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_orders_client_id")),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_orders_product_id")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallets.id"], name=op.f("fk_orders_wallet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint(
            "idempotency_key", "client_id", name=op.f("uq_orders_idempotency_key_client_id")
        ),
        sa.UniqueConstraint("ref", "client_id", name=op.f("uq_orders_ref_client_id")),
    )
    op.create_index(
        "ix_orders_client_placed", "orders", ["client_id", "placed_at", "id"], unique=False
    )
    op.create_index(
        "ix_orders_waiting",
        "orders",
        ["placed_at", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('PENDING', 'PARTIALLY_DELIVERED')"),
        sqlite_where=sa.text("status IN ('PENDING', 'PARTIALLY_DELIVERED')"),
    )
    op.create_table(
        "product_vendors",
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("vendor_product", sa.Text(), nullable=False),
        sa.Column("minimum", BigInt, nullable=True),
        sa.Column("maximum", BigInt, nullable=True),
        sa.Column("priority", BigInt, server_default="100", nullable=False),
        sa.Column("cost", BigInt, nullable=True),
        sa.Column("cost_currency", sa.Text(), nullable=True),
        sa.Column("cost_face", BigInt, nullable=True),
        sa.Column("seen_at", BigInt, nullable=True),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.CheckConstraint(
            "(cost IS NULL) = (cost_currency IS NULL) AND (cost IS NULL) = (cost_face IS NULL)",
            name=op.f("ck_product_vendors_cost"),
        ),
        sa.CheckConstraint(
            "minimum > 0 AND maximum >= minimum", name=op.f("ck_product_vendors_range")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_product_vendors_product_id")
        ),
        sa.PrimaryKeyConstraint(
            "product_id", "vendor", "vendor_product", name=op.f("pk_product_vendors")
        ),
    )
    op.create_index(
        "ix_product_vendors_vendor", "product_vendors", ["vendor", "vendor_product"], unique=False
    )
    op.create_table(
        "targets",
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("denomination", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("minimum", BigInt, nullable=False),
        sa.Column("maximum", BigInt, nullable=False),
        sa.Column("budget", BigInt, nullable=True),
        sa.Column("budget_currency", sa.Text(), nullable=True),
        sa.Column("vendors", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.CheckConstraint(
            "(budget IS NULL) = (budget_currency IS NULL) AND coalesce(budget, 1) > 0",
            name=op.f("ck_targets_budget"),
        ),
        sa.CheckConstraint("minimum > 0 AND maximum >= minimum", name=op.f("ck_targets_range")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_targets_product_id")
        ),
        sa.PrimaryKeyConstraint("product_id", "denomination", "currency", name=op.f("pk_targets")),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("credential_id", BigInt, nullable=True),
        sa.Column("secret_sealed", sa.Text(), nullable=True),
        sa.Column("is_active", BigInt, server_default="1", nullable=False),
        sa.Column("inactive_reason", sa.Text(), nullable=True),
        sa.Column("failures", BigInt, server_default="0", nullable=False),
        sa.Column("failing_since", BigInt, nullable=True),
        sa.Column("last_success_at", BigInt, nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.Column("deleted_at", BigInt, nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_webhooks_client_id")),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.id"], name=op.f("fk_webhooks_credential_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(
        "uq_webhooks_fingerprint",
        "webhooks",
        ["client_id", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("order_id", BigInt, nullable=True),
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("denomination", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("case_seen", sa.Text(), nullable=True),
        sa.Column("verdicts", sa.Text(), nullable=True),
        sa.Column("items", sa.Text(), server_default="[]", nullable=False),
        sa.Column("vendors", sa.Text(), nullable=False),
        sa.Column("ceiling", BigInt, nullable=False),
        sa.Column("ceiling_currency", sa.Text(), nullable=False),
        sa.Column("planned", BigInt, server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expires_at", BigInt, nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.CheckConstraint(
            "(state = 'STANDING') <= (order_id IS NULL)", name=op.f("ck_approvals_standing")
        ),
        sa.CheckConstraint(
            "state IN ('OPEN', 'USED', 'STANDING', 'ENDED')", name=op.f("ck_approvals_state")
        ),
        sa.CheckConstraint(
            "planned >= 0 AND planned <= ceiling", name=op.f("ck_approvals_planned")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_approvals_order_id")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_approvals_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index("ix_approvals_order", "approvals", ["order_id"], unique=False)
    op.create_index(
        "ix_approvals_standing",
        "approvals",
        ["product_id", "denomination", "currency"],
        unique=False,
        postgresql_where=sa.text("state = 'STANDING'"),
        sqlite_where=sa.text("state = 'STANDING'"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("webhook_id", BigInt, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_at", BigInt, nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", BigInt, server_default="0", nullable=False),
        sa.Column("due_at", BigInt, nullable=True),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("delivered_at", BigInt, nullable=True),
        sa.CheckConstraint(
            "(status = 'PENDING') = (due_at IS NOT NULL)", name=op.f("ck_deliveries_due")
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'DELIVERED', 'FAILED')", name=op.f("ck_deliveries_status")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "webhook_id", "event_id", name=op.f("uq_deliveries_webhook_id_event_id")
        ),
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["webhook_id", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING'"),
        sqlite_where=sa.text("status = 'PENDING'"),
    )
    op.create_index("ix_deliveries_webhook", "deliveries", ["webhook_id", "id"], unique=False)
    op.create_table(
        "items",
        sa.Column("order_id", BigInt, nullable=False),
        sa.Column("ordinal", BigInt, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("share", BigInt, nullable=False),
        sa.Column("refunded", BigInt, server_default="0", nullable=False),
        sa.Column("settled_at", BigInt, nullable=True),
        sa.CheckConstraint(
            "status IN ('PENDING', 'DELIVERED', 'CANCELLED')", name=op.f("ck_items_status")
        ),
        sa.CheckConstraint("refunded >= 0 AND refunded <= share", name=op.f("ck_items_refunded")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_items_order_id")),
        sa.PrimaryKeyConstraint("order_id", "ordinal", name=op.f("pk_items")),
    )
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("order_id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("revision", BigInt, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("position", BigInt, nullable=True),
        sa.Column("relayed_at", BigInt, nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_outbox_order_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_order", "outbox", ["order_id"], unique=False)
    op.create_index(
        "ix_outbox_unrelayed",
        "outbox",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("position IS NULL"),
        sqlite_where=sa.text("position IS NULL"),
    )
    op.create_index(
        "uq_outbox_feed",
        "outbox",
        ["client_id", "position"],
        unique=True,
        postgresql_where=sa.text("position IS NOT NULL"),
        sqlite_where=sa.text("position IS NOT NULL"),
    )
    op.create_table(
        "refusals",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("order_id", BigInt, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("is_open", BigInt, server_default="1", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_refusals_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusals")),
    )
    op.create_index(
        "uq_refusals_open",
        "refusals",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("is_open = 1"),
        sqlite_where=sa.text("is_open = 1"),
    )
    op.create_table(
        "transactions",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("wallet_id", BigInt, nullable=False),
        sa.Column("order_id", BigInt, nullable=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("transaction_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="COMPLETED", nullable=False),
        sa.Column("amount", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("source_currency", sa.Text(), nullable=True),
        sa.Column("destination_currency", sa.Text(), nullable=True),
        sa.Column("forex_rate", sa.Text(), nullable=True),
        sa.Column("forex_source", sa.Text(), nullable=True),
        sa.Column("forex_as_of", BigInt, nullable=True),
        sa.Column("conversion_charges", BigInt, nullable=True),
        sa.Column("balance_after", BigInt, nullable=False),
        sa.Column("remarks", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_transactions_order_id")),
        sa.ForeignKeyConstraint(
            ["wallet_id"], ["wallets.id"], name=op.f("fk_transactions_wallet_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transactions")),
        sa.UniqueConstraint("key", name=op.f("uq_transactions_key")),
    )
    op.create_index("ix_transactions_order", "transactions", ["order_id"], unique=False)
    op.create_index("ix_transactions_wallet", "transactions", ["wallet_id", "id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("order_id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("case_seen", sa.Text(), nullable=False),
        sa.Column("verdicts", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("day", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("face", BigInt, nullable=False),
        sa.Column("approval_id", BigInt, nullable=True),
        sa.Column("again_at", BigInt, nullable=True),
        sa.Column("decided_at", BigInt, nullable=False),
        sa.CheckConstraint(
            "(outcome = 'Allow') = (approval_id IS NOT NULL)", name=op.f("ck_decisions_approval")
        ),
        sa.CheckConstraint(
            "outcome IN ('Allow', 'AskOperator', 'Refuse')", name=op.f("ck_decisions_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_decisions_approval_id")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_decisions_client_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_decisions_order_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_decisions")),
    )
    op.create_index(
        "ix_decisions_client_day", "decisions", ["client_id", "day", "currency"], unique=False
    )
    op.create_index(
        "uq_decisions_approval",
        "decisions",
        ["approval_id"],
        unique=True,
        postgresql_where=sa.text("approval_id IS NOT NULL"),
        sqlite_where=sa.text("approval_id IS NOT NULL"),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", BigInt, nullable=False),
        sa.Column("number", BigInt, nullable=False),
        sa.Column("at", BigInt, nullable=False),
        sa.Column("milliseconds", BigInt, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_attempts_delivery_id")
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempts")),
    )
    op.create_table(
        "purchases",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("approval_id", BigInt, nullable=False),
        sa.Column("order_id", BigInt, nullable=True),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("vendor_product", sa.Text(), nullable=False),
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("denomination", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("quantity", BigInt, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("vendor_reference", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ceiling", BigInt, nullable=False),
        sa.Column("ceiling_currency", sa.Text(), nullable=False),
        sa.Column("charged", BigInt, nullable=True),
        sa.Column("charged_currency", sa.Text(), nullable=True),
        sa.Column("price_flag", BigInt, server_default="0", nullable=False),
        sa.Column("is_late", BigInt, server_default="0", nullable=False),
        sa.Column("received", BigInt, server_default="0", nullable=False),
        sa.Column("due_at", BigInt, nullable=True),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("lease_until", BigInt, server_default="0", nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("sender_until", BigInt, server_default="0", nullable=False),
        sa.Column("attempts", BigInt, server_default="0", nullable=False),
        sa.Column("looks", BigInt, server_default="0", nullable=False),
        sa.Column("waiting_since", BigInt, nullable=True),
        sa.Column("not_found", sa.Text(), server_default="[]", nullable=False),
        sa.Column("sender_ended_at", BigInt, nullable=True),
        sa.Column("raw_sealed", sa.Text(), nullable=True),
        sa.Column("raw_key_id", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        sa.Column("planned_at", BigInt, nullable=False),
        sa.Column("sent_at", BigInt, nullable=True),
        sa.Column("closed_at", BigInt, nullable=True),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (state NOT IN ('BOUGHT','REFUSED','NOT_BOUGHT','VOIDED'))",
            name=op.f("ck_purchases_closed"),
        ),
        sa.CheckConstraint(
            "state IN ('PLANNED', 'NOT_BOUGHT', 'VOIDED') OR sent_at > 0",
            name=op.f("ck_purchases_sent"),
        ),
        sa.CheckConstraint("quantity > 0 AND ceiling >= 0", name=op.f("ck_purchases_quantity")),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_purchases_approval_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_purchases_order_id")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_purchases_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchases")),
        sa.UniqueConstraint("reference", name=op.f("uq_purchases_reference")),
    )
    op.create_index(
        "ix_purchases_ahead",
        "purchases",
        ["product_id", "denomination", "currency"],
        unique=False,
        postgresql_where=sa.text("order_id IS NULL"),
        sqlite_where=sa.text("order_id IS NULL"),
    )
    op.create_index("ix_purchases_approval", "purchases", ["approval_id"], unique=False)
    op.create_index(
        "ix_purchases_due",
        "purchases",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_purchases_order", "purchases", ["order_id"], unique=False)
    op.create_table(
        "vouchers",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("product_id", BigInt, nullable=False),
        sa.Column("denomination", BigInt, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("voucher_reference_number", sa.Text(), nullable=True),
        sa.Column("expires_at", BigInt, nullable=False),
        sa.Column("order_id", BigInt, nullable=True),
        sa.Column("ordinal", BigInt, nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.Column("updated_at", BigInt, nullable=False),
        sa.CheckConstraint(
            "(state = 'assigned') <= (order_id IS NOT NULL)", name=op.f("ck_vouchers_assigned")
        ),
        sa.CheckConstraint(
            "state IN ('received', 'pooled', 'assigned', 'blocked', 'expired', 'quarantined')",
            name=op.f("ck_vouchers_state"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id", "ordinal"],
            ["items.order_id", "items.ordinal"],
            name=op.f("fk_vouchers_order_id_ordinal"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_vouchers_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vouchers")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_vouchers_fingerprint")),
        sa.UniqueConstraint("origin", name=op.f("uq_vouchers_origin")),
    )
    op.create_index("ix_vouchers_key", "vouchers", ["key_id", "id"], unique=False)
    op.create_index("ix_vouchers_order", "vouchers", ["order_id"], unique=False)
    op.create_index(
        "ix_vouchers_perishable",
        "vouchers",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('received', 'pooled')"),
        sqlite_where=sa.text("state IN ('received', 'pooled')"),
    )
    op.create_index(
        "ix_vouchers_pooled",
        "vouchers",
        ["product_id", "denomination", "currency", "expires_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pooled'"),
        sqlite_where=sa.text("state = 'pooled'"),
    )
    op.create_index(
        "ix_vouchers_received",
        "vouchers",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'received'"),
        sqlite_where=sa.text("state = 'received'"),
    )
    op.create_index(
        "uq_vouchers_item",
        "vouchers",
        ["order_id", "ordinal"],
        unique=True,
        postgresql_where=sa.text("state = 'assigned'"),
        sqlite_where=sa.text("state = 'assigned'"),
    )
    op.create_table(
        "purchase_items",
        sa.Column("purchase_id", BigInt, nullable=False),
        sa.Column("order_id", BigInt, nullable=False),
        sa.Column("ordinal", BigInt, nullable=False),
        sa.Column("is_open", BigInt, server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id", "ordinal"],
            ["items.order_id", "items.ordinal"],
            name=op.f("fk_purchase_items_order_id_ordinal"),
        ),
        sa.ForeignKeyConstraint(
            ["purchase_id"], ["purchases.id"], name=op.f("fk_purchase_items_purchase_id")
        ),
        sa.PrimaryKeyConstraint("purchase_id", "ordinal", name=op.f("pk_purchase_items")),
    )
    op.create_index(
        "uq_purchase_items_open",
        "purchase_items",
        ["order_id", "ordinal"],
        unique=True,
        postgresql_where=sa.text("is_open = 1"),
        sqlite_where=sa.text("is_open = 1"),
    )
