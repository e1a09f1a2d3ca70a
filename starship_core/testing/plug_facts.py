"""What every kit checks, whatever the port: the registration, the section, how it opens."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import msgspec
import pytest

from starship_core import PLUGIN_API, Secret
from starship_core.testing.hearing import heard
from starship_core.testing.kit import Conformance
from starship_core.testing.network import without_network

HEAVY: Final = (
    "httpx2", "httpx", "httpcore", "httpcore2", "aiohttp", "requests", "aiosmtplib", "sqlalchemy",
    "litestar", "uvicorn",
)  # fmt: skip
_SECRET: Final = re.compile(r"secret|password|passwd|token|private|api_?key|(^|_)(pin|iv)$")


class AnyStage(Protocol):
    """What these checks need of a stage."""

    @property
    def case(self) -> Any: ...
    def opened_anywhere(self) -> AbstractAsyncContextManager[Any]: ...


class PlugChecks(Conformance):
    """Of every plugin, before anything is asked of it."""

    pytestmark = pytest.mark.asyncio

    async def test_registration_is_well_formed(self, stage: AnyStage) -> None:
        """A name, this plugin API, a function that opens.

        If this fails: compare the registration with the page on hooks; `api` is a literal.
        """
        registration = stage.case.registration
        assert isinstance(registration, stage.case.registers)
        assert registration.name.replace("-", "").isalnum(), "letters, digits and hyphens"
        assert type(registration.api) is int
        assert registration.api == PLUGIN_API
        assert callable(registration.open)

    async def test_config_refuses_a_misspelt_field(self, stage: AnyStage) -> None:
        """A frozen Struct that forbids unknown fields.

        If this fails: `class Config(Struct, frozen=True, forbid_unknown_fields=True)`.
        """
        shape = stage.case.registration.config
        assert issubclass(shape, msgspec.Struct)
        told = shape.__struct_config__
        assert told.frozen, "an open plugin's section does not change"
        assert told.forbid_unknown_fields, "a misspelt field would be ignored in silence"

    async def test_secrets_are_secrets(self, stage: AnyStage) -> None:
        """A field whose name says so has the type `Secret`.

        If this fails: give the field the type `Secret`; as text it is printed with the section.
        """
        fields = msgspec.structs.fields(stage.case.registration.config)
        plain = [f.name for f in fields if _SECRET.search(f.name) and Secret not in _types(f.type)]
        assert plain == []

    async def test_the_import_is_light(self, stage: AnyStage) -> None:
        """A plugin that is listed is not opened: no client, no sandbox is loaded for it.

        If this fails: import the HTTP client inside `open`, and never the sandbox.
        """
        module = stage.case.registration.config.__module__.partition(".")[0]
        late = {*HEAVY, f"{module}.sandbox"}
        code = f"import sys, {module}; print(sorted({late} & set(sys.modules)))"
        ran = subprocess.run(  # noqa: ASYNC221, S603  # our own interpreter, for a moment
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        assert ran.stdout.strip() == "[]"

    async def test_opening_asks_nobody(self, stage: AnyStage) -> None:
        """Whoever is down does not stop the server.

        If this fails: connect, and fetch tokens, with the first call and not in `open`.
        """
        with without_network():
            async with stage.opened_anywhere() as port:
                assert port is not None

    async def test_it_opens_again(self, stage: AnyStage) -> None:
        """Beside itself, for a second section, and after it was closed.

        If this fails: keep nothing in the module; what is open belongs to the one `open`.
        """
        async with stage.opened_anywhere(), stage.opened_anywhere():
            pass
        async with stage.opened_anywhere() as port:
            assert port is not None

    async def test_the_port_has_its_methods(self, stage: AnyStage) -> None:
        """Those of the port, with its parameters: coroutines, async generators and plain functions.

        If this fails: compare the signatures with the page on ports.
        """
        async with stage.opened_anywhere() as port:
            for name, promised in inspect.getmembers(stage.case.port, inspect.isfunction):
                if not name.startswith("_"):
                    method = getattr(port, name, None)
                    assert callable(method), f"there is no {name}"
                    assert _manner(method) == _manner(promised), f"{name}: async or not"
                    _called_alike(method, promised)

    async def test_opening_tells_no_secret(self, stage: AnyStage) -> None:
        """Not to a log at any level, and nobody's repr shows one.

        If this fails: hold a secret as `Secret`, and reveal it where it is sent.
        """
        secrets = stage.case.secrets().values()
        with heard() as log:
            async with stage.opened_anywhere() as port:
                log += [repr(port), str(port), str(getattr(port, "__dict__", ""))]
        assert [one for one in secrets if any(one in line for line in log)] == []


def _types(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__args__", ()) or (hint,)


def _manner(method: Any) -> str:
    """How a method is called: a Protocol writes an async generator as a function."""
    if inspect.iscoroutinefunction(method):
        return "async"
    told = str(inspect.signature(method).return_annotation)
    return "each" if inspect.isasyncgenfunction(method) or "AsyncIterator" in told else "plain"


def _called_alike(method: Any, promised: Any) -> None:
    """It takes what the port's method takes, in the same way."""
    _, *wanted = inspect.signature(promised).parameters.values()
    places = [one.name for one in wanted if one.kind is not one.KEYWORD_ONLY]
    names = {one.name: None for one in wanted if one.kind is one.KEYWORD_ONLY}
    inspect.signature(method).bind(*places, **names)
