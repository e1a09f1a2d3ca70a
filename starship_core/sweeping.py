"""Running one sweep: on time in its slot, or at once when somebody rings; counted either way."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from starship_core.database import Tx
from starship_core.errors import StarshipError
from starship_core.logs import fault
from starship_core.ship import Ship
from starship_core.store.labour import Run, ran
from starship_core.store.slots import CLAIMS, HELD, SECOND, Claim, claim, end, hold, slot_at
from starship_core.sweeps import Sweep

RENEW_EVERY: Final = 15.0
"""Seconds between two renewals of a slot's lease, which lasts for 60."""
_log = structlog.get_logger("starship.worker")


class TakenOver(Exception):
    """The lease of a slot ended while its sweep was running, and another worker has it now."""


class Sweeper:
    """Runs sweeps in the name of one worker."""

    def __init__(self, ship: Ship, worker: str) -> None:
        self._ship = ship
        self._worker = worker

    async def on_time(self, sweep: Sweep) -> int | None:
        """Run it in its present slot: how many things it did; None when that is not to be had.

        Raises Unavailable when the database is away.
        """
        if sweep.every is None:
            return await self.at_once(sweep)
        claimed = await self._ship.database.run(self._claim, sweep.kind, sweep.every)
        if claimed is None:
            return None
        began = await self._ship.database.read(self._ship.database_time)
        names = {"kind": sweep.kind, "slot": claimed.slot, "claims": claimed.claims}
        _log.info("sweep.began", **names)
        try:
            async with self._held(claimed):
                done, result = await self._tried(sweep)
        except TakenOver:
            _log.warning("sweep.taken_over", **names)
            return 0
        if await self._ship.database.run(self._end, claimed, began, (done, result)):
            _log.info("sweep.ended", **names, result=result, done=done)
        else:
            _log.warning("sweep.taken_over", **names)
        return done

    async def at_once(self, sweep: Sweep) -> int:
        """Run it whatever its slots say: how many things it did."""
        began = await self._ship.database.read(self._ship.database_time)
        done, result = await self._tried(sweep)
        if done or result != "done":
            await self._ship.database.run(self._count, sweep.kind, began, (done, result))
            _log.info("sweep.ended", kind=sweep.kind, result=result, done=done)
        return done

    async def _tried(self, sweep: Sweep) -> tuple[int, str]:
        """What it did, and `done` or the class of what it failed with."""
        try:
            return await sweep.run(self._ship), "done"
        except StarshipError as error:
            _log.warning("sweep.failed", kind=sweep.kind, reason=str(error))
            return 0, type(error).__name__
        except Exception as error:  # noqa: BLE001  # the next run may be better off; the worker goes on
            _log.error("sweep.failed", kind=sweep.kind, **fault(error))
            return 0, type(error).__name__

    @asynccontextmanager
    async def _held(self, claimed: Claim) -> AsyncIterator[None]:
        """The slot stays ours while the block runs. Raises TakenOver once it does not."""
        at_work = asyncio.current_task()
        lost, done = asyncio.Event(), asyncio.Event()

        async def renew() -> None:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(done.wait(), RENEW_EVERY)
                    return
                try:
                    kept = await self._ship.database.run(self._hold, claimed)
                except StarshipError as error:
                    _log.warning("sweep.not_renewed", kind=claimed.kind, reason=str(error))
                    continue
                if not kept:
                    lost.set()
                    if at_work is not None:
                        at_work.cancel()
                    return

        renewing = asyncio.create_task(renew())
        try:
            yield
        except asyncio.CancelledError:
            if lost.is_set() and at_work is not None and at_work.uncancel() == 0:
                raise TakenOver from None
            raise
        finally:
            done.set()  # not cancelled: a connection that is in use would be thrown away
            await renewing

    # --- what is written -------------------------------------------------------------------------

    def _claim(self, tx: Tx, kind: str, every: int) -> Claim | None:
        now = self._ship.database_time(tx)
        slot, token = slot_at(now, every), secrets.token_hex(8)
        claims = claim(tx, kind, slot, holder=(token, self._worker), now=now)
        return Claim(kind=kind, slot=slot, token=token, claims=claims) if claims else None

    def _hold(self, tx: Tx, claimed: Claim) -> bool:
        return hold(tx, claimed, self._ship.database_time(tx) + HELD)

    def _end(self, tx: Tx, claimed: Claim, began: int, outcome: tuple[int, str]) -> bool:
        """Nothing is written without the token. What failed is due again when its lease ends."""
        now = self._ship.database_time(tx)
        again = outcome[1] != "done" and claimed.claims < CLAIMS
        if not (hold(tx, claimed, now + 60 * SECOND) if again else end(tx, claimed, now)):
            return False
        self._count(tx, claimed.kind, began, outcome)
        return True

    def _count(self, tx: Tx, kind: str, began: int, outcome: tuple[int, str]) -> None:
        done, result = outcome
        ran(
            tx,
            Run(
                kind=kind, runs=1, failures=int(result != "done"), began_at=began,
                ended_at=self._ship.database_time(tx), result=result, done=done,
                worker=self._worker,
            ),
        )  # fmt: skip
