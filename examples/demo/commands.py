"""Types `starship …`: a process a command, as in a shell, but with the program imported beforehand.

Importing is most of what a command takes. So one process does it once, and each command is a fork
of that one; what it prints and how it ends is its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from starship_core.cli import main

OPERATOR = "ana"
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", "starship_core.cli", "starship_core.ship", "httpx2"])


class Ended(NamedTuple):
    """What a command left."""

    status: int
    said: str
    complained: str


def typed(words: Sequence[str], folder: Path) -> Ended:
    """`starship` with these words in this folder, by an operator; to its end."""
    with tempfile.TemporaryDirectory(prefix="starship-demo-said-") as name:
        out, err = Path(name) / "out", Path(name) / "err"
        process = _FORKS.Process(target=_command, args=(words, folder, out, err))
        process.start()
        process.join()
        return Ended(process.exitcode or 0, out.read_text(), err.read_text())


def all_typed(commands: Sequence[Sequence[str]], folder: Path) -> list[Ended]:
    """Several, as if by several operators at the same time."""
    with ThreadPoolExecutor(len(commands)) as at_once:
        return list(at_once.map(lambda words: typed(words, folder), commands))


def _command(words: Sequence[str], folder: Path, out: Path, err: Path) -> None:
    """In a process of its own."""
    for number, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(folder)
    os.environ["STARSHIP_OPERATOR"] = OPERATOR
    sys.argv = ["starship", *words]
    main()
