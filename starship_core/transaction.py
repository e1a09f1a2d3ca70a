"""An open transaction: statements written once, for PostgreSQL and SQLite, and how few round trips
they can be made in.
"""

from __future__ import annotations

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
from starship_core.ports import Transaction
from starship_core.statements import chained, for_postgresql, for_sqlite

T = TypeVar("T")
Asked = tuple[str, tuple[Any, ...]]
"""A statement and its parameters."""
DRIVER_ERRORS: Final = (PostgresError, DriverInterfaceError, InternalClientError, OSError)
"""What asyncpg raises (the third for a connection that the server has just cut); whoever asks it
says what it means by `raised_by_driver`.
"""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def json_rows(rows: Iterable[Sequence[Any]]) -> str:
    """A set of rows as the one JSON *object* parameter that `json_each($1)` reads on both
    databases.
    """
    return _encode({str(i): row for i, row in enumerate(rows)}).decode()


class Tx:
    """An open transaction: the core's own implementation of `ports.Transaction`.

    On PostgreSQL statements go to `driver`, which caches them prepared: through SQLAlchemy each
    would cost the server twice the time. `connection` is there for what needs SQLAlchemy.
    """

    __slots__ = ("_driver", "connection", "dialect", "for_share", "for_update", "skip_locked")

    def __init__(self, connection: Connection, driver: Any = None) -> None:
        self.connection = connection
        self._driver = driver
        self.dialect: Literal["postgresql", "sqlite"] = "postgresql" if driver else "sqlite"
        # plain FOR UPDATE deadlocks with the share locks that foreign keys take
        self.for_update = "FOR NO KEY UPDATE" if driver else ""
        self.for_share = "FOR SHARE" if driver else ""
        self.skip_locked = "FOR NO KEY UPDATE SKIP LOCKED" if driver else ""

    def execute(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Run one statement (parameters `$1`, `$2`, …) and return its rows, fetched."""
        if self._driver is not None:
            return self._straight(for_postgresql(statement), parameters)
        result = self.connection.exec_driver_sql(for_sqlite(statement), parameters or None)
        return result.fetchall() if result.returns_rows else ()

    def _straight(self, text: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return [tuple(row) for row in await_only(self._driver.fetch(text, *parameters))]
        except DRIVER_ERRORS as error:
            raise raised_by_driver(text, error) from error

    def together(self, statements: Sequence[Asked]) -> list[list[tuple[Any, ...]]]:
        """As the port says: on PostgreSQL each is a `WITH` query of one statement."""
        if self.dialect == "sqlite":
            return [list(self.execute(text, *parameters)) for text, parameters in statements]
        whole = chained(tuple((text, len(parameters)) for text, parameters in statements))
        parameters = chain.from_iterable(parameters for _, parameters in statements)
        answers: list[list[tuple[Any, ...]]] = [[] for _ in statements]
        for number, row in self.execute(whole, *parameters):
            answers[number].append(tuple(_decode(row).values()))
        return answers

    def abreast(
        self, statements: Sequence[Asked], work: Callable[[Transaction], T], *, plain: bool
    ) -> tuple[list[list[tuple[Any, ...]]], T]:
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

    def together(self, statements: Sequence[Asked]) -> Sequence[Sequence[tuple[Any, ...]]]:
        rows: Sequence[Sequence[tuple[Any, ...]]] = getcurrent().parent.switch(statements)
        return rows

    def begun(self) -> Sequence[Asked]:
        """What it asks first; nothing: it ended without."""
        return self._steps.switch() or ()

    def ended(self, rows: Sequence[Sequence[tuple[Any, ...]]], tx: Tx) -> None:
        """All that it asks after the first rows, in turn. Raises what `work` raises."""
        asked: Sequence[Asked] | None = self._steps.switch(rows)
        while asked is not None:
            try:
                rows = _executed(asked, tx)
            except DBAPIError as error:
                asked = self._steps.throw(error)
            else:
                asked = self._steps.switch(rows)


def _executed(asked: Sequence[Asked], tx: Tx) -> Sequence[Sequence[tuple[Any, ...]]]:
    if len(asked) > 1:
        return tx.together(asked)
    text, parameters = asked[0]
    return [tx.execute(text, *parameters)]
