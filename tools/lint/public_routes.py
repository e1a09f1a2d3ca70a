"""What answers without a credential is listed here, path by path, and the gate knows no other way.

Litestar runs a guard only where a handler names it: a route that looked guarded answered 200. So
the gate wraps the whole application from outside and is closed but for the paths in `PUBLIC`. This
rule keeps that list literal and short, keeps prefixes out of it (`/docs` by prefix would open
whatever is mounted below), and refuses a second application that no gate stands in front of.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.lint.finding import Finding, Source

PUBLIC = {"/status", "/ready", "/metrics", "/docs", "/openapi.json"}
CALLBACK = "/vendors/{instance}/callback"
"""The one template beside them: the gate makes whole paths of it, for vendors that read callbacks.
"""
GATE = "starship_core/web/gate.py"
_BY_PREFIX = {"startswith", "endswith", "match", "fullmatch", "search"}


def check(source: Source) -> Iterator[Finding]:
    path = source.path.as_posix()
    if source.is_test or not path.startswith("starship_core/"):
        return
    if path == GATE:
        yield from _gate(source)
    yield from _ungated(source)


def _gate(source: Source) -> Iterator[Finding]:
    for name, wanted in (("PUBLIC", PUBLIC), ("CALLBACK", CALLBACK)):
        if _assigned(source, name) != [wanted]:
            told = f"{name} is not, literally, what tools/lint/public_routes.py has"
            yield Finding(source.path, 1, told)
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in _BY_PREFIX
            and "path" in ast.unparse(node)
        ):
            yield Finding(source.path, node.lineno, "a path is public as a whole or not at all")


def _assigned(source: Source, name: str) -> list[object]:
    """Every value that the module gives the name."""
    return [
        _literals(node.value)
        for node in source.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in _targets(node)
    ]


def _ungated(source: Source) -> Iterator[Finding]:
    calls = [
        (node.func.id, node.lineno)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    if not any(name == "Gate" for name, _ in calls):
        for name, line in calls:
            if name == "Litestar":
                yield Finding(source.path, line, "an application without the gate in front of it")


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _literals(value: ast.expr | None) -> object:
    """What `frozenset({…})` holds, or a text; None when it is written in any other way."""
    if value is None:
        return None
    try:
        return ast.literal_eval(ast.unparse(value).removeprefix("frozenset"))
    except (ValueError, SyntaxError):
        return None
