"""A folder that a command fills: empty before, whole or empty after."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starship_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def fresh(folder: Path) -> Iterator[None]:
    """An empty folder, and none of our doing left in it when something fails."""
    existed = folder.exists()
    if existed and any(folder.iterdir()):
        raise ConfigError(
            f"{folder} is not empty; name a folder that is, or that does not exist yet"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        if folder.is_dir():
            _emptied(folder, existed=existed)
        if isinstance(error, OSError):
            raise ConfigError(f"{folder}: {error.strerror or error}") from None
        raise


def _emptied(folder: Path, *, existed: bool) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not existed:
        folder.rmdir()
