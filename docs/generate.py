# ruff: noqa: INP001  # docs is no package
"""The generated parts of the pages: each function gives Markdown made from the code.

The pages hold the result between cog's markers; `cog -r -I docs docs/*.md` renews them, and a
test refuses pages that are behind the code.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from source import ROOT, Class, Field, Function, calls, module

from starship_core import Secret
from starship_core.metrics import Figures, work_metrics

CORE = "starship_core"


def hooks() -> str:
    """A heading for each hook with its exact signature, and what it hands over."""
    _, functions = module(f"{CORE}/hookspecs.py")
    return "\n".join(f"## `{f.name}`\n\n{_code(f.signature)}\n\n{f.about}\n" for f in functions)


def registrations() -> str:
    """Every registration type with its own fields."""
    classes, _ = module(f"{CORE}/registration.py")
    wanted = [c for c in classes if c.name.endswith("Registration")]
    return "\n".join(fields_of(c) for c in wanted)


def structs(path: str, *names: str) -> str:
    """Some classes of a file with their fields."""
    classes, _ = module(path)
    return "\n".join(fields_of(c) for c in classes if c.name in names)


def ports() -> str:
    """Every Protocol with every method."""
    classes, _ = module(f"{CORE}/ports.py")
    return "\n".join(_port(c) for c in classes)


def _port(port: Class) -> str:
    extended = [base for base in port.bases if base != "Protocol"]
    also = f" Everything of `{extended[0]}`, and:" if extended else ""
    parts = [f"## {port.name}\n\n{port.about}{also}\n"]
    if port.fields:
        parts.append(table(("field", "type"), ((f.name, f.annotation) for f in port.fields)))
    parts += [_method(function) for function in port.functions]
    return "\n".join(parts)


def _method(function: Function) -> str:
    return f"{_code(function.signature)}\n\n{function.about}\n"


def fields_of(described: Class) -> str:
    """A heading and a table: what each field is."""
    text = f"### {described.name}\n\n{described.about}\n"
    if not described.fields:
        return text
    rows = ((f"`{f.name}`", f"`{f.annotation}`", _default(f), f.about) for f in described.fields)
    return f"{text}\n{table(('field', 'type', 'default', 'what it is'), rows)}"


def _default(field: Field) -> str:
    if field.default is None:
        return "required"
    made = re.fullmatch(r"field\(default_factory=(\w+)\)", field.default)
    return f"`{made[1]}()`" if made else f"`{field.default}`"


def configuration() -> str:
    """A table for each section of `starship.toml`, defaults as TOML writes them."""
    files = ("config.py", "config_telling.py")
    classes = [each for file in files for each in module(f"{CORE}/{file}")[0]]
    sections = [c for c in classes if c.bases == ("Section",)]
    return "\n".join(_section(section) for section in sections)


def _section(section: Class) -> str:
    struct = getattr(importlib.import_module(f"{CORE}.config"), section.name)
    name, _, about = section.about.removeprefix("`[").partition("]`")
    told = about.lstrip(":. ").strip()
    paragraph = f"{told[0].upper()}{told[1:]}\n\n" if told else ""
    return f"### `[{name}]`\n\n{paragraph}{config_table(section, struct)}"


def plugin_configuration() -> str:
    """The section of every registration of the plugins in this repository."""
    parts = []
    for entry in sorted(entry_points(group="starship"), key=lambda e: e.name):
        if entry.name == "acme":  # an example's, whose vendor does not exist
            continue
        loaded = entry.load()
        for hook in (name for name in dir(loaded) if name.startswith("register_")):
            names: dict[type[msgspec.Struct], list[str]] = {}
            for registration in getattr(loaded, hook)():
                names.setdefault(registration.config, []).append(registration.name)
            parts += [_plugged(struct, uses) for struct, uses in names.items()]
    return "\n".join(parts)


def _plugged(struct: type[msgspec.Struct], uses: Sequence[str]) -> str:
    """A section, under every name that it is used by."""
    file = Path(inspect.getfile(struct)).relative_to(ROOT)
    (described,) = [c for c in module(str(file))[0] if c.name == struct.__name__]
    title = "### " + ", ".join(f'`use = "{name}"`' for name in uses) + f"\n\n{described.about}\n"
    return f"{title}\n{config_table(described, struct)}" if described.fields else title


def config_table(described: Class, struct: type[msgspec.Struct]) -> str:
    """The fields of a configuration Struct: type in plain words, default in TOML."""
    hints = get_type_hints(struct)
    about = {field.name: field for field in described.fields}
    rows = [
        (f"`{f.encode_name}`", _plain(hints[f.name]), _toml(f), about[f.name].about)
        for f in msgspec.structs.fields(struct)
    ]
    return table(("field", "type", "default", "what it is"), rows)


_WORDS = {
    str: "string",
    int: "integer",
    bool: "true or false",
    Decimal: "decimal string",
    datetime: "time",
    Path: "path",
    float: "number",
    Secret: "secret",
}


def _plain(hint: Any) -> str:
    """A type as a deployer would say it."""
    wanted = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) in (Union, UnionType) and len(wanted) == 1:
        return _plain(wanted[0])
    return _WORDS.get(hint) or f"`{str(hint).replace('typing.', '')}`"


def _toml(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    factory = field.default_factory
    value = factory() if factory is not msgspec.NODEFAULT else field.default
    return "left out" if value is None else f"`{msgspec.json.encode(value).decode()}`"


def exceptions() -> str:
    """What our own code raises on purpose: each says what to do next."""
    classes, _ = module(f"{CORE}/errors.py")
    rows = ((f"`{c.name}`", f"`{c.bases[0]}`", c.about.replace("\n", " ")) for c in classes)
    return table(("exception", "is a", "what it means"), rows)


def error_codes() -> str:
    """The client API's codes, in the order of the catalogue."""
    catalogue = importlib.import_module(f"{CORE}.http.codes").CATALOGUE
    rows = (
        (str(kind.http), f"`{code}`", kind.name, kind.when, kind.retry_helps)
        for code, kind in catalogue.items()
    )
    return table(("HTTP", "code", "name", "when", "does a retry help?"), rows)


def metrics() -> str:
    """What Prometheus is told, as `metrics.py` declares it."""
    rows = []
    for kind, call in calls(f"{CORE}/metrics.py", "Counter", "Gauge", "Histogram"):
        name, about, *labels = [ast.literal_eval(argument) for argument in call.args[:3]]
        told = ", ".join(f"`{label}`" for label in labels[0]) if labels else ""
        full = f"{name}_total" if kind == "Counter" else name
        rows.append((f"`{full}`", kind.lower(), told, about))
    nothing = Figures(
        workers=0, oldest_due={"": 0}, runs={"": 0}, failures={"": 0}, deliveries_due=0,
        deliveries_ended={"": 0},
    )  # fmt: skip
    for each in work_metrics(nothing):  # of all workers, whoever is asked
        full = f"{each.name}_total" if each.type == "counter" else each.name
        told = ", ".join(f"`{label}`" for label in each.samples[0].labels)
        rows.append((f"`{full}`", each.type, told, each.documentation))
    return table(("metric", "kind", "labels", "what it is"), rows)


def checks() -> str:
    """What `starship verify` asks of the rows, by invariant."""
    found = importlib.import_module(f"{CORE}.store.invariants").CHECKS
    ordered = sorted(found, key=lambda check: int(check[0][1:]))
    rows = ((name, _subject(query), problem) for name, problem, query in ordered)
    return table(("", "what", "is named when it"), rows)


def _subject(query: str) -> str:
    """The first word of the row's name: `order`, `item`, `voucher`."""
    found = re.search(r"'(\w+) '", query)
    return found[1] if found else ""


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"


def example(path: str) -> str:
    """A file of `examples/`, as it is."""
    text = (ROOT / "examples" / path).read_text(encoding="utf-8")
    return f"```{path.rpartition('.')[2]}\n{text}```\n"
