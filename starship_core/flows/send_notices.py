"""Notices: find what runs low, and tell operators what was found, through their notifiers."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import structlog

from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import StarshipError
from starship_core.model import Target
from starship_core.ship import Ship
from starship_core.store.levels import tell_low_balances, tell_low_stock
from starship_core.store.lost_endpoints import give_up_lost
from starship_core.store.notices import DueNotice, Settled, oldest_due, settle, take_due

__all__ = ["oldest_due", "sweep_notices"]

RETRY_SECONDS: Final = (60, 300, 900, 3600, 3600, 7200, 14_400, 28_800, 43_200)
"""From one attempt to the next: a day and more, since a mail server may be down over a night."""
DEADLINE: Final = 30.0
_MANY: Final = 16
_LONGEST: Final = 200
_LEASE: Final = 2 * 60 * 1_000_000
_AT_ONCE: Final = 4
_log = structlog.get_logger("starship.notices")


async def sweep_notices(ship: Ship) -> int:
    """Send what is due to every notifier of the operators; how many notices were attempted.

    Where there is none, notices wait for one and are seen by `starship notice list`. A notifier
    that took a notice is not sent it again.
    """
    await _find(ship)
    names = ship.config.operator_notifiers
    if not names or await ship.database.read(oldest_due, micros(ship.now())) is None:
        return 0
    token = secrets.token_hex(8)
    now = micros(ship.now())
    taken = await ship.database.run(_take, token, now)
    slots = asyncio.Semaphore(_AT_ONCE)
    settled = await asyncio.gather(*(_told(each, names, ship, slots) for each in taken))
    await ship.database.run(settle, token, settled)
    return len(taken)


def _take(tx: Tx, token: str, now: int) -> list[DueNotice]:
    return take_due(tx, token, now=now, until=now + _LEASE, limit=_MANY)


async def _find(ship: Ship) -> None:
    """Lost endpoints (nothing may be due there any more), low balances and low stock."""
    await give_up_lost(ship.database, ship.config.webhooks, ship.now())
    section = ship.config.notices
    now = ship.now()
    if section.low_balance:
        await ship.database.run(tell_low_balances, section.low_balance, now)
    if section.low_stock:
        await ship.database.run(tell_low_stock, section.low_stock, now, micros(now))


async def _told(
    notice: DueNotice, names: list[str], ship: Ship, slots: asyncio.Semaphore
) -> Settled:
    sent_to, error = list(notice.sent_to), None
    async with slots:
        for name in names:
            if name not in sent_to:
                fault = await _sent(notice, name, ship)
                error = fault or error
                sent_to += [] if fault else [name]
    now, attempts = micros(ship.now()), notice.attempts + 1
    done = error is None
    again = not done and attempts <= len(RETRY_SECONDS)
    return Settled(
        id=notice.id,
        status="PENDING" if again else "SENT" if done else "FAILED",
        attempts=attempts,
        due_at=now + RETRY_SECONDS[attempts - 1] * 1_000_000 if again else None,
        sent_to=tuple(sent_to),
        error=error,
        sent_at=now if done else None,
    )


async def _sent(notice: DueNotice, name: str, ship: Ship) -> str | None:
    """None when the notifier took it, else what went wrong."""
    try:
        async with asyncio.timeout(DEADLINE):
            await ship.notifiers[name].notify(notice.event, Target(address=""))
    except TimeoutError:
        return f"{name}: took nothing in {DEADLINE:g} s"
    except StarshipError as error:
        return f"{name}: {error}"[:_LONGEST]
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        fault = type(error).__name__
        _log.error("notice.fault", notice=notice.id, notifier=name, error=fault)
        return f"{name}: failed ({fault})"
    return None
