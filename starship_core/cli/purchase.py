"""`starship purchase …`: what was asked of vendors, and what an operator has to settle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.store.purchases import PurchaseRecord

_STATES = (
    "PLANNED", "SENT", "ACCEPTED", "UNKNOWN", "NEEDS_REVIEW", "BOUGHT", "REFUSED", "NOT_BOUGHT",
    "VOIDED",
)  # fmt: skip


@click.group()
def purchase() -> None:
    """List purchases, show them, and settle those in doubt.

    \b
    Examples:
      starship purchase list --state NEEDS_REVIEW
      starship purchase show 12
    """


@purchase.command("list")
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only in it.")
@click.option("--vendor", metavar="NAME", help="Only at this vendor instance.")
@click.option("--order", "order_id", type=int, help="Only of this order.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@reading
async def list_(
    call: Call, state: str | None, vendor: str | None, order_id: int | None, limit: int
) -> None:
    """List purchases, newest first.

    \b
    Examples:
      starship purchase list --state NEEDS_REVIEW --json
    """
    from starship_core.flows.read_purchases import facts_of, find_purchases

    async with deployed(call) as ship:
        found = await find_purchases(
            ship, state=state, vendor=vendor, order_id=order_id, limit=limit
        )
    columns = ("id", "order", "vendor", "sku", "qty", "state", "ceiling", "charged", "due")
    documents = [facts_of(one) for one in found]
    rows = [
        (each["id"], each["order_id"], each["vendor"], each["sku"], each["quantity"],
         each["state"], each["ceiling"], each["charged"], each["due_at"])
        for each in documents
    ]  # fmt: skip
    call.answer(documents, grid(*columns, rows=rows))


@purchase.command()
@click.argument("purchase_id", type=int)
@click.option("--raw", is_flag=True, help="Reveal the vendor's raw reply; needs --as, and audited.")
@click.option("--as", "operator", metavar="NAME", envvar="STARSHIP_OPERATOR", help="Who looks.")
@click.option("--reason", metavar="TEXT", default="", help="Why; goes into the audit.")
@reading
async def show(call: Call, purchase_id: int, *, raw: bool) -> None:
    """Show a purchase, who allowed it, and what is known of it.

    No code is in it, but in what `--raw` reveals: what the vendor answered when nobody could tell
    what it meant. That it was shown, and to whom, goes into the audit.

    \b
    Examples:
      starship purchase show 12
      starship purchase show 12 --raw --as ana --reason "ticket 771"
    """
    from starship_core.flows.read_purchases import read_purchase, reveal_reply

    if raw and not call.operator:
        raise click.UsageError("--raw is audited: add --as NAME, or set STARSHIP_OPERATOR.")
    async with deployed(call) as ship:
        document = (await read_purchase(purchase_id, ship)).document
        if raw:
            document["raw"] = (await reveal_reply(purchase_id, call.by, ship)).reveal()
    lines = document.pop("evidence")
    rows = [*document.items(), *(("evidence", line) for line in lines)]
    call.answer(document | {"evidence": lines}, grid("field", "value", rows=rows))


@purchase.command()
@click.argument("purchase_id", type=int)
@click.option(
    "--not-bought", is_flag=True, help="Nothing was bought; say in --evidence how you know."
)
@click.option("--evidence", metavar="TEXT", default="", help="How it is known.")
@click.option(
    "--bought", "file", type=click.Path(path_type=Path), help="It was; the file of its vouchers."
)
@changing
async def resolve(
    call: Call, purchase_id: int, file: Path | None, evidence: str, *, not_bought: bool
) -> None:
    """Settle a purchase in doubt: it was not bought, or these are its vouchers.

    Ask the vendor first, by the reference that `purchase show` names. After --not-bought its items
    may be bought again; if it had been bought after all, that is paid twice.

    \b
    Examples:
      starship purchase resolve 12 --not-bought --evidence "ticket 771: no such order" --as ana
      starship purchase resolve 12 --bought vouchers.csv --as ana
    """
    if not_bought == (file is not None):
        raise click.UsageError("Say --not-bought with --evidence, or --bought FILE; one of them.")
    async with deployed(call) as ship:
        if file is None:
            from starship_core.flows.resolve_purchase import resolve_not_bought

            one = await resolve_not_bought(purchase_id, evidence, call.by, ship)
        else:
            from starship_core.flows.import_stock import by_hand
            from starship_core.flows.resolve_purchase import resolve_bought

            async with by_hand(ship, file) as vouchers:
                one = await resolve_bought(purchase_id, vouchers, call.by, ship)
    _answer(call, one)


def _answer(call: Call, one: PurchaseRecord) -> None:
    from starship_core.flows.read_purchases import facts_of

    document = facts_of(one)
    call.answer(document, grid("field", "value", rows=document.items()))
