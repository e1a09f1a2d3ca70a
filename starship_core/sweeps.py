"""The registry of sweeps: what a worker runs by itself, how often, and how late it is.

A kind with `every` has cron slots (`store/slots.py`); one without is run whenever something of
it is due. A sweep may be run again, twice at once, or after a kill anywhere: the tables hold the
work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from starship_core.buying.filling import RUN_SECONDS
from starship_core.clock import micros
from starship_core.config import Config
from starship_core.database import Tx
from starship_core.errors import ConfigError
from starship_core.flows import deliver_events, relay_events, send_notices
from starship_core.flows.buy_purchases import oldest_due as oldest_purchase
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.decide_fallbacks import oldest_due as oldest_undecided
from starship_core.flows.decide_fallbacks import sweep_policies
from starship_core.flows.expire_stock import oldest_expired, sweep_expiry
from starship_core.flows.forget_deliveries import sweep_retention
from starship_core.flows.pump_inventory import sweep_pump
from starship_core.flows.refresh_rates import sweep_rates
from starship_core.flows.retry_order import oldest_left, sweep_bulk, sweep_retry
from starship_core.reconciliation.report import sweep_reconcile
from starship_core.ship import Ship
from starship_core.store.delivery_counts import Tally, tally_of_all
from starship_core.store.labour import Hand, Run, alive, runs
from starship_core.store.slots import SECOND, oldest_unrun

MINUTE: Final = 60
LATE: Final = 5 * MINUTE
"""A kind whose oldest due thing is older than this, in seconds, is overdue."""


class Sweep(Struct, frozen=True, kw_only=True):
    """One kind of work."""

    kind: str
    about: str
    run: Callable[[Ship], Awaitable[int]]
    """Does what is due, and says how many things it did; 0: nothing was due."""
    every: int | None = None
    """Seconds between two cron slots; None: whenever `oldest_due` finds something."""
    oldest_due: Callable[[Tx, int], int | None] | None = None
    """When the oldest due thing became due, in microseconds; None: its slots say it."""
    rings: tuple[str, ...] = ()
    """Kinds that have something to do when this one has done something."""
    enabled: Callable[[Config], bool] = lambda _config: True

    def due(self, tx: Tx, now: int) -> int | None:
        """Since when something of this kind is due that nobody is at; None: nothing is."""
        if self.oldest_due is not None:
            return self.oldest_due(tx, now)
        if self.every is None:
            raise AssertionError(f"{self.kind} says neither how often nor what is due")
        return oldest_unrun(tx, self.kind, self.every, now)


SWEEPS: Final = (
    Sweep(
        kind="pump",
        about="sources → stock → pool, and what targets miss is planned to be bought",
        run=sweep_pump,
        every=RUN_SECONDS,
        rings=("retry", "purchases"),
    ),
    Sweep(
        kind="retry",
        about="orders that wait look in the pool again; only when [retry] auto is on",
        run=sweep_retry,
        every=MINUTE,
        enabled=lambda config: config.retry.auto,
    ),
    Sweep(
        kind="bulk",
        about="bulk orders left between two chunks are gone on with",
        run=sweep_bulk,
        oldest_due=oldest_left,
    ),
    Sweep(
        kind="policies",
        about="policies decide whether what the pool missed is bought; only when there are any",
        run=sweep_policies,
        oldest_due=oldest_undecided,
        rings=("purchases",),
        enabled=lambda config: bool(config.policies),
    ),
    Sweep(
        kind="purchases",
        about="what was approved is bought, and what is in doubt is looked up",
        run=sweep_purchases,
        oldest_due=oldest_purchase,
    ),
    Sweep(
        kind="expiry",
        about="units past their date leave pool and stock",
        run=sweep_expiry,
        oldest_due=oldest_expired,
    ),
    Sweep(
        kind="relay",
        about="events that committed get their place in the feed, and their deliveries",
        run=relay_events.sweep_relay,
        oldest_due=relay_events.oldest_due,
        rings=("deliveries",),
    ),
    Sweep(
        kind="deliveries",
        about="webhooks whose time has come",
        run=deliver_events.sweep_deliveries,
        oldest_due=deliver_events.oldest_due,
        enabled=lambda config: config.webhook_notifier is not None,
    ),
    Sweep(
        kind="retention",
        about="deliveries older than [webhooks] keep_days are removed; never what is due",
        run=sweep_retention,
        every=60 * MINUTE,
    ),
    Sweep(
        kind="notices",
        about="operators are told what was found, and what runs low",
        run=send_notices.sweep_notices,
        every=MINUTE,
    ),
    Sweep(
        kind="reconcile",
        about="what is stuck, does not agree or runs low is found, and operators are told",
        run=sweep_reconcile,
        every=24 * 60 * MINUTE,
        rings=("notices",),
    ),
    Sweep(
        kind="rates",
        about="exchange rates, before an order needs them",
        run=sweep_rates,
        every=MINUTE,
    ),
)


class State(Struct, frozen=True, kw_only=True):
    """All work at one moment. Times in microseconds, by the database's clock."""

    now: int
    due: dict[str, int | None]
    """By kind: since when something is due."""
    runs: dict[str, Run]
    workers: list[Hand]
    deliveries: Tally
    skew: int
    """The database's clock less this process's."""

    def age(self, kind: str) -> float | None:
        """Seconds since the oldest thing of this kind became due; None: nothing is."""
        since = self.due[kind]
        return None if since is None else max(0.0, (self.now - since) / SECOND)

    @property
    def oldest(self) -> float | None:
        """Seconds, of all kinds."""
        return max((age for kind in self.due if (age := self.age(kind)) is not None), default=None)

    @property
    def overdue(self) -> list[str]:
        """Kinds that nobody gets done in time."""
        return [kind for kind in self.due if (self.age(kind) or 0) > LATE]


def registered(config: Config, kinds: Iterable[str] = ()) -> Mapping[str, Sweep]:
    """The enabled sweeps by kind; of `kinds` only, when there are any. Raises ConfigError."""
    all_of_them = {sweep.kind: sweep for sweep in SWEEPS}
    unknown = [kind for kind in kinds if kind not in all_of_them]
    if unknown:
        raise ConfigError(
            f"there is no sweep {', '.join(unknown)}; there are: {', '.join(all_of_them)}"
        )
    chosen = set(kinds) or set(all_of_them)
    return {
        kind: sweep
        for kind, sweep in all_of_them.items()
        if kind in chosen and sweep.enabled(config)
    }


async def look(ship: Ship, sweeps: Mapping[str, Sweep] | None = None) -> State:
    """What is due, what ran and who works, on one snapshot. Raises Unavailable."""
    return await ship.database.read(_look, ship, sweeps or registered(ship.config))


def _look(tx: Tx, ship: Ship, sweeps: Mapping[str, Sweep]) -> State:
    now = ship.database_time(tx)  # with the next line, so that the two clocks are read together
    skew = now - micros(ship.now())
    return State(
        now=now,
        due={kind: sweep.due(tx, now) for kind, sweep in sweeps.items()},
        runs=runs(tx),
        workers=alive(tx, now),
        deliveries=tally_of_all(tx, now),
        skew=skew,
    )
