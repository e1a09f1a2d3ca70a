"""`starship order …`: what operators do with orders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.core import ParameterSource
from msgspec.structs import replace as replaced
from rich.console import RenderableType

from starship_core.cli.approve import approve, refuse
from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.buying.advice import Advice, Stock
    from starship_core.flows.explain_order import Explained
    from starship_core.model import Order

_STATUSES = ("PENDING", "PARTIALLY_DELIVERED", "DELIVERED", "CANCELLED", "FAILED")


@click.group()
def order() -> None:
    """List, explain, approve, refuse, retry, cancel, refund, replace.

    \b
    Examples:
      starship order list --status PENDING --older-than 24
      starship order explain 4411
    """


order.add_command(approve)
order.add_command(refuse)


@order.command("list")
@click.option(
    "--status", type=click.Choice(_STATUSES, case_sensitive=False), help="Only in this status."
)
@click.option("--client", "client_id", type=int, help="Only this client's orders.")
@click.option("--ref", help="Only the order of this reference (of each client that has one).")
@click.option(
    "--older-than",
    type=click.IntRange(0, 1_000_000),
    metavar="HOURS",
    help="Only orders placed before that.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@reading
async def list_(  # noqa: PLR0913, PLR0917  # an option each; click passes by keyword
    call: Call,
    status: str | None,
    client_id: int | None,
    ref: str | None,
    older_than: int | None,
    limit: int,
) -> None:
    """List orders, oldest first, without codes.

    \b
    Examples:
      starship order list --status PENDING --older-than 24 --json
    """
    from starship_core.flows.find_orders import find_orders

    async with deployed(call) as ship:
        found = await find_orders(
            ship,
            status=status,
            client_id=client_id,
            ref=ref,
            older_than_hours=older_than,
            limit=limit,
        )
    rows = [_row(each) for each in found]
    columns = ("id", "client", "ref", "sku", "qty", "status", "delivered", "pending", "charged")
    call.answer([document_of(each) for each in found], grid(*columns, rows=rows))


@order.command()
@click.argument("order_id", type=int)
@reading
async def show(call: Call, order_id: int) -> None:
    """Show one order, without codes.

    \b
    Examples:
      starship order show 4411 --json
    """
    from starship_core.errors import NotFound
    from starship_core.store.orders import find_order

    async with deployed(call) as ship:
        found = await ship.database.read(find_order, order_id)
    if found is None:
        raise NotFound("order", order_id)
    _answer(call, found)


@order.command()
@click.argument("order_id", type=int)
@reading
async def explain(call: Call, order_id: int) -> None:
    """Say what happened to an order, why, whose hands it went through, and what is next.

    \b
    Examples:
      starship order explain 4411
    """
    from starship_core.flows.explain_order import explain_order

    async with deployed(call) as ship:
        told = await explain_order(order_id, ship)
    told = replaced(told, next=[_typed(each, call) for each in told.next])
    call.answer(told, *_told(told))


def _typed(one: Advice, call: Call) -> Advice:
    """The command as it must be typed here: with the operator, and the file if it was named."""
    as_name = "" if os.environ.get("STARSHIP_OPERATOR") else " --as NAME"
    context = click.get_current_context()
    named = context and context.get_parameter_source("config_path")
    config = f" --config {call.config_path}" if named is ParameterSource.COMMANDLINE else ""
    return replaced(one, command=f"{one.command}{as_name}{config}")


def _told(told: Explained) -> Iterator[RenderableType]:
    sub_status = f" ({told.sub_status})" if told.sub_status else ""
    yield (
        f"Order {told.order_id}, {told.reference_code}, of {told.client}: {told.status}{sub_status}"
    )
    yield (
        f"{told.quantity} × {told.product} ({told.sku}): {told.delivered} delivered, "
        f"{told.pending} waiting"
    )
    yield f"charged {told.charged} to wallet {told.wallet_id}, refunded {told.refunded}"
    yield f"\nWhy: {told.why}."
    if told.pending:
        yield f"Stock now: {_stock(told.stock)}."
    yield ""
    yield grid("at", "what", "by", "detail", rows=_history(told))
    if told.next:
        yield "\nNext:"
    for each in told.next:
        yield f"  {each.what}\n    {each.command}"


def _stock(stock: Stock) -> str:
    parts = [f"{stock.servable} in the pool can serve it"]
    if stock.too_short:
        parts.append(f"{stock.too_short} more expire too soon for this client")
    if stock.received:
        parts.append(f"{stock.received} received and not on sale before the next pump")
    if stock.held_back:
        parts.append(f"{stock.held_back} blocked or quarantined")
    return ", ".join(parts)


def _history(told: Explained) -> list[tuple[str | None, ...]]:
    """In order; of what happened at one time, the hand first, then money, then what was told."""
    rows = [
        *(
            (hand.at, hand.action.removeprefix("order."), hand.actor, hand.reason)
            for hand in told.hands if hand.action != "reveal"
        ),
        *((moved.at, moved.type.lower(), None, moved.amount) for moved in told.money),
        *((step.at, step.what, None, step.why) for step in told.steps),
        *(
            (hand.at, "codes shown", hand.actor, hand.request_id)
            for hand in told.hands if hand.action == "reveal"
        ),
    ]  # fmt: skip
    rows.sort(key=lambda row: datetime.fromisoformat(row[0]))
    return [(f"{at[:19]}Z", *others) for at, *others in rows]


@order.command()
@click.argument("order_id", type=int)
@changing
async def retry(call: Call, order_id: int) -> None:
    """Allocate what the pool has now; never calls a vendor.

    \b
    Examples:
      starship order retry 4411 --as ana
    """
    from starship_core.flows.retry_order import retry_order

    async with deployed(call) as ship:
        with call.progress(f"order {order_id}"):
            _answer(call, await retry_order(order_id, call.by, ship))


@order.command()
@click.argument("order_id", type=int)
@changing
async def cancel(call: Call, order_id: int) -> None:
    """Cancel what is not delivered, and refund it.

    \b
    Examples:
      starship order cancel 4411 --as ana --reason "out of print"
    """
    from starship_core.flows.cancel_order import cancel_order

    async with deployed(call) as ship:
        _answer(call, await cancel_order(order_id, call.by, ship))


@order.command()
@click.argument("order_id", type=int)
@click.option("--item", "items", type=int, multiple=True, help="Only this item; may be repeated.")
@changing
async def refund(call: Call, order_id: int, items: tuple[int, ...]) -> None:
    """Refund delivered items (all of them without --item); the status stays.

    \b
    Examples:
      starship order refund 4411 --item 2 --as ana --reason "code was used"
    """
    from starship_core.flows.refund_order import refund_order

    async with deployed(call) as ship:
        _answer(call, await refund_order(order_id, call.by, ship, items=items or None))


@order.command()
@click.argument("order_id", type=int)
@click.argument("item", type=int)
@changing
async def replace(call: Call, order_id: int, item: int) -> None:
    """Give an item another voucher; the bad one is blocked for good.

    \b
    Examples:
      starship order replace 4411 1 --as ana --reason "code was used"
    """
    from starship_core.flows.replace_voucher import replace_voucher

    async with deployed(call) as ship:
        _answer(call, await replace_voucher(order_id, item, call.by, ship))


def _answer(call: Call, found: Order) -> None:
    document = document_of(found)
    call.answer(document, grid("field", "value", rows=document.items()))


def document_of(found: Order) -> dict[str, Any]:
    """What operators see: no code is among it."""
    from starship_core.clock import rfc3339
    from starship_core.store.events import event_data

    return event_data(found) | {
        "client_id": found.client_id,
        "placed_at": rfc3339(found.placed_at),
        "delivered_at": found.delivered_at and rfc3339(found.delivered_at),
    }


def _row(found: Order) -> tuple[Any, ...]:
    return (
        found.id, found.client_id, found.ref, found.sku, found.quantity, found.status,
        found.delivered_quantity, found.pending_items, found.charged,
    )  # fmt: skip
