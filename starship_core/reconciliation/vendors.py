"""Vendors: our money with them, and their list of our orders against our purchases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from msgspec import Struct

from starship_core.clock import micros
from starship_core.database import Tx, json_rows
from starship_core.flows.read_vendors import read_balance, read_orders
from starship_core.model import Money, VendorOrder
from starship_core.reconciliation.finding import MOST, Finding, patient, rest
from starship_core.ship import Ship, Vendor

_EDGE: Final = timedelta(days=1)
"""A vendor's days begin when they do where it is: at the window's edges nothing is missed."""
_SETTLING: Final = timedelta(hours=1)
"""What was sent a moment ago need not be in the vendor's list yet."""
_BY_REFERENCE: Final = """
SELECT reference, id, state, charged, charged_currency FROM purchases
WHERE vendor = $1 AND reference IN (SELECT value->>0 FROM json_each($2))
"""
_OURS: Final = """
SELECT reference, id, state, charged, charged_currency FROM purchases
WHERE vendor = $1 AND state IN ('BOUGHT', 'ACCEPTED') AND sent_at BETWEEN $2 AND $3
ORDER BY id
"""
_NOT_BOUGHT: Final = frozenset({"PLANNED", "REFUSED", "NOT_BOUGHT", "VOIDED"})


class _Row(Struct, frozen=True):
    """One of our purchases."""

    id: int
    state: str
    charged: Money | None


async def low_float(vendor: Vendor, ship: Ship) -> list[Finding]:
    """Less than `[reconcile] low_float` says, by currency. Raises Unavailable."""
    least = ship.config.reconcile.low_float[vendor.name]
    held = {each.currency: each for each in await read_balance(vendor, ship)}
    found = []
    for currency, amount in least.items():
        has, wanted = held.get(currency, Money(0, currency)), Money.of(amount, currency)
        if has.minor < wanted.minor:
            found.append(
                Finding(
                    kind="float.low",
                    subject=f"vendor:{vendor.name}",
                    problem=f"we have {has} there, less than {wanted}; pay in, and look again",
                    command=f"starship vendor check {vendor.name}",
                    aspect=currency,
                )
            )
    return found


async def statement(vendor: Vendor, ship: Ship) -> list[Finding]:
    """The vendor's list of the last `[reconcile] days` against ours. Raises Unavailable."""
    now = ship.now()
    since = now - timedelta(days=ship.config.reconcile.days)
    theirs = {
        each.reference: each
        for each in await read_orders(vendor, ship, since=since - _EDGE, until=now + _EDGE)
    }
    window = (micros(since), micros(now - _SETTLING))
    known, expected = await ship.database.read(_ours, vendor.name, list(theirs), window)
    found: list[Finding] = []
    for some in (
        _strangers(vendor.name, theirs.values(), known),
        _missing(vendor.name, expected, theirs),
        _unlike(vendor.name, theirs.values(), known),
    ):
        told = list(some)
        found += [*told[:MOST], *rest(told, len(told) - MOST)]
    return found


def _ours(
    tx: Tx, vendor: str, references: list[str], window: tuple[int, int]
) -> tuple[dict[str, _Row], dict[str, _Row]]:
    """By reference: those of them that we know, and all that must be in the vendor's list."""
    patient(tx)
    named = json_rows((each,) for each in references)
    known = {row[0]: _row(*row[1:]) for row in tx.execute(_BY_REFERENCE, vendor, named)}
    expected = {row[0]: _row(*row[1:]) for row in tx.execute(_OURS, vendor, *window)}
    return known, expected


def _row(number: int, state: str, charged: int | None, currency: str | None) -> _Row:
    paid = None if charged is None or currency is None else Money(charged, currency)
    return _Row(number, state, paid)


def _strangers(
    vendor: str, theirs: Iterable[VendorOrder], known: Mapping[str, _Row]
) -> Iterator[Finding]:
    """Bought there, and here nothing is known of it, or it is held for not bought."""
    for order in theirs:
        ours = known.get(order.reference)
        if order.failed or (ours is not None and ours.state not in _NOT_BOUGHT):
            continue
        paid = f"{order.charged or 'an untold amount'} for {order.quantity} units"
        if ours is None:
            problem = f"{vendor} sold us {paid} under a reference that is not ours"
            command = f"starship switch off vendor:{vendor} --reason REASON --as NAME"
        else:
            problem = f"{vendor} sold us {paid}; purchase {ours.id} is {ours.state}"
            command = f"starship purchase show {ours.id}"
        yield _finding("statement.unknown_here", order.reference, problem, command)


def _missing(
    vendor: str, expected: Mapping[str, _Row], theirs: Mapping[str, VendorOrder]
) -> Iterator[Finding]:
    """Bought here, and the vendor does not list it, or lists it as failed."""
    for reference, ours in expected.items():
        order = theirs.get(reference)
        if order is None or (order.failed and ours.state == "BOUGHT"):
            told = "does not list it" if order is None else "lists it as failed"
            problem = f"purchase {ours.id} is {ours.state}, and {vendor} {told}"
            command = f"starship purchase show {ours.id}"
            yield _finding("statement.unknown_there", reference, problem, command)


def _unlike(
    vendor: str, theirs: Iterable[VendorOrder], known: Mapping[str, _Row]
) -> Iterator[Finding]:
    """Bought on both sides, for another amount."""
    for order in theirs:
        ours = known.get(order.reference)
        if ours is None or ours.state != "BOUGHT" or order.failed:
            continue
        if None not in {order.charged, ours.charged} and order.charged != ours.charged:
            problem = f"{vendor} charged {order.charged}; purchase {ours.id} has {ours.charged}"
            command = f"starship purchase show {ours.id}"
            yield _finding("statement.amount", order.reference, problem, command)


def _finding(kind: Any, reference: str, problem: str, command: str) -> Finding:
    return Finding(kind=kind, subject=f"reference:{reference}", problem=problem, command=command)
