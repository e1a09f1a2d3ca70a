"""The pytest plugin of `starship-core[testing]`: when cassettes are recorded, and the stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

for _checks in ("facts", "purchases", "faults"):
    pytest.register_assert_rewrite(f"starship_core.testing.vendor_{_checks}")


def pytest_addoption(parser: pytest.Parser) -> None:
    try:
        parser.addoption(
            "--record-mode",
            default="none",
            choices=("none", "rewrite"),
            help="rewrite: record the cassettes of conformance kits anew",
        )
    except ValueError:  # another plugin records cassettes, too, with the same words
        return


def recording(config: pytest.Config) -> bool:
    """Whether cassettes are being recorded."""
    return bool(config.getoption("--record-mode") == "rewrite")


def cassettes(request: pytest.FixtureRequest) -> Path:
    """The folder beside the test file."""
    return Path(request.path).parent / "cassettes"


@pytest.fixture
def stage(request: pytest.FixtureRequest, case: Any) -> Any:
    """A check's own stage; `case` is a fixture of the adapter's."""
    from starship_core.testing.stage import Stage  # noqa: PLC0415  # only kits need vcr

    name = request.node.originalname.removeprefix("test_")
    return Stage(
        case=case,
        file=cassettes(request) / case.name / f"{name}.yaml",
        recording=recording(request.config),
    )
