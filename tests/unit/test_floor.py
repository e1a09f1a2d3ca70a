from pathlib import Path

import pytest

from tools.floor import complaints, folder_of

pytest_plugins = ["pytester"]

FLOOR = """\
# kept

[floor]
"tests/unit" = 2
"plugins/x" = 1

[[skip]]
test = "tests/unit/test_one.py::test_where_it_cannot*"
why = "to see that it is allowed"
"""
SKIPPED = "skipped, and tests/floor.toml does not allow it"
FLOORS = {"floor": {"tests/unit": 2, "plugins/x": 1}, "skip": [{"test": "tests/unit/*::test_y*"}]}
ONE = """
import pytest
def test_a(): pass
def test_b(): pass
@pytest.mark.skip(reason="cannot")
@pytest.mark.parametrize("n", [1, 2])
def test_where_it_cannot(n): pass
"""


def test_enough_tests_and_an_allowed_skip_are_no_complaint() -> None:
    """More than the floor is welcome."""
    counts = {"tests/unit": 3, "plugins/x": 1}
    assert complaints(counts, ["tests/unit/test_x.py::test_y[1]"], FLOORS) == []


def test_everything_wrong_is_told() -> None:
    """Too few, a folder that is gone, one without a floor, a skip that nobody allowed."""
    counts = {"tests/unit": 1, "tests/e2e": 9}
    skipped = ["tests/e2e/test_z.py", "tests/unit/test_x.py::test_z"]
    assert complaints(counts, skipped, FLOORS) == [
        "tests/unit: 1 tests, its floor is 2",
        "plugins/x: 0 tests, its floor is 1",
        "tests/e2e: has no floor; run `make floor`",
        "tests/e2e/test_z.py: skipped, and tests/floor.toml does not allow it",
        "tests/unit/test_x.py::test_z: skipped, and tests/floor.toml does not allow it",
    ]


@pytest.mark.parametrize(
    ("test", "folder"),
    [
        ("tests/unit/test_x.py::Class::test_y", "tests/unit"),
        ("plugins/x/tests/test_y.py::test_z[a/b::c]", "plugins/x"),
    ],
)
def test_a_folder_is_two_names_deep(test: str, folder: str) -> None:
    """One count for each kind of test and for each package."""
    assert folder_of(test) == folder


@pytest.fixture(params=[(), ("-p", "xdist", "-n", "2")], ids=["one process", "two workers"])
def arguments(
    request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A workspace with two folders of tests, and what runs it as `make test` runs ours."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'")
    _write(pytester.path / "tests/floor.toml", FLOOR)
    _write(pytester.path / "tests/unit/test_one.py", ONE)
    _write(pytester.path / "plugins/x/tests/test_two.py", "def test_c(): pass")
    return ["-p", "tools.floor", *request.param]


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_whole_run_passes_and_shows_its_counts(
    pytester: pytest.Pytester, arguments: list[str]
) -> None:
    """However the run is spread over processes."""
    result = pytester.runpytest_subprocess(*arguments)
    result.stdout.fnmatch_lines(["plugins/x * 1   floor 1", "tests/unit * 4   floor 2", "all * 5"])
    assert result.ret == 0


def test_a_green_run_that_lacks_tests_fails(
    pytester: pytest.Pytester, arguments: list[str]
) -> None:
    """A missing server must not look like success: here a module and a test are skipped for it."""
    unit = pytester.path / "tests/unit"
    _write(unit / "test_one.py", "def test_a(): pass")
    _write(unit / "test_two.py", "import pytest\npytest.importorskip('no_such')")
    _write(
        pytester.path / "plugins/x/tests/test_two.py",
        "import pytest\ndef test_c(): pytest.skip('no server')",
    )
    result = pytester.runpytest_subprocess(*arguments)
    assert [line for line in result.outlines if line.startswith("FLOOR")] == [
        "FLOOR tests/unit: 1 tests, its floor is 2",
        f"FLOOR plugins/x/tests/test_two.py::test_c: {SKIPPED}",
        f"FLOOR tests/unit/test_two.py: {SKIPPED}",
    ]
    assert result.ret == 1


def test_a_run_answers_for_what_it_was_asked_for(
    pytester: pytest.Pytester, arguments: list[str]
) -> None:
    """Neither a folder that was left out nor one that was not named is missed."""
    one = pytester.runpytest_subprocess(*arguments, "--ignore", "plugins/x")
    other = pytester.runpytest_subprocess(*arguments, "plugins/x/tests")
    _write(pytester.path / "plugins/x/tests/test_two.py", "")
    empty = pytester.runpytest_subprocess(*arguments, "plugins/x", "tests")
    assert (one.ret, other.ret, empty.ret) == (0, 0, 1)
    assert "FLOOR plugins/x: 0 tests, its floor is 1" in empty.outlines


def test_the_floor_is_raised_and_the_rest_of_the_file_kept(
    pytester: pytest.Pytester, arguments: list[str]
) -> None:
    """`make floor`: a new folder gets one, an old one never less than it had, skips stay."""
    _write(pytester.path / "tests/e2e/test_three.py", "def test_d(): pass")
    (pytester.path / "plugins/x/tests/test_two.py").unlink()
    result = pytester.runpytest_subprocess(*arguments[:2], "--collect-only", "--write-floor")
    assert result.ret == 0
    text = (pytester.path / "tests/floor.toml").read_text()
    assert text == FLOOR.replace(
        '"tests/unit" = 2\n"plugins/x" = 1\n',
        '"plugins/x" = 1\n"tests/e2e" = 1\n"tests/unit" = 4\n',
    )
