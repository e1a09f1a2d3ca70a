"""Building and installing, by the tools of this environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def uv(*arguments: str) -> None:
    """Fails with the end of what it said."""
    done = subprocess.run([UV, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def install(python: Path, *wanted: str, wheels: Path, pinned: str) -> None:
    """At the pinned versions, out of the wheels and of what was downloaded before."""
    install = ["pip", "install", "-q", "--python", str(python), "--find-links", str(wheels),
               "--constraints", str(ROOT / "requirements" / pinned), *wanted]  # fmt: skip
    known = subprocess.run([UV, *install, "--offline"], check=False, capture_output=True)
    if known.returncode != 0:  # something was never downloaded for this Python
        uv(*install)
