"""`starship worker`: one process that sweeps; `worker status`: does anybody, and is all in time?"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from starship_core.cli.console import Call, deployed, grid, reading
from starship_core.cli.serve import configured, log_options, run

if TYPE_CHECKING:
    from starship_core.config import Config
    from starship_core.sweeps import State

_WORKER = "starship_core.worker"
"""By name: other commands never load it."""


@click.group(invoke_without_command=True)
@click.option("--kinds", metavar="KIND,…", default="", help="Only these sweeps; left out: all.")
@log_options
@reading
def worker(call: Call, /, kinds: str, **options: Any) -> None:
    """Run what is due: the pump, expiry, rates and other sweeps.

    Any number of processes, on any machines: the tables say what is due, and no slot of a kind is
    run twice. Redis is only an alarm clock here, and may be away. SIGTERM: takes no more, finishes
    what it has, ends with exit status 0. Logs go to stderr.

    \b
    Examples:
      starship worker
      starship worker --kinds pump,expiry
      starship worker status --json
    """
    if (context := click.get_current_context(silent=True)) and context.invoked_subcommand:
        return
    config = configured(call, options)
    run(_work(call, config, [kind.strip() for kind in kinds.split(",") if kind.strip()]))


async def _work(call: Call, config: Config, kinds: list[str]) -> None:
    import asyncio

    from starship_core import schema
    from starship_core.clock import Steered, utc_now
    from starship_core.embedded import redis_url
    from starship_core.garbage import leave_out_startup
    from starship_core.ship import Ship
    from starship_core.store.slots import database_time
    from starship_core.sweeps import registered

    sweeps = registered(config, kinds)
    url = redis_url(config)
    clock = Steered(utc_now)
    async with Ship.open(config, now=clock, redis_url=url, database_time=database_time) as ship:
        await schema.check(ship.database, ship.plugins.migrations())
        works = import_module(_WORKER).Worker(ship, sweeps, redis_url=url)
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, works.stop)
        call.answer(
            {"worker": works.name, "kinds": works.kinds},
            f"Working: {', '.join(works.kinds)}  ({works.name})",
        )
        sys.stdout.flush()
        leave_out_startup()
        await works.run()


@worker.command()
@reading
async def status(call: Call) -> None:
    """Tell who works, how each kind last ended, and what waits.

    Exit 1 when something has been due for more than five minutes, or no worker polled in the last
    half minute.

    \b
    Examples:
      starship worker status
      starship worker status --json
    """
    from starship_core.sweeps import look

    async with deployed(call) as ship:
        state = await look(ship)
    call.answer(document(state), *_told(state))
    if state.overdue or not state.workers:
        raise Exit(1)


def document(state: State) -> dict[str, Any]:
    """What `--json` prints. Times are RFC 3339, ages and skews seconds."""
    from starship_core.clock import moment, rfc3339

    return {
        "workers": [
            {
                "name": hand.name, "host": hand.host, "pid": hand.pid,
                "started_at": rfc3339(moment(hand.started_at)),
                "polled_at": rfc3339(moment(hand.polled_at)),
                "clock_skew_seconds": hand.skew / 1_000_000,
            }
            for hand in state.workers
        ],
        "kinds": [
            {
                "kind": kind,
                "oldest_due_seconds": state.age(kind),
                "overdue": kind in state.overdue,
                "runs": ran.runs if ran else 0,
                "failures": ran.failures if ran else 0,
                "last_ended_at": rfc3339(moment(ran.ended_at)) if ran else None,
                "last_result": ran.result if ran else None,
                "last_done": ran.done if ran else None,
            }
            for kind in state.due
            for ran in [state.runs.get(kind)]
        ],
        "clock_skew_seconds": state.skew / 1_000_000,
    }  # fmt: skip


def _told(state: State) -> list[Any]:
    found = document(state)
    hands = [
        (hand["name"], hand["polled_at"], f"{hand['clock_skew_seconds']:.1f} s")
        for hand in found["workers"]
    ]
    kinds = [
        (
            each["kind"], each["last_ended_at"], each["last_result"], each["last_done"],
            each["runs"], each["failures"], _age(each["oldest_due_seconds"]),
            "overdue" if each["overdue"] else "in time",
        )
        for each in found["kinds"]
    ]  # fmt: skip
    heads = ("kind", "last ended", "result", "did", "runs", "failures", "oldest due", "")
    return [
        grid("worker", "last polled", "clock off by", rows=hands)
        if hands
        else "No worker polled in the last half minute: run `starship worker`, or `starship up`.",
        grid(*heads, rows=kinds),
    ]


def _age(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.0f} s"
