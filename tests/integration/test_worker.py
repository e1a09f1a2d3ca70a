"""The worker in this process: who wakes it, that it does without Redis, and that it drains."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import redis

from starship_core.clock import Steered, micros
from starship_core.errors import Unavailable
from starship_core.ship import Ship
from starship_core.store.labour import Hand, alive
from starship_core.sweeps import Sweep
from starship_core.testing.clock import START, ManualClock
from starship_core.testing.servers import RedisServer, redis_server
from starship_core.worker import Alarm, Worker, working
from tests.integration.ships import Dock


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second is waited for."""
    monkeypatch.setattr("starship_core.worker.POLL_SECONDS", 0.02)
    monkeypatch.setattr("starship_core.worker._AGAIN_SECONDS", 0.02)
    monkeypatch.setattr("starship_core.worker._REDIS_SECONDS", 0.5)


class Work:
    """A sweep of things that are due one by one; counts what it did."""

    def __init__(self, kind: str = "work", rings: tuple[str, ...] = ()) -> None:
        self.left, self.did, self.ran = 0, 0, 0
        self.sweep = Sweep(
            kind=kind, about="", run=self.run, rings=rings,
            oldest_due=lambda _tx, now: now if self.left else None,
        )  # fmt: skip

    async def run(self, _ship: Ship) -> int:
        self.ran += 1
        done, self.left = min(1, self.left), max(0, self.left - 1)
        self.did += done
        return done


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


async def reached(work: Work, times: int) -> None:
    await until(lambda: work.ran >= times)


@pytest.fixture
async def own_redis(run_folder: Path) -> AsyncIterator[RedisServer]:
    """One that may be stopped, flushed and killed."""
    with redis_server(run_folder / f"alarm-{os.getpid()}") as server:
        yield server


async def test_what_is_due_is_done_without_redis(dock: Dock) -> None:
    """No alarm clock at all: the worker looks by itself, and goes on while there is more."""
    work = Work()
    async with working(dock.ship, {"work": work.sweep}, redis_url=None):
        work.left = 5
        await until(lambda: work.did == 5)
    assert work.ran >= 5


async def test_what_was_lively_is_looked_at_again_before_the_poll(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ring; what comes a little later is done though nobody rings and no poll sees it."""
    monkeypatch.setattr("starship_core.worker.LIVELY_POLL_SECONDS", 0.02)
    work = Work()
    unseen = msgspec.structs.replace(work.sweep, oldest_due=lambda _tx, _now: None)
    async with working(dock.ship, {"work": unseen}, redis_url=None) as worker:
        work.left = 1
        worker.wake("work")
        await until(lambda: work.did == 1)
        work.left = 1
        await until(lambda: work.did == 2)


async def test_a_ring_is_heard_by_a_worker_that_sees_nothing_due(
    dock: Dock, own_redis: RedisServer
) -> None:
    """One job, `wake(kind)`; the same kind may be rung again at once, and no result is kept."""
    work = Work()
    worker = Worker(dock.ship, {"work": work.sweep}, redis_url=own_redis.url)
    running = asyncio.create_task(worker.run())
    queue = f"{dock.ship.config.deployment.name}:wake"
    alarm = Alarm(own_redis.url, queue, lambda _kind: None)
    for times in range(1, 4):
        assert await alarm.ring("work")
        await reached(work, times)
    assert await alarm.ring("unknown")
    worker.stop()
    await running
    with own_redis.client() as client:
        assert client.keys("arq:result:*") == []


async def test_jobs_are_msgpack_and_carry_a_kind_alone(own_redis: RedisServer) -> None:
    """Never pickle, never anything of an order."""
    await Alarm(own_redis.url, "q", lambda _kind: None).ring("pump")
    with own_redis.client() as client:
        job = client.get("arq:job:q:pump")
    assert isinstance(job, bytes)
    found = msgspec.msgpack.decode(job)
    assert (found["f"], found["a"], found["k"]) == ("wake", ["pump"], {})


async def test_redis_hangs_is_flushed_and_restarts(dock: Dock, run_folder: Path) -> None:
    """Work goes on all the time, and the alarm is heard again by itself afterwards."""
    work = Work()
    folder = run_folder / f"fickle-{os.getpid()}"
    queue = f"{dock.ship.config.deployment.name}:wake"
    with redis_server(folder) as server:
        worker = Worker(dock.ship, {"work": work.sweep}, redis_url=server.url)
        running = asyncio.create_task(worker.run())
        alarm = Alarm(server.url, queue, lambda _kind: None)
        server.process.send_signal(signal.SIGSTOP)
        assert not await alarm.ring("work")
        work.left = 1
        await until(lambda: work.did == 1)
        server.process.send_signal(signal.SIGCONT)
        with server.client() as client:
            client.flushall()
        await heard(alarm, work)
    work.left = 1
    await until(lambda: work.did == 2)
    assert not await alarm.ring("work")
    with redis_server(folder):
        await heard(alarm, work)
        worker.stop()
        await running


async def heard(alarm: Alarm, work: Work) -> None:
    """Rings until it is heard: while the connection is made anew, a ring may be lost."""
    before = work.ran

    async def ringing() -> None:
        while work.ran == before:
            await alarm.ring("work")
            await asyncio.sleep(0.05)

    await asyncio.wait_for(ringing(), 30)


async def test_one_kind_wakes_another(dock: Dock) -> None:
    """What a pump brought is looked at at once."""
    first, second = Work("first", rings=("second",)), Work("second")
    sweeps = {"first": first.sweep, "second": second.sweep}
    async with working(dock.ship, sweeps, redis_url=None):
        first.left = 1
        await until(lambda: second.ran == 1)


async def test_it_finishes_what_it_has_and_takes_no_more(dock: Dock) -> None:
    """Told to stop in the middle of a sweep: that ends well, and nothing else begins."""
    began, go = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def slow(_ship: Ship) -> int:
        began.set()
        await go.wait()
        ended.append("slow")
        return 1

    sweep = Sweep(kind="slow", about="", run=slow, oldest_due=lambda _tx, now: now)
    worker = Worker(dock.ship, {"slow": sweep}, redis_url=None)
    running = asyncio.create_task(worker.run())
    await began.wait()
    assert [hand.name for hand in await living(dock)] == [worker.name]
    worker.stop()
    await asyncio.sleep(0.1)
    assert not running.done()
    go.set()
    await running
    assert ended == ["slow"]
    assert await living(dock) == []


async def living(dock: Dock) -> list[Hand]:
    return await dock.ship.database.read(lambda tx: alive(tx, micros(dock.ship.now())))


async def test_a_sweep_that_raises_takes_nobody_down(dock: Dock) -> None:
    """Its kind is run again, and the other kinds go on."""
    work, tries = Work(), 0

    async def broken(_ship: Ship) -> int:
        nonlocal tries
        tries += 1
        raise Unavailable("down", retry_after=1) if tries % 2 else RuntimeError("x")

    sweep = Sweep(kind="broken", about="", run=broken, oldest_due=lambda _tx, now: now)
    async with working(dock.ship, {"broken": sweep, "work": work.sweep}, redis_url=None):
        work.left = 2
        await until(lambda: work.did == 2 and tries >= 3)


async def test_a_clock_that_is_off_is_told_of_and_set_right(dock: Dock, clock: ManualClock) -> None:
    """A worker 40 minutes ahead does its work by the database's clock."""
    ahead = Steered(lambda: clock() + timedelta(minutes=40))
    ship = replace(dock.ship, now=ahead)
    async with working(ship, {"work": Work().sweep}, redis_url=None):
        await until(lambda: ahead() == START)
        skews: list[int] = []
        async with asyncio.timeout(30):
            while not skews:
                skews = [hand.skew for hand in await living(dock)]
        assert skews == [-40 * 60 * 1_000_000]


def test_a_little_skew_is_left_alone() -> None:
    """Two clocks are never quite equal; two seconds hurt nobody."""
    steered = Steered(lambda: START)
    steered.set_right(timedelta(seconds=2))
    assert steered() == START
    steered.set_right(timedelta(seconds=-2.5))
    assert steered() == START - timedelta(seconds=2.5)


async def test_a_ring_without_redis_is_no_fault(tmp_path: Path) -> None:
    """Whoever rings is told that nobody may hear it, and nothing is raised."""
    with (
        pytest.raises(redis.ConnectionError),
        redis.Redis.from_url(f"unix://{tmp_path}/no") as gone,
    ):
        gone.ping()
    assert not await Alarm(f"unix://{tmp_path}/no", "q", lambda _kind: None).ring("pump")
