"""`starship verify`."""

from __future__ import annotations

import sys

import rich_click as click

from starship_core.cli.console import Call, deployed, grid, reading


@click.command()
@reading
async def verify(call: Call) -> None:
    """Check every invariant on one snapshot of the database.

    Names each broken invariant and its row; exit 1 when there is one. Reads only.

    \b
    Examples:
      starship verify
      starship verify --json
    """
    from starship_core.flows import verify as checks

    async with deployed(call) as ship:
        with call.progress("checking", total=checks.STEPS) as advance:
            found = await checks.verify(ship, progress=advance)
    if not found:
        call.answer({"violations": []}, "Every invariant holds.")
        return
    rows = [(each.invariant, each.row, each.problem) for each in found]
    call.answer({"violations": found}, grid("invariant", "row", "problem", rows=rows))
    sys.exit(1)
