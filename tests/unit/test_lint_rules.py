from collections.abc import Callable
from pathlib import Path

import pytest

from tools.lint.__main__ import findings

Plant = Callable[[str, str], list[str]]
GATE = (
    'PUBLIC = frozenset({"/status", "/ready", "/metrics", "/docs", "/openapi.json"})\n'
    'CALLBACK = "/vendors/{instance}/callback"\n'
)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write one file into an empty workspace; returns what the rules say of it."""

    def write(path: str, text: str) -> list[str]:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return [str(finding) for finding in findings(tmp_path)]

    return write


@pytest.mark.parametrize(
    "path",
    ["starship_core/utils.py", "plugins/x/src/starship_x/common.py", "tests/helpers/orders.py"],
)
def test_a_name_that_says_nothing_is_found(plant: Plant, path: str) -> None:
    """In any package, also as a folder, also in tests."""
    assert len(plant(path, "")) == 1


def test_a_name_that_says_something_is_not(plant: Plant) -> None:
    """A banned word inside a longer name is no matter: `base_currency` says what it is."""
    assert plant("starship_core/base_currency.py", "") == []


@pytest.mark.parametrize("text", ["code.reveal()", "run(ship.vault.reveal)"])
def test_a_code_revealed_elsewhere_is_found(plant: Plant, text: str) -> None:
    """Called or handed on: both take a code out."""
    assert plant("starship_core/worker.py", f"\n{text}\n") == [
        "starship_core/worker.py:2: `.reveal` outside the list in tools/lint/reveals.py"
    ]


@pytest.mark.parametrize(
    "path", ["starship_core/vault.py", "adapters/x/src/starship_x/wire.py", "tests/unit/test_x.py"]
)
def test_a_code_revealed_where_it_must_be_is_not_found(plant: Plant, path: str) -> None:
    """The list, the adapters' two files, and tests."""
    assert plant(path, "code.reveal()") == []


def test_the_gate_as_it_is_passes(plant: Plant) -> None:
    """So that the refusals below are about what differs."""
    assert plant("starship_core/web/gate.py", GATE) == []


@pytest.mark.parametrize(
    "text",
    [
        GATE.replace('"/ready"', '"/ready", "/api/v1/wallets"'),
        GATE.replace("frozenset(", "frozenset(MORE | "),
        GATE + "PUBLIC = frozenset()\n",
        GATE.replace("/callback", "/{what}"),
        GATE + 'public = scope["path"].startswith("/docs")\n',
        "",
    ],
)
def test_a_gate_that_opens_more_is_found(plant: Plant, text: str) -> None:
    """Another path, a list that is computed, a second list, a wider template, a prefix, no list."""
    assert len(plant("starship_core/web/gate.py", text)) >= 1


def test_an_application_without_the_gate_is_found(plant: Plant) -> None:
    """A second server for something internal would answer everybody."""
    assert plant("starship_core/admin/app.py", "app = Litestar([])\n") == [
        "starship_core/admin/app.py:1: an application without the gate in front of it"
    ]
    assert plant("starship_core/admin/app.py", "app = Gate(Litestar([]), ship)\n") == []


def test_a_long_module_and_a_long_function_are_found(plant: Plant) -> None:
    """301 lines, 41 lines; one less of each passes."""
    body = "def f():\n" + "    x = 1\n" * 39
    assert plant("starship_core/long.py", body + "\n" * 260) == []
    assert plant("starship_core/long.py", body + "    x = 1\n" + "\n" * 260) == [
        "starship_core/long.py:1: 301 lines, at most 300: split it by verb",
        "starship_core/long.py:1: f: 41 lines, at most 40",
    ]


def test_a_test_without_intent_is_found(plant: Plant) -> None:
    """In classes, too; a helper that is no test needs none."""
    text = "def made(): pass\nclass TestX:\n    async def test_y(self): pass\n"
    assert plant("plugins/x/tests/test_x.py", text) == [
        "plugins/x/tests/test_x.py:3: test_y: no sentence of intent"
    ]
    assert plant("plugins/x/tests/test_x.py", text.replace("self): pass", 'self): "Why."')) == []
