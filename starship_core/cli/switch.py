"""`starship switch …`: stop buying, and let it go on."""

from __future__ import annotations

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid, reading

_SCOPE = click.argument("scope", metavar="SCOPE")


@click.group()
def switch() -> None:
    """Stop buying from vendors, and let it go on again.

    OFF means STOPPED: while a switch is off, nothing is bought where it reaches. ON is the normal
    state, and only means that this switch does not stop it: approvals are asked for as ever. SCOPE
    is `global` (every vendor and product), `vendor:NAME` or `product:CODE`; one that is off is
    enough to stop a purchase.

    It holds at once, in every process, for what has not been sent; what was sent is still looked
    up, and orders are served from the pool as ever.

    \b
    Examples:
      starship switch list
      starship switch off global --reason "stop: wrong prices" --as ana
      starship switch on global --reason "prices are right again" --as ana
    """


@switch.command("list")
@reading
async def list_(call: Call) -> None:
    """List switches, and breakers that are not closed.

    `STOPPED`: nothing is bought there. A breaker opens by itself when a vendor's calls fail, and
    lets one try after a while.

    \b
    Examples:
      starship switch list
      starship switch list --json
    """
    from starship_core.flows.switch_buying import list_stops

    async with deployed(call) as ship:
        stops = await list_stops(ship)
    switches = [
        (one.scope, "STOPPED" if one.off else "buying", one.reason, one.actor, f"{one.at:%F %T}")
        for one in stops.switches
    ]
    breakers = [
        (one.vendor, one.operation, one.state, one.cause, f"{one.opened_at:%F %T}",
         f"{one.next_try:%F %T}")
        for one in stops.breakers
    ]  # fmt: skip
    parts = [
        grid("switch", "state", "reason", "by", "at", rows=switches)
        if switches
        else "nothing was ever switched off"
    ]
    if breakers:
        columns = ("vendor", "operation", "breaker", "cause", "open since", "next try")
        parts.append(grid(*columns, rows=breakers))
    call.answer(stops, *parts)


@switch.command()
@_SCOPE
@changing
async def off(call: Call, scope: str) -> None:
    """STOP buying in SCOPE: `global`, `vendor:NAME` or `product:CODE`. Needs a --reason.

    What has been sent already is looked up until it is known; nothing further is sent.

    \b
    Examples:
      starship switch off vendor:bamboo-eu --reason "sells used codes" --as ana
      starship switch off product:bluefin-coffee-de --reason "recalled" --as ana
    """
    from starship_core.flows.switch_buying import switch_off

    async with deployed(call) as ship:
        done = await switch_off(scope, call.by, ship)
    call.answer(done, f"{done.scope}: STOPPED, nothing is bought there")


@switch.command()
@_SCOPE
@changing
async def on(call: Call, scope: str) -> None:
    """Let buying GO ON in SCOPE, as far as no other switch is off. Needs a --reason.

    Purchases that waited are sent while their approval holds.

    \b
    Examples:
      starship switch on vendor:bamboo-eu --reason "they have cleaned up" --as ana
    """
    from starship_core.flows.switch_buying import switch_on

    async with deployed(call) as ship:
        done = await switch_on(scope, call.by, ship)
    call.answer(done, f"{done.scope}: buying goes on")


@switch.command("close-breaker")
@click.argument("vendor", metavar="VENDOR")
@click.argument("operation", metavar="OPERATION")
@changing
async def close_breaker(call: Call, vendor: str, operation: str) -> None:
    """Let calls of a vendor's operation (`buy`, `find`, …) pass at once, not after the rest.

    Only when you know that the vendor is well: the breaker counts anew.

    \b
    Examples:
      starship switch close-breaker bamboo-eu buy --reason "they say it is mended" --as ana
    """
    from starship_core.flows.switch_buying import close_breaker as closed

    async with deployed(call) as ship:
        await closed(vendor, operation, call.by, ship)
    call.answer({"vendor": vendor, "operation": operation, "state": "closed"}, "closed")
