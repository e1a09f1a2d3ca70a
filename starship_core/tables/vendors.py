"""Which vendor sells which product, and what stops us from buying: switches and breakers."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table

from starship_core.tables.columns import (
    flag,
    integer,
    maybe_integer,
    maybe_string,
    metadata,
    reference,
    string,
)

product_vendors = Table(
    "product_vendors",
    metadata,
    reference("product_id", "products.id"),
    string("vendor"),
    string("vendor_product"),
    maybe_integer("minimum"),
    maybe_integer("maximum"),
    integer("priority", 100),
    maybe_integer("cost"),
    maybe_string("cost_currency"),
    maybe_integer("cost_face"),
    maybe_integer("seen_at"),
    flag("is_active", default=True),
    integer("created_at"),
    integer("updated_at"),
    PrimaryKeyConstraint("product_id", "vendor", "vendor_product"),
    CheckConstraint(
        "(cost IS NULL) = (cost_currency IS NULL) AND (cost IS NULL) = (cost_face IS NULL)",
        name="cost",
    ),
    CheckConstraint("minimum > 0 AND maximum >= minimum", name="range"),
)
"""`vendor`: the instance's name, ours. `minimum` to `maximum`: the face values (minor units of the
product's currency) that are bought as this vendor product; null: no bound. Of two that fit, the
narrower one is meant, so that a vendor with a product a denomination has a row for each.

`cost`: minor units of `cost_currency` for one unit of face value `cost_face`, last seen in the
vendor's catalogue at `seen_at`. `priority`: lower is tried first.
"""
Index("ix_product_vendors_vendor", product_vendors.c.vendor, product_vendors.c.vendor_product)
vendor_products = Table(
    "vendor_products",
    metadata,
    string("vendor"),
    string("vendor_product"),
    string("name"),
    string("currency"),
    maybe_string("country"),
    string("minimum"),
    string("maximum"),
    maybe_integer("cost"),
    maybe_string("cost_currency"),
    maybe_integer("stock"),
    integer("seen_at"),
    PrimaryKeyConstraint("vendor", "vendor_product"),
)
"""A vendor's catalogue as it was last read, so that looking into it asks the vendor nothing."""
switches = Table(
    "switches",
    metadata,
    string("scope"),
    flag("is_off", default=True),
    string("reason"),
    string("actor"),
    integer("at"),
    PrimaryKeyConstraint("scope"),
)
"""`global`, `vendor:NAME`, `product:ID`: off means that nothing is bought there.

No row: it was never switched.
"""
breakers = Table(
    "breakers",
    metadata,
    string("vendor"),
    string("operation"),
    string("failures", "[]"),
    maybe_integer("opened_at"),
    maybe_integer("trial_until"),
    string("cause", ""),
    integer("updated_at"),
    PrimaryKeyConstraint("vendor", "operation"),
)
"""`failures`: when the last calls failed (microseconds, JSON), no more than it takes to open.

`opened_at`: since when no call passes; null: closed. `trial_until`: one call at a time may try.
"""
vendor_tokens = Table(
    "vendor_tokens",
    metadata,
    string("instance"),
    string("name"),
    maybe_string("sealed"),
    integer("generation", 0),
    maybe_integer("expires_at"),
    maybe_integer("lease_until"),
    integer("updated_at"),
    PrimaryKeyConstraint("instance", "name"),
)
"""`sealed`: what the vendor let us in with, encrypted; every renewal is the next `generation`.

`lease_until`: until when one process is fetching the next one.
"""
