"""The commented `starship.toml` that `starship init` writes, made from the sections themselves.

Every field stands in it with its doc and its default: it cannot tell of one that does not exist.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import NODEFAULT, Struct, structs

from starship_core.config import Config
from starship_core.config_section import Section
from starship_core.describe import fields

_HEAD: Final = """\
A starship deployment. A line such as "# port = 8080" shows the value that holds without it.

Any value may be { env = "NAME" } or { file = "path" } instead: taken from the environment or from
a file (relative to this one, blanks at its ends removed). In a live deployment a secret is one of
these. Decimals are strings: "2.5". `starship check` says what is wrong with this file, `starship
plugins` what the section of a plugin may hold.
"""
_PLUGINS: Final = """\
[vendors.NAME], [notifiers.NAME] and [policies.NAME] plug in the other kinds: `use` is the name that
a plugin registered (left out: NAME itself), the other fields are the plugin's own. Two sections may
use the same one.
"""


class Plugged(Struct, frozen=True):
    """A plugin's section: `[sources.vouchers] use = "source-csv"`."""

    section: str
    use: str
    config: type[Struct]
    values: Mapping[str, Any] = {}


def template(values: Mapping[str, Mapping[str, Any]], plugged: Iterable[Plugged]) -> str:
    """The text of a file: `values` by section and field are set, all others are shown."""
    lines = [*_comment(_HEAD), ""]
    for info in structs.fields(Config):
        default = info.default
        if default is not NODEFAULT and isinstance(default, Section):
            lines += [f"[{info.name}]"]
            lines += _told(type(default))
            lines += [*_body(type(default), values.get(info.name, {})), ""]
    lines += [*_comment(_PLUGINS), ""]
    for one in plugged:
        lines += [f"[{one.section}]", f"use = {toml(one.use)}"]
        lines += [*_body(one.config, one.values), ""]
    return "\n".join(lines)


def toml(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(toml(item) for item in value)}]"
    if isinstance(value, (bool, int, float)):
        return str(value).lower()
    return json.dumps(str(value), ensure_ascii=False)  # a basic string of TOML is one of JSON


def _told(section: type[Section]) -> list[str]:
    """What the class says of itself after `[name]`."""
    _, _, text = (section.__doc__ or "").partition(":")
    return _comment(text.strip())


def _body(section: type[Struct], values: Mapping[str, Any]) -> Iterator[str]:
    for field in fields(section):
        yield from _comment(field.doc)
        if field.name in values:
            yield f"{field.name} = {toml(values[field.name])}"
        elif field.default is None:
            yield f"# {field.name} ="
        else:
            yield f"# {field.name} = {toml(field.default)}"


def _comment(text: str) -> list[str]:
    return [
        f"# {line}".rstrip()
        for paragraph in text.strip().split("\n\n")
        for line in [*textwrap.wrap(" ".join(paragraph.split()), 96), ""]
    ][:-1]
