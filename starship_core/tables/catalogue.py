"""What is sold: products, their shelves and prices, and what currencies are worth."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

from starship_core.tables.columns import (
    flag,
    identity,
    integer,
    maybe_string,
    metadata,
    reference,
    string,
)

currencies = Table(
    "currencies",
    metadata,
    identity(),
    string("code", unique=True),
    string("name"),
    string("symbol"),
    integer("decimal_places"),
    flag("is_active", default=True),
    integer("created_at"),
    integer("updated_at"),
)
countries = Table(
    "countries",
    metadata,
    identity(),
    string("code", unique=True),
    string("name"),
    maybe_string("currency_code"),
    flag("is_active", default=True),
    integer("created_at"),
    integer("updated_at"),
)
categories = Table(
    "categories",
    metadata,
    identity(),
    reference("parent_id", "categories.id", nullable=True),
    string("name"),
    string("slug", unique=True),
    string("description", ""),
    maybe_string("icon"),
    flag("is_active", default=True),
    integer("created_at"),
    integer("updated_at"),
)
products = Table(
    "products",
    metadata,
    identity(),
    string("code", unique=True),
    string("name"),
    maybe_string("brand"),
    reference("category_id", "categories.id"),
    reference("subcategory_id", "categories.id", nullable=True),
    reference("country_id", "countries.id", nullable=True),
    string("currency"),
    string("description", ""),
    string("terms", ""),
    maybe_string("image_url"),
    string("delivery_type", "code"),
    maybe_string("validity"),
    string("vendors", "[]"),
    maybe_string("discount"),
    flag("is_active", default=True),
    integer("created_at"),
    integer("updated_at"),
)
denominations = Table(
    "denominations",
    metadata,
    reference("product_id", "products.id"),
    integer("min_value"),
    integer("max_value"),
    maybe_string("discount"),
    PrimaryKeyConstraint("product_id", "min_value", "max_value"),
    CheckConstraint("min_value > 0 AND max_value >= min_value", name="range"),
)
client_discounts = Table(
    "client_discounts",
    metadata,
    reference("client_id", "clients.id"),
    reference("product_id", "products.id"),
    string("discount"),
    PrimaryKeyConstraint("client_id", "product_id"),
)
fx_tables = Table(
    "fx_tables",
    metadata,
    identity(),
    string("base"),
    string("rates"),
    string("source"),
    integer("as_of"),
    integer("fetched_at"),
    UniqueConstraint("base", "source", "as_of"),
)
