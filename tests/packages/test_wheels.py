"""The wheels alone, in an empty folder: installed, founded, up, and the README's quickstart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.servers import running
from tests.packages.pythons import chosen
from tests.packages.wheelhouse import ROOT, UV, install, uv

README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHONS = chosen()
PINNED = ROOT / "requirements" / "run.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STANDARD = ("starship-core", *PROJECT["optional-dependencies"]["standard"])


def projects() -> list[Path]:
    """The folder of every package of the workspace."""
    members = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]
    folders = [
        path.parent for each in members["members"] for path in ROOT.glob(f"{each}/pyproject.toml")
    ]
    return [ROOT, *sorted(folders)]


def names() -> list[str]:
    return [
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
        for folder in projects()
    ]


def test_every_package_is_a_wheel_of_its_own(wheels: Path) -> None:
    """One wheel each, with its own package and type marker, and nothing of the checkout."""
    built = {path.name.split("-")[0]: path for path in wheels.glob("*.whl")}
    assert set(built) == {name.replace("-", "_") for name in names()}
    for name, path in built.items():
        with zipfile.ZipFile(path) as wheel:
            files = wheel.namelist()
            metadata = wheel.read(f"{name}-0.1.0.dist-info/METADATA").decode()
        assert {file.split("/")[0] for file in files} == {name, f"{name}-0.1.0.dist-info"}
        assert f"{name}/py.typed" in files
        code = [file for file in files if not file.startswith("starship_core/scaffold/templates/")]
        assert not [file for file in code if "/tests/" in file or file.endswith(".pyc")]
        assert "License-Expression: Apache-2.0" in metadata
        assert "Requires-Python: >=3.11" in metadata
    with zipfile.ZipFile(built["starship_core"]) as core:
        files = core.namelist()
    assert "starship_core/web/docs.html" in files
    assert "starship_core/scaffold/templates/every/.gitignore.jinja" in files
    assert "starship_core/scaffold/templates/vendor/src/MODULE/wire.py.jinja" in files
    assert "starship_core/migrations/versions/v0001_baseline.py" in files
    assert "starship_core-0.1.0.dist-info/licenses/LICENSE" in files


@pytest.fixture(params=sorted(PYTHONS))
def environment(request: pytest.FixtureRequest, wheels: Path, tmp_path: Path) -> Path:
    """`pip install 'starship-core[standard]'` in an environment of nothing else."""
    folder = tmp_path / "env"
    uv("venv", "-q", "--no-python-downloads", "--python", str(PYTHONS[request.param]), str(folder))
    python = folder / "bin" / "python"
    install(python, "starship-core[standard]", wheels=wheels, pinned="run.txt")
    return folder


@contextmanager
def empty_folder() -> Iterator[Path]:
    # not pytest's own: its path would be too long for a socket
    with tempfile.TemporaryDirectory(prefix="empty-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_the_quickstart_from_wheels(environment: Path, wheels: Path) -> None:
    """The README's commands as printed; only the address is another, for 8080 may be taken."""
    shell = re.search(r"```sh\n(pip install .*?)```", README, flags=re.DOTALL)
    (curl,) = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    assert shell is not None
    lines = [line.partition("#")[0].strip() for line in shell[1].splitlines()]
    assert lines == [
        "pip install 'starship-core[standard]'", "starship init shop --demo", "cd shop",
        "starship up",
    ]  # fmt: skip
    _nothing_of_the_checkout(environment, wheels)
    with empty_folder() as folder:
        shown = _run(environment, folder, lines[1])
        shop = folder / "shop"
        with running(shop, "up", program=environment / "bin" / "starship") as process:
            script = _filled_in(curl, shown).replace("http://127.0.0.1:8080", process.url)
            answers = [json.loads(line) for line in _run(environment, folder, script).splitlines()]
            _told_the_story(answers)
            assert json.loads(_run(environment, shop, "starship verify --json"))
            process.stop()


def _nothing_of_the_checkout(environment: Path, wheels: Path) -> None:
    """What is installed are the wheels, at the pinned versions, and it is whole."""
    python = environment / "bin" / "python"
    uv("pip", "check", "--python", str(python))
    frozen = subprocess.run(
        [UV, "pip", "freeze", "--python", python], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    ours = [line for line in frozen if line.startswith("starship-")]
    assert [re.split("[ =@]", line)[0] for line in ours] == sorted(STANDARD)
    pinned = {line.partition(" ;")[0] for line in PINNED.read_text().splitlines()}
    assert [line for line in frozen if line not in ours and line not in pinned] == []
    code = "import starship_core, sys; print(starship_core.__file__); print(sys.path)"
    said = _run(environment, environment, f"python -c '{code}'")
    assert str(environment) in said.splitlines()[0]
    assert str(ROOT) not in said.replace(str(wheels), "")


def _run(environment: Path, folder: Path, script: str) -> str:
    """In a shell that knows this environment and nothing of ours."""
    path = f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": path, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _filled_in(script: str, shown: str) -> str:
    """With the key and the secret that `init` has shown."""
    key = re.search(r"X-API-Key\s+(sk_test_\S+)", shown)
    secret = re.search(r"X-API-Secret\s+(\S+)", shown)
    assert key, shown
    assert secret, shown
    blank = "export KEY=sk_test_… SECRET=…\n"
    assert script.startswith(blank)
    return script.replace(blank, f"export KEY={key[1]} SECRET={secret[1]}\n")


def _told_the_story(answers: list[Any]) -> None:
    """List, get, charges, order, read."""
    products, product, charges, order, read = answers
    assert [each["id"] for each in products] == [1, 2, 3]
    assert [each["delivery_time"] for each in products] == ["INSTANT", "DELAYED", "INSTANT"]
    assert (product["id"], product["denominations"][0]["value"]) == (1, "10.00")
    assert (charges["total_payable"], charges["delivery_time"]) == ("20.00", "INSTANT")
    assert (order["status"], order["amount"], len(order["vouchers"])) == ("DELIVERED", "20.00", 2)
    assert len({each["card_number"] for each in order["vouchers"]}) == 2
    assert read == order


def test_the_running_python_is_one_of_them() -> None:
    """Whatever else is found, this interpreter is never left out."""
    assert ".".join(map(str, sys.version_info[:2])) in PYTHONS
