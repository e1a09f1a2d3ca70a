"""starship_wallet_ledger, revision 0001: accounts, transactions, postings, and what keeps them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("ledger_transactions", "ledger_postings")


def upgrade() -> None:
    op.create_table(
        "ledger_accounts",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("balance", BigInt, server_default="0", nullable=False),
        sa.Column("floor", BigInt, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_ledger_accounts"),
        sa.CheckConstraint("floor <= 0", name="ck_ledger_accounts_floor"),
        # above the upper bound the next sum might not fit a bigint, which SQLite would not refuse
        sa.CheckConstraint(
            "balance >= floor AND balance <= 1000000000000000000", name="ck_ledger_accounts_balance"
        ),
    )
    op.create_table(
        "ledger_transactions",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("of_key", sa.Text(), nullable=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_transactions"),
        sa.UniqueConstraint("key", name="uq_ledger_transactions_key"),
        sa.CheckConstraint(
            "(kind IN ('debit', 'credit') AND of_key IS NULL)"
            " OR (kind IN ('refund', 'reversal') AND of_key IS NOT NULL)",
            name="ck_ledger_transactions_kind",
        ),
    )
    op.create_index("ix_ledger_transactions_account", "ledger_transactions", ["account", "at"])
    op.create_index(
        "ix_ledger_transactions_of",
        "ledger_transactions",
        ["of_key"],
        postgresql_where=sa.text("of_key IS NOT NULL"),
        sqlite_where=sa.text("of_key IS NOT NULL"),
    )
    op.create_table(
        "ledger_postings",
        sa.Column("transaction_id", BigInt, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("minor", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "account", name="pk_ledger_postings"),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name="fk_ledger_postings_transaction_id"
        ),
    )
    triggers = _on_postgresql if op.get_bind().dialect.name == "postgresql" else _on_sqlite
    for statement in triggers():
        op.execute(statement)


def _on_postgresql() -> list[str]:
    """One call a statement, none for an INSERT."""
    refuse = """
        CREATE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '% on %: ledger rows are never changed', TG_OP, TG_TABLE_NAME; END $$
    """
    return [
        refuse,
        *(
            f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
            for table in APPEND_ONLY
        ),
        (
            "CREATE TRIGGER ledger_accounts_kept BEFORE DELETE OR TRUNCATE ON ledger_accounts"
            " FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        ),
        (
            "CREATE TRIGGER ledger_accounts_named"
            " BEFORE UPDATE OF account, currency ON ledger_accounts"
            " FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        ),
    ]


def _on_sqlite() -> list[str]:
    """SQLite wants a trigger for each event."""

    def trigger(table: str, event: str) -> str:
        name = f"{table}_kept_from_{event.split(maxsplit=1)[0].lower()}"
        return (
            f"CREATE TRIGGER {name} BEFORE {event} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{event} on {table}: ledger rows are never changed'); END"
        )

    return [
        *(trigger(table, event) for table in APPEND_ONLY for event in ("UPDATE", "DELETE")),
        trigger("ledger_accounts", "DELETE"),
        trigger("ledger_accounts", "UPDATE OF account, currency"),
    ]
