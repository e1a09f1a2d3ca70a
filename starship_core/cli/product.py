"""`starship product …`: what is on offer, and at which discount."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.catalogue import Denomination, Product, Snapshot


@click.group()
def product() -> None:
    """Import, change and list products.

    \b
    Examples:
      starship product import products.csv --as ana
      starship product set bluefin-coffee-de --discount 3.5 --as ana
      starship product list --search coffee
    """


@product.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@changing
async def import_(call: Call, file: Path) -> None:
    """Add or change all products of a CSV or JSON file.

    A product is known by its code. Columns: code, name, category, currency, denominations; and, if
    you like, brand, subcategory, country, delivery_type, discount, validity, description, terms,
    image_url, vendors, active. Several denominations or vendors are separated by semicolons; 10.00
    is a fixed denomination, 5.00-250.00 a range, and @2.5 behind either a discount of its own.

    A file with a mistake in it changes nothing: every mistake is listed with its line. Columns
    that the file does not have, and products that it does not name, stay as they are.

    \b
    Examples:
      starship product import products.csv --as ana
      starship product import spring.json --as ana --reason "spring range" --json
    """
    from starship_core.flows.import_products import import_products

    async with deployed(call) as ship:
        with call.progress(f"Reading {file.name}") as advance:
            done = await import_products(file, call.by, ship, advance=advance)
    told = f"{done.added} added, {done.changed} changed, {done.unchanged} unchanged"
    call.answer(done, told)


@product.command("set")
@click.argument("code")
@click.option("--active/--inactive", "active", default=None, help="Whether it can be ordered.")
@click.option("--discount", metavar="PERCENT", help='For everybody; "none" takes it away.')
@click.option(
    "--client-discount",
    "client_discounts",
    metavar="CLIENT=PERCENT",
    multiple=True,
    help='For one client, instead of any other; "none" takes it away. May be given again.',
)
@changing
async def set_(
    call: Call,
    code: str,
    active: bool | None,  # noqa: FBT001  # click passes by keyword
    discount: str | None,
    client_discounts: tuple[str, ...],
) -> None:
    """Switch a product on or off, and set its discounts.

    An order keeps the price it was placed at, and a quote keeps its own until it expires.

    \b
    Examples:
      starship product set bluefin-coffee-de --inactive --as ana --reason "recalled"
      starship product set bluefin-coffee-de --discount 3.5 --client-discount acme=5 --as ana
      starship product set bluefin-coffee-de --client-discount acme=none --as ana
    """
    from msgspec import UNSET

    from starship_core.flows.change_product import ProductChange, change_product

    if active is None and discount is None and not client_discounts:
        raise click.UsageError("Say what to set: --active, --inactive, --discount, …")
    change = ProductChange(
        is_active=UNSET if active is None else active,
        discount=UNSET if discount is None else _percent(discount),
        client_discounts=dict(map(_of_client, client_discounts)),
    )
    async with deployed(call) as ship:
        done = await change_product(code, change, call.by, ship)
    rows = [(fact, done.before[fact], value) for fact, value in done.after.items()]
    call.answer(done, grid("what", "before", "after", rows=rows, title=code))


def _percent(text: str) -> str | None:
    return None if text == "none" else text


def _of_client(text: str) -> tuple[str, str | None]:
    client, equals, percent = text.rpartition("=")
    if not (client and equals and percent):
        raise click.UsageError("--client-discount takes CLIENT=PERCENT, such as acme=5.")
    return client, _percent(percent)


@product.command("list")
@click.option("--search", metavar="TEXT", default="", help="Part of the code, name or brand.")
@click.option("--inactive", is_flag=True, help="Only those that cannot be ordered.")
@reading
async def list_(call: Call, search: str, inactive: bool) -> None:  # noqa: FBT001  # by keyword
    """List products with their denominations and discounts.

    \b
    Examples:
      starship product list --search coffee
      starship product list --inactive --json
    """
    async with deployed(call) as ship:
        snapshot = await ship.catalogue.current()
    found = [
        each
        for each in snapshot.products.values()
        if search.casefold() in f"{each.code}\n{each.name}\n{each.brand}".casefold()
        and not (inactive and each.is_active)
    ]
    columns = ("id", "code", "name", "currency", "denominations", "discount %", "active")
    documents = [_document(each, snapshot) for each in found]
    call.answer(documents, grid(*columns, rows=map(_row, found)))


def _row(found: Product) -> tuple[Any, ...]:
    offers = ", ".join(_offer(offer, found.currency) for offer in found.denominations)
    active = "yes" if found.is_active else "no"
    return found.id, found.code, found.name, found.currency, offers, found.discount, active


def _offer(offer: Denomination, currency: str) -> str:
    from starship_core.model import minor_text

    values = minor_text(offer.minimum, currency)
    if not offer.fixed:
        values += f"-{minor_text(offer.maximum, currency)}"
    return values if offer.discount is None else f"{values}@{offer.discount:f}"


def _document(found: Product, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": found.id,
        "code": found.code,
        "name": found.name,
        "brand": found.brand,
        "category": snapshot.categories[found.category_id].name,
        "currency": found.currency,
        "denominations": [_offer(offer, found.currency) for offer in found.denominations],
        "discount": found.discount,
        "client_discounts": {
            str(client): percent
            for (client, product_id), percent in snapshot.client_discounts.items()
            if product_id == found.id
        },
        "active": found.is_active,
    }
