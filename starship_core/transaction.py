"""An open transaction: statements written once, for PostgreSQL and SQLite, and how few round trips
they can be made in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final, Literal, TypeVar

import msgspec
from asyncpg import InterfaceError as DriverInterfaceError
from asyncpg import InternalClientError, PostgresError
from greenlet import getcurrent, greenlet
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from starship_core.faults import raised_by_driver
from starship_core.ports import Query, Rows, Transaction
from starship_core.statements import chained, for_postgresql, for_sqlite

T = TypeVar("T")
DRIVER_ERRORS: Final = (
    sqlite3.Error, PostgresError, DriverInterfaceError,
    InternalClientError,  # of a connection that the server has just cut
    OSError,
)  # fmt: skip
"""What the drivers raise; whoever asks them says what it means by `raised_by_driver`."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def json_rows(rows: Iterable[Sequence[Any]]) -> str:
    """A set of rows as the one JSON *object* parameter that `json_each($1)` reads on both
    databases.
    """
    return _encode({str(i): row for i, row in enumerate(rows)}).decode()


class Tx:
    """An open transaction: the core's own implementation of `ports.Transaction`.

    Statements go straight to the driver, which caches them prepared: through SQLAlchemy each would
    cost the server twice the time. `connection` is there for what needs SQLAlchemy.
    """

    __slots__ = ("_driver", "connection", "dialect", "for_share", "for_update", "skip_locked")

    def __init__(self, connection: Connection, asyncpg: Any = None) -> None:
        """`asyncpg`: the driver's connection, on PostgreSQL."""
        self.connection = connection
        self._driver: Any = asyncpg or connection.connection.driver_connection
        self.dialect: Literal["postgresql", "sqlite"] = "postgresql" if asyncpg else "sqlite"
        # plain FOR UPDATE deadlocks with the share locks that foreign keys take
        self.for_update = "FOR NO KEY UPDATE" if asyncpg else ""
        self.for_share = "FOR SHARE" if asyncpg else ""
        self.skip_locked = "FOR NO KEY UPDATE SKIP LOCKED" if asyncpg else ""

    def execute(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Run one statement (parameters `$1`, `$2`, … on either database) and return its rows."""
        try:
            if self.dialect == "postgresql":
                text = for_postgresql(statement)
                return [tuple(row) for row in await_only(self._driver.fetch(text, *parameters))]
            rows: list[tuple[Any, ...]] = self._driver.execute(
                for_sqlite(statement), parameters
            ).fetchall()
        except DRIVER_ERRORS as error:
            raise raised_by_driver(statement, error) from error
        return rows

    def together(self, statements: Sequence[Query]) -> list[Rows]:
        """As the port says: on PostgreSQL each is a `WITH` query of one statement."""
        if self.dialect == "sqlite" or len(statements) == 1:
            return [list(self.execute(text, *parameters)) for text, parameters in statements]
        whole = chained(tuple((text, len(parameters)) for text, parameters in statements))
        parameters = chain.from_iterable(parameters for _, parameters in statements)
        answers: list[list[tuple[Any, ...]]] = [[] for _ in statements]
        for number, row in self.execute(whole, *parameters):
            answers[number].append(tuple(_decode(row).values()))
        return list(answers)

    def abreast(
        self, statements: Sequence[Query], work: Callable[[Transaction], T], *, plain: bool
    ) -> tuple[list[Rows], T]:
        """`together`, and what `work` answers: what it asks first shares their round trip.

        Only when it is `plain`, that is, when the rows of what it asks first are as `together`
        wants them; else, and on SQLite, it comes after them.
        """
        if self.dialect == "sqlite" or not plain:
            return self.together(statements), work(self)
        beside = _Beside(self.dialect, work)
        first = beside.begun()
        rows = self.together([*statements, *first])
        if first:
            beside.ended(rows[len(statements) :], self)
        return rows[: len(statements)], beside.answer

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What happens inside can fail alone."""
        with self.connection.begin_nested():
            yield


class _Beside:
    """A transaction for `work`, which stands still at each question until its rows are there."""

    def __init__(
        self, dialect: Literal["postgresql", "sqlite"], work: Callable[[Transaction], Any]
    ) -> None:
        self.dialect = dialect
        self.answer: Any = None
        self._work = work
        self._steps = greenlet(self._run)  # so that a plain function can be left and come back to

    def _run(self) -> None:
        self.answer = self._work(self)

    def execute(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        return self.together([(statement, parameters)])[0]

    def together(self, statements: Sequence[Query]) -> Sequence[Rows]:
        rows: Sequence[Rows] = getcurrent().parent.switch(statements) if statements else ()
        return rows

    def begun(self) -> Sequence[Query]:
        """What it asks first; nothing: it ended without."""
        return self._steps.switch() or ()

    def ended(self, rows: Sequence[Rows], tx: Tx) -> None:
        """All that it asks after the first rows, in turn. Raises what `work` raises."""
        asked: Sequence[Query] | None = self._steps.switch(rows)
        while asked is not None:
            try:
                rows = tx.together(asked)
            except DBAPIError as error:
                asked = self._steps.throw(error)
            else:
                asked = self._steps.switch(rows)
