import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from starship_core import schema, tables
from starship_core.database import PostgreSQL, SQLite, Tx, opened
from starship_core.errors import ConfigError
from starship_core.schema import SchemaStatus
from starship_core.testing.fixtures import installed_migrations

Opened = PostgreSQL | SQLite
WANT = "0001"
STEP = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}

def upgrade():
    {body}
"""
FAMILY = """
    key = sa.Integer()
    op.create_table("parents", sa.Column("id", key, primary_key=True), sa.Column("age", sa.Text()))
    op.create_table("children", sa.Column("of", key, sa.ForeignKey("parents.id"), nullable=False))
    op.execute("INSERT INTO parents (id, age) VALUES (7, '40')")
    op.execute("INSERT INTO children VALUES (7)")
"""
AGE_IS_A_NUMBER = """
    with op.batch_alter_table("parents") as parents:
        parents.alter_column("age", type_=sa.Integer())
"""


@pytest.fixture
async def bare(bare_database_url: str, tmp_path: Path) -> AsyncIterator[Opened]:
    async with opened(bare_database_url, folder=tmp_path, connections=2) as database:
        yield database


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Write one more step of a plugin's migrations; returns where the plugin says they are."""
    versions = tmp_path / "some_plugin" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "some_plugin" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def add(revision: str, body: str) -> str:
        down = f'"{int(revision) - 1:04}"' if int(revision) > 1 else None
        text = STEP.format(revision=revision, down=down, body=body.strip())
        (versions / f"v{revision}_step.py").write_text(text)
        return "some_plugin:migrations"

    return add


def _catalogue(tx: Tx) -> set[tuple[object, ...]]:
    """Table, and all of a column, constraint or index (a partial one with its condition)."""
    if tx.dialect == "sqlite":
        found = tx.execute(
            "SELECT tbl_name, type, name, sql FROM sqlite_master WHERE name NOT LIKE '%version'"
        )
        return {(table, kind, name, *sorted(_lines(sql))) for table, kind, name, sql in found}
    return {
        *tx.execute(
            "SELECT c.table_name, column_name, data_type, is_nullable, column_default, is_identity "
            "FROM information_schema.columns c WHERE table_schema = 'public'"
        ),
        *tx.execute(
            "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        ),
        *tx.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) "
            "FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        ),
    }


def _lines(sql: str | None) -> list[str]:
    return [line.strip().rstrip(",").replace('"', "") for line in (sql or "").splitlines()]


async def test_a_fresh_database_is_brought_to_the_wanted_schema(bare: Opened) -> None:
    """Before: refused, with the command that helps. After: accepted, and nothing left to do."""
    with pytest.raises(ConfigError) as refused:
        await schema.check(bare)
    assert refused.value.problems == [
        "the database's tables of starship_core are not there yet: run `starship db upgrade`"
    ]
    assert await schema.upgrade(bare) == [SchemaStatus("starship_core", None, WANT)]
    await schema.check(bare)
    assert await schema.upgrade(bare) == [SchemaStatus("starship_core", WANT, WANT)]


async def test_the_migrated_schema_is_what_the_tables_say(bare: Opened, database: Opened) -> None:
    """Whoever changes the tables writes the migration with it (`make migration-baseline`)."""
    await bare.run(lambda tx: tables.metadata.create_all(tx.connection))
    expected = await bare.read(_catalogue)
    found = {row for row in await database.read(_catalogue) if row[0] in tables.metadata.tables}
    assert found == expected
    assert {row[0] for row in found} == set(tables.metadata.tables)

    def differences(tx: Tx) -> list[object]:
        options = {
            "include_object": lambda _o, name, kind, *_: (
                kind != "table" or name in tables.metadata.tables
            ),
        }
        context = MigrationContext.configure(tx.connection, opts=options)
        return list(compare_metadata(context, tables.metadata))

    assert await database.read(differences) == []


@pytest.mark.parametrize("where", [schema.CORE, *installed_migrations()])
def test_file_names_and_alembic_agree(where: str) -> None:
    """The wanted revision is read off file names, so they must be one line of steps, told truly."""
    scripts = schema.scripts(where)
    assert scripts is not None
    directory = ScriptDirectory(str(scripts.folder), version_locations=[str(scripts.folder)])
    assert directory.get_heads() == [scripts.want()]
    steps = list(directory.walk_revisions())
    assert [Path(step.path).stem[1:5] for step in steps] == [step.revision for step in steps]


async def test_an_older_schema_is_refused_until_upgraded(
    bare: Opened, plugin: Callable[[str, str], str]
) -> None:
    """A plugin's new release brings a step: `serve` refuses, names the command, and it helps."""
    where = plugin("0001", FAMILY)
    await schema.upgrade(bare, [where])
    plugin("0002", 'op.add_column("children", sa.Column("name", sa.Text))')
    with pytest.raises(ConfigError) as refused:
        await schema.check(bare, [where])
    assert str(refused.value) == (
        "the database's tables of some_plugin are at revision 0001, "
        "this release wants 0002: run `starship db upgrade`"
    )
    await schema.upgrade(bare, [where])
    await schema.check(bare, [where])
    assert await bare.read(lambda tx: tx.execute("SELECT * FROM children")) == [(7, None)]


async def test_a_newer_schema_is_refused_and_left_alone(database: Opened) -> None:
    """An old release must not serve, nor upgrade, what a newer one has made."""
    await database.run(
        lambda tx: tx.execute("UPDATE starship_core_version SET version_num = '9999'")
    )
    for attempt in (schema.check, schema.upgrade):
        with pytest.raises(
            ConfigError, match=r"revision 9999, made by a newer release .*`starship db upgrade`"
        ):
            await attempt(database)
    assert await schema.status(database) == [SchemaStatus("starship_core", "9999", WANT)]


async def test_a_step_that_fails_leaves_everything_as_it_was(
    bare: Opened, plugin: Callable[[str, str], str]
) -> None:
    """All packages in one transaction: no half-made schema, on either database."""
    where = plugin("0001", FAMILY + '    op.execute("SELECT nonsense")')
    with pytest.raises(Exception, match="nonsense"):
        await schema.upgrade(bare, [where])
    assert [one.have for one in await schema.status(bare, [where])] == [None, None]
    assert not await bare.read(_catalogue)


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_sqlite_can_make_a_table_anew_under_its_children(
    bare: SQLite, plugin: Callable[[str, str], str]
) -> None:
    """SQLite changes a column by copying the table; foreign keys are off for that, and checked."""
    where = plugin("0001", FAMILY)
    await schema.upgrade(bare, [where])
    plugin("0002", AGE_IS_A_NUMBER)
    await schema.upgrade(bare, [where])
    assert await bare.read(lambda tx: tx.execute("SELECT id, age FROM parents")) == [(7, 40)]
    assert await bare.run(lambda tx: tx.execute("PRAGMA foreign_keys")) == [(1,)]
    plugin("0003", 'op.execute("DELETE FROM parents")')
    with pytest.raises(RuntimeError, match="1 rows without their parents"):
        await schema.upgrade(bare, [where])
    assert await bare.read(lambda tx: tx.execute("SELECT count(*) FROM parents")) == [(1,)]


async def test_where_there_are_no_migrations_is_said(bare: Opened) -> None:
    """A registration that names a folder which is not in the package is a packaging fault."""
    with pytest.raises(ConfigError) as refused:
        await schema.check(bare, ["starship_core:elsewhere", "no_such_package:migrations"])
    assert refused.value.problems == [
        "starship_core:elsewhere: no migrations there (versions/v0001_….py)",
        "no_such_package:migrations: no migrations there (versions/v0001_….py)",
    ]


UPGRADE = """
import asyncio, sys
from pathlib import Path
from starship_core import schema
from starship_core.database import opened

async def main():
    async with opened(sys.argv[1], folder=Path("."), connections=1) as database:
        before = await schema.upgrade(database)
        print(before[0].have, "alembic" in sys.modules)

sys.stdin.readline()
asyncio.run(main())
"""


async def test_of_several_processes_one_upgrades(bare_database_url: str) -> None:
    """Started at once on an empty database: all succeed, and one alone has found nothing there.

    The others have not even loaded Alembic, which is what a start on a current schema costs.
    """
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", UPGRADE, bare_database_url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(out.decode().split() for out, _ in answers) == [
        [WANT, "False"], [WANT, "False"], ["None", "True"],
    ]  # fmt: skip
