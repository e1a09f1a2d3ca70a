"""What a database's errors mean: a lost race, a database that is away, or a fault of ours."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import Final, cast

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from starship_core.errors import Unavailable

_RACES: Final = {"40001", "40P01"}
_TAKEN: Final = "23505"
# connection, read-only (a standby), resources, lock not available, shutdown
_TRANSIENT: Final = ("08", "25006", "53", "55", "57")
_SILENCE: Final = 10.0
_log = structlog.get_logger("starship.database")


class RaceLost(Exception):
    """Another process wrote the same key first; `run` starts the whole transaction again."""


def sqlstate(error: BaseException) -> str | None:
    """The five characters of PostgreSQL's error code, if that is what this is."""
    origin = getattr(error, "orig", error)
    return getattr(origin, "sqlstate", None) or getattr(
        getattr(origin, "__cause__", None), "sqlstate", None
    )


def translate(error: Exception) -> Exception:
    """A database that is away, busy or full is `Unavailable`; anything else stays what it is."""
    if isinstance(error, RaceLost):
        return Unavailable("the same key is being used by another request", retry_after=1)
    if isinstance(error, (OSError, asyncio.TimeoutError, PoolTimeout, InterfaceError)):
        return Unavailable("the database cannot be reached", retry_after=2)
    if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return error  # a wrong statement, which the driver reports like a busy database
    if isinstance(error, OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        return Unavailable("the database is away or busy", retry_after=2)
    state = sqlstate(error)
    if state and (state in _RACES or state.startswith(_TRANSIENT)):
        return Unavailable("the database is away or busy", retry_after=2)
    return error


class Outage:
    """`translate` for one database, which tells the log why it is away: once in ten seconds."""

    def __init__(self) -> None:
        self._silent_until = 0.0

    def translate(self, error: Exception) -> Exception:
        told = translate(error)
        if told is not error and not isinstance(error, RaceLost):
            now = time.monotonic()
            if now >= self._silent_until:
                self._silent_until = now + _SILENCE
                _log.info("database.unavailable", reason=reason(error))
        return told


def reason(error: BaseException) -> str:
    """What to look at, without a text: `SQLITE_FULL`, `57P01`, `ConnectionRefusedError`."""
    origin = getattr(error, "orig", None) or error
    name = getattr(origin, "sqlite_errorname", None) or sqlstate(error)
    return name or type(origin).__name__


def lost_race(error: Exception) -> bool:
    """Run the whole transaction again: serialisation, a deadlock, or a key taken meanwhile."""
    return isinstance(error, RaceLost) or sqlstate(error) in _RACES


def taken_meanwhile(error: IntegrityError, constraint: str) -> bool:
    """Whether it is PostgreSQL's unique violation of a constraint whose name begins so."""
    name = getattr(error.orig, "constraint_name", None) or ""
    return sqlstate(error) == _TAKEN and name.startswith(constraint)


def raised_by_driver(statement: str, error: Exception) -> DBAPIError:
    """What SQLAlchemy would have raised for an error of the driver, without the parameters."""
    if isinstance(error, sqlite3.Error):
        told = DBAPIError.instance(statement, None, error, sqlite3.Error, hide_parameters=True)
        return cast("DBAPIError", told)
    state = getattr(error, "sqlstate", None)
    if state is None:
        return InterfaceError(statement, None, error, hide_parameters=True)
    kind = IntegrityError if state.startswith("23") else DBAPIError
    return kind(statement, None, error, hide_parameters=True)
