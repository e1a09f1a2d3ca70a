"""Ids in a path, the query, pages and sorting: read strictly (client API, section 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from starship_core.errors import NotFound
from starship_core.http.errors import invalid

T = TypeVar("T")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
_LARGEST: Final = 2**63 - 1
LAST_PAGE: Final = 1_000_000_000


def path_id(text: str, what: str) -> int:
    """An id in a path; what cannot be one is not found."""
    if not _NUMBER.fullmatch(text) or int(text) > _LARGEST:
        raise NotFound(what, text[:32])
    return int(text)


def read_query(query: bytes, allowed: Sequence[str]) -> dict[str, str]:
    """Decode; an unknown or repeated name, invalid UTF-8 or NUL is a 400 that names it."""
    found: dict[str, str] = {}
    for piece in query.split(b"&"):
        if not piece:
            continue
        raw_name, _, raw_value = piece.replace(b"+", b" ").partition(b"=")
        name = _text(raw_name, "query")
        if name not in allowed:
            raise invalid(name[:64], "unknown", "no such parameter")
        if name in found:
            raise invalid(name, "repeated", "given more than once")
        found[name] = _text(raw_value, name)
    return found


def _text(raw: bytes, name: str) -> str:
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise invalid(name, "encoding", "not UTF-8") from None
    if "\x00" in text:
        raise invalid(name, "encoding", "holds NUL")
    return text


def whole(query: Mapping[str, str], name: str, *, largest: int = _LARGEST) -> int | None:
    """A positive integer, or None when it is left out."""
    text = query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > largest:
        raise invalid(name, "range", f"must be a whole number from 1 to {largest}")
    return int(text)


def flag(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    """`true` or `false`, in any case; `1` and `0` are taken, too."""
    text = query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false", "1", "0"):
        raise invalid(name, "type", "must be true or false")
    return text.lower() in ("true", "1")


class Page(NamedTuple):
    """Which part of a collection was asked for."""

    number: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit

    def headers(self, *, total: int, size: int) -> dict[str, str]:
        """What the answer says about paging; `size` items are on this page."""
        pages = -(-total // self.limit)
        return {
            "X-Page": str(self.number),
            "X-Per-Page": str(self.limit),
            "X-Total-Count": str(total),
            "X-Total-Pages": str(pages),
            "X-Page-Size": str(size),
            "X-Has-More": "true" if self.number < pages else "false",
        }

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Cut out of a collection that is whole in memory."""
        return items[self.offset : self.offset + self.limit]


def read_page(query: Mapping[str, str], *, default: int = 50, largest: int = 10_000) -> Page:
    """`page` from 1, and `limit` (or its other name `per_page`)."""
    limit = whole(query, "limit", largest=largest)
    per_page = whole(query, "per_page", largest=largest)  # must be right beside a limit, too
    return Page(whole(query, "page", largest=LAST_PAGE) or 1, limit or per_page or default)


class Sort(Struct, frozen=True, forbid_unknown_fields=True):
    """`sort={"field":"id","direction":"DESC"}`"""

    field: str = "id"
    direction: str = "ASC"

    @property
    def descending(self) -> bool:
        return self.direction == "DESC"


_sort = msgspec.json.Decoder(Sort)


def read_sort(query: Mapping[str, str], fields: Sequence[str], *, default: Sort) -> Sort:
    """The `sort` parameter, one of `fields`; statuses and directions are taken in any case."""
    text = query.get("sort")
    if text is None:
        return default
    try:
        asked = _sort.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise invalid(
            "sort", "format", 'must be {"field": …, "direction": "ASC" or "DESC"}'
        ) from None
    if asked.field not in fields:
        raise invalid("sort", "enum", f"field must be one of {', '.join(fields)}")
    direction = asked.direction.upper()
    if direction not in ("ASC", "DESC"):
        raise invalid("sort", "enum", "direction must be ASC or DESC")
    return Sort(asked.field, direction)
