"""The Redis that comes along: private, kept running, found by others, gone with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis.asyncio as redis

from starship_core import ConfigError
from starship_core.config import Config, RedisSection
from starship_core.embedded import _binary, embedded_redis, redis_url


def configured(folder: Path, url: str | None = None) -> Config:
    return Config(path=folder / "starship.toml", redis=RedisSection(url=url))


async def ask(url: str, *command: str) -> object:
    async with redis.Redis.from_url(url, decode_responses=True) as client:
        return await client.execute_command(*command)


async def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    until = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < until, "it did not happen"
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Running, and not just waiting to be collected by whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def pid_of(url: str) -> int:
    answer = await ask(url, "INFO", "server")
    assert isinstance(answer, dict)
    return int(answer["process_id"])


async def test_it_runs_on_a_private_socket_and_keeps_nothing(tmp_path: Path) -> None:
    """No port is open, no other user gets in, no file is written; at the end all is gone."""
    async with embedded_redis(tmp_path) as url:
        socket = tmp_path / "run" / "redis.sock"
        assert url == f"unix://{socket}"
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
        assert await ask(url, "CONFIG", "GET", "save") == ["save", ""]
        assert await ask(url, "CONFIG", "GET", "appendonly") == ["appendonly", "no"]
        assert await ask(url, "CONFIG", "GET", "port") == ["port", "0"]
        assert redis_url(configured(tmp_path)) == url
        pid = await pid_of(url)

    assert not alive(pid)
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == ["redis.lock", "redis.log"]
    assert redis_url(configured(tmp_path)) is None


async def test_a_configured_server_wins(tmp_path: Path) -> None:
    """A deployment with its own Redis never looks for ours."""
    async with embedded_redis(tmp_path):
        assert redis_url(configured(tmp_path, "redis://cache:6379")) == "redis://cache:6379"


async def test_it_is_started_again_when_it_dies(tmp_path: Path) -> None:
    """Same URL, new process: whoever held a connection reconnects."""
    async with embedded_redis(tmp_path) as url:
        first = await pid_of(url)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(20):
            while True:
                try:
                    second = await pid_of(url)
                    break
                except redis.ConnectionError:
                    await asyncio.sleep(0.02)

        assert second != first


async def test_a_stopped_server_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """A hung server gets SIGKILL; the process that leads it still ends."""
    async with embedded_redis(tmp_path) as url:
        pid = await pid_of(url)
        os.kill(pid, signal.SIGSTOP)

    assert not alive(pid)


PARENT = """
import asyncio, sys
from pathlib import Path
from starship_core.embedded import embedded_redis

async def main():
    async with embedded_redis(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves no time to tidy up, and yet no server is left behind; the next start works."""
    parent = subprocess.Popen(  # noqa: ASYNC220  # it is killed, not awaited
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        url = (await asyncio.to_thread(parent.stdout.readline)).strip()
        pid = await pid_of(url)
        assert redis_url(configured(tmp_path)) == url
        parent.kill()
        parent.wait()

    await eventually(lambda: not alive(pid))
    async with embedded_redis(tmp_path) as again:
        assert again == url
        assert await pid_of(again) != pid


async def test_a_second_one_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It would take the first one's socket away."""
    async with embedded_redis(tmp_path) as url:
        with pytest.raises(ConfigError) as caught:
            async with embedded_redis(tmp_path):
                pass

        assert caught.value.problems == [
            f"{tmp_path}: another `starship up` is running in this folder; stop it first"
        ]
        assert await ask(url, "PING") is True


async def test_an_orphan_is_sent_away_before_a_new_start(tmp_path: Path) -> None:
    """A server whose watcher died with its parent would remove the new one's socket on its exit."""
    socket = tmp_path / "run" / "redis.sock"
    socket.parent.mkdir()
    orphan = subprocess.Popen(  # noqa: ASYNC220  # nobody is to look after it
        [_binary(), "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    await eventually(socket.exists)

    async with embedded_redis(tmp_path) as url:
        assert orphan.wait(10) == 0
        assert await pid_of(url) != orphan.pid
        assert await ask(url, "PING") is True


async def test_a_folder_with_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    """The kernel takes about a hundred bytes; other processes still find the server."""
    folder = tmp_path / ("x" * 60) / ("y" * 60)
    async with embedded_redis(folder) as url:
        assert len(url) < 110
        assert redis_url(configured(folder)) == url
        assert await ask(url, "PING") is True
        short = Path(url.removeprefix("unix://")).parent
        assert stat.S_IMODE(short.stat().st_mode) == 0o700

    assert not short.exists()
    assert redis_url(configured(folder)) is None


async def test_a_folder_with_blanks_is_a_url(tmp_path: Path) -> None:
    """A URL has no blanks; the client gets back the path it means."""
    async with embedded_redis(tmp_path / "my shop") as url:
        assert url == f"unix://{tmp_path}/my%20shop/run/redis.sock"
        assert await ask(url, "PING") is True


async def test_a_server_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own last words are in the error."""
    fake = tmp_path / "redis-server"
    fake.write_text("#!/bin/sh\necho 'out of cheese' >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(ConfigError) as caught:
        async with embedded_redis(tmp_path):
            pass

    assert caught.value.problems == [f"the embedded Redis ({fake}) ended with 3: out of cheese"]
