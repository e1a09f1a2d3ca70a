"""`starship reconcile`."""

from __future__ import annotations

import sys

import rich_click as click

from starship_core.cli.console import Call, deployed, grid, reading
from starship_core.errors import StarshipError


@click.command()
@click.option("--notify", is_flag=True, help="Tell operators of each finding, once a day.")
@reading
async def reconcile(call: Call, *, notify: bool) -> None:
    """Find what is stuck, what does not agree and what runs low.

    Looks at orders, purchases, money, stock, Redis, webhooks and vendors' lists of our orders;
    repairs nothing and buys nothing. Each finding names the command that mends it. The worker does
    this daily; for cron: exit 0 when nothing was found, 1 when something was, 2 when it could not
    be run.

    \b
    Examples:
      starship reconcile
      starship reconcile --json
      starship reconcile --notify
    """
    from starship_core.reconciliation import report as reconciliation

    try:
        async with deployed(call) as ship:
            with call.progress(
                "looking", total=len(list(reconciliation.subjects(ship)))
            ) as advance:
                report = await reconciliation.reconcile(ship, progress=advance)
            new = await reconciliation.tell(report, ship) if notify else 0
    except StarshipError as error:
        call.fail(error, code=2)
    found = report.findings
    parts = [
        (part.name, "looked at" if part.looked else "not looked at", len(part.findings), part.why)
        for part in report.parts
    ]
    rows = [(each.kind, each.subject, each.problem, each.command) for each in found]
    total = sum(each.count for each in found)
    call.answer(
        {"at": report.at, "found": total, "notices": new, "parts": report.parts},
        grid("part", "", "findings", "why not", rows=parts),
        "",
        grid("finding", "of", "problem", "what mends it", rows=rows) if rows else "Nothing found.",
    )
    sys.exit(1 if found else 0)
