"""A receiver of webhooks in a process of its own: reads each request and answers 204.

Prints its port, and ends when its standard input does; with `--ages`, by printing how many seconds
old each event was when it arrived.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from contextlib import suppress
from datetime import datetime

_CREATED = re.compile(rb'"created_at": ?"([^"]+)"')
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


_arrived: list[tuple[float, bytes]] = []


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            body = await reader.readexactly(int(found[1]) if found else 0)
            if "--ages" in sys.argv:
                _arrived.append((time.time(), body))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(_talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    if "--ages" in sys.argv:
        print(json.dumps([at - _created(body) for at, body in _arrived]))


def _created(body: bytes) -> float:
    found = _CREATED.search(body)
    if found is None:
        raise SystemExit("an event without its time arrived")
    return datetime.fromisoformat(found[1].decode()).timestamp()


if __name__ == "__main__":
    asyncio.run(main())
