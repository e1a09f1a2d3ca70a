"""What `starship verify` finds broken."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from starship_core.flows.verify import Violation, verify
from starship_core.reconciliation.finding import MOST, Finding, rest
from starship_core.ship import Ship
from starship_core.store.invariants import NO_DEBIT

_COMMANDS: Final = {
    "order": "starship order explain {}",
    "voucher": "starship stock block {} --reason REASON --as NAME",
}


async def broken_invariants(ship: Ship) -> list[Finding]:
    """The ledger's sums and every other invariant; `unpaid_orders` tells of debits that are not
    there.
    """
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for each in await verify(ship):
        if each.problem != NO_DEBIT.problem:
            groups[each.invariant, each.problem].append(_finding(each))
    return [
        finding
        for found in groups.values()
        for finding in [*found[:MOST], *rest(found, len(found) - MOST)]
    ]


def _finding(violation: Violation) -> Finding:
    what, _, number = violation.row.rpartition(" ")
    in_money = violation.invariant == "I2"
    usual = "starship ledger verify" if in_money else "starship verify"
    return Finding(
        kind="ledger.broken" if in_money else "invariant.broken",
        subject=violation.row.replace(" ", ":"),
        problem=f"{violation.invariant}: {violation.problem}",
        command=_COMMANDS.get(what, usual).format(number),
        aspect=violation.problem,
    )
