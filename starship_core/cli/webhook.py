"""`starship webhook …`: clients' endpoints, as operators see them and help them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid, reading
from starship_core.cli.times import Time

if TYPE_CHECKING:
    from starship_core.store.delivery_log import Delivery
    from starship_core.store.webhooks import Webhook

_STATUSES = ("PENDING", "DELIVERED", "FAILED")


@click.group()
def webhook() -> None:
    """List, show and enable webhooks, and redeliver events.

    \b
    Examples:
      starship webhook list
      starship webhook redeliver 7 --since 2027-01-01T00:00:00Z --as ana
    """


@webhook.command("list")
@click.option("--client", "client_id", type=click.IntRange(1), help="Only this client's.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@reading
async def list_(call: Call, client_id: int | None, limit: int) -> None:
    """List webhooks, and whether they answer.

    \b
    Examples:
      starship webhook list --client 3 --json
    """
    from starship_core.store.webhooks import all_webhooks

    async with deployed(call) as ship:
        found = await ship.database.read(all_webhooks, client_id or 0, limit)
    rows = [
        (each.id, each.client_id, each.name, each.url, ", ".join(each.events), _state(each))
        for each in found
    ]
    columns = ("id", "client", "name", "url", "events", "state")
    call.answer([_document(each) for each in found], grid(*columns, rows=rows))


@webhook.command()
@click.argument("webhook_id", type=int)
@click.option(
    "--status", type=click.Choice(_STATUSES, case_sensitive=False), help="Deliveries in this one."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@reading
async def show(call: Call, webhook_id: int, status: str | None, limit: int) -> None:
    """Show one webhook and its last deliveries, with what went wrong.

    \b
    Examples:
      starship webhook show 7 --status FAILED
    """
    from starship_core.store.delivery_log import list_deliveries, tally
    from starship_core.store.webhooks import find_webhook

    async with deployed(call) as ship:
        database = ship.database
        found = await database.read(find_webhook, webhook_id, None)
        counts = await database.read(tally, webhook_id)
        listed, _ = await database.read(
            lambda tx: list_deliveries(tx, webhook_id, status=status or "", limit=limit, offset=0)
        )
    facts = _document(found)
    call.answer(
        facts | {"counts": counts, "deliveries": listed},
        grid("field", "value", rows=(facts | {"deliveries": counts}).items()),
        grid("id", "event", "status", "attempts", "next", "error", rows=map(_row, listed)),
    )


@webhook.command()
@click.argument("webhook_id", type=int)
@changing
async def enable(call: Call, webhook_id: int) -> None:
    """Set a webhook active again; what failed meanwhile is redelivered separately.

    \b
    Examples:
      starship webhook enable 7 --as ana --reason "their server is back"
    """
    from starship_core.flows.manage_webhooks import Changes, change_webhook

    async with deployed(call) as ship:
        done = await change_webhook(
            webhook_id, Changes(is_active=True), call.by, ship, client_id=None
        )
    document = _document(done.webhook)
    call.answer(document, grid("field", "value", rows=document.items()))


@webhook.command("redeliver")
@click.argument("webhook_id", type=int)
@click.option("--since", type=Time(), help="All that failed or waits, of events since this time.")
@click.option("--delivery", type=click.IntRange(1), help="Only this one, whatever became of it.")
@changing
async def redeliver_(
    call: Call, webhook_id: int, since: datetime | None, delivery: int | None
) -> None:
    """Deliver events again, under the same ids: one of them, or all that failed since a time.

    \b
    Examples:
      starship webhook redeliver 7 --since 2027-01-01T00:00:00Z --as ana
      starship webhook redeliver 7 --delivery 120 --as ana
    """
    from starship_core.errors import NotFound
    from starship_core.flows.redeliver_events import redeliver, redeliver_since
    from starship_core.store.delivery_log import webhook_of

    if (since is None) == (delivery is None):
        raise click.UsageError("Say which: --since TIME, or --delivery ID.")
    async with deployed(call) as ship:
        if since is not None:
            queued = await redeliver_since(webhook_id, since, call.by, ship, client_id=None)
        elif delivery is not None:
            if await ship.database.read(webhook_of, delivery) != webhook_id:
                raise NotFound(f"delivery of webhook {webhook_id}", delivery)
            await redeliver(delivery, call.by, ship, client_id=None)
            queued = 1
    call.answer({"queued": queued}, f"{queued} deliveries are due again.")


def _state(found: Webhook) -> str:
    if not found.is_active:
        return f"inactive: {found.inactive_reason}"
    return f"failing ({found.failures})" if found.failures else "active"


def _document(found: Webhook) -> dict[str, Any]:
    from starship_core.store.webhooks import facts_of, time_of

    return {"id": found.id, "client_id": found.client_id} | facts_of(found) | {
        "failures": found.failures,
        "failing_since": time_of(found.failing_since),
        "last_success_at": time_of(found.last_success_at),
    }  # fmt: skip


def _row(each: Delivery) -> tuple[Any, ...]:
    return (
        each.id, each.event_id, each.status, len(each.attempts), each.next_attempt_at, each.error,
    )  # fmt: skip
