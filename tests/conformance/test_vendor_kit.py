"""The vendor kit itself: for each check a bad adapter that this check fails, and no other."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starship_bamboo.sandbox import Settings, World, sandbox_app

from starship_core.testing.kit import Conformance
from starship_core.testing.serving import served
from starship_core.testing.stage import Stage
from starship_core.testing.vendor_faults import FaultChecks
from starship_core.testing.vendors import VendorCase, VendorConformance
from tests.conformance.bad_vendors import (
    BAD,
    CASE,
    GOOD,
    LEFT_OPEN,
    RECORDED,
    SHORT,
    StaysBought,
    TakenBack,
    claiming,
    reversing,
)
from tests.conformance.failing import given

pytest_plugins = ["pytester"]
TAPES = Path(__file__).parents[2] / "adapters" / "bamboo" / "tests" / "cassettes"
CHECKS = [
    name for base in VendorConformance.__bases__ for name in vars(base) if name.startswith("test_")
]
"""In the order in which they are written."""
SLOW = {"test_the_import_is_light"}
"""Starts an interpreter, and has its own test."""


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    """Bamboo's cassettes, to spoil."""
    shutil.copytree(TAPES / "bamboo", tmp_path / "bamboo")
    return tmp_path / "bamboo"


async def failing(
    case: VendorCase, tapes: Path, *, recording: bool = False, checks: list[str] = CHECKS
) -> set[str]:
    """The checks that an adapter fails."""
    failed = set()
    for name in checks:
        check = getattr(VendorConformance, name)
        stage = Stage(case, tapes / f"{name.removeprefix('test_')}.yaml", recording)
        try:
            await check(VendorConformance(), stage, **given(check))
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  # a check may fail anyhow
            failed.add(name.removeprefix("test_"))
    return failed


QUICK = [name for name in CHECKS if name not in SLOW]


async def test_the_good_one_fails_nothing() -> None:
    """What every bad one below differs from in one thing."""
    assert await failing(CASE, TAPES / "bamboo", checks=QUICK) == set()


@pytest.mark.parametrize("check", BAD)
async def test_a_bad_adapter_fails_the_check_meant_for_it(check: str) -> None:
    """And no other, so that a red check says what is wrong."""
    try:
        found = await failing(BAD[check], TAPES / "bamboo", checks=QUICK)
    finally:
        await LEFT_OPEN.aclose()
    assert found == {check}


async def test_a_lookup_that_buys(tapes: Path) -> None:
    """Recorded, because it asks what no cassette holds."""
    case = RECORDED["find_buys_nothing"]
    assert await failing(case, tapes, recording=True, checks=QUICK) == set()
    assert await failing(case, tapes, checks=QUICK) == {"find_buys_nothing"}


async def test_a_reference_that_does_not_travel(tapes: Path) -> None:
    """Faults are tied to the reference, so of those checks none can pass."""
    case = RECORDED["the_reference_travels"]
    faults = [name for name in QUICK if name in vars(FaultChecks)]
    others = [name for name in QUICK if name not in faults]
    assert len(faults) == 15
    assert await failing(case, tapes, recording=True, checks=others) == set()
    assert await failing(case, tapes, checks=others) == {"the_reference_travels"}


async def test_a_reversal_that_never_happens(tapes: Path) -> None:
    """It is under way, says the adapter, and what was bought stays bought."""
    check = "test_a_reversal_is_looked_up"
    good, bad = reversing(StaysBought), reversing(TakenBack)
    assert await failing(good, tapes, recording=True, checks=[check]) == set()
    assert await failing(good, tapes, checks=[check]) == set()
    assert await failing(bad, tapes, checks=QUICK) == {"a_reversal_is_looked_up"}


async def test_a_rule_that_admits_too_few_references() -> None:
    """Three characters; the other checks need references, and are left out."""
    check = "test_the_reference_rule_can_be_kept"
    found = await failing(claiming(reference=SHORT), TAPES / "bamboo", checks=[check])
    assert found == {"the_reference_rule_can_be_kept"}


async def test_an_import_that_is_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that loads an HTTP client before it is opened."""
    (tmp_path / "heavy_vendor.py").write_text("import httpx2\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = ["test_the_import_is_light"]
    assert await failing(CASE, tmp_path, checks=check) == set()
    config = type("Config", (GOOD.config,), {"__module__": "heavy_vendor"})
    case = replace(CASE, registration=replace(GOOD, config=config))
    assert await failing(case, tmp_path, checks=check) == {"the_import_is_light"}


async def test_a_cassette_with_a_code(tapes: Path) -> None:
    """A code that is no fake, where a code stands."""
    file = tapes / "the_same_reference_twice.yaml"
    spoilt = file.read_text().replace('{"message":', '{"pin":"4821","message":')
    file.write_text(spoilt)
    assert await failing(CASE, tapes, checks=QUICK) == {"cassettes_are_clean"}


async def test_a_cassette_of_unknown_origin(tapes: Path) -> None:
    """Written by hand, it proves nothing."""
    file = tapes / "the_balance.yaml"
    file.write_text(file.read_text().replace("# provenance: bamboo", "# provenance: me"))
    assert await failing(CASE, tapes, checks=QUICK) == {"cassettes_say_where_they_come_from"}


async def test_a_cassette_with_more_than_is_asked(tapes: Path) -> None:
    """What nobody asks for any more is no longer known to be true."""
    balance, stranger = tapes / "the_balance.yaml", tapes / "find_knows_no_stranger.yaml"
    more = balance.read_text().partition("interactions:\n")[2].partition("version:")[0]
    head, _, rest = stranger.read_text().partition("interactions:\n")
    stranger.write_text(f"{head}interactions:\n{more}{rest}")
    assert await failing(CASE, tapes, checks=QUICK) == {"find_knows_no_stranger"}


async def test_a_cassette_that_is_not_there(tmp_path: Path) -> None:
    """It says how to record it."""
    with pytest.raises(
        AssertionError, match=r"the_balance\.yaml is not there: run pytest --record"
    ):
        Stage(CASE, tmp_path / "the_balance.yaml", recording=False).purchase()


def test_every_check_has_its_bad_adapter() -> None:
    """Those above, by name, or a test of their own."""
    own = {
        "the_reference_rule_can_be_kept",
        "the_import_is_light",
        "a_reversal_is_looked_up",
        "cassettes_are_clean",
        "cassettes_say_where_they_come_from",
    }
    assert {f"test_{name}" for name in (*BAD, *RECORDED, *own)} == set(CHECKS)


def test_a_check_cannot_be_dropped() -> None:
    """Not by another test of its name, nor by None."""
    for replaced in (None, lambda _: None):
        with pytest.raises(TypeError, match="test_a_part replaces a check of the kit"):
            type("TestAcme", (VendorConformance,), {"test_a_part": replaced})


def test_a_check_can_be_explained_away() -> None:
    """In writing: the reason is in the report of each run."""

    @pytest.mark.xfail(reason="the vendor's sandbox sells no part; asked them on 2027-01-05")
    def written(_: object) -> None:
        raise AssertionError

    @pytest.mark.xfail(reason=" ")
    def unwritten(_: object) -> None:
        raise AssertionError

    assert type("TestAcme", (VendorConformance,), {"test_a_part": written})
    with pytest.raises(TypeError, match="replaces a check"):
        type("TestAcme", (VendorConformance,), {"test_a_part": unwritten})


@pytest.mark.parametrize(
    "away",
    [
        {"pytestmark": pytest.mark.skip(reason="later")},
        {"pytestmark": [pytest.mark.asyncio, pytest.mark.xfail(reason="later")]},
        {"__test__": False},
    ],
)
def test_a_kit_cannot_be_dropped(away: dict[str, Any]) -> None:
    """Not all at once, either."""
    with pytest.raises(TypeError, match="takes every check away"):
        type("TestAcme", (VendorConformance,), away)


def test_tests_of_its_own_are_welcome() -> None:
    """What the kit does not check, the adapter's author may."""
    assert issubclass(type("TestAcme", (VendorConformance,), {"test_mine": print}), Conformance)


def test_recording_goes_through_a_socket(pytester: pytest.Pytester) -> None:
    """From nothing to cassettes by one command, and back."""
    file = Path(__file__).parents[2] / "adapters" / "bamboo" / "tests" / "test_conformance.py"
    shutil.copyfile(file, pytester.path / "test_conformance.py")
    chosen = ("-q", "-k", "balance or refusal or stranger or part")
    assert pytester.runpytest_subprocess(*chosen, "--record-mode=rewrite").ret == 0
    written = sorted(one.name for one in (pytester.path / "cassettes" / "bamboo").iterdir())
    assert written == [
        "a_part.yaml", "a_refusal_is_refused.yaml", "find_knows_no_stranger.yaml",
        "the_balance.yaml",
    ]  # fmt: skip
    assert pytester.runpytest_subprocess(*chosen).ret == 0


async def test_what_the_environment_gives_is_recorded(
    tapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a vendor: the address and the account stay, the secrets do not; no code has to change."""
    secret = "Jq7-real-secret-Zx9"
    world = World(Settings(client_id="us", client_secret=secret, limits=False))
    world.accounts[77] = replace(world.accounts[4001], id=77)
    start = "STARSHIP_VENDOR_BAMBOO_"
    async with served(sandbox_app(world)) as url:
        given = {
            "BASE_URL": url, "CLIENT_ID": "us", "CLIENT_SECRET": secret, "ACCOUNT_ID": "77",
            "GOOD": "910003:75.00:AED:3",
        }  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(start + name, value)
        stage = Stage(CASE, tapes / "buys_what_was_ordered.yaml", recording=True)
        await asyncio.wait_for(VendorConformance().test_buys_what_was_ordered(stage), 30)
        for name in given:
            monkeypatch.delenv(start + name)
    text = stage.file.read_text()
    assert text.startswith("# provenance: bamboo, recorded at the vendor\n")
    assert '"AccountId":77' in text
    assert secret not in text
    codes = [part for card in range(3300001, 3300004) for part in world.code(card)]
    assert [code for code in codes if len(code) > 4 and code in text] == []
    replayed = Stage(CASE, stage.file, recording=False)
    await VendorConformance().test_buys_what_was_ordered(replayed)
