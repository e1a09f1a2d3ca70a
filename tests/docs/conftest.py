"""One demo deployment, up, for all pages that promise something about it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.demo_shop import Shop, running, starship


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    # not pytest's own folder: its path would be too long for a socket
    with tempfile.TemporaryDirectory(prefix="shop-", ignore_cleanup_errors=True) as parent:
        made = starship("init", "shop", "--demo", folder=Path(parent))["demo"]
        folder = Path(parent, "shop")
        with running(folder) as url:
            yield Shop(folder, url, made["api_key"], made["secret"], made["signing_secret"])
