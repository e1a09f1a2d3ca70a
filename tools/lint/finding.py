"""What a rule says, and the files it is asked about."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOTS = ("starship_core", "adapters", "plugins", "examples", "bench", "tools", "docs", "tests")
_NOT_OURS = {"__pycache__", "build", "dist", "_build", ".venv", "node_modules"}


class Finding(NamedTuple):
    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class Source(NamedTuple):
    """One Python file; `path` is relative to the repository's root."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        return "tests" in self.path.parts


def sources(root: Path) -> Iterator[Source]:
    """Every Python file of the workspace."""
    for top in ROOTS:
        for file in sorted((root / top).rglob("*.py")):
            if not _NOT_OURS & set(file.parts):
                text = file.read_text()
                yield Source(file.relative_to(root), text, ast.parse(text, str(file)))
