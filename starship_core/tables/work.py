"""What was done, by whom, and who does something at the moment."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from starship_core.tables.columns import (
    identity,
    integer,
    maybe_integer,
    maybe_string,
    metadata,
    string,
)

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
cron_slots = Table(
    "cron_slots",
    metadata,
    string("kind"),
    integer("slot"),
    string("token"),
    string("worker"),
    integer("claims", 1),
    integer("claimed_at"),
    integer("held_until"),
    maybe_integer("ended_at"),
    PrimaryKeyConstraint("kind", "slot"),
)
"""A slot of a kind is one row, so it is run once; `token` says whose writes still count."""
sweep_runs = Table(
    "sweep_runs",
    metadata,
    string("kind"),
    integer("runs", 0),
    integer("failures", 0),
    integer("began_at"),
    integer("ended_at"),
    string("result"),
    integer("done", 0),
    string("worker"),
    PrimaryKeyConstraint("kind"),
)
"""Of each kind how often it ran, and how the last run ended."""
workers = Table(
    "workers",
    metadata,
    string("name"),
    string("host"),
    integer("pid"),
    integer("started_at"),
    integer("polled_at"),
    integer("skew"),
    PrimaryKeyConstraint("name"),
)
"""Who polls for work; alive is who did so lately. `skew`: the database's clock less its own."""
