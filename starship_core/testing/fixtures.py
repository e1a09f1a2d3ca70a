"""The fixtures of this workspace, loaded with `-p starship_core.testing.fixtures` (pyproject.toml).

Servers are started by the first test that asks, and shared by all workers of one pytest run.
`STARSHIP_TEST_DATABASE_URL` and `STARSHIP_TEST_REDIS_URL` choose others.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

import pytest

from starship_core.testing.clock import ManualClock

T = TypeVar("T")
# Imports wait inside the fixtures, since every run loads this module, whatever it tests: PLC0415.
_FOLDER = pytest.StashKey[Path]()
_DATABASE = "STARSHIP_TEST_DATABASE_URL"
_REDIS = "STARSHIP_TEST_REDIS_URL"
_MADE = "postgresql.template"
DATABASES = ("sqlite", "postgresql")
_MEMORY = Path("/dev/shm")  # noqa: S108  # as safe as /tmp: a fresh folder of one's own inside
_ROOM = 4 << 30
"""Bytes that must be free there: databases, environments, and what failed tests leave."""


def pytest_configure(config: pytest.Config) -> None:
    if "TMPDIR" not in os.environ and _in_memory():
        os.environ["TMPDIR"], tempfile.tempdir = str(_MEMORY), None
    given = getattr(config, "workerinput", {}).get("starship_folder")
    config.stash[_FOLDER] = Path(given or tempfile.mkdtemp(prefix="starship-tests-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["starship_folder"] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    from starship_core.testing.servers import stop_postgresql  # noqa: PLC0415

    folder = config.stash[_FOLDER]
    stop_postgresql(folder / "postgresql")
    if (chosen := os.environ.get(_DATABASE)) and (folder / _MADE).exists():
        in_loop(_command(chosen, f'DROP DATABASE "{_template(folder)}"'))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def run_folder(pytestconfig: pytest.Config) -> Path:
    """One folder for all workers of this run; its path is short enough for sockets."""
    return pytestconfig.stash[_FOLDER]


@pytest.fixture(scope="session")
def postgres_url(run_folder: Path) -> Iterator[str]:
    """A PostgreSQL with durability on; the URL of a database to connect to, not to write in."""
    if chosen := os.environ.get(_DATABASE):
        yield chosen
        return
    from starship_core.testing.servers import postgresql  # noqa: PLC0415

    with postgresql(run_folder / "postgresql") as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, run_folder: Path) -> str:
    """The name of a migrated, empty database to copy; made once a run."""
    name = _template(run_folder)
    with _alone(run_folder, "templates"):
        made = run_folder / _MADE
        if not made.exists():
            in_loop(_command(postgres_url, f'CREATE DATABASE "{name}"'))
            in_loop(_migrate(_named(postgres_url, name), run_folder))
            made.touch()
    return name


@pytest.fixture(scope="session")
def sqlite_template(run_folder: Path) -> Path:
    """A migrated, empty database file to copy; made once a run."""
    file = run_folder / "template.db"
    with _alone(run_folder, "templates"):
        if not file.exists():
            draft = file.with_suffix(".draft")
            in_loop(_migrate(f"sqlite:///{draft}", run_folder))
            draft.rename(file)
    return file


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Every test that needs a database runs on both; override to have only one."""
    return str(request.param)


@pytest.fixture
def database_url(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[str]:
    """A fresh, migrated, empty database of the test's own."""
    if database_kind == "sqlite":
        file = tmp_path / "starship.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    server = request.getfixturevalue("postgres_url")
    with _created(server, request.getfixturevalue("postgres_template")) as url:
        yield url


@pytest.fixture
def bare_database_url(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[str]:
    """A database without a single table."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    with _created(request.getfixturevalue("postgres_url"), "template1") as url:
        yield url


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Any]:
    """`database_url`, opened."""
    from starship_core.database import opened  # noqa: PLC0415

    async with opened(database_url, folder=tmp_path, connections=4) as database:
        yield database


@pytest.fixture(scope="session")
def redis_of_worker(run_folder: Path) -> Iterator[str]:
    """A real valkey for this worker; tests take `redis_url`."""
    if chosen := os.environ.get(_REDIS):
        yield chosen
        return
    from starship_core.testing.servers import redis_server  # noqa: PLC0415

    with redis_server(run_folder / os.environ.get("PYTEST_XDIST_WORKER", "main")) as server:
        yield server.url


@pytest.fixture
def redis_url(redis_of_worker: str, run_folder: Path) -> Iterator[str]:
    """A real Redis, empty."""
    import redis  # noqa: PLC0415

    # one that was chosen is one for all workers: its tests take turns
    with _alone(run_folder, "redis") if os.environ.get(_REDIS) else nullcontext():
        with redis.Redis.from_url(redis_of_worker) as client:
            client.flushall()
        yield redis_of_worker


@pytest.fixture
def clock() -> ManualClock:
    """2027-01-01T00:00:00Z until the test moves it."""
    return ManualClock()


def in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end on a loop of its own, without touching the test's loop."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@contextmanager
def _created(server: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    copied = f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'
    in_loop(_command(server, copied))
    try:
        yield _named(server, name)
    finally:
        in_loop(_command(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _command(url: str, statement: str) -> None:
    import asyncpg  # noqa: PLC0415

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(url: str, folder: Path) -> None:
    from starship_core import schema  # noqa: PLC0415
    from starship_core.database import opened  # noqa: PLC0415

    async with opened(url, folder=folder, connections=1) as database:
        await schema.upgrade(database, installed_migrations())


def _in_memory() -> bool:
    """Whether temporary files belong there: a new database takes 0.05 s there and 1.5 s on a disk.

    Nothing of the databases' settings changes: each still syncs each commit.
    """
    return _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM


def installed_migrations() -> list[str]:
    """`package:migrations` of every installed plugin that has tables of its own."""
    from starship_core import schema  # noqa: PLC0415

    modules = {entry.module for entry in entry_points(group="starship")}
    return [where for name in sorted(modules) if schema.scripts(where := f"{name}:migrations")]


def _template(folder: Path) -> str:
    return f"template_{folder.name.replace('-', '_')}".lower()


def _named(url: str, name: str) -> str:
    from sqlalchemy import make_url  # noqa: PLC0415

    return make_url(url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def _alone(folder: Path, what: str) -> Iterator[None]:
    with (folder / f"{what}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back by closing
        yield
