"""What was done, by whom, and who does something at the moment."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from starship_core.tables.columns import identity, integer, maybe_string, metadata, string

audit = Table(
    "audit",
    metadata,
    identity(),
    integer("at"),
    string("actor"),
    string("action"),
    string("subject"),
    string("reason", ""),
    maybe_string("before"),
    maybe_string("after"),
    string("request_id", ""),
)
Index("ix_audit_subject", audit.c.subject, audit.c.id)
counters = Table(
    "counters", metadata, string("name"), integer("value", 0), PrimaryKeyConstraint("name")
)
"""`voucher`: ids of vouchers and of quarantined ones, drawn before encryption binds to them.
`lease:…`: who does something that only one may do at a time.

`catalogue`: bumped by every change.
"""
