"""What policies decided about an order and why, and whether they would decide the same today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from starship_core.buying.verdicts import Heard, Outcome, asked, combined
from starship_core.clock import moment, rfc3339
from starship_core.database import Tx
from starship_core.errors import NotFound, WrongState
from starship_core.model import FallbackCase
from starship_core.ship import Ship
from starship_core.store.approvals import approvals_of
from starship_core.store.decisions import Decision, find_decision
from starship_core.store.orders import find_order
from starship_core.store.refusals import Refusal, find_refusal


class PolicyFacts(Struct, frozen=True, kw_only=True):
    """A policy of this deployment."""

    name: str
    plugin: str
    may_allow: bool
    """It names products; another one may only object."""
    section: Mapping[str, Any]
    """What the configuration says of it."""


class Said(Struct, frozen=True, kw_only=True):
    """All verdicts on a case, and what they come to."""

    outcome: str
    reason: str
    verdicts: Sequence[Heard]


class DecisionReport(Struct, frozen=True, kw_only=True):
    """A decision, its input, and the same input put to the policies of today."""

    order_id: int
    decided_at: str
    again_at: str | None
    """When it is decided anew; None: it is final."""
    approval_id: int | None
    refused: str | None
    """Which operator refused to have it bought since, when and why; None: none did."""
    case: FallbackCase
    then: Said
    today: Said
    differs: Sequence[str]
    """A sentence on each policy that would say something else; empty: nothing has changed."""


def list_policies(ship: Ship) -> list[PolicyFacts]:
    """In the order of the configuration; secrets are not shown."""
    return [
        PolicyFacts(
            name=each.name, plugin=each.plugin, may_allow=each.names_products,
            section=_shown(ship.config.policies.get(each.name, {})),
        )
        for each in ship.policies.values()
    ]  # fmt: skip


def _shown(section: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(dict(section), enc_hook=repr)
    shown.pop("use", None)
    return shown


async def explain_decision(order_id: int, ship: Ship) -> DecisionReport:
    """Raises NotFound, and WrongState when policies have not decided about the order."""
    decision, refusal = await ship.database.read(_decided, order_id)
    case = msgspec.json.decode(decision.case, type=FallbackCase)
    then = msgspec.json.decode(decision.verdicts, type=list[Heard])
    heard = await asked(ship.policies, case)
    outcome, reason = combined(heard)
    again = decision.again_at
    return DecisionReport(
        order_id=order_id, decided_at=rfc3339(decision.at),
        again_at=None if again is None else rfc3339(moment(again)),
        approval_id=decision.approval_id, case=case,
        refused=_told(refusal) if refusal else None,
        then=Said(outcome=decision.outcome, reason=decision.reason, verdicts=then),
        today=Said(outcome=outcome, reason=reason, verdicts=heard),
        differs=[*_differences(then, heard), *_turned(combined(then)[0], outcome)],
    )  # fmt: skip


def _told(refusal: Refusal) -> str:
    return f"{refusal.actor} refused it at {rfc3339(refusal.at)}: {refusal.reason}"


def _decided(tx: Tx, order_id: int) -> tuple[Decision, Refusal | None]:
    order, decision = find_order(tx, order_id), find_decision(tx, order_id)
    if order is None:
        raise NotFound("order", order_id)
    refusal = find_refusal(tx, order_id)
    if decision is not None:
        return decision, refusal
    if refusal is not None:
        why = _told(refusal)
    elif approvals := approvals_of(tx, order_id):
        why = f"{approvals[0].terms.actor} approved it first"
    elif order.delivery_time == "INSTANT":
        why = "it was delivered at once"
    else:
        why = (
            f"it is {order.status}; they decide while it waits, within a day of its placement, "
            "when there are policies and a worker runs"
        )
    raise WrongState(f"policies have not decided about order {order_id}: {why}", found=order.status)


def _differences(then: Sequence[Heard], today: Sequence[Heard]) -> Iterator[str]:
    before = {each.policy: each for each in then}
    now = {each.policy: each for each in today}
    for name in sorted(before.keys() | now.keys()):
        was, is_ = before.get(name), now.get(name)
        if was is None and is_ is not None:
            yield f"{name} was not asked then; today it says {is_.says}: {is_.reason}"
        elif was is not None and is_ is None:
            yield f"{name} said {was.says} then; today it is not configured"
        elif was and is_ and was.says != is_.says:
            yield f"{name} said {was.says} then; today it says {is_.says}: {is_.reason}"


def _turned(then: Outcome, today: Outcome) -> Iterator[str]:
    if then != today:
        yield f"together they came to {then} then, and come to {today} today"
