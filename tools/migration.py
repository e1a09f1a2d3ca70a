"""Write the Alembic script that leads from the last revision to what `tables` says now.

    python tools/migration.py starship_core add_discounts   the next revision
    python tools/migration.py starship_core --baseline      v0001 anew: before the first release

A package has `tables.metadata` and a folder `migrations/versions`. What is written is a proposal.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData

from starship_core import schema
from starship_core.database import Tx, opened

_FILE = '''"""{title}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    {body}
'''


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", help="what the step does, in snake case")
    which.add_argument("--baseline", action="store_true", help="write v0001 anew")
    chosen = parser.parse_args(arguments)

    tables = import_module(f"{chosen.package}.tables")
    folder = Path(*import_module(chosen.package).__path__) / "migrations" / "versions"
    if chosen.baseline:
        file = write(chosen.package, tables.metadata, folder, name="baseline", last="0000")
    else:
        scripts = schema.scripts(f"{chosen.package}:migrations")
        last = scripts.want() if scripts else "0000"
        file = write(chosen.package, tables.metadata, folder, name=chosen.name, last=last)
    print(file)
    return 0


def write(package: str, metadata: MetaData, folder: Path, *, name: str, last: str) -> Path:
    """The script after revision `last` (`0000`: an empty database). Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    revision = f"{int(last) + 1:04}"
    file = folder / f"v{revision}_{name}.py"
    body = asyncio.run(_difference(package, metadata, empty=last == "0000"))
    down = "None" if last == "0000" else f'"{last}"'
    title = f"{package}, revision {revision}: {name.replace('_', ' ')}"
    file.write_text(_FILE.format(title=title, revision=revision, down=down, body=body))
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", file], check=True)
    return file


async def _difference(package: str, metadata: MetaData, *, empty: bool) -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with opened("sqlite:///draft.db", folder=Path(folder), connections=1) as database:
            if not empty:
                await schema.upgrade(database, [f"{package}:migrations"])
            return await database.run(_render, metadata)


def _render(tx: Tx, metadata: MetaData) -> str:
    context = MigrationContext.configure(tx.connection, opts={"include_object": _ours(metadata)})
    operations = produce_migrations(context, metadata).upgrade_ops
    assert operations is not None
    lines = render_python_code(operations, render_item=_item).splitlines()
    return "\n    ".join(line for line in lines if not line.lstrip().startswith("# ###"))


def _ours(metadata: MetaData) -> Any:
    """Other packages' tables, and the version tables, are not ours to drop."""

    def wanted(_object: Any, name: str, kind: str, *_more: Any) -> bool:
        return kind != "table" or name in metadata.tables

    return wanted


def _item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """`BigInt`, instead of its definition on every line."""
    return "BigInt" if kind == "type" and getattr(item, "_variant_mapping", None) else False


if __name__ == "__main__":
    sys.exit(main())
