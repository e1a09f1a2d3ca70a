"""What verdicts come to: the law of the combination, and policies that are no use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starship_core.buying.verdicts import STUCK, Heard, Says, asked, combined
from starship_core.model import FallbackCase, Money, Sku, Verdict
from starship_core.ship import Policy

CASE = FallbackCase(
    order_id=4411, client_id=3, sku=Sku(310, 2000, "GBP"), quantity=3, charged=Money(5880, "GBP"),
    estimated_cost=None, spent_today=Money(0, "GBP"), at=datetime(2027, 1, 4, tzinfo=UTC),
)  # fmt: skip
SAYS: tuple[Says, ...] = ("Allow", "NoObjection", "AskOperator", "Refuse")


class Answers:
    """A policy that does what it was made for."""

    def __init__(self, answer: Callable[[FallbackCase], Any]) -> None:
        self.answer = answer
        self.asked = 0

    def decide(self, case: FallbackCase) -> Any:
        self.asked += 1
        return self.answer(case)


def policy(answer: Callable[[FallbackCase], Any], *, names_products: bool = True) -> Policy:
    return Policy(name="one", plugin="plug", port=Answers(answer), names_products=names_products)


def heard(says: Says, number: int = 1) -> Heard:
    return Heard(policy=f"p{number}", plugin="plug", says=says, reason=f"because {number}")


@given(st.lists(st.sampled_from(SAYS), max_size=6))
def test_the_law_of_the_combination(said: list[Says]) -> None:
    """Allowed exactly when one allows and none objects; a refusal outweighs a doubt; the order in
    which they are heard changes nothing.
    """
    listed = [heard(says, n) for n, says in enumerate(said)]
    outcome, reason = combined(listed)
    objections = {"AskOperator", "Refuse"} & set(said)
    assert (outcome == "Allow") == ("Allow" in said and not objections)
    assert (outcome == "Refuse") == ("Refuse" in said)
    assert combined(reversed(listed))[0] == outcome
    named = [each.policy for each in listed if each.says == outcome]
    assert all(f"{name}: because" in reason for name in named)
    assert reason


@given(st.lists(st.sampled_from(SAYS), max_size=6), st.sampled_from(SAYS))
def test_another_policy_never_loosens(said: list[Says], more: Says) -> None:
    """Only an Allow more can turn a decision into Allow, and only where nobody objected."""
    before, _ = combined([heard(says) for says in said])
    after, _ = combined([heard(says) for says in [*said, more]])
    if after == "Allow" and before != "Allow":
        assert more == "Allow"
        assert set(said) <= {"NoObjection"}


def test_no_policy_is_for_an_operator() -> None:
    """And so is one that has no objection, alone."""
    assert combined([]) == ("AskOperator", "there is no policy")
    assert combined([heard("NoObjection")]) == ("AskOperator", "no policy allows it")


def raising(error: BaseException) -> Callable[[FallbackCase], Any]:
    def decide(_case: FallbackCase) -> Any:
        raise error

    return decide


async def pending() -> Verdict:
    return Verdict(says="Allow", reason="a coroutine")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (raising(ValueError("CODE-1")), "it raised ValueError"),
        (raising(SystemExit(3)), "it raised SystemExit"),
        (lambda _: None, "it answered with NoneType, no verdict"),
        (lambda _: "Allow", "it answered with str, no verdict"),
        (lambda _: pending(), "it answered with coroutine, no verdict"),
        (lambda _: Verdict(says="Yes", reason="x"), "it answered with Verdict, no verdict"),  # type: ignore[arg-type]
        (lambda _: Verdict(says="Allow", reason=None), "it answered with Verdict, no verdict"),  # type: ignore[arg-type]
    ],
)
async def test_whatever_is_no_verdict_asks_an_operator(
    answer: Callable[[FallbackCase], Any], told: str
) -> None:
    """An error, nonsense, an async function: told by class, never by text."""
    (said,) = await asked({"one": policy(answer)}, CASE)
    assert (said.says, said.reason) == ("AskOperator", told)


async def test_only_a_policy_that_names_products_may_allow() -> None:
    """Another one's Allow counts as a doubt, its other verdicts as they are."""
    allows = policy(lambda _: Verdict(says="Allow", reason="I like it"), names_products=False)
    refuses = policy(lambda _: Verdict(says="Refuse", reason="no"), names_products=False)
    said = await asked({"allows": allows, "refuses": refuses}, CASE)
    assert [each.says for each in said] == ["AskOperator", "Refuse"]
    assert "must not allow" in said[0].reason


async def test_one_that_hangs_is_given_up_on_and_in_the_end_not_asked() -> None:
    """It keeps nobody; after so many threads that still run it is left alone until one ends."""
    gate = threading.Event()

    def hang(_case: FallbackCase) -> Verdict:
        gate.wait(30)
        return Verdict(says="Allow", reason="late")

    slow = policy(hang)
    quick = policy(lambda _: Verdict(says="Allow", reason="named"))
    policies = {"slow": slow, "quick": quick}
    for _ in range(STUCK):
        late, at_once = await asked(policies, CASE, seconds=0.01)
        assert (late.says, late.reason) == ("AskOperator", "it did not answer within 0.01 s")
        assert at_once.says == "Allow"
    late, _ = await asked(policies, CASE, seconds=0.01)
    assert late.reason == "it hangs, and was not asked"
    assert slow.port.asked == STUCK  # type: ignore[attr-defined]
    gate.set()
    for thread in slow.stuck:
        thread.join(30)
    (said, _) = await asked(policies, CASE, seconds=30)
    assert said.says == "Allow"
    assert slow.stuck == []
