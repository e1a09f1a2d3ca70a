"""An operator stops buying, everywhere, from a vendor or of a product, and lets it go on again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.breaker import Rule, State
from starship_core.clock import micros, moment
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.store import breakers
from starship_core.store.switches import (
    GLOBAL,
    Switch,
    find_switch,
    list_switches,
    product_scope,
    set_switch,
    vendor_scope,
)
from starship_core.store.vendor_products import product_id_of

_SCOPE: Final = re.compile(r"(vendor|product):(.+)")


class Stop(Struct, frozen=True, kw_only=True):
    """A breaker that is not closed, as operators see it."""

    vendor: str
    operation: str
    state: State
    opened_at: datetime
    cause: str
    next_try: datetime
    """When a call may pass again."""


class Stops(Struct, frozen=True):
    """All that was ever switched, and the breakers that are not closed."""

    switches: Sequence[Switch]
    breakers: Sequence[Stop]


async def list_stops(ship: Ship) -> Stops:
    """What stops buying now, and what did."""
    return await ship.database.read(_list, Rule.of(ship.config.buying), micros(ship.now()))


async def switch_off(scope: str, by: By, ship: Ship) -> Switch:
    """Nothing that has not been sent when this commits is bought there any more.

    `global`, `vendor:NAME`, `product:CODE` (or its id). Idempotent. Raises NotFound, InvalidInput.
    """
    return await _switched(scope, by, ship, off=True)


async def switch_on(scope: str, by: By, ship: Ship) -> Switch:
    """Buying goes on there, as far as no other switch is off. Idempotent. Raises as `switch_off`.

    A vendor that is no longer configured, or a product that is gone, may be switched on.
    """
    return await _switched(scope, by, ship, off=False)


async def close_breaker(vendor: str, operation: str, by: By, ship: Ship) -> None:
    """The next call passes at once. Raises NotFound when none of its calls ever failed."""
    await ship.database.run(_close, vendor, operation, by, ship.now())


async def _switched(scope: str, by: By, ship: Ship, *, off: bool) -> Switch:
    if not by.reason.strip():
        raise InvalidInput("say why, with --reason: it stands in the list", field="reason")
    known = sorted(ship.vendors) if off else None
    wanted = Switch(scope=scope, off=off, reason=by.reason, actor=by.actor, at=ship.now())
    return await ship.database.run(_switch, wanted, known, by)


def _switch(tx: Transaction, wanted: Switch, known: Sequence[str] | None, by: By) -> Switch:
    after = replace(wanted, scope=_resolved(tx, wanted.scope, known))
    before = find_switch(tx, after.scope)
    set_switch(tx, after)
    action = "switch.off" if after.off else "switch.on"
    record(tx, by, action, f"switch:{after.scope}", at=after.at, before=before, after=after)
    return after


def _resolved(tx: Transaction, scope: str, known: Sequence[str] | None) -> str:
    """The scope as it is stored; `known` None: it need not exist."""
    if scope == GLOBAL:
        return scope
    found = _SCOPE.fullmatch(scope)
    if found is None:
        text = "write global, vendor:NAME or product:CODE"
        raise InvalidInput(f"{scope} is no scope; {text}", field="scope")
    kind, name = found.groups()
    if kind == "product":
        return product_scope(product_id_of(tx, name))
    if known is not None and name not in known:
        raise NotFound("vendor", f"{name}; configured are: {', '.join(known) or 'none'}")
    return vendor_scope(name)


def _list(tx: Transaction, rule: Rule, at: int) -> Stops:
    stops = [
        Stop(
            vendor=vendor,
            operation=operation,
            state=breaker.state(rule, at),
            opened_at=moment(breaker.opened_at),
            cause=breaker.cause,
            next_try=moment(at + breaker.wait(rule, at)),
        )
        for (vendor, operation), breaker in breakers.list_breakers(tx).items()
        if breaker.opened_at is not None
    ]
    return Stops(list_switches(tx), stops)


def _close(tx: Tx, vendor: str, operation: str, by: By, now: datetime) -> None:
    before = breakers.close(tx, vendor, operation, micros(now))
    if before is None:
        raise NotFound("breaker", f"of {vendor} {operation}")
    record(
        tx, by, "breaker.close", f"breaker:{vendor}:{operation}", at=now,
        before={"opened_at": before.opened_at, "cause": before.cause},
    )  # fmt: skip
