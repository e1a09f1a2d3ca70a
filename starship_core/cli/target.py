"""`starship target …`: how much of a sku is kept on sale, and who may be bought from for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid, reading
from starship_core.cli.times import Time

if TYPE_CHECKING:
    from rich.table import Table

    from starship_core.flows.read_targets import StandingFacts, TargetFacts

_PRODUCT = click.argument("product", metavar="PRODUCT")
_AMOUNT = click.argument("denomination", metavar="AMOUNT")
_CURRENCY = click.option(
    "--currency", metavar="CODE", help="Of the budget; left out: the product's."
)


@click.group()
def target() -> None:
    """Say how much is kept on sale, and buy it ahead of orders.

    Once less than the minimum of a target is on sale, the pump fills up to its maximum: from the
    sources first, then, as far as standing approvals allow it, from the target's vendors. PRODUCT
    is a code or an id, AMOUNT its face value. A target alone buys nothing.

    \b
    Examples:
      starship target set steam-10-eur 10.00 --minimum 50 --maximum 200 --vendor bamboo-eu --as ana
      starship target approve steam-10-eur 10 --budget 900 --until 2027-02-01 --reason … --as ana
      starship target list
    """


@target.command("set")
@_PRODUCT
@_AMOUNT
@click.option("--minimum", type=click.IntRange(1), required=True, help="Below it, fill up.")
@click.option("--maximum", type=click.IntRange(1), required=True, help="Fill up to it.")
@click.option("--budget", metavar="AMOUNT", help="At most this is planned to be bought in a run.")
@_CURRENCY
@click.option("--vendor", "vendors", multiple=True, metavar="NAME",
              help="May be bought from ahead of orders; repeated. None: sources only.")  # fmt: skip
@changing
async def set_(  # noqa: PLR0913, PLR0917  # an option each; click passes by keyword
    call: Call,
    product: str,
    denomination: str,
    minimum: int,
    maximum: int,
    budget: str | None,
    currency: str | None,
    vendors: tuple[str, ...],
) -> None:
    """Keep so many on sale, from the next pump on.

    Takes the place of the target that there was: what is left out is no more. Its standing
    approvals hold on, for the vendors that it still names.

    \b
    Examples:
      starship target set steam-10-eur 10.00 --minimum 50 --maximum 200 --as ana
      starship target set steam-10-eur 10 --minimum 50 --maximum 90 --vendor bamboo-eu --as ana
    """
    from starship_core.flows.manage_targets import Wish, keep_target
    from starship_core.flows.read_targets import list_targets

    wish = Wish(
        product=product, denomination=denomination, minimum=minimum, maximum=maximum,
        budget=budget, currency=currency, vendors=vendors,
    )  # fmt: skip
    async with deployed(call) as ship:
        kept = await keep_target(wish, call.by, ship)
        found = await list_targets(ship, kept.sku)
    call.answer(found[0], _listed(found))


@target.command("list")
@reading
async def list_(call: Call) -> None:
    """List targets, how they stand, and the standing approvals that hold.

    \b
    Examples:
      starship target list
      starship target list --json
    """
    from starship_core.flows.read_targets import list_targets

    async with deployed(call) as ship:
        found = await list_targets(ship)
    if not found:
        call.answer(found, "There is no target: the pump takes all that the sources have.")
        return
    approvals = [one for each in found for one in each.approvals]
    call.answer(found, _listed(found), *([_approvals(approvals)] if approvals else []))


@target.command()
@_PRODUCT
@_AMOUNT
@changing
async def remove(call: Call, product: str, denomination: str) -> None:
    """Take all that the sources have again, and buy none: standing approvals of it end.

    \b
    Examples:
      starship target remove steam-10-eur 10.00 --as ana --reason "out of the catalogue"
    """
    from starship_core.flows.manage_targets import drop_target, terms_of

    async with deployed(call) as ship:
        gone = await drop_target(product, denomination, call.by, ship)
    call.answer(terms_of(gone), f"{gone.sku} has no target any more, and is not bought ahead")


@target.command()
@_PRODUCT
@_AMOUNT
@click.option("--budget", required=True, metavar="AMOUNT", help="At most this for all of it.")
@_CURRENCY
@click.option("--until", type=Time(), required=True, metavar="TIME",
              help="Nothing is planned or sent after that; at most 92 days ahead.")  # fmt: skip
@click.option("--vendor", "vendors", multiple=True, metavar="NAME",
              help="Buy here, of the target's vendors; repeated: the next one is asked after a "
              "refusal. Left out: all of them.")  # fmt: skip
@changing
async def approve(  # noqa: PLR0913, PLR0917  # an option each; click passes by keyword
    call: Call,
    product: str,
    denomination: str,
    budget: str,
    currency: str | None,
    until: datetime,
    vendors: tuple[str, ...],
) -> None:
    """Let the pump buy what its sources do not have, within a budget. Needs a --reason.

    A unit is reckoned with what it cost when the vendor's prices were last taken, or with its face
    value. Another approval is another budget, unless it repeats one word for word within ten
    minutes; the one that ends first is used first.

    \b
    Examples:
      starship target approve steam-10-eur 10 --budget 900 --until 2027-02-01 --reason … --as ana
    """
    from starship_core.flows.manage_targets import Grant, approve_ahead
    from starship_core.flows.read_targets import standing_facts

    grant = Grant(
        product=product, denomination=denomination, budget=budget, currency=currency,
        expires_at=until, vendors=vendors,
    )  # fmt: skip
    async with deployed(call) as ship:
        facts = standing_facts(await approve_ahead(grant, call.by, ship))
    call.answer(facts, _approvals([facts]))


@target.command()
@click.argument("approval_id", type=int)
@changing
async def revoke(call: Call, approval_id: int) -> None:
    """End a standing approval: nothing more is planned or sent under it.

    What was sent is looked up until it is known. The id is that of `starship target list`.

    \b
    Examples:
      starship target revoke 12 --as ana --reason "found a better price"
    """
    from starship_core.flows.manage_targets import revoke_ahead
    from starship_core.flows.read_targets import standing_facts

    async with deployed(call) as ship:
        facts = standing_facts(await revoke_ahead(approval_id, call.by, ship))
    call.answer(facts, f"approval {facts.id} has ended; {facts.left} of it was not planned")


def _listed(found: list[TargetFacts]) -> Table:
    rows = [
        (one.product, one.denomination, one.minimum, one.maximum, one.on_sale, one.under_way,
         one.budget, ", ".join(one.vendors) or "sources only")
        for one in found
    ]  # fmt: skip
    columns = ("product", "of", "minimum", "maximum", "on sale", "under way", "budget a run",
               "bought from")  # fmt: skip
    return grid(*columns, rows=rows)


def _approvals(found: list[StandingFacts]) -> Table:
    rows = [
        (one.id, one.sku, ", ".join(one.vendors), one.budget, one.left, one.expires_at,
         one.approved_by, one.approved_because)
        for one in found
    ]  # fmt: skip
    columns = ("approval", "sku", "vendors", "budget", "left", "until", "by", "because")
    return grid(*columns, rows=rows)
