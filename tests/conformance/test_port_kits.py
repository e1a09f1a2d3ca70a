"""The kits of the other five ports: for each check a bad plugin that this check fails, alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from starship_core.testing.plug_case import PlugStage
from starship_core.testing.policies import PolicyCase, PolicyConformance
from starship_core.testing.rates import FxCase, FxConformance
from tests.conformance import bad_policies, bad_rates
from tests.conformance.failing import checks_of, failing


def staged(case: Any, folder: Path) -> Callable[[str], PlugStage[Any]]:
    """Each check's stage, in a folder of its own."""

    def stage(check: str) -> PlugStage[Any]:
        (folder / check).mkdir()
        return PlugStage(case, folder / check)

    return stage


@pytest.mark.parametrize("check", ["", *bad_policies.BAD])
async def test_policies(check: str, tmp_path: Path) -> None:
    """The good one fails nothing, a bad one the check that is meant for it."""
    case: PolicyCase = bad_policies.BAD.get(check, bad_policies.CASE)
    assert await failing(PolicyConformance, staged(case, tmp_path)) == {check} - {""}


@pytest.mark.parametrize("check", ["", *bad_rates.BAD])
async def test_rates(check: str, tmp_path: Path) -> None:
    """As policies."""
    case: FxCase = bad_rates.BAD.get(check, bad_rates.CASE)
    try:
        found = await failing(FxConformance, staged(case, tmp_path))
    finally:
        await bad_rates.LEFT_OPEN.aclose()
    assert found == {check} - {""}
