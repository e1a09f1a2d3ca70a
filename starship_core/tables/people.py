"""Who: clients and their credentials, operators and their tokens."""

from __future__ import annotations

from sqlalchemy import Table

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

clients = Table(
    "clients",
    metadata,
    identity(),
    string("name", unique=True),
    flag("is_active", default=True),
    integer("bulk_limit", 10_000),
    integer("min_validity_days", 0),
    maybe_integer("default_wallet_id"),
    maybe_integer("orders_per_minute"),
    maybe_integer("reads_per_minute"),
    integer("created_at"),
)
credentials = Table(
    "credentials",
    metadata,
    identity(),
    reference("client_id", "clients.id"),
    string("api_key", unique=True),
    string("secret_hash"),
    string("signing_sealed"),
    maybe_string("older_secret_hash"),
    maybe_integer("older_secret_until"),
    maybe_string("older_signing_sealed"),
    maybe_integer("older_signing_until"),
    string("allowlist", "[]"),
    flag("signature_required", default=True),
    maybe_integer("revoked_at"),
    integer("created_at"),
)
operator_tokens = Table(
    "operator_tokens",
    metadata,
    identity(),
    string("name"),
    string("token_hash", unique=True),
    string("abilities", "[]"),
    maybe_integer("revoked_at"),
    integer("created_at"),
)
