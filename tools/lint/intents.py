"""A test says in one sentence what it is for, so that whoever breaks it knows what they broke.

A test without intent is repaired by changing what it expects.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.lint.finding import Finding, Source


def check(source: Source) -> Iterator[Finding]:
    if not source.is_test or not source.path.stem.startswith("test_"):
        return
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not ast.get_docstring(node)
        ):
            yield Finding(source.path, node.lineno, f"{node.name}: no sentence of intent")
