"""GET /status, /ready and /metrics: for whoever watches the server; no credential, no secrets."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Final, Literal, cast

import msgspec
from litestar import get
from litestar.types import ASGIApp
from msgspec import Struct
from msgspec.structs import replace

from starship_core import schema
from starship_core.clock import TOLERATED
from starship_core.database import PostgreSQL, SQLite
from starship_core.errors import StarshipError
from starship_core.http.errors import JSON
from starship_core.http.exchange import AnyRequest, Reply, json_reply, serving, ship_of
from starship_core.http.openapi import Operation, documented
from starship_core.metrics import CONTENT_TYPE, Figures, exposition_of_work
from starship_core.ship import Ship
from starship_core.store.slots import SECOND
from starship_core.sweeps import State, look

_LOOK_EVERY: Final = 1.0
"""Seconds: nobody is asked for, so watching must not become work."""
_PATIENCE: Final = 3.0


Overall = Literal["ready", "degraded", "unavailable", "draining"]
_SEND_HERE: Final = frozenset({"ready", "degraded"})


class StatusAnswer(Struct, frozen=True):
    """The process lives."""

    status: Literal["ok"]
    name: str
    version: str
    environment: str


class ReadyAnswer(Struct, frozen=True, kw_only=True):
    """Whether orders should be sent here; degraded is slower, and still yes."""

    status: Overall
    database: Literal["ok", "unavailable"]
    database_schema: Literal["current", "other", "unknown"]
    redis: Literal["ok", "degraded"]
    oldest_due_seconds: float | None
    """Age of the oldest work that a worker should have done by now; null when there is none."""
    workers: int
    """How many polled for work lately; orders are taken without any."""
    clock_skew_seconds: float | None
    """What the database's clock is ahead of this server's; null up to 2 s."""


class Readiness:
    """Looks at most once a second, however often it is asked."""

    def __init__(self, ship: Ship) -> None:
        self._ship = ship
        self._looking = asyncio.Lock()
        self._good_until = 0.0
        self._last: ReadyAnswer | None = None
        self.draining = False
        """Told to stop: takes orders until its notice is over, and asks for no more."""
        self.work: State | None = None
        """As it was when somebody looked last; None: the database was away."""

    async def look(self) -> ReadyAnswer:
        async with self._looking:
            if self._last is None or time.monotonic() >= self._good_until:
                self._last = await self._look()
                self._good_until = time.monotonic() + _LOOK_EVERY
            return replace(self._last, status="draining") if self.draining else self._last

    async def _look(self) -> ReadyAnswer:
        redis = await self._ship.pool.ping() and not self._ship.pool.degraded
        found: Literal["current", "other", "unknown"] = "unknown"
        self.work = None
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self._schema()
                if found == "current":
                    self.work = await look(self._ship)
        except (StarshipError, TimeoutError):
            found = "unknown"
        work = self.work
        return ReadyAnswer(
            status=_overall(found, redis=redis),
            database="unavailable" if found == "unknown" else "ok",
            database_schema=found,
            redis="ok" if redis else "degraded",
            oldest_due_seconds=None if work is None else work.oldest,
            workers=0 if work is None else len(work.workers),
            clock_skew_seconds=None if work is None else _told_skew(work.skew),
        )

    async def _schema(self) -> Literal["current", "other"]:
        database = cast("PostgreSQL | SQLite", self._ship.database)
        found = await schema.status(database, self._ship.plugins.migrations())
        return "current" if all(each.is_current for each in found) else "other"


def _overall(found: str, *, redis: bool) -> Overall:
    if found != "current":
        return "unavailable"
    return "ready" if redis else "degraded"


def _told_skew(skew: int) -> float | None:
    return skew / SECOND if abs(skew) > TOLERATED // timedelta(microseconds=1) else None


@get(
    "/status",
    opt=documented(
        Operation(
            tag="Server",
            summary="Is the process alive, and which version is it?",
            answer=StatusAnswer,
            example={
                "status": "ok", "name": "starship", "version": "0.1.0", "environment": "test",
            },
            public=True,
        )
    ),
)  # fmt: skip
async def get_status(request: AnyRequest) -> ASGIApp:
    deployment = ship_of(request).config.deployment
    version: str = request.app.state.version
    return json_reply(StatusAnswer("ok", deployment.name, version, deployment.environment))


_READY_EXAMPLE: Final = {
    "status": "ready", "database": "ok", "database_schema": "current", "redis": "ok",
    "oldest_due_seconds": None, "workers": 2, "clock_skew_seconds": None,
}  # fmt: skip


@get(
    "/ready",
    opt=documented(
        Operation(
            tag="Server",
            summary="Can orders be taken?",
            about=(
                "200 while they can, also without Redis (`degraded`: slower, never wrong); "
                "503 with the same body while they cannot, and while this process is about to "
                "stop (`draining`: what is sent is answered, but send to another)."
            ),
            answer=ReadyAnswer,
            example=_READY_EXAMPLE,
            also={
                503: "Send elsewhere: the database is away, has another schema, or the process is "
                "about to stop."
            },
            public=True,
        )
    ),
)
async def get_ready(request: AnyRequest) -> ASGIApp:
    readiness: Readiness = serving(request).readiness
    found = await readiness.look()
    up = found.status in _SEND_HERE
    return Reply(
        msgspec.json.encode(found),
        None if up else {"Retry-After": "2"},
        status=200 if up else 503,
        media_type=JSON.encode(),
    )


@get("/metrics", opt={"about": "Prometheus' text, not JSON, and so not in the description"})
async def get_metrics(request: AnyRequest) -> ASGIApp:
    ship, metrics, readiness = serving(request)
    metrics.pool_degraded.set(ship.pool.degraded)
    await readiness.look()
    text = metrics.exposition()
    if readiness.work is not None:
        text += exposition_of_work(_figures(readiness.work))
    return Reply(text, media_type=CONTENT_TYPE.encode())


def _figures(work: State) -> Figures:
    return Figures(
        workers=len(work.workers),
        oldest_due={kind: work.age(kind) or 0.0 for kind in work.due},
        runs={kind: run.runs for kind, run in work.runs.items()},
        failures={kind: run.failures for kind, run in work.runs.items()},
        deliveries_due=work.deliveries.due,
        deliveries_ended={"delivered": work.deliveries.delivered, "failed": work.deliveries.failed},
    )


ROUTES: Final = (get_status, get_ready, get_metrics)
