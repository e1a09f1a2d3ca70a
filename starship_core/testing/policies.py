"""The policy kit: what we promise about who may say that a vendor is bought from."""

from __future__ import annotations

import asyncio
import builtins
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any, ClassVar, Final, NoReturn
from unittest.mock import patch

import msgspec
import pytest

from starship_core import (
    FallbackCase,
    FulfilPolicy,
    Money,
    PolicyRegistration,
    Sku,
    Toolbox,
    Verdict,
)
from starship_core.testing.kit import Conformance
from starship_core.testing.network import without_network
from starship_core.testing.plug_case import PlugCase, PlugStage
from starship_core.testing.plug_facts import PlugChecks

__all__ = ["PolicyCase", "PolicyConformance"]

STRANGER: Final = 999_999_937
"""A product that no section names."""
MOST_CALLS: Final = 10_000
"""Function calls in one decision: a measure of work that is the same on every machine."""
LONGEST: Final = 2_000
CLOCKS: Final = frozenset((
    "now", "utcnow", "today", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter",
    "localtime", "gmtime",
))  # fmt: skip
ORDINARY: Final = FallbackCase(
    order_id=4411,
    client_id=3,
    sku=Sku(310, 2000, "GBP"),
    quantity=3,
    charged=Money(5880, "GBP"),
    estimated_cost=Money(5400, "GBP"),
    spent_today=Money(0, "GBP"),
    at=datetime(2027, 1, 4, 9, 30, tzinfo=UTC),
)
_SAYS: Final = ("Allow", "NoObjection", "AskOperator", "Refuse")
_EAST: Final = timezone(timedelta(hours=14))


@dataclass(frozen=True, kw_only=True)
class PolicyCase(PlugCase):
    """A policy, how its section looks, and whom it names."""

    registers: ClassVar = PolicyRegistration
    port: ClassVar = FulfilPolicy

    registration: PolicyRegistration[Any]
    named: tuple[int, ...] = ()
    """Products that the section names; for `names_products=True`."""
    ordinary: FallbackCase = ORDINARY
    """To which the policy, were its product named, has no objection."""

    def of(self, product: int) -> FallbackCase:
        """The ordinary case, of this product."""
        sku = self.ordinary.sku
        return msgspec.structs.replace(
            self.ordinary, sku=Sku(product, sku.denomination, sku.currency)
        )

    def extremes(self) -> Mapping[str, FallbackCase]:
        """The ordinary case, with every field at its extremes, one at a time; by what is extreme.

        Of a product that is named, and of one that is not.
        """
        return {
            f"{name} of product {product}": msgspec.structs.replace(
                self.of(product), **changed(product)
            )
            for product in (*self.named[:1], STRANGER)
            for name, changed in _EXTREMES.items()
        }


def _sku(denomination: int, currency: str) -> Callable[[int], dict[str, Any]]:
    return lambda product: {"sku": Sku(product, denomination, currency)}


def _field(name: str, value: Any) -> Callable[[int], dict[str, Any]]:
    return lambda _: {name: value}


_EXTREMES: Final[Mapping[str, Callable[[int], dict[str, Any]]]] = {
    "nothing unusual": lambda _: {},
    "the first order": _field("order_id", 1),
    "the last order": _field("order_id", 2**63 - 1),
    "the last client": _field("client_id", 2**63 - 1),
    "the smallest coin": _sku(1, "GBP"),
    "a fortune": _sku(10**15, "GBP"),
    "a currency without decimals": _sku(2000, "JPY"),
    "a currency with three": _sku(2000, "KWD"),
    "a currency of nobody": _sku(2000, "XXX"),
    "one unit": _field("quantity", 1),
    "a billion units": _field("quantity", 10**9),
    "charged nothing": _field("charged", Money(0, "GBP")),
    "charged a fortune": _field("charged", Money(10**15, "GBP")),
    "charged in yen": _field("charged", Money(5880, "JPY")),
    "an unknown cost": _field("estimated_cost", None),
    "a cost of nothing": _field("estimated_cost", Money(0, "GBP")),
    "a cost of a fortune": _field("estimated_cost", Money(10**15, "GBP")),
    "a cost in yen": _field("estimated_cost", Money(5400, "JPY")),
    "much spent today": _field("spent_today", Money(10**15, "GBP")),
    "yen spent today": _field("spent_today", Money(1, "JPY")),
    "the first moment": _field("at", datetime(1, 1, 2, tzinfo=UTC)),
    "the last moment": _field("at", datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)),
    "another zone": _field("at", datetime(2027, 1, 4, 23, 30, tzinfo=_EAST)),
}


class PolicyChecks(Conformance):
    """A decision is replayed in an audit from the case that was recorded, and must come out the
    same.
    """

    pytestmark = pytest.mark.asyncio

    async def test_every_case_has_a_verdict(self, stage: PlugStage[PolicyCase]) -> None:
        """A `Verdict`, and no exception, whatever is at its extreme.

        If this fails: in doubt say AskOperator; compare amounts only of one currency.
        """
        async with stage.opened() as policy:
            for name, case in stage.case.extremes().items():
                verdict = policy.decide(case)
                assert isinstance(verdict, Verdict), name
                assert verdict.says in _SAYS, name

    async def test_every_verdict_has_a_reason(self, stage: PlugStage[PolicyCase]) -> None:
        """One line of text that an auditor can read.

        If this fails: say what was compared with what, in a sentence.
        """
        async with stage.opened() as policy:
            for name, case in stage.case.extremes().items():
                reason = policy.decide(case).reason
                assert reason.strip(), name
                assert reason.isprintable(), name
                assert len(reason) <= LONGEST, name

    async def test_only_a_named_product_is_allowed(self, stage: PlugStage[PolicyCase]) -> None:
        """And only by a policy that says that it names products: a limit opens nothing.

        If this fails: say NoObjection; or let the section list products, and set `names_products`.
        """
        named = stage.case.named if stage.case.registration.names_products else ()
        async with stage.opened() as policy:
            allowed = {
                case.sku.product_id
                for case in stage.case.extremes().values()
                if policy.decide(case).says == "Allow"
            }
        assert allowed <= set(named)

    async def test_what_it_names_it_allows(self, stage: PlugStage[PolicyCase]) -> None:
        """Each product of the section, in an ordinary case.

        If this fails: correct `names_products`, or the case's `named` and `ordinary`.
        """
        if not stage.case.registration.names_products:
            return
        assert stage.case.named, "the case names no product"
        async with stage.opened() as policy:
            verdicts = {one: policy.decide(stage.case.of(one)).says for one in stage.case.named}
        assert verdicts == dict.fromkeys(stage.case.named, "Allow")

    async def test_it_remembers_nothing(self, stage: PlugStage[PolicyCase]) -> None:
        """What was decided before changes no verdict: totals are in the case.

        If this fails: keep nothing on the policy but its section.
        """
        cases = list(stage.case.extremes().values())
        async with stage.opened() as policy:
            first = [policy.decide(case) for case in cases]
            again = [policy.decide(case) for case in reversed(cases)]
        assert again[::-1] == first

    async def test_another_process_decides_the_same(self, stage: PlugStage[PolicyCase]) -> None:
        """The same section and the same case, opened anew a year later.

        If this fails: a verdict depends on the case and the section, and on nothing else.
        """
        cases = list(stage.case.extremes().values())
        async with stage.opened() as policy:
            first = [policy.decide(case) for case in cases]
        stage.clock.advance(days=365)
        async with stage.opened() as policy:
            assert [policy.decide(case) for case in cases] == first

    async def test_it_asks_no_clock(self, stage: PlugStage[PolicyCase]) -> None:
        """The time is in the case.

        If this fails: use `case.at`.
        """
        told: list[str] = []

        def now() -> datetime:
            told.append("toolbox.now")
            return stage.case.now

        async with _with(stage, now=now) as policy:
            told.clear()
            calls = _called_by(partial(policy.decide, stage.case.ordinary))
            told += CLOCKS & calls.keys()
        assert told == []

    async def test_it_asks_nobody(self, stage: PlugStage[PolicyCase]) -> None:
        """No network, no file, no database: those who wait for it hold a lock.

        If this fails: read what is needed in `open`, and decide from that.
        """
        async with stage.opened() as policy:
            with without_network(), _without_files():
                for case in stage.case.extremes().values():
                    policy.decide(case)

    async def test_it_is_quick(self, stage: PlugStage[PolicyCase]) -> None:
        """Its work is bounded, and it does not sleep: the core waits for a second.

        If this fails: look up in a set what is searched for, and compute no tables.
        """
        async with stage.opened() as policy:
            for name, case in stage.case.extremes().items():
                calls = _called_by(partial(policy.decide, case))
                assert sum(calls.values()) < MOST_CALLS, name
                assert "sleep" not in calls, name

    async def test_it_decides_in_a_thread(self, stage: PlugStage[PolicyCase]) -> None:
        """As the core calls it: without an event loop.

        If this fails: `decide` is a plain function and needs no loop.
        """
        case = stage.case.ordinary
        async with stage.opened() as policy:
            assert await asyncio.to_thread(policy.decide, case) == policy.decide(case)


class PolicyConformance(PlugChecks, PolicyChecks):
    """Inherit it with an empty body. Needs the fixture `case`."""


def _with(stage: PlugStage[PolicyCase], **changed: Any) -> Any:
    """The policy, with other tools."""
    tools: Toolbox = replace(stage.tools, **changed)
    return stage.case.registration.open(stage.case.config(), tools)


@contextmanager
def _without_files() -> Iterator[None]:
    def refuse(file: Any, *_: Any, **__: Any) -> NoReturn:
        raise AssertionError(f"a file was opened: {file}")

    with patch.object(builtins, "open", refuse), patch("io.open", refuse):
        yield


def _called_by(work: Callable[[], Any]) -> Counter[str]:
    """The functions that are called, by name, and how often."""
    calls: Counter[str] = Counter()

    def profile(frame: Any, event: str, called: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            calls[called.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
