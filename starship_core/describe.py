"""What can be written in a section: names, types, defaults and docs, read off its Struct."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, structs

from starship_core.model import Secret

_MODULE: Final = re.compile(r"(?<!['\w.])(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")


class Field(Struct, frozen=True):
    """One field, as a deployer needs to know it."""

    name: str
    type: str
    """As Python writes it, without modules: `Secret | None`."""
    required: bool
    default: Any
    """As JSON has it; None also when the field is required."""
    doc: str


def fields(section: type[Struct]) -> Sequence[Field]:
    """In the order of the class."""
    docs = _docs(section)
    return [
        Field(
            name=info.encode_name,
            type=_type(info.type),
            required=info.required,
            default=_default(info),
            doc=_description(info.type) or docs.get(info.name, ""),
        )
        for info in structs.fields(section)
    ]


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(_type(each) for each in arguments)
    if origin is Literal:
        return _MODULE.sub("", repr(annotation))
    if origin is not None:
        return f"{_type(origin)}[{', '.join(_type(each) for each in arguments)}]"
    plain = {type(None): "None", Ellipsis: "..."}
    return plain.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _default(info: structs.FieldInfo) -> Any:
    if info.required:
        return None
    factory = info.default_factory
    value = info.default if factory is msgspec.NODEFAULT else factory()
    return msgspec.to_builtins(value, enc_hook=_plain)


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, (Path, Decimal, Secret)) else repr(value)


def _description(annotation: Any) -> str:
    """Of `Annotated[int, Meta(description=…)]`."""
    notes = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((n.description for n in notes if isinstance(n, Meta) and n.description), "")


def _docs(section: type[Struct]) -> dict[str, str]:
    """The string below each field, which Python forgets; nothing where there is no source."""
    found: dict[str, str] = {}
    for cls in reversed(section.__mro__):
        if not issubclass(cls, Struct) or cls is Struct:
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for before, after in pairwise(statements):
            match before, after:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found
