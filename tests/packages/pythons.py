"""Which Pythons there are to install into."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")
ALL = "STARSHIP_TEST_PYTHONS"
"""`all`: every one that is found, not only the one that runs the tests."""
_ASK = (
    "import ensurepip, platform, sys;"
    "print(platform.python_implementation(), '%d.%d' % sys.version_info[:2])"
)


def chosen() -> dict[str, Path]:
    """Interpreter by version: the running one, and in CI one of each that is supported."""
    running = ".".join(map(str, sys.version_info[:2]))
    found = {running: Path(sys.executable).resolve()}
    if os.environ.get("CI") or os.environ.get(ALL) == "all":
        for version in SUPPORTED:
            if version not in found and (path := _find(version)):
                found[version] = path
    return found


def _find(version: str) -> Path | None:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    named = sorted(root.glob(f"{version}.*/bin/python"), key=_patch, reverse=True)
    on_path = shutil.which(f"python{version}")
    candidates = [*named, *([Path(on_path)] if on_path else [])]
    return next((each for each in candidates if _is(each, version)), None)


def _patch(path: Path) -> int:
    return int(re.findall(r"\.(\d+)", path.parts[-3])[-1])


def _is(path: Path, version: str) -> bool:
    """Whether it runs, and is what it is called; a shim of pyenv may be neither."""
    done = subprocess.run([path, "-c", _ASK], check=False, capture_output=True, text=True)
    return done.stdout.split() == ["CPython", version]
