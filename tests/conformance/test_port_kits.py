"""The kits of the other five ports: for each check a bad plugin that this check fails, alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from starship_core.testing.notifiers import NotifierCase, NotifierConformance
from starship_core.testing.plug_case import PlugStage
from starship_core.testing.policies import PolicyCase, PolicyConformance
from starship_core.testing.rates import FxCase, FxConformance
from starship_core.testing.sources import SourceCase, SourceConformance
from starship_core.testing.wallets import Books, WalletConformance
from tests.conformance import bad_notifiers, bad_policies, bad_rates, bad_sources, bad_wallets
from tests.conformance.failing import failing

pytest_plugins = ["pytester"]


def staged(case: Any, folder: Path) -> Callable[[str], PlugStage[Any]]:
    """Each check's stage, in a folder of its own."""

    def stage(check: str) -> PlugStage[Any]:
        (folder / check).mkdir()
        return PlugStage(case, folder / check)

    return stage


def meant(check: str) -> set[str]:
    """The check that a bad plugin is for; none for the good one."""
    return {check.partition(" ")[0]} - {""}


@pytest.mark.parametrize("check", ["", *bad_policies.BAD])
async def test_policies(check: str, tmp_path: Path) -> None:
    """The good one fails nothing, a bad one the check that is meant for it."""
    case: PolicyCase = bad_policies.BAD.get(check, bad_policies.CASE)
    assert await failing(PolicyConformance, staged(case, tmp_path)) == meant(check)


@pytest.mark.parametrize("check", ["", *bad_rates.BAD])
async def test_rates(check: str, tmp_path: Path) -> None:
    """As policies."""
    case: FxCase = bad_rates.BAD.get(check, bad_rates.CASE)
    try:
        found = await failing(FxConformance, staged(case, tmp_path))
    finally:
        await bad_rates.LEFT_OPEN.aclose()
    assert found == meant(check)


@pytest.mark.parametrize("check", ["", *bad_notifiers.BAD])
async def test_notifiers(check: str, tmp_path: Path) -> None:
    """As policies."""
    case: NotifierCase = bad_notifiers.BAD.get(check, bad_notifiers.CASE)
    try:
        found = await failing(NotifierConformance, staged(case, tmp_path))
    finally:
        await bad_notifiers.LEFT_OPEN.aclose()
    assert found == meant(check)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("check", ["", *bad_sources.BAD])
async def test_sources(check: str, database: Any, tmp_path: Path) -> None:
    """As policies. (A source only reads the catalogue: one database is enough.)"""
    await database.run(bad_sources.catalogue)
    case: SourceCase = bad_sources.BAD.get(check, bad_sources.CASE)
    case = replace(case, database=database)
    assert await failing(SourceConformance, staged(case, tmp_path)) == meant(check)


async def failing_books(case: Any, database: Any, folder: Path) -> set[str]:
    """The checks that a wallet backend fails, all in one database."""

    def books(check: str) -> Books:
        return Books(case, folder, database=database, prefix=f"{check}:")

    return await failing(WalletConformance, books)


async def test_a_good_wallet(database: Any, tmp_path: Path) -> None:
    """Fails nothing, on neither database."""
    assert await failing_books(bad_wallets.CASE, database, tmp_path) == set()


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("check", bad_wallets.BAD)
async def test_wallets(check: str, database: Any, tmp_path: Path) -> None:
    """A bad one fails the check that is meant for it, and no other."""
    assert await failing_books(bad_wallets.BAD[check], database, tmp_path) == meant(check)


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("check", bad_wallets.ON_POSTGRESQL)
async def test_wallets_that_do_not_lock(check: str, database: Any, tmp_path: Path) -> None:
    """As above, where two can write at once."""
    assert await failing_books(bad_wallets.ON_POSTGRESQL[check], database, tmp_path) == meant(check)


def test_a_kit_is_used_from_outside(pytester: pytest.Pytester) -> None:
    """With the installed pytest plugin alone: the good one passes, the bad one is told why."""
    pytester.makepyfile("""
        import pytest
        from tests.conformance import bad_policies
        from starship_core.testing.policies import PolicyConformance

        class TestGood(PolicyConformance):
            @pytest.fixture
            def case(self):
                return bad_policies.CASE

        class TestBad(PolicyConformance):
            @pytest.fixture
            def case(self):
                return bad_policies.BAD["only_a_named_product_is_allowed"]
    """)
    ran = pytester.runpytest_subprocess("-q", "-k", "named or remembers")
    ran.assert_outcomes(passed=3, failed=1)
    ran.stdout.fnmatch_lines(["E *assert {310, 999999937} <= {310, 311}*"])
