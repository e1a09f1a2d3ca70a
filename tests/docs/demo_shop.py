"""A deployment as the README makes one: `starship init --demo`, `starship up`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple


class Shop(NamedTuple):
    """A deployment that is up, and its client's credential."""

    folder: Path
    url: str
    key: str
    secret: str
    signing_secret: str


STARSHIP = str(Path(sys.executable).with_name("starship"))


def starship(*arguments: str, folder: Path) -> Any:
    """The JSON that a command answers with."""
    done = subprocess.run(
        [STARSHIP, *arguments, "--json"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The URL of `starship up` in the folder, on a free port; it ends when the block does."""
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [STARSHIP, "up", "--port", "0", "--json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert server.stdout is not None
    try:
        said = "".join(_document(server.stdout))
        assert said, (folder / "server.log").read_text()
        yield json.loads(said)["url"]
    finally:
        server.terminate()
        assert server.wait(60) == 0
        server.stdout.close()


def _document(stdout: IO[str]) -> Iterator[str]:
    for line in stdout:
        yield line
        if line.startswith("}"):
            return
