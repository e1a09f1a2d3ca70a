"""`make demo` tells a true story, ends by itself, and fails when something in it is not so."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo"


def test_story_is_true_from_beginning_to_end() -> None:
    """Without a terminal it ends by itself, leaving nothing behind; a machine may be busy."""
    done = subprocess.run(
        [sys.executable, str(DEMO / "run.py")],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "EXIT"},
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    claims = len(re.findall(r"^  ✓ ", done.stdout, flags=re.MULTILINE))
    assert claims == 71
    assert f"{claims} claims, all true" in done.stdout
    assert re.findall(r"^(\d+)\. ", done.stdout, flags=re.MULTILINE)[-1] == "24"
    assert done.stderr == ""


def test_what_is_untrue_ends_it_with_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that does not hold is told, and nothing after it."""
    monkeypatch.syspath_prepend(str(DEMO))
    run = runpy.run_path(str(DEMO / "run.py"))

    def story(scene: object) -> None:
        scene.teller.check("two and two are five", 2 + 2, 5)  # type: ignore[attr-defined]  # examples/demo is typed by itself

    run["main"].__globals__["tell"] = story
    assert run["main"]() == 1
