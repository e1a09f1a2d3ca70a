"""`starship fx …`: the exchange rates that orders are priced with."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.ship import Ship


@click.group()
def fx() -> None:
    """Show the exchange rates that orders are priced with.

    \b
    Examples:
      starship fx show
    """


@fx.command()
@click.option("--base", metavar="CURRENCY", help="Only what one unit of this currency buys.")
@reading
async def show(call: Call, base: str | None) -> None:
    """Show the rates between the catalogue's currencies, with their source and their age.

    Rates older than `[pricing] fx_max_age_hours` are marked stale: nothing is priced with them.

    \b
    Examples:
      starship fx show
      starship fx show --base EUR --json
    """
    from starship_core.errors import NotFound

    async with deployed(call) as ship:
        codes = sorted((await ship.catalogue.current()).currency_ids)
        if base is not None and base not in codes:
            raise NotFound("currency", base)
        tables = [await _table(each, codes, ship) for each in ([base] if base else codes)]
    rows = [
        (table["base"], code, rate, table["source"], table["as_of"], table["state"])
        for table in tables
        for code, rate in (table["rates"] or {"–": None}).items()
    ]
    columns = ("one", "buys", "rate", "source", "as of", "state")
    call.answer(tables, grid(*columns, rows=rows))


async def _table(base: str, codes: list[str], ship: Ship) -> dict[str, Any]:
    from starship_core.clock import rfc3339
    from starship_core.errors import InvalidInput, Unavailable

    try:
        table = await ship.fx.newest(base)
    except (InvalidInput, Unavailable) as error:
        return {"base": base, "rates": {}, "source": None, "as_of": None, "state": str(error)}
    limit = timedelta(hours=ship.config.pricing.fx_max_age_hours)
    return {
        "base": base,
        "rates": {c: table.rates[c] for c in codes if c in table.rates and c != base},
        "source": table.source,
        "as_of": rfc3339(table.as_of),
        "state": "stale" if ship.now() - table.as_of > limit else "good",
    }
