"""The worker: runs what is due, a task a kind, until it is told to stop; then finishes what it has.

The tables hold the work, and every worker looks there every two seconds by itself; at a kind that
had something to do a moment ago, ten times a second. arq is only the alarm clock: one job,
`wake(kind)`, makes some worker look at a kind at once. A Redis that is away, hangs, or was flushed
therefore delays by those two seconds, and loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

import msgspec
import structlog
from arq import worker as arq
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from starship_core.clock import Steered
from starship_core.database import Tx
from starship_core.errors import StarshipError
from starship_core.logs import fault
from starship_core.ship import Ship
from starship_core.store.labour import Hand, gone, polled
from starship_core.store.slots import SECOND
from starship_core.sweeping import Sweeper
from starship_core.sweeps import State, Sweep, look

POLL_SECONDS: Final = 2.0
"""Between two looks at the tables."""
LIVELY_SECONDS: Final = 2 * POLL_SECONDS
"""So long after it did something, a kind without slots is looked at more often than that…"""
LIVELY_POLL_SECONDS: Final = 0.1
"""… this often: under load there is always more to come, and nobody should wait for the poll."""
BEAT_SECONDS: Final = 10
"""Between two signs of life in the table of workers."""
DRAIN_SECONDS: Final = 30.0
"""How long sweeps that are running may take after the order to stop; the rest is found again."""
_REDIS_SECONDS: Final = 5.0
"""A Redis that says nothing for so long is let go, and connected to anew."""
_AGAIN_SECONDS: Final = 2.0
_log = structlog.get_logger("starship.worker")


class Worker:
    """One process' worth of sweeping."""

    def __init__(self, ship: Ship, sweeps: Mapping[str, Sweep], *, redis_url: str | None) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._ship = ship
        self._sweeps = sweeps
        self._sweeper = Sweeper(ship, self.name)
        self._stopping = asyncio.Event()
        self._due = {kind: asyncio.Event() for kind in sweeps}
        self._rung: set[str] = set()
        self._started_at = 0
        self._beat_at = 0
        queue = f"{ship.config.deployment.name}:wake"
        self._alarm = None if redis_url is None else Alarm(redis_url, queue, self.wake)

    @property
    def kinds(self) -> list[str]:
        """What it runs."""
        return list(self._sweeps)

    def wake(self, kind: str) -> None:
        """Run this kind as soon as it is not running, whatever its slots say. Others: nothing."""
        if kind in self._due:
            self._rung.add(kind)
            self._due[kind].set()

    def stop(self) -> None:
        """Take no more; `run` returns when what is running has ended."""
        self._stopping.set()
        for due in self._due.values():
            due.set()

    async def run(self) -> None:
        """Until `stop`. A database or a Redis that goes away is waited for."""
        _log.info("worker.began", worker=self.name, kinds=self.kinds)
        ringing = [asyncio.create_task(self._alarm.listen())] if self._alarm else []
        polling = asyncio.create_task(self._poll())
        attending = [asyncio.create_task(self._attend(sweep)) for sweep in self._sweeps.values()]
        try:
            await self._stopping.wait()
            await asyncio.wait([polling, *attending], timeout=DRAIN_SECONDS)
        finally:
            await _ended([polling, *ringing, *attending])
            with suppress(StarshipError):
                await self._ship.database.run(gone, self.name)
            _log.info("worker.ended", worker=self.name)

    # --- when ------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                await self._look()
                away = False
            except StarshipError as error:
                if not away:
                    _log.warning("worker.database_away", reason=str(error))
                away = True
            except Exception as error:  # noqa: BLE001  # a worker that does not look is none
                _log.error("worker.look_failed", **fault(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), POLL_SECONDS)

    async def _look(self) -> None:
        state = await look(self._ship, self._sweeps)
        if state.now - self._beat_at >= BEAT_SECONDS * SECOND:
            await self._ship.database.run(self._beat, state)
            self._beat_at = state.now
        for kind, since in state.due.items():
            if since is not None:
                self._due[kind].set()

    def _beat(self, tx: Tx, state: State) -> None:
        self._started_at = self._started_at or state.now
        skew = state.skew
        if isinstance(clock := self._ship.now, Steered):
            skew += clock.offset // timedelta(microseconds=1)
            clock.set_right(timedelta(microseconds=skew))
        hand = Hand(
            name=self.name, host=socket.gethostname(), pid=os.getpid(),
            started_at=self._started_at, polled_at=state.now, skew=skew,
        )  # fmt: skip
        polled(tx, hand)

    # --- what ------------------------------------------------------------------------------------

    async def _attend(self, sweep: Sweep) -> None:
        """One kind: never twice at once in this process, and none waits for another."""
        due = self._due[sweep.kind]
        lively_until = 0.0
        while True:
            lively = time.monotonic() < lively_until
            with suppress(TimeoutError):
                await asyncio.wait_for(due.wait(), LIVELY_POLL_SECONDS if lively else None)
            if self._stopping.is_set():
                return
            due.clear()
            try:
                done = await self._sweep(sweep)
                if done:
                    lively_until = 0 if sweep.every else time.monotonic() + LIVELY_SECONDS
                    await self._after(sweep)
            except StarshipError as error:  # the database; what was begun is due again by itself
                _log.warning("sweep.cut_off", kind=sweep.kind, reason=str(error))
            except Exception as error:  # noqa: BLE001  # a kind that nobody attends to is lost work
                _log.error("sweep.cut_off", kind=sweep.kind, **fault(error))

    async def _sweep(self, sweep: Sweep) -> int:
        if sweep.kind in self._rung:
            self._rung.discard(sweep.kind)
            done = await self._sweeper.on_time(sweep)
            return await self._sweeper.at_once(sweep) if done is None else done
        return await self._sweeper.on_time(sweep) or 0

    async def _after(self, sweep: Sweep) -> None:
        """It did something: there may be more, and others may have something to do now."""
        if sweep.every is None:
            self._due[sweep.kind].set()
        for kind in sweep.rings:
            if kind in self._due:
                self.wake(kind)
            elif self._alarm is not None:
                await self._alarm.ring(kind)


@asynccontextmanager
async def working(
    ship: Ship, sweeps: Mapping[str, Sweep], *, redis_url: str | None
) -> AsyncIterator[Worker]:
    """A worker beside something else in this process; drained when the block ends."""
    worker = Worker(ship, sweeps, redis_url=redis_url)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await running


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def wake(ctx: dict[Any, Any], *kinds: Any, **_: Any) -> None:
    """The one job, `wake(kind)`: run the sweep of that kind."""
    for kind in kinds:
        ctx["heard"](kind)


class Alarm:
    """arq on one queue: `ring` somewhere, and one of those who `listen` hears it.

    Nothing depends on it. Jobs carry the kind of a sweep and nothing else, and leave no result.
    """

    def __init__(self, url: str, queue: str, heard: Callable[[str], None]) -> None:
        self._url = url
        self._queue = queue
        self._heard = heard

    async def ring(self, kind: str) -> bool:
        """Whether a job is queued, by us or before us. Never raises, never waits long."""
        client = self._client()
        try:
            async with asyncio.timeout(1):
                await client.enqueue_job("wake", kind, _job_id=f"{self._queue}:{kind}")
        except (RedisError, OSError, TimeoutError):
            return False
        else:
            return True
        finally:
            await _closed(client)

    async def listen(self) -> None:
        """Until cancelled: also after a Redis that was away, hung, or is another one now."""
        logging.getLogger("arq").setLevel(logging.WARNING)
        away = False
        while True:
            client = self._client()
            try:
                await client.ping()
                away = False
                await self._worker(client).main()
            except Exception as error:  # noqa: BLE001  # the alarm clock; the work goes on without it
                if not away:
                    _log.warning("worker.alarm_away", error=type(error).__name__)
                away = True
            finally:
                await _closed(client)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _worker(self, client: ArqRedis) -> arq.Worker:
        return arq.Worker(
            functions=[arq.func(wake, max_tries=1, keep_result=0, timeout=5)],
            ctx={"heard": self._heard},
            redis_pool=client,
            queue_name=self._queue,
            handle_signals=False,
            max_tries=1,  # a job that was cut off is not run again: the tables still have the work
            retry_jobs=False,
            job_timeout=5,
            keep_result=0,  # a kept one would keep the same kind from being rung again
            log_results=False,
            job_serializer=msgspec.msgpack.encode,
            job_deserializer=msgspec.msgpack.decode,
        )

    def _client(self) -> ArqRedis:
        return ArqRedis(
            ConnectionPool.from_url(
                self._url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=1
            ),
            job_serializer=msgspec.msgpack.encode,
            job_deserializer=msgspec.msgpack.decode,
            default_queue_name=self._queue,
        )


async def _closed(client: ArqRedis) -> None:
    with suppress(RedisError, OSError, TimeoutError):
        await client.aclose(close_connection_pool=True)
