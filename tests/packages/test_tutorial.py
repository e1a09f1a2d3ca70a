"""`docs/writing-an-adapter.md`, done as a new author would: in an empty folder, block by block."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from starship_core.testing.cassettes import exchanges, facts_of
from tests.packages.wheelhouse import ROOT, install, uv

PAGE = ROOT / "docs" / "writing-an-adapter.md"
EXAMPLE = ROOT / "examples" / "acme_vendor"
MADE = {".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "cassettes"}
_BLOCK = re.compile(
    r"(?:^`(?P<path>[^`\n]+)`:\n\n)?^(?P<fence>`{3,4})(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$",
    flags=re.DOTALL | re.MULTILINE,
)


def steps() -> Iterator[str]:
    """Each block as shell: commands as they stand, and files as they are to be written."""
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["path"]:
            yield f"cat > {block['path']} <<'END OF FILE'\n{block['text']}END OF FILE"
        else:
            assert block["language"] == "sh"
            yield from map(_step, block["text"].splitlines())


def _step(line: str) -> str:
    """A command that the page says to fail has to."""
    command, _, remark = line.partition("#")
    fails = remark.strip().startswith("fails")
    return f"if {command.strip()}; then echo 'it should fail'; exit 70; fi" if fails else command


@pytest.fixture
def empty(wheels: Path, tmp_path: Path) -> Path:
    """Empty but for an environment with what an index would give: nothing of ours is in it."""
    folder = tmp_path / "empty"
    python = folder / ".venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    wanted = ("starship-core[testing]", "starship-acme[check]", "hatchling", "editables")
    install(python, *wanted, wheels=wheels, pinned="dev.txt")
    uv("pip", "uninstall", "-q", "--python", str(python), "starship-core", "starship-acme")
    return folder


def test_the_page_makes_the_example(
    empty: Path, wheels: Path, record_property: Callable[[str, object], None]
) -> None:
    """From the scaffold to all green by the page's blocks alone; what comes is the example."""
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(steps())],
        cwd=empty,
        env=_alone(wheels),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-4000:]
    record_property("table:the tutorial", f"took {time.monotonic() - began:.1f} s")

    made = empty / "starship-acme"
    assert _files(made) == _files(EXAMPLE)
    assert _taped(made) == _taped(EXAMPLE)


def _alone(wheels: Path) -> Mapping[str, str]:
    """A shell that knows a Python and, instead of an index, our wheels."""
    return {
        "PATH": f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads a variable of this name the other way round
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _files(folder: Path) -> Mapping[str, str]:
    """What an author commits, but for cassettes."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not MADE & set(path.relative_to(folder).parts)
    }


def _taped(folder: Path) -> Mapping[str, list[str]]:
    """Of each cassette where it comes from, and the paths that were asked: names are drawn anew."""
    return {
        file.name: [facts_of(file)[0], *(_shape(one) for one, _ in exchanges(file))]
        for file in sorted((folder / "tests" / "cassettes" / "acme").glob("*.yaml"))
    }


def _shape(request: object) -> str:
    method, path = getattr(request, "method", ""), getattr(request, "path", "")
    return f"{method} {re.sub('[A-Z0-9-]{20,}', 'REFERENCE', path)}"
