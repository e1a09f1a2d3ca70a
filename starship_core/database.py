"""One way into SQL for PostgreSQL and SQLite: `run` a synchronous function in a transaction, or
`read` a snapshot.

Statements are written once, with `$1` parameters. SQLite has one writer thread and one writing
connection per process (measured: 2,487 transactions a second against 882 with many writers).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from starship_core.errors import ConfigError, Unavailable
from starship_core.faults import Outage, lost_race, raised_by_driver
from starship_core.transaction import DRIVER_ERRORS, Tx, json_rows

__all__ = ["Database", "PostgreSQL", "SQLite", "Tx", "json_rows", "open_database", "opened"]

T = TypeVar("T")

ATTEMPTS: Final = 3
"""A transaction that lost a race (serialisation, deadlock, a key) is run again whole, this often in
all.
"""
BUSY_SECONDS: Final = 5.0
_SESSION: Final = {
    "lock_timeout": "3000",
    "statement_timeout": "10000",
    "idle_in_transaction_session_timeout": "10000",
    "jit": "off",
    "random_page_cost": "1.1",  # every statement of ours finds its rows by an index
    "timezone": "UTC",
    "application_name": "starship",
}
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Database(Protocol):
    """What flows and plugins hold."""

    @property
    def dialect(self) -> Literal["postgresql", "sqlite"]: ...

    async def run(
        self, work: Callable[..., T], *arguments: Any, meanwhile: Future[Any] | None = None
    ) -> T:
        """Run `work(tx, *arguments)` in one write transaction, again whole after a lost race.

        What `meanwhile` brings while the transaction begins comes first of the arguments.
        """
        ...

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(tx, *arguments)` on one read-only snapshot."""
        ...

    async def close(self) -> None:
        """Give all connections back."""
        ...


class PostgreSQL:
    """asyncpg, out of SQLAlchemy's pool; `work` runs in `run_sync`, so it is the same function as
    for SQLite.
    """

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, url: str, connections: int) -> None:
        self.outage = Outage()
        self.engine: AsyncEngine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=connections,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_use_lifo=True,  # at rest the same connection again: its statements are prepared
            isolation_level="AUTOCOMMIT",  # transactions are begun and ended here
            hide_parameters=True,  # an error must not carry what was written
            connect_args={
                "server_settings": _SESSION,
                "timeout": BUSY_SECONDS,
                "prepared_statement_cache_size": 256,
            },
        )

    async def run(
        self, work: Callable[..., T], *arguments: Any, meanwhile: Future[Any] | None = None
    ) -> T:
        return await _until_won(
            lambda: self._once("BEGIN", work, arguments, meanwhile), self.outage
        )

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await self._once(_SNAPSHOT, work, arguments)
        except Exception as error:
            raise self.outage.translate(error) from error

    async def _once(
        self,
        begin: str,
        work: Callable[..., T],
        arguments: tuple[Any, ...],
        meanwhile: Future[Any] | None = None,
    ) -> T:
        async with self.engine.connect() as connection:
            driver = await _driver_of(connection)
            try:
                await _say(driver, begin)
                if meanwhile is not None:
                    arguments = (await meanwhile, *arguments)
                answer = await connection.run_sync(lambda sync: work(Tx(sync, driver), *arguments))
                await _say(driver, "COMMIT")
            except BaseException:
                await asyncio.shield(_undo(connection, driver))
                raise
            return answer

    async def close(self) -> None:
        await self.engine.dispose()


async def _driver_of(connection: AsyncConnection) -> Any:
    """The driver's connection; one that the server has closed meanwhile is not begun with."""
    driver = (await connection.get_raw_connection()).driver_connection
    if driver is None or not driver.is_closed():
        return driver
    await connection.invalidate()
    return (await connection.get_raw_connection()).driver_connection


async def _say(driver: Any, command: str) -> None:
    try:
        await driver.execute(command)
    except DRIVER_ERRORS as error:
        raise raised_by_driver(command, error) from error


async def _undo(connection: AsyncConnection, driver: Any) -> None:
    """Nothing of the transaction stays; a connection that cannot say so is given up, and the
    server sees to it.
    """
    try:
        await driver.execute("ROLLBACK")
    except DRIVER_ERRORS:
        await connection.invalidate()


class SQLite:
    """One writer thread, a few reader threads, WAL, every commit on disk."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, readers: int) -> None:
        self.outage = Outage()
        self.writer = _sqlite_engine(path, begin="BEGIN IMMEDIATE", pool=1)
        self.reader = _sqlite_engine(path, begin="BEGIN", pool=readers, query_only=True)
        self.writer_thread = concurrent.futures.ThreadPoolExecutor(1, "starship-sqlite-writer")
        self.reader_threads = concurrent.futures.ThreadPoolExecutor(
            readers, "starship-sqlite-reader"
        )

    async def run(
        self, work: Callable[..., T], *arguments: Any, meanwhile: Future[Any] | None = None
    ) -> T:
        if meanwhile is not None:
            arguments = (await meanwhile, *arguments)
        return await _until_won(
            lambda: _patiently(self.writer_thread.submit(_in_thread, self.writer, work, arguments)),
            self.outage,
        )

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await _patiently(
                self.reader_threads.submit(_in_thread, self.reader, work, arguments)
            )
        except Exception as error:
            raise self.outage.translate(error) from error

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        for threads in (self.writer_thread, self.reader_threads):
            await loop.run_in_executor(None, threads.shutdown)
        self.writer.dispose()
        self.reader.dispose()


async def _until_won(once: Callable[[], Awaitable[T]], outage: Outage) -> T:
    """What `once` answers; a transaction that lost a race is begun again, `ATTEMPTS` in all."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await once()
        except Exception as error:
            if attempt == ATTEMPTS or not lost_race(error):
                raise outage.translate(error) from error
    raise AssertionError  # pragma: no cover


async def _patiently(turn: concurrent.futures.Future[T]) -> T:
    """Wait for a thread's turn at most five seconds, and for its work as long as that takes."""
    result = asyncio.wrap_future(turn)
    try:
        done, _ = await asyncio.wait({result}, timeout=BUSY_SECONDS)
        if not done and turn.cancel():
            raise Unavailable("the database is busy", retry_after=2)
        return await result
    finally:
        result.cancel()  # a caller that went away; what runs, runs to its end


def _in_thread(engine: Engine, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    with engine.begin() as connection:
        return work(Tx(connection), *arguments)


def _sqlite_engine(path: Path, *, begin: str, pool: int, query_only: bool = False) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=pool,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"query_only = {'ON' if query_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def open_database(url: str, *, folder: Path, connections: int) -> PostgreSQL | SQLite:
    """`sqlite:///file` (relative to `folder`) or `postgresql://…`. Connects to nothing yet.

    Raises ConfigError.
    """
    try:
        backend = make_url(url).get_backend_name()
    except ArgumentError as error:
        raise ConfigError(
            f"[database] url: not a database URL; write sqlite:///starship.db "
            f"or postgresql://user@host/name ({type(error).__name__})"
        ) from None
    if backend == "postgresql":
        return PostgreSQL(url, connections)
    if backend == "sqlite":
        return SQLite(folder / (make_url(url).database or "starship.db"), connections)
    raise ConfigError(f"[database] url: {backend} is not supported; use sqlite or postgresql")


@asynccontextmanager
async def opened(url: str, *, folder: Path, connections: int) -> AsyncIterator[PostgreSQL | SQLite]:
    """`open_database`, closed at the end."""
    database = open_database(url, folder=folder, connections=connections)
    try:
        yield database
    finally:
        await database.close()
