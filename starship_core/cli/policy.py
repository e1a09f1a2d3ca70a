"""`starship policy …`: who may say that a vendor is bought from, and what was said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import rich_click as click

from starship_core.cli.console import Call, deployed, grid, reading

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starship_core.flows.read_policies import DecisionReport, PolicyFacts


@click.group()
def policy() -> None:
    """List policies, and explain what they decided.

    \b
    Examples:
      starship policy list
      starship policy explain 4411
    """


@policy.command("list")
@reading
async def list_(call: Call) -> None:
    """List the policies of this deployment, and which of them may allow a purchase.

    \b
    Examples:
      starship policy list --json
    """
    from starship_core.flows.read_policies import list_policies

    async with deployed(call) as ship:
        found = list_policies(ship)
    call.answer(found, *_listed(found))


def _listed(found: Sequence[PolicyFacts]) -> Iterator[RenderableType]:
    if not found:
        yield "There is no policy: every fallback waits for an operator."
        return
    rows = [
        (
            each.name,
            each.plugin,
            "allow or object" if each.may_allow else "object",
            ", ".join(f"{name} = {value}" for name, value in each.section.items()),
        )
        for each in found
    ]
    yield grid("name", "plugin", "may", "section", rows=rows)
    if not any(each.may_allow for each in found):
        yield "None of them may allow anything: every fallback waits for an operator."


@policy.command()
@click.argument("order_id", type=int)
@reading
async def explain(call: Call, order_id: int) -> None:
    """Say what policies saw of an order, what each said, and whether they would say it today.

    The recorded case is put to the policies of today; nothing is decided by it.

    \b
    Examples:
      starship policy explain 4411
      starship policy explain 4411 --json
    """
    from starship_core.flows.read_policies import explain_decision

    async with deployed(call) as ship:
        told = await explain_decision(order_id, ship)
    call.answer(told, *_told(told))


def _told(told: DecisionReport) -> Iterator[RenderableType]:
    case = told.case
    approval = f", approval {told.approval_id}" if told.approval_id else ""
    yield f"Order {told.order_id}: {told.then.outcome}{approval}, decided at {told.decided_at}"
    yield f"Why: {told.then.reason}"
    if told.refused:
        yield f"Since then: {told.refused}."
    elif told.again_at:
        yield f"It is decided anew at {told.again_at}."
    facts = [
        ("client", case.client_id),
        ("missing", f"{case.quantity} × {case.sku}"),
        ("charged", case.charged),
        ("estimated cost", case.estimated_cost or "not known"),
        ("allowed before, that day", case.spent_today),
    ]
    yield grid("the case", "", rows=facts)
    yield ""
    rows = [(each.policy, each.plugin, each.says, each.reason) for each in told.then.verdicts]
    yield grid("policy", "plugin", "said", "because", rows=rows)
    yield ""
    if not told.differs:
        yield "The policies of today say the same of this case."
    for sentence in told.differs:
        yield f"Differs: {sentence}."
