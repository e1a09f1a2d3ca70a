"""`starship order approve` and `refuse`: an operator's yes or no to buying."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid

if TYPE_CHECKING:
    from starship_core.model import Money


@click.command()
@click.argument("order_id", type=int)
@click.option("--vendor", "vendors", multiple=True, metavar="NAME",
              help="Buy here; repeated: the next one is asked after a refusal. Left out: those "
              "that sell it, by [buying] prefer.")  # fmt: skip
@click.option("--ceiling", required=True, metavar="AMOUNT", help="At most this for all of it.")
@click.option("--currency", metavar="CODE", help="Of the ceiling; left out: the order's product's.")
@click.option("--expires", metavar="HOURS", type=click.FloatRange(0.01, 744), default=24,
              show_default=True, help="Nothing is sent after that.")  # fmt: skip
@changing
async def approve(  # noqa: PLR0913, PLR0917  # an option each; click passes by keyword
    call: Call,
    order_id: int,
    vendors: tuple[str, ...],
    ceiling: str,
    currency: str | None,
    expires: float,
) -> None:
    """Let what an order waits for be bought from a vendor. Needs a --reason.

    What the pool has by now is delivered first, and only the rest is planned; a worker sends it.

    \b
    Examples:
      starship order approve 4411 --vendor bamboo-eu --ceiling 120.00 --reason "VIP" --as ana
      starship order approve 4412 --ceiling 80.00 --expires 2 --reason "ticket 9" --as ana
    """
    from datetime import timedelta

    from starship_core.cli.order import document_of
    from starship_core.errors import NotFound
    from starship_core.flows.approve_fallback import approve_fallback
    from starship_core.store.orders import find_order

    async with deployed(call) as ship:
        found = await ship.database.read(find_order, order_id)
        if found is None:
            raise NotFound("order", order_id)
        approved = await approve_fallback(
            order_id, call.by, ship, vendors=vendors,
            ceiling=_amount(ceiling, currency or found.sku.currency),
            expires_at=ship.now() + timedelta(hours=expires),
        )  # fmt: skip
    document = document_of(approved.order) | {
        "approval_id": approved.approval_id,
        "purchases": list(approved.purchases),
    }
    call.answer(document, grid("field", "value", rows=document.items()))


@click.command()
@click.argument("order_id", type=int)
@changing
async def refuse(call: Call, order_id: int) -> None:
    """Have nothing bought for an order. Needs a --reason.

    What was planned and not sent is voided, and no policy allows it any more; the order goes on
    waiting for stock. An approval takes the refusal back.

    \b
    Examples:
      starship order refuse 4411 --reason "they can wait for Monday's stock" --as ana
    """
    from starship_core.cli.order import document_of
    from starship_core.flows.refuse_fallback import refuse_fallback

    async with deployed(call) as ship:
        document = document_of(await refuse_fallback(order_id, call.by, ship))
    call.answer(document, grid("field", "value", rows=document.items()))


def _amount(text: str, currency: str) -> Money:
    from starship_core.errors import InvalidInput
    from starship_core.model import Money

    try:
        return Money.of(text, currency)
    except ValueError as error:
        raise InvalidInput(f"--ceiling: {error}", field="ceiling") from None
