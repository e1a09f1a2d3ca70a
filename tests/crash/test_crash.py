"""Killed at every point that there is, restarted, asked again: the truth, and nothing broken."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from sqlalchemy import make_url

from starship_core.testing.clock import ManualClock
from starship_core.testing.fixtures import in_loop
from tests.crash.points import commits
from tests.crash.scenes import ATOMIC, SCENES, SOURCE, prepare, put_files
from tests.integration.ships import docked, written

ROOT = Path(__file__).parents[2]
PARTS = [("sqlite", 4, n) for n in range(4)] + [("postgresql", 2, n) for n in range(2)]
"""The points are dealt to so many tests, so that workers can share them."""
LEAST = {"sqlite": 700, "postgresql": 50}
"""Fewer points than when this was written mean that something is not wrapped any more."""


class Lab:
    """A prepared deployment, copied for each crash, and the process that forks."""

    def __init__(self, folder: Path, database: str, redis: str, clients: bytes) -> None:
        self.folder = folder
        self.url = make_url(database)
        self.redis = redis
        self.clients = clients.decode()
        self.numbers = count(1)
        self.zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def copied(self) -> str:
        """A configuration whose database is a copy of the prepared one."""
        name = f"run-{next(self.numbers)}"
        folder = self.folder / name
        folder.mkdir()
        (folder / "keys").symlink_to(self.folder / "keys")
        put_files(folder)
        if self.url.get_backend_name() == "sqlite":
            shutil.copyfile(str(self.url.database), folder / "own.db")
            database = f"sqlite:///{folder / 'own.db'}"
        else:
            copy = f"{self.url.database}_{name}"
            self.command(f'CREATE DATABASE "{copy}" TEMPLATE "{self.url.database}"')
            database = self.url.set(database=copy).render_as_string(hide_password=False)
        return str(written(folder, database, self.redis, more=SOURCE))

    def drop(self, file: str) -> None:
        """The copy has served."""
        folder = Path(file).parent
        if self.url.get_backend_name() == "postgresql":
            self.command(f'DROP DATABASE "{self.url.database}_{folder.name}" WITH (FORCE)')
        shutil.rmtree(folder)

    def command(self, statement: str) -> None:
        async def work() -> None:
            server = self.url.set(database="postgres").render_as_string(hide_password=False)
            connection = await asyncpg.connect(server)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        in_loop(work())

    def ask(self, do: str, scene: str, file: str, at: str | None = None) -> dict[str, Any]:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        asked = {"do": do, "scene": scene, "file": file, "at": at, "clients": self.clients}
        print(json.dumps(asked), file=self.zygote.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.zygote.stdout.readline())
        assert "error" not in answer, f"{scene}, {at}:\n{answer['error']}"
        return answer

    def close(self) -> None:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.close()
        self.zygote.stdout.close()
        self.zygote.wait()


@pytest.fixture
def lab(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Lab]:
    async def prepared() -> bytes:
        async with docked(written(tmp_path, database_url, redis_url), ManualClock()) as dock:
            return msgspec.json.encode(await prepare(dock))

    lab = Lab(tmp_path, database_url, redis_url, in_loop(prepared()))
    yield lab
    lab.close()


def crash(lab: Lab, scene: str, at: str, whole: dict[str, Any]) -> None:
    """Kill there, restart, ask again."""
    file = lab.copied()
    killed = lab.ask("kill", scene, file, at)
    assert killed["killed"] == signal.SIGKILL, f"{scene}: {at} was not reached"
    end = lab.ask("recover", scene, file)
    assert end["broken"] == [], f"{scene}, killed {at}"
    assert end["ended"] == whole["after"], f"{scene}, killed {at}"
    if scene in ATOMIC:
        assert end["found"] in (whole["before"], whole["after"]), f"{scene}, killed {at}"
    lab.drop(file)


def recorded(lab: Lab, scene: str) -> dict[str, Any]:
    """The scene without a crash: its points, the state before and after."""
    file = lab.copied()
    whole = lab.ask("record", scene, file)
    lab.drop(file)
    return whole


@pytest.mark.parametrize(("database_kind", "parts", "part"), PARTS)
def test_killed_at_every_point(
    lab: Lab,
    database_kind: str,
    parts: int,
    part: int,
    record_property: Callable[[str, object], None],
) -> None:
    """SQLite: every point. PostgreSQL: those on either side of a commit."""
    counts: dict[str, int] = {}
    for scene in SCENES:
        whole = recorded(lab, scene)
        points = whole["points"] if database_kind == "sqlite" else commits(whole["points"])
        counts[scene] = len(points)
        for at in points[part::parts]:
            crash(lab, scene, at, whole)
    told = "\n".join(f"{number:>5}  {scene}" for scene, number in counts.items())
    record_property(
        f"table:crash points, {database_kind}", f"{told}\n{sum(counts.values()):>5}  in all"
    )
    assert sum(counts.values()) >= LEAST[database_kind]
