# ruff: noqa: INP001  # docs is no package
"""What the source says of itself: signatures, docstrings, the text under a field, read as syntax.

Attribute docstrings and unevaluated annotations exist only in the source, so it is parsed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Field(NamedTuple):
    name: str
    annotation: str
    default: str | None
    about: str


class Function(NamedTuple):
    name: str
    signature: str
    """`async def name(…) -> …`, on one line."""
    about: str


class Class(NamedTuple):
    name: str
    bases: tuple[str, ...]
    about: str
    fields: tuple[Field, ...]
    functions: tuple[Function, ...]


def module(path: str) -> tuple[list[Class], list[Function]]:
    """The public classes and functions of a file (relative to the repository), in its order."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    classes = [_class(node) for node in tree.body if isinstance(node, ast.ClassDef)]
    return [c for c in classes if not c.name.startswith("_")], list(_functions(tree))


def calls(path: str, *names: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of one of these names in a file, in its order."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node.func.id, node


def _class(node: ast.ClassDef) -> Class:
    return Class(
        node.name,
        tuple(ast.unparse(base) for base in node.bases),
        _about(node),
        tuple(_fields(node)),
        tuple(_functions(node)),
    )


def _fields(node: ast.ClassDef) -> Iterator[Field]:
    for place, statement in enumerate(node.body):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        following = node.body[place + 1] if place + 1 < len(node.body) else None
        yield Field(
            statement.target.id,
            ast.unparse(statement.annotation),
            ast.unparse(statement.value) if statement.value else None,
            _text(following.value) if isinstance(following, ast.Expr) else "",
        )


def _functions(node: ast.ClassDef | ast.Module) -> Iterator[Function]:
    for statement in node.body:
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if statement.name.startswith("_"):
            continue
        keyword = "async def" if isinstance(statement, ast.AsyncFunctionDef) else "def"
        arguments = ast.unparse(statement.args)
        returns = f" -> {ast.unparse(statement.returns)}" if statement.returns else ""
        signature = f"{keyword} {statement.name}({arguments}){returns}"
        yield Function(statement.name, signature, _about(statement))


def _about(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return ast.get_docstring(node) or ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
