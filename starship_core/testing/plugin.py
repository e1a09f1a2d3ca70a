"""The pytest plugin of `starship-core[testing]`: when cassettes are recorded, and the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

for _checks in (
    "plug_facts", "vendor_facts", "vendor_purchases", "vendor_abilities", "vendor_callbacks",
    "vendor_faults", "sources", "rates", "wallet_accounts", "wallet_entries", "wallet_reports",
    "notifiers", "policies",
):  # fmt: skip
    pytest.register_assert_rewrite(f"starship_core.testing.{_checks}")


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
def stage(request: pytest.FixtureRequest, case: Any, tmp_path: Path) -> Any:
    """A check's own stage; `case` is a fixture of the plugin's author."""
    from starship_core.testing.plug_case import PlugCase, PlugStage  # noqa: PLC0415

    if isinstance(case, PlugCase):
        return PlugStage(case, tmp_path)
    from starship_core.testing.stage import Stage  # noqa: PLC0415  # only this kit needs vcr

    name = request.node.originalname.removeprefix("test_")
    return Stage(
        case=case,
        file=cassettes(request) / case.name / f"{name}.yaml",
        recording=recording(request.config),
    )


@pytest.fixture
def books(case: Any, tmp_path: Path, database: Any) -> Any:
    """The stage of a wallet backend; `database` is one of `starship_core.testing.fixtures`."""
    from starship_core.testing.books import Books  # noqa: PLC0415

    return Books(case, tmp_path, database=database)
