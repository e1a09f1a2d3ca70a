"""`starship db …`: the database's schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, changing, grid, reading, warnings_only

if TYPE_CHECKING:
    from starship_core.audit import By
    from starship_core.database import PostgreSQL, SQLite
    from starship_core.schema import SchemaStatus


@click.group()
def db() -> None:
    """Look at the database's schema and bring it up to date.

    \b
    Examples:
      starship db status
      starship db upgrade --as ana
    """


@db.command()
@reading
async def status(call: Call) -> None:
    """Show which schema the database has and which one this release wants.

    \b
    Examples:
      starship db status --json
    """
    from starship_core import schema

    async with _database(call) as (database, packages):
        _answer(call, await schema.status(database, packages))


@db.command()
@changing
async def upgrade(call: Call) -> None:
    """Bring every schema to what this release wants: whole or not at all.

    Makes a SQLite file that is not there yet. Take a backup first; there is no way back.

    \b
    Examples:
      starship db upgrade --as ana
    """
    from starship_core import schema

    by = call.by
    async with _database(call) as (database, packages):
        with call.progress("upgrading the schema"):
            before = await schema.upgrade(database, packages)
            after = await schema.status(database, packages)
        await database.run(_write_down, by, before, after)
        _answer(call, after)


@asynccontextmanager
async def _database(call: Call) -> AsyncIterator[tuple[PostgreSQL | SQLite, Sequence[str]]]:
    """The database alone, and whose tables it has: a schema that is not current opens no more."""
    from starship_core.database import opened
    from starship_core.plugins import find

    config = call.config()
    packages = find(config).migrations()
    with warnings_only():
        async with opened(config.database.url, folder=config.folder, connections=1) as database:
            yield database, packages


def _write_down(
    tx: Any, by: By, before: Sequence[SchemaStatus], after: Sequence[SchemaStatus]
) -> None:
    from starship_core.audit import record
    from starship_core.clock import utc_now

    for was, now in zip(before, after, strict=True):
        if was != now:
            record(
                tx,
                by,
                "schema.upgraded",
                f"schema:{now.package}",
                at=utc_now(),
                before={"revision": was.have},
                after={"revision": now.have},
            )


def _answer(call: Call, found: Sequence[SchemaStatus]) -> None:
    document = [
        {"package": one.package, "have": one.have, "want": one.want, "current": one.is_current}
        for one in found
    ]
    rows = [(one.package, one.have, one.want, _told(one)) for one in found]
    call.answer(document, grid("package", "has", "wants", "", rows=rows))


def _told(one: SchemaStatus) -> str:
    if one.is_current:
        return "up to date"
    if one.is_newer:
        return "made by a newer release"
    return "run `starship db upgrade`"
