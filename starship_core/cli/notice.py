"""`starship notice …`: what operators were told."""

from __future__ import annotations

import rich_click as click

from starship_core.cli.console import Call, deployed, grid, reading

_STATUSES = ("PENDING", "SENT", "FAILED")


@click.group()
def notice() -> None:
    """List what operators were told, or will be.

    \b
    Examples:
      starship notice list
    """


@notice.command("list")
@click.option(
    "--status", type=click.Choice(_STATUSES, case_sensitive=False), help="Only in this status."
)
@click.option("--kind", metavar="KIND", help="Only of this kind: webhook.disabled, balance.low, …")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@reading
async def list_(call: Call, status: str | None, kind: str | None, limit: int) -> None:
    """List notices, newest first; FAILED ones reached nobody.

    \b
    Examples:
      starship notice list --status FAILED
      starship notice list --kind balance.low --json
    """
    from starship_core.store.notices import list_notices

    async with deployed(call) as ship:
        found = await ship.database.read(
            lambda tx: list_notices(tx, status=status or "", kind=kind or "", limit=limit)
        )
    rows = [
        (each.id, each.created_at, each.kind, each.status, each.summary, each.error)
        for each in found
    ]
    call.answer(found, grid("id", "at", "kind", "status", "what", "error", rows=rows))
