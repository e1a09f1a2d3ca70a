import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import starship_core
from starship_core import ports

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
CONTRACTS: list[dict[str, Any]] = CONFIG["importlinter"]["contracts"]
PLUGINS = sorted(
    file.parent
    for top in ("adapters", "plugins", "examples")
    for file in ROOT.glob(f"{top}/*/src/*/__init__.py")
)

PLANTS = {
    "Verbs stand on parts": ("snapshot.py", "starship_core.flows.place_order"),
    "A flow may import the trunk": ("flows/cancel_order.py", "starship_core.flows.refund_order"),
    "The core imports no plugin": ("till.py", "starship_wallet_ledger"),
    "A plugin imports the front door": ("../starship_fx_fixed/__init__.py", "starship_core.pool"),
    "Plugins do not know each other": ("../starship_source_csv/__init__.py", "starship_fx_fixed"),
    "The front door is light": ("ports.py", "rich"),
    "Litestar stays": ("pool.py", "litestar"),
    "SQLAlchemy stays": ("fx.py", "sqlalchemy"),
    "Redis is a hint": ("access.py", "redis"),
    "arq is an alarm clock": ("limits.py", "arq"),
}
"""One import a contract, which breaks that one and no other."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The packages side by side, as they are imported, with our contracts."""
    for package in (ROOT / "starship_core", *PLUGINS):
        shutil.copytree(
            package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def _broken(workspace: Path) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=workspace, env={"PYTHONPATH": str(workspace), "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Contracts:" in ran.stdout, ran.stdout + ran.stderr
    broken = re.findall(r"^(.+) BROKEN", ran.stdout, re.MULTILINE)
    assert ran.returncode == bool(broken)
    return {name[:24] for name in broken}


def test_every_contract_finds_its_violation(workspace: Path) -> None:
    """A contract with a wrong module name keeps silent; a planted import shows that it does not."""
    for file, imported in PLANTS.values():
        with (workspace / "starship_core" / file).open("a") as source:
            source.write(f"\nimport {imported}\n")
    assert _broken(workspace) == {contract["name"][:24] for contract in CONTRACTS}


def test_a_module_without_a_layer_is_found(workspace: Path) -> None:
    """Nothing in the core stands outside the order."""
    (workspace / "starship_core" / "elsewhere.py").touch()
    assert _broken(workspace) == {CONTRACTS[0]["name"][:24]}


def test_every_plugin_is_under_the_contracts() -> None:
    """A new plugin is named in each of them, and where mypy looks for it."""
    names = {plugin.name for plugin in PLUGINS}
    assert set(CONFIG["importlinter"]["root_packages"]) == {"starship_core", *names}
    core, rooms, each_other = (
        next(one for one in CONTRACTS if one["name"].startswith(start))
        for start in ("The core imports no", "A plugin imports", "Plugins do not")
    )
    assert set(core["forbidden_modules"]) == names
    assert set(rooms["source_modules"]) == names
    assert set(each_other["modules"]) == names
    paths = {path.removeprefix("$MYPY_CONFIG_FILE_DIR/") for path in CONFIG["mypy"]["mypy_path"]}
    assert {str(plugin.parent.relative_to(ROOT)) for plugin in PLUGINS} <= paths


def test_every_port_is_at_the_front_door() -> None:
    """A plugin may import its Protocol from `starship_core`, and from nowhere else."""
    named = {
        name
        for name, one in vars(ports).items()
        if inspect.isclass(one) and one.__module__ == ports.__name__
    }
    assert named - set(starship_core.__all__) == set()


def test_each_contract_has_a_plant() -> None:
    """So that a new contract is tried, too."""
    assert [
        contract["name"].startswith(start)
        for contract, start in zip(CONTRACTS, PLANTS, strict=True)
    ] == [True] * len(CONTRACTS)
