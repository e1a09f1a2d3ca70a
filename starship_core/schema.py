"""Which schema the database has, which one this release wants, and the way from one to the other.

A package that has tables keeps its Alembic steps in the folder `versions` of `package:migrations`:
one file a step, `v0001_baseline.py` is revision `0001`; its state is in a version table of its own.
The wanted revision is read off the file names: Alembic is imported only when it has work to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, inspect

from starship_core.database import Database, SQLite, Tx
from starship_core.errors import ConfigError

CORE: Final = "starship_core:migrations"
_LOCK: Final = 0x5354_4152  # any number that nobody else uses: "STAR"


class SchemaStatus(Struct, frozen=True):
    """Where one package's tables stand. `have` is None before the first upgrade."""

    package: str
    have: str | None
    want: str

    @property
    def is_current(self) -> bool:
        return self.have == self.want

    @property
    def is_newer(self) -> bool:
        """A later release has been here; there is no way back."""
        return self.have is not None and self.have > self.want


class Scripts(Struct, frozen=True):
    """Where one package keeps its steps."""

    package: str
    folder: Path

    @property
    def version_table(self) -> str:
        return f"{self.package}_version"

    def want(self) -> str:
        return max(_revisions(self.folder))

    def status(self, connection: Connection) -> SchemaStatus:
        have = None
        if inspect(connection).has_table(self.version_table):
            rows = connection.exec_driver_sql(
                f"SELECT version_num FROM {self.version_table}"
            ).fetchall()
            have = rows[0][0] if rows else None
        return SchemaStatus(self.package, have, self.want())


async def status(database: Database, plugins: Sequence[str] = ()) -> list[SchemaStatus]:
    """Of the core and of each plugin's `package:folder`. Changes nothing."""
    found = _found(plugins)
    return await database.read(lambda tx: [one.status(tx.connection) for one in found])


async def check(database: Database, plugins: Sequence[str] = ()) -> None:
    """Raise ConfigError unless every schema is exactly the one this release was made for."""
    _refuse(one for one in await status(database, plugins) if not one.is_current)


async def upgrade(database: Database, plugins: Sequence[str] = ()) -> list[SchemaStatus]:
    """Bring every schema to what this release wants; returns what was found before.

    One transaction for all: it happens whole or not at all, and of several processes that try at
    once one does the work and the others find it done. Raises ConfigError for a newer schema.
    """
    found = _found(plugins)
    async with _foreign_keys_off(database):
        return await database.run(_upgrade, found)


def _upgrade(tx: Tx, packages: Sequence[Scripts]) -> list[SchemaStatus]:
    if tx.dialect == "postgresql":
        # a session's limits are made for orders: another upgrade may take long, and so may an index
        for setting in ("lock_timeout = 0", "statement_timeout = 0"):
            tx.execute(f"SET LOCAL {setting}")
        tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        tx.execute("SET LOCAL lock_timeout = '10s'")  # do not queue in front of orders for long
    before = [one.status(tx.connection) for one in packages]
    _refuse(one for one in before if one.is_newer)
    for one, found in zip(packages, before, strict=True):
        if not found.is_current:
            _apply(tx.connection, one)
    if tx.dialect == "sqlite" and (broken := tx.execute("PRAGMA foreign_key_check")):
        raise RuntimeError(f"the upgrade would leave {len(broken)} rows without their parents")
    return before


def _apply(connection: Connection, package: Scripts) -> None:
    from alembic.config import Config  # noqa: PLC0415  # takes longer to import than to run
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    folder = str(package.folder)
    directory = ScriptDirectory(folder, version_locations=[folder])

    def steps(revision: Any, _context: Any) -> Any:
        return directory._upgrade_revs("head", revision)  # noqa: SLF001  # as `alembic upgrade` does

    with EnvironmentContext(Config(), directory, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection, version_table=package.version_table)
        environment.run_migrations()


def _found(plugins: Sequence[str]) -> list[Scripts]:
    locations = list(dict.fromkeys((CORE, *plugins)))
    found = [scripts(location) for location in locations]
    if missing := [where for where, one in zip(locations, found, strict=True) if one is None]:
        raise ConfigError(
            [f"{where}: no migrations there (versions/v0001_….py)" for where in missing]
        )
    return [one for one in found if one]


def scripts(location: str) -> Scripts | None:
    """What is at `package:folder`, without importing it; None when there are no steps."""
    package, _, folder = location.partition(":")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    versions = Path(spec.origin).parent / folder / "versions"
    return Scripts(package, versions) if _revisions(versions) else None


def _revisions(folder: Path) -> list[str]:
    return [file.stem[1:5] for file in folder.glob("v[0-9][0-9][0-9][0-9]_*.py")]


def _refuse(statuses: Iterable[SchemaStatus]) -> None:
    problems = []
    for one in statuses:
        tables = f"the database's tables of {one.package} are"
        if one.is_newer:
            problems.append(
                f"{tables} at revision {one.have}, made by a newer release (this one knows "
                f"{one.want}): install that release and run `starship db upgrade` with it, "
                f"or restore the backup from before"
            )
        elif one.have is None:
            problems.append(f"{tables} not there yet: run `starship db upgrade`")
        else:
            problems.append(
                f"{tables} at revision {one.have}, this release wants {one.want}: "
                f"run `starship db upgrade`"
            )
    if problems:
        raise ConfigError(problems)


@asynccontextmanager
async def _foreign_keys_off(database: Database) -> AsyncIterator[None]:
    """SQLite changes a table by making it anew, which its foreign keys would not survive.

    They can be switched between transactions only, and the writer has one connection.
    """
    if not isinstance(database, SQLite):
        yield
        return
    _pragma(database, "foreign_keys = OFF")
    try:
        yield
    finally:
        _pragma(database, "foreign_keys = ON")


def _pragma(database: SQLite, setting: str) -> None:
    connection = database.writer.raw_connection()
    try:
        connection.cursor().execute(f"PRAGMA {setting}")
    finally:
        connection.close()  # back into the pool
