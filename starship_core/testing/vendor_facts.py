"""What the vendor kit checks without asking anybody: the registration, the section, the traits."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Any, Final

import msgspec
import pytest

from starship_core import PLUGIN_API, Secret, VendorRegistration
from starship_core.testing.case import NOWHERE
from starship_core.testing.cassettes import without_network
from starship_core.testing.kit import Conformance
from starship_core.testing.scrub import is_fake
from starship_core.testing.stage import Stage, reference

OPERATIONS: Final = frozenset(
    {"buy", "find", "catalogue", "balance", "reverse", "orders", "transactions", "rates", "token"}
)
HEAVY: Final = (
    "httpx2", "httpx", "httpcore", "httpcore2", "aiohttp", "requests", "litestar", "uvicorn",
)  # fmt: skip
_SECRET: Final = re.compile(r"secret|password|passwd|token|private|api_?key|(^|_)(pin|iv)$")


class FactChecks(Conformance):
    """Of the registration, before anything is opened."""

    pytestmark = pytest.mark.asyncio

    async def test_registration_is_well_formed(self, stage: Stage) -> None:
        """A name, this plugin API, a function that opens.

        If this fails: compare `VendorRegistration(…)` with the page on hooks; `api` is a literal.
        """
        registration = stage.case.registration
        assert isinstance(registration, VendorRegistration)
        assert registration.name.replace("-", "").isalnum(), "letters, digits and hyphens"
        assert type(registration.api) is int
        assert registration.api == PLUGIN_API
        assert callable(registration.open)

    async def test_config_refuses_a_misspelt_field(self, stage: Stage) -> None:
        """A frozen Struct that forbids unknown fields.

        If this fails: `class Config(Struct, frozen=True, forbid_unknown_fields=True)`.
        """
        shape = stage.case.registration.config
        assert issubclass(shape, msgspec.Struct)
        told = shape.__struct_config__
        assert told.frozen, "an open adapter's section does not change"
        assert told.forbid_unknown_fields, "a misspelt field would be ignored in silence"

    async def test_secrets_are_secrets(self, stage: Stage) -> None:
        """A field whose name says so has the type `Secret`.

        If this fails: give the field the type `Secret`; as text it is printed with the section.
        """
        fields = msgspec.structs.fields(stage.case.registration.config)
        plain = [f.name for f in fields if _SECRET.search(f.name) and Secret not in _types(f.type)]
        assert plain == []

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

    async def test_opening_asks_nobody(self, stage: Stage) -> None:
        """A vendor that is down does not stop the server.

        If this fails: connect, and fetch tokens, with the first call and not in `open`.
        """
        with without_network():
            async with stage.opened_anywhere() as vendor:
                assert vendor is not None

    async def test_the_port_has_its_methods(self, stage: Stage) -> None:
        """`buy` and `find` are coroutines, `catalogue` is an async generator.

        If this fails: compare the signatures with `VendorFulfiller` on the page on ports.
        """
        async with stage.opened_anywhere() as vendor:
            assert inspect.iscoroutinefunction(vendor.buy)
            assert inspect.iscoroutinefunction(vendor.find)
            assert hasattr(vendor.catalogue(), "__anext__")

    async def test_the_import_is_light(self, stage: Stage) -> None:
        """A plugin that is listed is not opened; no HTTP client, no sandbox is loaded for it.

        If this fails: import the HTTP client inside `open`, and never the sandbox.
        """
        module = stage.case.registration.config.__module__.partition(".")[0]
        late = {*HEAVY, f"{module}.sandbox"}
        code = f"import sys, {module}; print(sorted({late} & set(sys.modules)))"
        ran = subprocess.run(  # noqa: ASYNC221, S603  # our own interpreter, for a moment
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        assert ran.stdout.strip() == "[]"

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


def _types(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__args__", ()) or (hint,)
