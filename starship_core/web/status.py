"""GET /status, /ready and /metrics: for whoever watches the server; no credential, no secrets."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Literal, cast

import msgspec
from litestar import get
from litestar.types import ASGIApp
from msgspec import Struct

from starship_core import schema
from starship_core.clock import micros
from starship_core.database import PostgreSQL, SQLite, Tx
from starship_core.errors import StarshipError
from starship_core.http.errors import JSON
from starship_core.http.exchange import AnyRequest, Reply, json_reply, metrics_of, ship_of
from starship_core.http.openapi import Operation, documented
from starship_core.metrics import CONTENT_TYPE
from starship_core.ship import Ship

_OLDEST: Final = "SELECT min(created_at) FROM outbox WHERE position IS NULL"
_LOOK_EVERY: Final = 1.0
"""Seconds: nobody is asked for, so watching must not become work."""
_PATIENCE: Final = 3.0


class StatusAnswer(Struct, frozen=True):
    """The process lives."""

    status: Literal["ok"]
    name: str
    version: str
    environment: str


class ReadyAnswer(Struct, frozen=True, kw_only=True):
    """Whether orders can be taken; degraded is slower, and still yes."""

    status: Literal["ready", "degraded", "unavailable"]
    database: Literal["ok", "unavailable"]
    database_schema: Literal["current", "other", "unknown"]
    redis: Literal["ok", "degraded"]
    oldest_due_seconds: float | None
    """Age of the oldest event that nobody has been told of yet; null when there is none."""


class Readiness:
    """Looks at most once a second, however often it is asked."""

    def __init__(self, ship: Ship) -> None:
        self._ship = ship
        self._looking = asyncio.Lock()
        self._good_until = 0.0
        self._last: ReadyAnswer | None = None

    async def look(self) -> ReadyAnswer:
        async with self._looking:
            if self._last is None or time.monotonic() >= self._good_until:
                self._last = await self._look()
                self._good_until = time.monotonic() + _LOOK_EVERY
            return self._last

    async def _look(self) -> ReadyAnswer:
        redis = await self._ship.pool.ping() and not self._ship.pool.degraded
        found: Literal["current", "other", "unknown"] = "unknown"
        oldest: int | None = None
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self._schema()
                if found == "current":
                    oldest = await self._ship.database.read(_oldest)
        except (StarshipError, TimeoutError):
            found = "unknown"
        age = None if oldest is None else (micros(self._ship.now()) - oldest) / 1_000_000
        return ReadyAnswer(
            status=_overall(found, redis=redis),
            database="unavailable" if found == "unknown" else "ok",
            database_schema=found,
            redis="ok" if redis else "degraded",
            oldest_due_seconds=age,
        )

    async def _schema(self) -> Literal["current", "other"]:
        database = cast("PostgreSQL | SQLite", self._ship.database)
        found = await schema.status(database, self._ship.plugins.migrations())
        return "current" if all(each.is_current for each in found) else "other"


def _overall(found: str, *, redis: bool) -> Literal["ready", "degraded", "unavailable"]:
    if found != "current":
        return "unavailable"
    return "ready" if redis else "degraded"


def _oldest(tx: Tx) -> int | None:
    found: int | None = tx.execute(_OLDEST)[0][0]
    return found


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
    "oldest_due_seconds": None,
}  # fmt: skip


@get(
    "/ready",
    opt=documented(
        Operation(
            tag="Server",
            summary="Can orders be taken?",
            about=(
                "200 while they can, also without Redis (`degraded`: slower, never wrong); "
                "503 with the same body while they cannot."
            ),
            answer=ReadyAnswer,
            example=_READY_EXAMPLE,
            also={503: "Orders cannot be taken: the database is away, or has another schema."},
            public=True,
        )
    ),
)
async def get_ready(request: AnyRequest) -> ASGIApp:
    readiness: Readiness = request.app.state.readiness
    found = await readiness.look()
    up = found.status != "unavailable"
    return Reply(
        msgspec.json.encode(found),
        None if up else {"Retry-After": "2"},
        status=200 if up else 503,
        media_type=JSON.encode(),
    )


@get("/metrics", opt={"about": "Prometheus' text, not JSON, and so not in the description"})
async def get_metrics(request: AnyRequest) -> ASGIApp:
    metrics = metrics_of(request)
    metrics.pool_degraded.set(ship_of(request).pool.degraded)
    return Reply(metrics.exposition(), media_type=CONTENT_TYPE.encode())


ROUTES: Final = (get_status, get_ready, get_metrics)
