"""`starship vendor …`: who sells to us, what, at what cost; nothing here buys."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.flows.map_vendors import PriceChange, Proposal
    from starship_core.flows.read_vendors import Catalogue
    from starship_core.ship import Ship

COPY_HOURS = 24
_name = click.argument("name", metavar="NAME")
_refresh = click.option(
    "--refresh", is_flag=True, help="Read it from the vendor now, however young the copy is."
)


@click.group()
def vendor() -> None:
    """Check vendors, read their catalogues, map their products.

    NAME is that of a section [vendors.NAME]. Nothing here buys. Vendors allow their catalogue to be
    read only now and then, so a copy is kept and used for a day.

    \b
    Examples:
      starship vendor list
      starship vendor check bamboo-eu
      starship vendor catalogue bamboo-eu --search steam
      starship vendor map steam-10-eur bamboo-eu 113388 --as ana
      starship vendor offers steam-10-eur 10.00
      starship vendor prices bamboo-eu --refresh
    """


@vendor.command("list")
@reading
async def list_(call: Call) -> None:
    """List the configured vendors: whether they are bought from, and how many products are mapped.

    \b
    Examples:
      starship vendor list
      starship vendor list --json
    """
    from starship_core.flows.read_vendors import list_vendors

    async with deployed(call) as ship:
        lines = await list_vendors(ship)
    rows = [
        (one.name, one.plugin, one.buying, ", ".join(one.breakers) or None, one.mapped,
         one.catalogue, one.catalogue_at and f"{one.catalogue_at:%F %T}")
        for one in lines
    ]  # fmt: skip
    columns = ("vendor", "plugin", "buying", "open breakers", "mapped", "catalogue", "read at")
    call.answer(lines, grid(*columns, rows=rows) if rows else "no vendor is configured")


@vendor.command()
@_name
@reading
async def check(call: Call, name: str) -> None:
    """Ask a vendor whether it lets us in: the balance, and the catalogue's first page.

    Live, and without a purchase. Exit 1 when it does not answer as it should.

    \b
    Examples:
      starship vendor check bamboo-eu
      starship vendor check bamboo-eu --json
    """
    from starship_core.flows.read_vendors import check_vendor

    async with deployed(call) as ship:
        with call.progress(f"Asking {name}"):
            steps = await check_vendor(name, ship)
    rows = [(one.what, "ok" if one.ok else "FAILED", one.told) for one in steps]
    call.answer(steps, grid("asked for", "", "answer", rows=rows))
    if not all(one.ok for one in steps):
        raise Exit(1)


@vendor.command()
@_name
@click.option("--search", metavar="TEXT", default="", help="Part of the name or the id.")
@click.option("--currency", metavar="CODE", help="Only in this currency.")
@_refresh
@click.option(
    "--propose",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what is not mapped yet as a file for `starship product import`.",
)
@click.option("--category", default="Vouchers", show_default=True, help="Of the proposed products.")
@reading
async def catalogue(call: Call, /, name: str, search: str, **how: Any) -> None:
    """Search what a vendor sells; or propose it as products, with --propose.

    A proposal is a CSV file to read, to change and to import: its codes, categories and names are
    a beginning. After the import, `starship vendor map` says what is bought as what.

    \b
    Examples:
      starship vendor catalogue bamboo-eu --search steam --currency EUR
      starship vendor catalogue bamboo-eu --refresh --propose new.csv --category Games
    """
    from starship_core.flows.map_vendors import propose_products

    async with deployed(call) as ship:
        found = await _read(call, ship, name, refresh=how["refresh"])
        wanted = [
            one
            for one in found.products
            if search.casefold() in f"{one.vendor_product}\n{one.name}".casefold()
            and how["currency"] in (None, one.currency)
        ]
        if how["file"] is not None:
            proposals = await propose_products(name, how["category"], ship)
            chosen = {one.vendor_product for one in wanted}
            lines = [one for one in proposals if one.vendor_product in chosen]
            _write(how["file"], lines)
            told = f"{len(lines)} products proposed in {how['file']}; read it before importing it"
            call.answer({"file": how["file"], "proposed": lines}, told)
            return
    rows = [
        (one.vendor_product, one.name, one.currency, one.country, one.minimum, one.maximum,
         one.cost, "any" if one.stock is None else one.stock)
        for one in wanted
    ]  # fmt: skip
    columns = ("id", "name", "currency", "country", "from", "to", "cost of one", "stock")
    title = f"{len(wanted)} of {len(found.products)} products, read {found.read_at:%F %T} UTC"
    document = {"vendor": name, "read_at": found.read_at, "products": wanted}
    call.answer(document, grid(*columns, rows=rows, title=title))


@vendor.command("map")
@click.argument("product", metavar="PRODUCT")
@_name
@click.argument("vendor_product", metavar="VENDOR_PRODUCT")
@click.option("--from", "minimum", metavar="AMOUNT", help="Smallest value bought as this.")
@click.option("--to", "maximum", metavar="AMOUNT", help="Largest value bought as this.")
@click.option(
    "--priority",
    type=click.IntRange(0, 1_000_000),
    default=100,
    show_default=True,
    help="Of several vendors the lowest is asked first.",
)
@_refresh
@changing
async def map_(call: Call, /, product: str, name: str, vendor_product: str, **how: Any) -> None:
    """Buy PRODUCT (its code or id) from vendor NAME as VENDOR_PRODUCT.

    The vendor's catalogue must have it, in the product's currency; the values it is bought for are
    the catalogue's unless you say otherwise. Of two that fit a denomination the narrower is bought.
    The same again changes what is given.

    \b
    Examples:
      starship vendor map steam-10-eur bamboo-eu 113388 --as ana
      starship vendor map zalando-eur bamboo-eu 22 --from 10 --to 100 --priority 10 --as ana
    """
    from starship_core.flows.map_vendors import Match, map_product

    refresh = how.pop("refresh")
    async with deployed(call) as ship:
        await _read(call, ship, name, refresh=refresh)
        wanted = Match(product=product, vendor=name, vendor_product=vendor_product, **how)
        offer = await map_product(wanted, call.by, ship)
    cost = f", last seen at {offer.cost}" if offer.cost else ""
    call.answer(offer, f"{product} is bought from {name} as {vendor_product}{cost}")


@vendor.command()
@click.argument("product", metavar="PRODUCT")
@click.argument("denomination", metavar="AMOUNT")
@reading
async def offers(call: Call, product: str, denomination: str) -> None:
    """Show who would be asked for PRODUCT (its code or id) of that value, the first choice first.

    By `[buying] prefer`. Whoever is switched off is not shown. The cost is of one, as last taken.

    \b
    Examples:
      starship vendor offers steam-10-eur 10.00
    """
    from starship_core.flows.rank_vendors import rank_vendors, sku_named

    async with deployed(call) as ship:
        sku = await sku_named(product, denomination, ship)
        found = await rank_vendors(sku, ship)
    documents = [
        {"vendor": one.vendor, "vendor_product": one.vendor_product, "priority": one.priority,
         "cost": one.cost, "failures": one.failures, "breaker_open": one.is_open}
        for one in found
    ]  # fmt: skip
    columns = ("vendor", "bought as", "priority", "cost of one", "failures", "breaker open")
    rows = [one.values() for one in documents]
    told = grid(*columns, rows=rows) if rows else f"nobody sells {product} of {denomination} now"
    call.answer(documents, told)


@vendor.command()
@click.argument("product", metavar="PRODUCT")
@_name
@click.argument("vendor_product", metavar="VENDOR_PRODUCT")
@changing
async def unmap(call: Call, product: str, name: str, vendor_product: str) -> None:
    """Buy PRODUCT from vendor NAME as VENDOR_PRODUCT no more.

    \b
    Examples:
      starship vendor unmap steam-10-eur bamboo-eu 113388 --as ana --reason "sold out for good"
    """
    from starship_core.flows.map_vendors import unmap_product

    async with deployed(call) as ship:
        await unmap_product(product, name, vendor_product, by=call.by, ship=ship)
    document = {"product": product, "vendor": name, "vendor_product": vendor_product}
    call.answer(document, f"{product} is not bought from {name} as {vendor_product} any more")


@vendor.command()
@_name
@_refresh
@click.option("--changed", is_flag=True, help="Only what is not the same as before.")
@reading
async def prices(call: Call, name: str, refresh: bool, changed: bool) -> None:  # noqa: FBT001  # flags
    """Show what mapped products cost at a vendor, against what they cost when last taken.

    Changes nothing; `starship vendor take-prices` keeps what is shown.

    \b
    Examples:
      starship vendor prices bamboo-eu --refresh --changed
    """
    from starship_core.flows.map_vendors import compare_prices

    async with deployed(call) as ship:
        await _read(call, ship, name, refresh=refresh)
        changes = await compare_prices(name, ship)
    _prices(call, [one for one in changes if not changed or one.kind != "same"])


@vendor.command("take-prices")
@_name
@_refresh
@changing
async def take_prices(call: Call, name: str, refresh: bool) -> None:  # noqa: FBT001  # a flag
    """Keep what mapped products cost at a vendor now: `cheapest` and margins go by it.

    \b
    Examples:
      starship vendor take-prices bamboo-eu --refresh --as ana
    """
    from starship_core.flows.map_vendors import take_prices as taken

    async with deployed(call) as ship:
        await _read(call, ship, name, refresh=refresh)
        changes = await taken(name, call.by, ship)
    _prices(call, list(changes))


async def _read(call: Call, ship: Ship, name: str, *, refresh: bool) -> Catalogue:
    from starship_core.flows.read_vendors import read_catalogue

    max_age = timedelta(0) if refresh else timedelta(hours=COPY_HOURS)
    with call.progress(f"Reading {name}'s catalogue") as advance:
        return await read_catalogue(name, ship, max_age=max_age, advance=advance)


def _prices(call: Call, changes: list[PriceChange]) -> None:
    rows = [
        (one.product, one.vendor_product, one.kind, one.before, one.now,
         None if one.percent is None else f"{one.percent:+}")
        for one in changes
    ]  # fmt: skip
    call.answer(changes, grid("product", "bought as", "", "before", "now", "%", rows=rows))


def _write(file: Path, proposals: list[Proposal]) -> None:
    columns = ("code", "name", "category", "currency", "denominations", "country", "vendors")
    try:
        with file.open("x", encoding="utf-8", newline="") as opened:
            lines = csv.writer(opened)
            lines.writerow(columns)
            lines.writerows([[getattr(one, column) for column in columns] for one in proposals])
    except FileExistsError:
        raise click.UsageError(f"{file} is there already, and is not written over.") from None
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror}.") from None
