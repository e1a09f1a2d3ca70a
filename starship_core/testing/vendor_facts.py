"""What the vendor kit checks without asking anybody: the registration, the section, the traits."""

from __future__ import annotations

from typing import Final

import pytest

from starship_core.testing.case import NOWHERE
from starship_core.testing.kit import Conformance
from starship_core.testing.scrub import is_fake
from starship_core.testing.stage import Stage, reference

OPERATIONS: Final = frozenset(
    {"buy", "find", "catalogue", "balance", "reverse", "orders", "transactions", "rates", "token"}
)


class FactChecks(Conformance):
    """Of a vendor's section and traits."""

    pytestmark = pytest.mark.asyncio

    async def test_the_cases_secrets_are_fakes(self, stage: Stage) -> None:
        """What stands in the test file is nobody's, and can be told from the real.

        If this fails: use `fake("…", 1)` of `starship_core.testing.scrub`, such as FAKE-FAKE-0001.
        """
        assert [name for name, value in stage.case.secrets().items() if not is_fake(value)] == []

    async def test_plain_http_is_refused(self, stage: Stage) -> None:
        """Credentials travel encrypted: `http://` is for this machine only.

        If this fails: check the address in the config's `__post_init__`.
        """
        with pytest.raises(AssertionError, match="does not fit"):
            stage.case.config("http://vendor.example")

    async def test_the_reference_rule_can_be_kept(self, stage: Stage) -> None:
        """It admits enough references that two never meet.

        If this fails: `longest` and `alphabet` of the rule leave fewer than 64 bits.
        """
        rule = stage.case.registration.traits.reference
        made = {reference(rule, f"{number:064x}"[::-1]) for number in range(1, 200)}
        assert len(made) == 199
        if rule.form == "text":
            assert len(set(rule.alphabet)) == len(rule.alphabet)
            assert len(rule.alphabet) ** rule.longest >= 2**64

    async def test_limits_are_of_known_operations(self, stage: Stage) -> None:
        """The core keeps them by name; a misspelt one is kept by nobody.

        If this fails: use the names of the port's methods, or another of `OPERATIONS`.
        """
        limits = stage.case.registration.traits.rate_limits
        assert set(limits) <= OPERATIONS
        assert [name for name, rate in limits.items() if rate.calls < 1 or rate.seconds <= 0] == []

    async def test_the_adapter_gives_up_before_the_core_does(self, stage: Stage) -> None:
        """Its own time-out ends within `buy_timeout`, so that the end of a call is told.

        If this fails: raise `buy_timeout` in the traits, or lower the section's default.
        """
        config, traits = stage.case.config(NOWHERE), stage.case.registration.traits
        assert 0 < getattr(config, stage.case.timeout) <= traits.buy_timeout
        assert traits.settle_seconds > 0
        assert traits.max_units >= 1
