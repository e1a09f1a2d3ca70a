"""`starship ledger …`: whether the books are right."""

from __future__ import annotations

import sys

import rich_click as click

from starship_core.cli.console import Call, deployed, reading


@click.group()
def ledger() -> None:
    """Check that the wallets' ledger adds up.

    \b
    Examples:
      starship ledger verify
    """


@ledger.command()
@reading
async def verify(call: Call) -> None:
    """Check balances, postings, floors and refunds on one snapshot.

    Names each broken invariant and its row; exit 1 when there is one. Reads only.

    \b
    Examples:
      starship ledger verify
      starship ledger verify --json
    """
    from starship_core.store.books import money_violations

    async with deployed(call) as ship:
        found = await ship.database.read(money_violations, ship.wallet)
    call.answer({"violations": found}, "\n".join(found) or "The ledger adds up.")
    if found:
        sys.exit(1)
