"""Deliver: events that are due go to their endpoints, under a lease, each attempt written down.

A worker that is killed anywhere leaves rows that are due again when their lease ends, and sends
the same event under the same id: at least once. One that was paused and wakes up late has lost its
lease, and its outcomes are not written.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from starship_core.clock import micros
from starship_core.config_telling import WebhooksSection
from starship_core.database import Tx
from starship_core.errors import StarshipError, Unavailable
from starship_core.lanes import AHEAD, Lanes, Slot
from starship_core.model import Target
from starship_core.ports import Notifier
from starship_core.ship import Ship
from starship_core.store import deliveries
from starship_core.store.deliveries import Due, Endpoint, Outcome, oldest_due
from starship_core.store.lost_endpoints import give_up_lost
from starship_core.store.webhooks import TEST_EVENT

__all__ = ["oldest_due", "sweep_deliveries"]

SWEEP_SECONDS: Final = 40.0
"""Then endpoints that fail are left to the next sweep; those that answer for as long again."""
_POLL: Final = 0.25
_GATHER: Final = 0.004
"""Seconds that outcomes are gathered, to be written in one transaction."""
_GRACE: Final = 1.0
"""The transport's own deadline comes first: it knows what it waited for."""
_LONGEST: Final = 200
_log = structlog.get_logger("starship.deliveries")


async def sweep_deliveries(ship: Ship) -> int:
    """Attempt all that is due, and what becomes due meanwhile; how many attempts ended.

    No endpoint waits for another one's answer (`lanes`). Ends when nothing is left to do, or after
    a while; right however often it runs at once.
    """
    transport = ship.config.webhook_notifier
    if transport is None:
        return 0
    await give_up_lost(ship.database, ship.config.webhooks, ship.now())
    if await ship.database.read(oldest_due, micros(ship.now())) is None:
        return 0
    return await _Sweep(ship, ship.notifiers[transport]).run()


class _Written(NamedTuple):
    """What one transaction settles, gives back and takes."""

    outcomes: Sequence[Outcome]
    back: Sequence[int]
    plan: Mapping[int, int]


class _Sweep:
    """What is at hand, under way, and to be written."""

    def __init__(self, ship: Ship, notifier: Notifier) -> None:
        self._ship = ship
        self._notifier = notifier
        self._section = section = ship.config.webhooks
        self._lanes = Lanes(slots=section.concurrency, per_endpoint=section.per_endpoint)
        self._token = secrets.token_hex(8)
        self._lease = round((AHEAD + 4) * (section.answer_seconds + _GRACE) * 1_000_000)
        self._endpoints: dict[int, Endpoint] = {}
        self._targets: dict[Endpoint, Target] = {}
        self._hands: dict[int, deque[Due]] = {}
        self._under_way: dict[asyncio.Task[None], Due] = {}
        self._outcomes: list[Outcome] = []
        self._back: list[int] = []
        self._news = asyncio.Event()
        self._ended = 0

    async def run(self) -> int:
        began = time.monotonic()
        try:
            while await self._turn(time.monotonic() - began) or self._open:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _POLL)
                    await asyncio.sleep(_GATHER)
                self._news.clear()
        finally:
            await asyncio.shield(self._leave())
        return self._ended

    @property
    def _open(self) -> bool:
        return bool(self._under_way or self._outcomes or self._back)

    async def _turn(self, seconds: float) -> bool:
        """Write what ended, take what is due, start what can be; whether there may be more."""
        plan = await self._planned(seconds)
        writing = _Written(self._outcomes, self._back, plan)
        if not any(writing):
            return False
        self._outcomes, self._back = [], []
        try:
            taken = await self._ship.database.run(self._write, writing)
        except BaseException:
            self._outcomes[:0], self._back[:0] = writing.outcomes, writing.back
            raise
        for due in taken:
            self._hands.setdefault(due.webhook_id, deque()).append(due)
            self._lanes.taken(due.webhook_id)
        for endpoint, hand in self._hands.items():
            if hand:
                self._start(endpoint)
        return bool(taken or writing.back)

    async def _planned(self, seconds: float) -> Mapping[int, int]:
        if seconds > 2 * SWEEP_SECONDS:
            return {}
        found = await self._ship.database.read(deliveries.due_endpoints, micros(self._ship.now()))
        self._endpoints |= {each.id: each for each in found}
        plan = self._lanes.plan((each.id, each.failures > 0) for each in found)
        if seconds > SWEEP_SECONDS:
            return {each: many for each, many in plan.items() if not self._lanes.failing(each)}
        return plan

    def _write(self, tx: Tx, writing: _Written) -> list[Due]:
        now = micros(self._ship.now())
        deliveries.settle(tx, self._token, writing.outcomes)
        deliveries.release(tx, self._token, writing.back, now)
        lease = (self._token, now + self._lease)
        return deliveries.take_due(tx, lease, self._endpoints, writing.plan, now=now)

    def _start(self, endpoint: int) -> None:
        hand = self._hands[endpoint]
        while hand and (slot := self._lanes.start(endpoint)):
            due = hand.popleft()
            attempt = asyncio.create_task(self._attempt(due, slot))
            self._under_way[attempt] = due
            attempt.add_done_callback(lambda done: self._under_way.pop(done, None))

    async def _attempt(self, due: Due, slot: Slot) -> None:
        began = time.monotonic()
        error = await self._sent(due)
        took = time.monotonic() - began
        self._outcomes.append(_outcome(due, error, took, micros(self._ship.now()), self._section))
        self._ended += 1
        self._lanes.end(due.webhook_id, slot, ok=error is None)
        if error is None:
            self._start(due.webhook_id)
        else:  # what was taken ahead is not thrown after it at once
            hand = self._hands[due.webhook_id]
            self._back += [each.id for each in hand]
            hand.clear()
            self._lanes.give_back(due.webhook_id)
        self._news.set()

    async def _sent(self, due: Due) -> str | None:
        """None for a 2xx, else what went wrong: neither address nor secret is in it."""
        seconds = self._section.answer_seconds
        try:
            async with asyncio.timeout(seconds + _GRACE):
                await self._notifier.notify(due.event, self._target(due.webhook_id))
        except TimeoutError:
            return f"the receiver gave no answer in {seconds:g} s"
        except StarshipError as error:
            return str(error)[:_LONGEST]
        except Exception as error:  # noqa: BLE001  # a plugin may raise anything
            name = type(error).__name__
            _log.error("delivery.fault", delivery=due.id, error=name)
            return f"the transport failed ({name})"
        return None

    def _target(self, webhook_id: int) -> Target:
        endpoint = deliveries.signing(self._endpoints[webhook_id], micros(self._ship.now()))
        target = self._targets.get(endpoint)
        if target is None:
            target = deliveries.target_of(endpoint, self._ship.vault)
            self._targets[endpoint] = target
        return target

    async def _leave(self) -> None:
        """Stopped in between: what ended is written, everything else is due again at once."""
        under_way = dict(self._under_way)
        for attempt in under_way:
            attempt.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        ended = {each.delivery_id for each in self._outcomes}
        self._back += [due.id for hand in self._hands.values() for due in hand]
        self._back += [due.id for due in under_way.values() if due.id not in ended]
        if self._open:
            with suppress(Unavailable):  # then their leases end
                await self._ship.database.run(self._write, _Written(self._outcomes, self._back, {}))


def _outcome(
    due: Due, error: str | None, took: float, now: int, section: WebhooksSection
) -> Outcome:
    """What becomes of a delivery after an attempt: delivered, due again, or failed for good."""
    attempts = due.attempts + 1
    status, due_at = "DELIVERED", None
    if error is not None:
        status = "FAILED"
        if attempts <= len(section.retry_seconds) and due.event.event_type != TEST_EVENT:
            status, due_at = "PENDING", now + _pause(due.id, attempts, section)
    return Outcome(
        delivery_id=due.id, webhook_id=due.webhook_id, at=now, milliseconds=round(took * 1000),
        error=error, status=status, attempts=attempts, due_at=due_at,
    )  # fmt: skip


def _pause(delivery_id: int, attempts: int, section: WebhooksSection) -> int:
    """Microseconds to the next attempt, earlier by a part of the jitter: always the same part."""
    spread = zlib.crc32(f"{delivery_id}:{attempts}".encode()) / 2**32
    seconds = section.retry_seconds[attempts - 1] * (1 - section.jitter * spread)
    return round(seconds * 1_000_000)
