"""`starship pump`: sources → stock → pool, now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

from starship_core.cli.console import Call, changing, deployed, grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starship_core.ports import InventorySource
    from starship_core.ship import Ship
    from starship_core.stock.report import OfTarget, Pumped


@click.command()
@click.option("--source", metavar="NAME", help="Only this one; a section [sources.NAME].")
@click.option("--dry-run", is_flag=True, help="Tell what would happen, and change nothing.")
@changing
async def pump(call: Call, source: str | None, dry_run: bool) -> None:  # noqa: FBT001  # a flag
    """Fetch vouchers from the sources and load the pool.

    Takes all that is new, or what the sku's target misses; puts aside what is not in order and says
    why, removes what has expired, and makes Redis agree with the table. What all sources together
    did not have is planned to be bought, as far as standing approvals allow it: see `starship
    target`. May be run at any time, and again after any interruption. Exit 1 when a source could
    not be read to its end.

    \b
    Examples:
      starship pump --as ana
      starship pump --source incoming --dry-run --as ana
      starship pump --as ana --json
    """
    from starship_core.flows.pump_inventory import pump as pumped
    from starship_core.flows.pump_inventory import rehearse

    async with deployed(call) as ship:
        sources = None if source is None else {source: chosen(ship, source)}
        with call.progress("Rehearsing" if dry_run else "Pumping") as progress:
            report = (
                await rehearse(ship, sources=sources, progress=progress)
                if dry_run
                else await pumped(ship, by=call.by, sources=sources, progress=progress)
            )
    answer(call, report)


def chosen(ship: Ship, name: str) -> InventorySource:
    """The configured source of that name. Raises NotFound."""
    from starship_core.errors import NotFound

    if name not in ship.sources:
        raise NotFound("source", f"{name}; configured are: {', '.join(ship.sources) or 'none'}")
    return ship.sources[name]


def answer(call: Call, report: Pumped) -> None:
    """The report; exit 1 when a source failed."""
    from rich.console import Group

    call.answer(report, Group(*_told(report)))
    if report.failed:
        raise Exit(1)


def _told(report: Pumped) -> Iterator[RenderableType]:
    from rich.text import Text

    for source in report.sources:
        rows: list[tuple[str, int]] = [*source.counts.items()]
        if source.unreadable:
            rows.append(("unreadable", source.unreadable))
        yield grid("outcome", "vouchers", rows=rows or [("nothing new", 0)], title=source.source)
        for remark in source.remarks:
            yield Text(f"  {remark.outcome}: {remark.reference}: {remark.reason}")
        for line in source.unread:
            yield Text(f"  unreadable: {line}")
        if source.fault:
            yield Text(f"  not read to its end: {source.fault}")
    if report.skus:
        rows_of_sku = [(one.sku, one.taken, one.on_sale) for one in report.skus]
        yield grid("sku", "taken", "on sale", rows=rows_of_sku)
    if report.targets:
        yield grid(
            "target", "had", "pulled", "under way", "bought ahead", "why no more",
            rows=map(_target, report.targets),
        )  # fmt: skip
    yield Text(_summary(report))


def _target(one: OfTarget) -> tuple[str, int, int, int, str, str | None]:
    bought = ", ".join(
        f"{lot.quantity} from {lot.vendor} for at most {lot.ceiling}" for lot in one.ahead
    )
    name = f"{one.product} {one.sku.split('/')[1]}, {one.minimum} to {one.maximum}"
    return name, one.had, one.pulled, one.under_way, bought or "none", one.why


def _summary(report: Pumped) -> str:
    pool = {
        "equal": "Redis agrees with the table",
        "repaired": f"Redis was wrong in {report.repaired} places, and agrees with the table now",
        "away": "Redis is away: orders look in the table until it is back",
        "untouched": "nothing was changed",
    }[report.pool]
    return (
        f"{report.pooled} put on sale, {report.expired} expired, {report.recalled} recalled, "
        f"{report.blocked_as_duplicates} blocked as duplicates; {pool}."
    )
