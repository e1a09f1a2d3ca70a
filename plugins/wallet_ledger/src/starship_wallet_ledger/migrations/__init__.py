"""Alembic steps of the ledger's tables; `starship db upgrade` runs them."""
