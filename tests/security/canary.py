"""Looking for secrets where none may be: every form they may take, every place they may lie."""

from __future__ import annotations

import base64
import html
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import asyncpg
import redis

from starship_core.testing.fixtures import in_loop

_TELLING = 8
"""Characters: fewer could be anything."""
Places = Mapping[str, bytes]


def forms(secret: str) -> dict[str, bytes]:
    """By name: how the secret could be written."""
    whole = {
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1].encode(),
        "repr": repr(secret)[1:-1].encode(),
        "repr of bytes": repr(secret.encode())[2:-1].encode(),
        "unicode_escape": secret.encode("unicode_escape"),
        "HTML": html.escape(secret).encode(),
        "URL": quote(secret, safe="").encode(),
        "URL of a path": quote(secret).encode(),
        "URL of a form": quote_plus(secret).encode(),
        "URL in lower case": quote(secret, safe="").lower().encode(),
    }
    # escapes upon escapes leave letters and digits as they are
    core = max(re.findall(r"[A-Za-z0-9]+", secret), key=len)
    whole |= _written(secret.encode(), "")
    return whole | _written(core.encode(), "core, ") if len(core) >= _TELLING else whole


def _written(raw: bytes, what: str) -> dict[str, bytes]:
    found = {
        "plain": raw,
        "UTF-16": raw.decode().encode("utf-16-le"),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "hex, spaced": raw.hex(" ").encode(),
        "hex, escaped": "".join(f"\\x{byte:02x}" for byte in raw).encode(),
    }
    for offset in range(3):
        for name, text in _base64(raw, offset):
            found[f"{name} at {offset}"] = text
    return {what + name: text for name, text in found.items()}


def _base64(raw: bytes, offset: int) -> Iterable[tuple[str, bytes]]:
    """What stands in the base64 of anything that holds `raw` at this offset, whatever is around."""
    whole = b"\0" * offset + raw
    first, last = -(-offset * 8 // 6), len(whole) * 8 // 6
    yield "base64", base64.b64encode(whole)[first:last]
    yield "base64url", base64.urlsafe_b64encode(whole)[first:last]


def sightings(places: Places, secrets: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(place, secret's name, form) of everything that was found."""
    return [
        (place, name, form)
        for name, secret in secrets.items()
        for form, text in forms(secret).items()
        for place, content in places.items()
        if text in content
    ]


# --- places ---------------------------------------------------------------------------------------


def files(folder: Path, *but: str) -> dict[str, bytes]:
    """Every file below the folder, but those of these names at its top."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in but
    }


_READ = {
    b"string": ("GET",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"hash": ("HGETALL",),
    b"set": ("SMEMBERS",),
    b"list": ("LRANGE", 0, -1),
}


def in_redis(url: str) -> bytes:
    """All keys and values, as they are and as the server would dump them; and the last commands."""
    with redis.Redis.from_url(url) as client:
        pieces: list[bytes] = []
        for key in client.scan_iter(count=1000):
            command, *rest = _READ[client.type(key)]
            value = client.execute_command(command, key, *rest)
            pieces += [key, client.dump(key) or b"", *_flat(value)]
        pieces += [entry["command"] for entry in client.execute_command("SLOWLOG GET", 100_000)]
    return b"\n".join(pieces)


def _flat(value: Any) -> Iterable[bytes]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, Iterable):
        for each in value:
            yield from _flat(each)


def in_tables(url: str) -> bytes:
    """Every value of every row of every table, as it is."""
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode()
        for row in rows_in(url)
        for value in row
    )


def rows_in(url: str) -> list[Sequence[Any]]:
    """Of all tables."""
    return _sqlite_rows(url) if url.startswith("sqlite") else in_loop(_postgresql_rows(url))


def _sqlite_rows(url: str) -> list[Sequence[Any]]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return [
            row for (name,) in list(tables) for row in connection.execute(f'SELECT * FROM "{name}"')
        ]


async def _postgresql_rows(url: str) -> list[Sequence[Any]]:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT schemaname, tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        return [
            tuple(row)
            for schema, name in tables
            for row in await connection.fetch(f'SELECT * FROM "{schema}"."{name}"')
        ]
    finally:
        await connection.close()
