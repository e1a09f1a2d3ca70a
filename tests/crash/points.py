"""Crash points, found by wrapping: each call's before and after, at every seam of the server.

Wrapped are the classes through which all effects go: database, open transaction (a point before
and after each statement), pool, vault, and whatever stands behind a port. A new method, statement
or port brings its points by itself.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from starship_core.database import PostgreSQL, SQLite, Tx
from starship_core.pool import Pool
from starship_core.ship import Ship
from starship_core.vault import Vault

_WORDS: Final = 6
"""Of a statement, to tell it by."""


class Points:
    """Names what is reached while it is armed; at the chosen point the process is killed."""

    def __init__(self, chosen: str | None) -> None:
        self.names: list[str] = []
        self.armed = False
        self._chosen = chosen
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()  # statements run in the writer's thread

    def reach(self, name: str) -> None:
        if not self.armed:
            return
        with self._lock:
            self._seen[name] += 1
            numbered = f"{name} ({self._seen[name]})"
            self.names.append(numbered)
        if numbered == self._chosen:
            os.kill(os.getpid(), signal.SIGKILL)


def watch_all(ship: Ship, points: Points, *more: type) -> None:
    """Wrap the classes of everything that this ship acts through; for good, in this process."""
    ports = [ship.wallet, ship.fx._provider, *ship.sources.values(), *ship.notifiers.values()]
    for cls in {SQLite, PostgreSQL, Tx, Pool, Vault, *map(type, ports), *more}:
        _watch(cls, points)


def _watch(cls: type, points: Points) -> None:
    for name, found in list(vars(cls).items()):
        if inspect.isfunction(found) and not name.startswith("_"):
            setattr(cls, name, _wrapped(found, f"{cls.__name__}.{name}", points))


def _wrapped(function: Callable[..., Any], name: str, points: Points) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            points.reach(f"before {name}")
            answer = await function(*args, **kwargs)
            points.reach(f"after {name}")
            return answer

        return awaited
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def iterated(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            points.reach(f"before {name}")
            async for each in function(*args, **kwargs):
                points.reach(f"item of {name}")
                yield each
            points.reach(f"after {name}")

        return iterated

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        told = f"{name} {_told(args[1])}" if name == "Tx.execute" else name
        points.reach(f"before {told}")
        answer = function(*args, **kwargs)
        points.reach(f"after {told}")
        return answer

    return called


def _told(statement: str) -> str:
    return " ".join(statement.split()[:_WORDS])


def commits(names: list[str]) -> list[str]:
    """Of a recorded list, the points next to a commit: the last one before it, the first after."""
    ends = [
        n
        for n, name in enumerate(names)
        if name.startswith(("after SQLite.run", "after PostgreSQL.run"))
    ]
    return [names[n] for end in ends for n in (end - 1, end)]
