# ruff: noqa: INP001  # docs is no package
"""The files of `docs/writing-an-adapter.md`: those of `examples/acme_vendor`, as they are."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "acme_vendor"
_LANGUAGES = {".py": "python", ".md": "markdown"}


def file(name: str) -> str:
    """Its path, and under it its text in a fence that is longer than any within."""
    path = EXAMPLE / name
    text = path.read_text(encoding="utf-8")
    fence = "````" if "```" in text else "```"
    return f"`{name}`:\n\n{fence}{_LANGUAGES[path.suffix]}\n{text}{fence}\n"
