"""TOML → references resolved → typed Structs: reading a configuration without knowing its sections.

Everything here collects what is wrong instead of stopping at the first; a problem names file,
section and field, and never shows a value that came from the environment or a file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct, ValidationError, structs

from starship_core.errors import ConfigError
from starship_core.model import Secret

T = TypeVar("T", bound=Struct)

_UNRESOLVED: Final = object()
"""Stands where a reference failed: that was reported, and is not reported again as a wrong type."""
_PLAIN: Final = (
    "a secret does not stand in the file of a live deployment; "
    'write { env = "NAME" } or { file = "path" }'
)
_AT: Final = re.compile(r"^(?P<text>.*?)(?: - at `\$(?P<at>.*)`)?$", re.DOTALL)


class _Drawn(str):
    """A revealed reference on its way into a field: the decoder sees that it was not plain text."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What a value can be resolved with: where the file is, and the environment."""

    path: Path
    environ: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def document(self, *, named: Collection[str]) -> dict[str, Any]:
        """The file with every `{env=…}` and `{file=…}` replaced by a Secret.

        Sections are never references themselves, nor are the tables in a section of `named` (a
        vendor may have a single field that is called `env`). Raises ConfigError when it is no TOML.
        """
        document = self._parsed()
        for section, content in document.items():
            if not isinstance(content, dict):
                continue
            for key, value in content.items():
                at = f"[{section}] {key}"
                if section in named and isinstance(value, dict):
                    for name in value:
                        value[name] = self._resolved(value[name], f"[{section}.{key}] {name}")
                else:
                    content[key] = self._resolved(value, at)
        return document

    def _parsed(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"{self.path}: there is no such file; write one with `starship init DIR`, "
                "or name another with --config or STARSHIP_CONFIG"
            ) from None
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{self.path}: is not UTF-8 text") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{self.path}: is not TOML: {error}") from None

    def _resolved(self, value: Any, at: str) -> Any:
        if isinstance(value, list):
            return [self._resolved(item, f"{at}[{i}]") for i, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        match value:
            case {"env": str(name)} if len(value) == 1:
                return self._from_environment(name, at)
            case {"file": str(name)} if len(value) == 1:
                return self._from_file(name, at)
            case _:
                return {key: self._resolved(item, f"{at}.{key}") for key, item in value.items()}

    def _from_environment(self, name: str, at: str) -> Any:
        if name in self.environ:
            return Secret(self.environ[name])
        self.problems.append(f"{self.path}: {at}: the environment variable {name} is not set")
        return _UNRESOLVED

    def _from_file(self, name: str, at: str) -> Any:
        file = self.path.parent / name
        try:
            return Secret(file.read_text(encoding="utf-8").strip())
        except OSError as error:
            reason = error.strerror or "unknown reason"
        except UnicodeDecodeError:
            reason = "it is not UTF-8 text"
        self.problems.append(f"{self.path}: {at}: the file {file} cannot be read: {reason}")
        return _UNRESOLVED


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the file a section stands, and how it becomes a Struct."""

    file: Path
    section: str
    """As it is written: `vendors.bamboo-eu`."""
    live: bool = False
    """In a live deployment a Secret must not stand in the file in plain text."""

    def of(self, name: str = "") -> str:
        """`starship.toml: [vendors.bamboo-eu] client_secret`."""
        return f"{self.file}: [{self.section}]{' ' if name else ''}{name}"

    def fit(self, raw: Mapping[str, Any], into: type[T]) -> tuple[T | None, list[str]]:
        """The Struct, or None with every problem. A `Path` is relative to the file's folder."""
        fields = {f.encode_name: f for f in structs.fields(into)}
        problems = [
            f"{self.of(name)}: there is no such field{suggestion(name, fields)}"
            for name in raw
            if name not in fields
        ]
        values: dict[str, Any] = {}
        incomplete = bool(problems)
        for name, info in fields.items():
            if name not in raw:
                if info.required:
                    problems.append(f"{self.of(name)}: is missing")
            elif _holds(raw[name], lambda item: item is _UNRESOLVED):
                incomplete = True
            else:
                values[info.name], wrong = self._converted(raw[name], info.type, name)
                problems.extend(wrong)
        if incomplete or problems:
            return None, problems
        try:
            return into(**values), []
        except (ValueError, TypeError) as error:  # from __post_init__
            return None, [f"{self.of()} {error}"]

    def _converted(self, raw: Any, type_: Any, name: str) -> tuple[Any, list[str]]:
        """The value. A reference fills a field of any type; plain text is taken strictly."""
        drawn = _holds(raw, lambda item: isinstance(item, Secret))
        try:
            value = msgspec.convert(raw, type_, dec_hook=self._decode)
        except ValidationError as error:
            if not drawn:
                return None, [self._told(name, str(error))]
            try:
                raw = _revealed(raw)
                value = msgspec.convert(raw, type_, strict=False, dec_hook=self._decode)
            except ValidationError as other:
                if _PLAIN in str(other):
                    return None, [self._told(name, str(other))]
                text = "what the reference holds does not fit this field"  # and is not shown
                return None, [f"{self.of(name)}: {text}"]
        if isinstance(value, _Drawn):
            value = str(value)
        return value, [self._told(name + at, text) for at, text in _inexact(raw, value)]

    def _told(self, name: str, message: str) -> str:
        found = _AT.match(message)
        text, at = (found["text"], found["at"] or "") if found else (message, "")
        return f"{self.of(name + at)}: {text[:1].lower()}{text[1:]}"

    def _decode(self, type_: type, value: Any) -> Any:
        if type_ is Secret:
            return self._secret(value)
        if type_ is Path and isinstance(value, str):
            return self.file.parent / value
        raise ValueError(f"Expected `{type_.__name__}`, got `{type(value).__name__}`")

    def _secret(self, value: Any) -> Secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
        if self.live and not isinstance(value, _Drawn):
            raise ValueError(_PLAIN)
        return Secret(value)


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean url?`, or what there is."""
    close = get_close_matches(name, list(known), 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(sorted(known)) or 'none'}"


def _holds(value: Any, wanted: Callable[[Any], bool]) -> bool:
    if isinstance(value, dict):
        return any(_holds(item, wanted) for item in value.values())
    if isinstance(value, list):
        return any(_holds(item, wanted) for item in value)
    return wanted(value)


def _revealed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_revealed(item) for item in value]
    return _Drawn(value.reveal()) if isinstance(value, Secret) else value


def _inexact(raw: Any, value: Any) -> Iterator[tuple[str, str]]:
    """Where a Decimal was written as a float (0.1 is not a tenth), or as no number at all."""
    if isinstance(value, Decimal):
        if isinstance(raw, float):
            yield "", f'write it as a string, "{raw}", so that it is exact'
        elif not value.is_finite():
            yield "", "must be a number"
    elif isinstance(raw, dict):
        for key, inner in _members(value):
            for at, text in _inexact(raw.get(key), inner):
                yield f".{key}{at}", text
    elif isinstance(raw, list) and isinstance(value, (list, tuple)):
        for i, (item, inner) in enumerate(zip(raw, value, strict=False)):
            for at, text in _inexact(item, inner):
                yield f"[{i}]{at}", text


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Struct):
        return [(f.encode_name, getattr(value, f.name)) for f in structs.fields(value)]
    return list(value.items()) if isinstance(value, dict) else []
