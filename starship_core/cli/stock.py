"""`starship stock …`: bring vouchers in by hand, count them, take them out of sale."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.flows.block_stock import Changed

_STATES = ("received", "pooled", "assigned", "blocked", "expired", "quarantined")


@click.group()
def stock() -> None:
    """Import vouchers, list them and take them out of sale.

    \b
    Examples:
      starship stock import delivery-0114.csv --as ana
      starship stock list --state pooled
      starship stock block 4411 4412 --reason "reported as used" --as ana
    """


@stock.command("import")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--source", metavar="NAME", help="All that this configured source has, instead.")
@changing
async def import_(call: Call, path: Path | None, source: str | None) -> None:
    """Take the vouchers of a CSV file (or a folder of them) into stock and pool.

    Every line is reported: taken, here already, duplicate, or unreadable with its line number. Of a
    file all is taken, whatever the targets say.
    The same file again takes what is new in it. Exit 1 when it could not be read to its end.

    \b
    Examples:
      starship stock import delivery-0114.csv --as ana
      starship stock import --source incoming --as ana --json
    """
    from starship_core.cli.pump import answer, chosen
    from starship_core.flows.import_stock import by_hand
    from starship_core.flows.pump_inventory import pump

    if (path is None) == (source is None):
        raise click.UsageError("Name a file, or a --source; one of them.")
    async with deployed(call) as ship:
        with call.progress("Importing") as progress:
            if path is None:
                sources = {str(source): chosen(ship, str(source))}
                report = await pump(ship, by=call.by, sources=sources, progress=progress)
            else:
                async with by_hand(ship, path) as sources_by_hand:
                    report = await pump(
                        ship, by=call.by, sources=sources_by_hand, progress=progress, brought=True
                    )
    answer(call, report)


@stock.command("list")
@click.option("--product", metavar="CODE", help="Only of this product; its code or its id.")
@click.option("--state", type=click.Choice(_STATES), help="Only in this state.")
@click.option(
    "--within",
    metavar="DAYS",
    type=click.IntRange(0, 3650),
    default=30,
    show_default=True,
    help="Count what expires within so many days.",
)
@reading
async def list_(call: Call, product: str | None, state: str | None, within: int) -> None:
    """Count vouchers by product, denomination and state.

    `received`: here, and on sale with the next pump. `pooled`: on sale. `quarantined`: ours, and
    not fit for sale. Duplicates that were kept out are counted apart.

    \b
    Examples:
      starship stock list
      starship stock list --product bluefin-coffee-de --within 90
      starship stock list --state blocked --json
    """
    from starship_core.errors import NotFound
    from starship_core.stock.listing import Filter, count_duplicates, count_stock

    async with deployed(call) as ship:
        product_id = None
        if product is not None:
            catalogue = await ship.catalogue.current()
            ids = {str(one.id): one.id for one in catalogue.products.values()}
            ids |= {one.code: one.id for one in catalogue.products.values()}
            if product not in ids:
                raise NotFound("product", product)
            product_id = ids[product]
        which = Filter(product_id=product_id, state=state, within=timedelta(days=within))
        counts = await ship.database.read(count_stock, which, ship.now())
        duplicates = await ship.database.read(count_duplicates)
    expiring = f"in {within} d"
    rows = [
        (one.product, one.denomination, one.currency, one.state, one.count, one.expiring,
         one.next_expiry and f"{one.next_expiry:%Y-%m-%d %H:%M}")
        for one in counts
    ]  # fmt: skip
    columns = ("product", "value", "currency", "state", "vouchers", f"expire {expiring}", "next")
    title = f"{sum(one.count for one in counts)} vouchers; {duplicates} duplicates kept out"
    call.answer(
        {"counts": counts, "duplicates": duplicates}, grid(*columns, rows=rows, title=title)
    )


@stock.command()
@click.argument("ids", metavar="VOUCHER...", type=int, nargs=-1, required=True)
@changing
async def block(call: Call, ids: tuple[int, ...]) -> None:
    """Take vouchers out of sale, with a --reason. Delivered ones stay delivered.

    Exit 1 when one of them could not be blocked.

    \b
    Examples:
      starship stock block 4411 4412 --reason "reported as used" --as ana
    """
    from starship_core.flows.block_stock import block_stock

    async with deployed(call) as ship:
        changed = await block_stock(ship, ids, by=call.by)
    _answer(call, changed, "blocked")


@stock.command()
@click.argument("ids", metavar="VOUCHER...", type=int, nargs=-1, required=True)
@changing
async def unblock(call: Call, ids: tuple[int, ...]) -> None:
    """Let blocked or quarantined vouchers back in, with a --reason.

    Only what is in order: it opens, has not expired, and its product offers it. The next pump puts
    it on sale.

    \b
    Examples:
      starship stock unblock 4411 --reason "was a mistake" --as ana
    """
    from starship_core.flows.block_stock import unblock_stock

    async with deployed(call) as ship:
        changed = await unblock_stock(ship, ids, by=call.by)
    _answer(call, changed, "received; `starship pump` puts it on sale")


def _answer(call: Call, changed: Changed, state: str) -> None:
    rows = [(id_, state) for id_ in changed.done]
    rows += [(id_, f"left as it is: {why}") for id_, why in changed.refused.items()]
    call.answer(changed, grid("voucher", "", rows=rows))
    if changed.refused:
        raise Exit(1)
