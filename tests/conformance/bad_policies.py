"""Policies that are wrong in one thing each, made from policy-products, which is right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import starship_policy_products

from starship_core import FallbackCase, FulfilPolicy, Toolbox, Verdict
from starship_core.testing.policies import PolicyCase

(GOOD,) = starship_policy_products.register_fulfil_policies()
CASE = PolicyCase(
    registration=GOOD, section={"allow_auto_vendor_fulfill": [310, 311]}, named=(310, 311)
)


class Around:
    """policy-products; a bad one replaces `decide`."""

    def __init__(self, inner: FulfilPolicy, toolbox: Toolbox) -> None:
        self.inner = inner
        self.toolbox = toolbox

    def decide(self, case: FallbackCase) -> Verdict:
        return self.inner.decide(case)


def acting(cls: type[Around]) -> PolicyCase:
    """The case with a policy of this class."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Toolbox) -> AsyncIterator[Any]:
        async with GOOD.open(config, toolbox) as inner:
            yield cls(inner, toolbox)

    return replace(CASE, registration=replace(GOOD, open=opened))


class Undecided(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        says: Any = "Perhaps"
        verdict = super().decide(case)
        unsure = case.estimated_cost is None
        return msgspec.structs.replace(verdict, says=says) if unsure else verdict


class Silent(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        return msgspec.structs.replace(super().decide(case), reason="")


class Generous(Around):
    def decide(self, _case: FallbackCase) -> Verdict:
        return Verdict(says="Allow", reason="why not")


class Idle(Around):
    def decide(self, _case: FallbackCase) -> Verdict:
        return Verdict(says="NoObjection", reason="no opinion")


class Counting(Around):
    """Allows so many, and then no more."""

    decided = 0

    def decide(self, case: FallbackCase) -> Verdict:
        self.decided += 1
        if self.decided > len(CASE.extremes()):
            return Verdict(says="AskOperator", reason="enough for today")
        return super().decide(case)


class Ageing(Around):
    """Knows how old it is."""

    def __init__(self, inner: FulfilPolicy, toolbox: Toolbox) -> None:
        super().__init__(inner, toolbox)
        self.since = toolbox.now()

    def decide(self, case: FallbackCase) -> Verdict:
        told = f"as of {self.since:%Y-%m-%d}"
        return msgspec.structs.replace(super().decide(case), reason=told)


class Clocked(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        self.toolbox.now()
        return super().decide(case)


class Punctual(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        assert datetime.now(UTC)
        return super().decide(case)


class Reading(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        assert Path(__file__).read_text(encoding="utf-8")
        return super().decide(case)


class Slow(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        for number in range(20_000 if case.quantity == 10**9 else 0):
            abs(number)
        return super().decide(case)


class Sleepy(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        time.sleep(0)
        return super().decide(case)


class Looping(Around):
    def decide(self, case: FallbackCase) -> Verdict:
        asyncio.get_running_loop()
        return super().decide(case)


BAD: dict[str, PolicyCase] = {
    "every_case_has_a_verdict": acting(Undecided),
    "every_verdict_has_a_reason": acting(Silent),
    "only_a_named_product_is_allowed": acting(Generous),
    "what_it_names_it_allows": acting(Idle),
    "it_remembers_nothing": acting(Counting),
    "another_process_decides_the_same": acting(Ageing),
    "it_asks_no_clock": acting(Clocked),
    "it_asks_no_clock of its own": acting(Punctual),
    "it_asks_nobody": acting(Reading),
    "it_is_quick": acting(Slow),
    "it_is_quick and sleeps": acting(Sleepy),
    "it_decides_in_a_thread": acting(Looping),
}
"""The check's name → the policy that only this check fails."""
