"""What stands around every call of a vendor: its rate limit before, its breaker before and after.

An operation is `buy`, `find`, `catalogue`, `balance` or `reverse`; each has limits and a breaker of
its own, so that purchases can be looked up while buying stands still.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import structlog

from starship_core.breaker import Breaker, Rule
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import StarshipError, Unavailable
from starship_core.ship import Ship, Vendor
from starship_core.store import breakers
from starship_core.store.notices import notify

T = TypeVar("T")


class NotSent(Unavailable):
    """We did not even ask: it says nothing of the vendor, and its breaker does not count it."""


class _Line(NamedTuple):
    """What a breaker breaks."""

    vendor: str
    operation: str
    rule: Rule


_MICROS: Final = 1_000_000
_log = structlog.get_logger("starship.vendor")


async def guarded(
    vendor: Vendor, operation: str, call: Callable[[], Awaitable[T]], ship: Ship
) -> T:
    """A call that only reads. Raises Unavailable before a byte is sent, or what `call` raises."""
    await _turn(vendor, operation, ship)
    line = _Line(vendor.name, operation, Rule.of(ship.config.buying))
    if await ship.database.read(_is_open, line):
        wait = await ship.database.run(_admitted, line, micros(ship.now()))
        if wait:
            raise Unavailable(
                f"the breaker of {vendor.name} {operation} is open", retry_after=wait / _MICROS
            )
    return await _watched(line, call, ship)


async def guarded_buy(vendor: Vendor, call: Callable[[], Awaitable[T]], ship: Ship) -> T:
    """A purchase, whose transaction to SENT was let through by `store.breakers.admitted`.

    Raises Unavailable before a byte is sent when the vendor's rate limit is reached.
    """
    try:
        await _turn(vendor, "buy", ship)
    except Unavailable:
        await ship.database.run(breakers.release, vendor.name, "buy", micros(ship.now()))
        raise
    return await _watched(_Line(vendor.name, "buy", Rule.of(ship.config.buying)), call, ship)


async def _turn(vendor: Vendor, operation: str, ship: Ship) -> None:
    rate = vendor.traits.rate_limits.get(operation)
    if rate is not None:
        patience = ship.config.buying.limit_patience_seconds
        await ship.throttle.turn(f"{vendor.name}:{operation}", rate, patience=patience)


async def _watched(line: _Line, call: Callable[[], Awaitable[T]], ship: Ship) -> T:
    try:
        answer = await call()
    except NotSent:
        await ship.database.run(breakers.release, line.vendor, line.operation, micros(ship.now()))
        raise
    except Exception as error:
        await _told(line, type(error).__name__, ship)
        raise
    await _told(line, None, ship)
    return answer


async def _told(line: _Line, cause: str | None, ship: Ship) -> None:
    """Count how it went. A database that is away must not hide what the vendor answered."""
    try:
        if cause is None and not await ship.database.read(_is_open, line):
            return
        before, after = await ship.database.run(_ended, line, cause, ship.now())
    except StarshipError as error:
        _log.warning("breaker.not_counted", vendor=line.vendor, error=type(error).__name__)
        return
    log = _log.bind(vendor=line.vendor, operation=line.operation)
    if before.opened_at is None and after.opened_at is not None:
        log.warning("breaker.opened", cause=cause)
    elif before.opened_at is not None and after.opened_at is None:
        log.info("breaker.closed")


def _is_open(tx: Tx, line: _Line) -> bool:
    found = breakers.find_breaker(tx, line.vendor, line.operation)
    return found is not None and found.opened_at is not None


def _admitted(tx: Tx, line: _Line, at: int) -> int:
    return breakers.admitted(tx, line.vendor, line.operation, rule=line.rule, at=at)


def _ended(tx: Tx, line: _Line, cause: str | None, now: datetime) -> tuple[Breaker, Breaker]:
    before, after = breakers.ended(
        tx, line.vendor, line.operation, rule=line.rule, cause=cause, at=micros(now)
    )
    if before.opened_at is None and after.opened_at is not None:
        _notice(tx, line, cause, now)
    return before, after


def _notice(tx: Tx, line: _Line, cause: str | None, now: datetime) -> None:
    """Once for each time that it opens; a trial that failed is no news."""
    vendor, operation, rule = line
    notify(
        tx,
        "breaker.opened",
        subject=f"vendor:{vendor}",
        summary=f"{vendor}: {operation} stands still",
        text=(
            f"{rule.failures} calls of {vendor} {operation} failed within "
            f"{rule.window // _MICROS} seconds, the last one with {cause}. No further one is made "
            f"for {rule.rest // _MICROS} seconds; then one may try, and closes the breaker when it "
            f"is answered. See `starship switch list` and `starship vendor check {vendor}`."
        ),
        key=f"breaker:{vendor}:{operation}:{micros(now)}",
        at=now,
        data={"vendor": vendor, "operation": operation, "cause": cause},
    )
