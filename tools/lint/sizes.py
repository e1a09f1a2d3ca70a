"""A module of 300 lines and a function of 40 are the most that one reads at a sitting.

Over it: split by verb. Tests are free of it, and so is what is one long list by nature.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.lint.finding import Finding, Source

MODULE = 300
FUNCTION = 40
LISTS = {
    "starship_core/model.py": "all nouns in one place; nothing in it does anything",
}


def check(source: Source) -> Iterator[Finding]:
    if source.is_test or "migrations" in source.path.parts:
        return
    lines = source.text.count("\n")
    if lines > MODULE and source.path.as_posix() not in LISTS:
        yield Finding(source.path, 1, f"{lines} lines, at most {MODULE}: split it by verb")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION:
                yield Finding(
                    source.path, node.lineno, f"{node.name}: {length} lines, at most {FUNCTION}"
                )
