"""Alembic scripts, run by `starship_core.schema`: one file a step, `v0001_…` is revision 0001."""
