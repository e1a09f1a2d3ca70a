"""The wheels of every package."""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path

import pytest

from tests.packages.wheelhouse import ROOT, uv


@pytest.fixture(scope="session")
def wheels(run_folder: Path) -> Path:
    """Every package, built once a run, by the tools of this environment."""
    folder = run_folder / "wheels"
    with (run_folder / "wheels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = run_folder / "wheels.draft"
            shutil.rmtree(draft, ignore_errors=True)
            uv("build", "-q", "--all-packages", "--wheel", "--no-build-isolation",
               "--python", sys.executable, "--out-dir", str(draft), str(ROOT))  # fmt: skip
            draft.rename(folder)
    return folder
