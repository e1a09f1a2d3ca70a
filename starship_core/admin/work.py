"""The work of sweeps: who works, how each kind last ended, and what waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from litestar import get
from litestar.types import ASGIApp
from msgspec import Struct

from starship_core.admin.abilities import reads
from starship_core.clock import moment, rfc3339
from starship_core.http.exchange import AnyRequest, json_reply, ship_of
from starship_core.http.openapi import Operation
from starship_core.http.paging import read_query
from starship_core.store.slots import SECOND
from starship_core.sweeps import State, look


class WorkerAnswer(Struct, frozen=True, kw_only=True):
    """A worker that polled in the last half minute."""

    name: str
    host: str
    pid: int
    started_at: str
    polled_at: str
    clock_skew_seconds: float


class KindAnswer(Struct, frozen=True, kw_only=True):
    """One kind of work."""

    kind: str
    oldest_due_seconds: float | None
    """Null: nothing is due."""
    overdue: bool
    runs: int
    failures: int
    last_ended_at: str | None
    last_result: str | None
    last_done: int | None


class WorkAnswer(Struct, frozen=True, kw_only=True):
    """What `starship worker status` prints."""

    workers: Sequence[WorkerAnswer]
    kinds: Sequence[KindAnswer]
    clock_skew_seconds: float


STATUS: Final = reads(
    Operation(
        tag="Work",
        summary="Who works, how each kind last ended, and what waits",
        answer=WorkAnswer,
        example={
            "workers": [
                {
                    "name": "shop-1-4711", "host": "shop-1", "pid": 4711,
                    "started_at": "2027-01-01T09:00:00Z", "polled_at": "2027-01-01T09:30:00Z",
                    "clock_skew_seconds": 0.0,
                },
            ],
            "kinds": [
                {
                    "kind": "pump", "oldest_due_seconds": None, "overdue": False, "runs": 12,
                    "failures": 0, "last_ended_at": "2027-01-01T09:30:00Z", "last_result": "done",
                    "last_done": 3,
                },
            ],
            "clock_skew_seconds": 0.0,
        },
    )
)  # fmt: skip


@get("/worker", opt=STATUS)
async def get_work(request: AnyRequest) -> ASGIApp:
    read_query(request.scope["query_string"], ())
    return json_reply(_answer(await look(ship_of(request))))


def _answer(state: State) -> WorkAnswer:
    return WorkAnswer(
        workers=[
            WorkerAnswer(
                name=hand.name,
                host=hand.host,
                pid=hand.pid,
                started_at=rfc3339(moment(hand.started_at)),
                polled_at=rfc3339(moment(hand.polled_at)),
                clock_skew_seconds=hand.skew / SECOND,
            )
            for hand in state.workers
        ],
        kinds=[_kind(state, kind) for kind in state.due],
        clock_skew_seconds=state.skew / SECOND,
    )


def _kind(state: State, kind: str) -> KindAnswer:
    ran = state.runs.get(kind)
    return KindAnswer(
        kind=kind,
        oldest_due_seconds=state.age(kind),
        overdue=kind in state.overdue,
        runs=ran.runs if ran else 0,
        failures=ran.failures if ran else 0,
        last_ended_at=rfc3339(moment(ran.ended_at)) if ran else None,
        last_result=ran.result if ran else None,
        last_done=ran.done if ran else None,
    )


ROUTES: Final = (get_work,)
