"""All subjects, one after the other: what was looked at, what was found, and who is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import structlog
from msgspec import Struct

from starship_core.database import Tx
from starship_core.errors import StarshipError
from starship_core.reconciliation.finding import Finding, Kind
from starship_core.reconciliation.invariants import broken_invariants
from starship_core.reconciliation.money import debits_of_nothing, poor_clients, unpaid_orders
from starship_core.reconciliation.orders import waiting_orders
from starship_core.reconciliation.purchases import late_purchases
from starship_core.reconciliation.stock import pool_against_table, short_stock, short_targets
from starship_core.reconciliation.telling import (
    disabled_webhooks,
    failed_deliveries,
    failed_notices,
)
from starship_core.reconciliation.vendors import low_float, statement
from starship_core.ship import Ship, Vendor
from starship_core.store.notices import notify

_log = structlog.get_logger("starship.reconcile")
Look = Callable[[Ship], Awaitable[list[Finding]]]


class Subject(NamedTuple):
    """One thing that is looked at."""

    name: str
    about: str
    look: Look | None
    """None: it cannot be looked at here, and that is nobody's fault."""
    unseen: Kind = "part.unseen"
    """What it is when it could not be looked at."""
    of: str = ""
    """Whom it is asked of, if not our database: `vendor:bamboo-eu`."""
    command: str = "starship reconcile"


class Part(Struct, frozen=True, kw_only=True):
    """What became of one subject."""

    name: str
    about: str
    looked: bool
    why: str | None = None
    """Why it could not be looked at."""
    findings: list[Finding]


class Report(Struct, frozen=True, kw_only=True):
    """One reconciliation."""

    at: datetime
    parts: list[Part]

    @property
    def findings(self) -> list[Finding]:
        """Of all parts."""
        return [finding for part in self.parts for finding in part.findings]


OURS: Final = (
    Subject("orders", "orders that wait for too long", waiting_orders),
    Subject("purchases", "purchases of which nobody knows what became of them", late_purchases),
    Subject("unpaid orders", "orders without their debit", unpaid_orders),
    Subject("debits", "debits without an order", debits_of_nothing),
    Subject("invariants", "the ledger's sums and every other invariant", broken_invariants),
    Subject(
        "pool",
        "Redis against the table",
        pool_against_table,
        unseen="pool.away",
        of="pool",
        command="starship pump --as NAME",
    ),
    Subject("targets", "what is on sale less than a target's minimum", short_targets),
    Subject("webhooks", "endpoints that were given up", disabled_webhooks),
    Subject("deliveries", "events that reached no client", failed_deliveries),
    Subject("notices", "notices that reached no operator", failed_notices),
)
"""What needs no configuration."""
_TOLD_BY_THEMSELVES: Final = frozenset({"balance.low", "stock.low"})
"""Told by `sweep_notices` as soon as they are so, and once."""


def subjects(ship: Ship) -> Iterator[Subject]:
    """All that this deployment has to look at, in the order of the report."""
    yield from OURS
    levels = ship.config.notices
    yield Subject(
        "balances",
        "clients who can spend less than [notices] low_balance",
        poor_clients if levels.low_balance else None,
    )
    yield Subject(
        "stock",
        "what is on sale less than [notices] low_stock",
        short_stock if levels.low_stock else None,
    )
    for vendor in ship.vendors.values():
        yield from _of_vendor(vendor, ship)


def _of_vendor(vendor: Vendor, ship: Ship) -> Iterator[Subject]:
    name = vendor.name
    asked = {
        f"statement of {name}": (
            "its list of our orders",
            statement,
            hasattr(vendor.port, "orders"),
        ),
        f"float at {name}": (
            "our money there against [reconcile] low_float",
            low_float,
            name in ship.config.reconcile.low_float and hasattr(vendor.port, "balance"),
        ),
    }
    for what, (about, look, possible) in asked.items():
        yield Subject(
            what,
            about,
            partial(look, vendor) if possible else None,
            unseen="vendor.silent",
            of=f"vendor:{name}",
            command=f"starship vendor check {name}",
        )


async def reconcile(ship: Ship, *, progress: Callable[[int], None] = lambda _count: None) -> Report:
    """Look at everything; repairs nothing, buys nothing. Raises Unavailable without a database.

    Whoever else does not answer is a finding, and the other subjects are looked at all the same.
    """
    at = ship.now()
    await ship.database.read(lambda tx: tx.execute("SELECT 1"))
    parts = []
    for subject in subjects(ship):
        parts.append(await _looked(subject, ship))
        progress(1)
    return Report(at=at, parts=parts)


async def _looked(subject: Subject, ship: Ship) -> Part:
    name, about, look, *_ = subject
    if look is None:
        why = "this deployment or the plugin says nothing of it"
        return Part(name=name, about=about, looked=False, why=why, findings=[])
    try:
        found = await look(ship)
    except StarshipError as error:
        return _unseen(subject, str(error))
    except Exception as error:  # noqa: BLE001  # a fault of one part must not hide the others
        _log.error("reconcile.part_failed", part=name, exc_info=True)
        return _unseen(subject, f"it ended with {type(error).__name__}; the log says where")
    return Part(name=name, about=about, looked=True, findings=found)


def _unseen(subject: Subject, why: str) -> Part:
    silent = Finding(
        kind=subject.unseen,
        subject=subject.of or f"part:{subject.name}",
        problem=f"{subject.about}: could not be looked at: {why}",
        command=subject.command,
        aspect=subject.name,
    )
    return Part(
        name=subject.name, about=subject.about, looked=False, why=why, findings=[silent]
    )  # fmt: skip


async def sweep_reconcile(ship: Ship) -> int:
    """Reconcile, and tell operators; how many findings are new today."""
    return await tell(await reconcile(ship), ship)


async def tell(report: Report, ship: Ship) -> int:
    """A notice for each finding, once a day; how many are new."""
    return await ship.database.run(_tell, report)


def _tell(tx: Tx, report: Report) -> int:
    return sum(
        notify(
            tx,
            each.kind,
            subject=each.subject,
            summary=f"{each.subject}: {each.problem}",
            text=f"{each.problem}\n\n{each.command}\n",
            key=f"reconcile:{report.at.date()}:{each.key}",
            at=report.at,
            data={"command": each.command, "count": each.count},
        )
        for each in report.findings
        if each.kind not in _TOLD_BY_THEMSELVES
    )
