"""One way into SQL for PostgreSQL and SQLite: `run` a synchronous function in a transaction, or
`read` a snapshot.

Statements are written once, with `$1` parameters. SQLite has one writer thread and one writing
connection per process (measured: 2,487 transactions a second against 882 with many writers).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec
from asyncpg import InterfaceError as DriverInterfaceError
from asyncpg import PostgresError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from starship_core.errors import ConfigError, Unavailable
from starship_core.faults import Outage, lost_race, raised_by_driver
from starship_core.statements import Statement, chained, for_postgresql, for_sqlite

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
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def json_rows(rows: Iterable[Sequence[Any]]) -> str:
    """A set of rows as the one JSON *object* parameter that `json_each($1)` reads on both
    databases.
    """
    return _encode({str(i): row for i, row in enumerate(rows)}).decode()


class Tx:
    """An open transaction: the core's own implementation of `ports.Transaction`."""

    __slots__ = ("_driver", "connection", "dialect", "for_share", "for_update", "skip_locked")

    def __init__(
        self, connection: Connection, dialect: Literal["postgresql", "sqlite"] | None = None
    ) -> None:
        self.connection = connection
        self._driver: Any = None
        self.dialect: Literal["postgresql", "sqlite"] = dialect or (
            "postgresql" if connection.dialect.name == "postgresql" else "sqlite"
        )
        on_postgresql = self.dialect == "postgresql"
        # plain FOR UPDATE deadlocks with the share locks that foreign keys take
        self.for_update = "FOR NO KEY UPDATE" if on_postgresql else ""
        self.for_share = "FOR SHARE" if on_postgresql else ""
        self.skip_locked = "FOR NO KEY UPDATE SKIP LOCKED" if on_postgresql else ""

    def execute(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Run one statement (parameters `$1`, `$2`, …) and return its rows, fetched."""
        if self._driver is not None:
            return self._straight(for_postgresql(statement), parameters)
        on_postgresql = self.dialect == "postgresql"
        text = (for_postgresql if on_postgresql else for_sqlite)(statement)
        result = self.connection.exec_driver_sql(text, parameters or None)
        if on_postgresql:
            # The first statement has begun SQLAlchemy's transaction; those after it go straight to
            # the driver, which caches them prepared: half the server's time per statement.
            self._driver = self.connection.connection.driver_connection
        return result.fetchall() if result.returns_rows else ()

    def _straight(self, text: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return [tuple(row) for row in await_only(self._driver.fetch(text, *parameters))]
        except (PostgresError, DriverInterfaceError, OSError) as error:
            if self._driver.is_closed():  # the pool must not hand it out again
                self.connection.invalidate(error)
            raise raised_by_driver(text, error) from error

    def together(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """Run statements that do not read what another of them wrote; the rows that each returns.

        One round trip on PostgreSQL, where each is a `WITH` query of one statement: constraints
        between their rows hold at its end. Returned values are numbers, texts or null.
        """
        if self.dialect == "sqlite":
            return [list(self.execute(each.text, *each.parameters)) for each in statements]
        text = chained(tuple((each.text, len(each.parameters)) for each in statements))
        parameters = chain.from_iterable(each.parameters for each in statements)
        answers: list[list[tuple[Any, ...]]] = [[] for _ in statements]
        for number, row in self.execute(text, *parameters):
            answers[number].append(tuple(_decode(row).values()))
        return answers

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What happens inside can fail alone."""
        with self.connection.begin_nested():
            yield


class Database(Protocol):
    """What flows and plugins hold."""

    @property
    def dialect(self) -> Literal["postgresql", "sqlite"]: ...

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(tx, *arguments)` in one write transaction, again whole after a lost race."""
        ...

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(tx, *arguments)` on one read-only snapshot."""
        ...

    async def close(self) -> None:
        """Give all connections back."""
        ...


class PostgreSQL:
    """asyncpg behind SQLAlchemy; `work` runs in `run_sync`, so it is the same function as for
    SQLite.
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
            hide_parameters=True,  # an error must not carry what was written
            connect_args={
                "server_settings": _SESSION,
                "timeout": BUSY_SECONDS,
                "prepared_statement_cache_size": 256,
            },
        )
        self.snapshots = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        return await _until_won(lambda: self._once(self.engine, work, arguments), self.outage)

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await self._once(self.snapshots, work, arguments)
        except Exception as error:
            raise self.outage.translate(error) from error

    async def _once(
        self, engine: AsyncEngine, work: Callable[..., T], arguments: tuple[Any, ...]
    ) -> T:
        async with engine.connect() as connection, connection.begin():
            return await connection.run_sync(lambda sync: work(Tx(sync, "postgresql"), *arguments))

    async def close(self) -> None:
        await self.engine.dispose()


class SQLite:
    """One writer thread, a few reader threads, WAL, every commit on disk."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, readers: int) -> None:
        self.outage = Outage()
        self.writer = _sqlite_engine(path, begin="BEGIN IMMEDIATE", pool=1)
        self.reader = _sqlite_engine(path, begin="BEGIN", pool=readers, query_only=True)
        self.writer_thread = ThreadPoolExecutor(1, "starship-sqlite-writer")
        self.reader_threads = ThreadPoolExecutor(readers, "starship-sqlite-reader")

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
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


async def _patiently(turn: Future[T]) -> T:
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
        return work(Tx(connection, "sqlite"), *arguments)


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
