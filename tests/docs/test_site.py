"""The site builds without a warning and asks no other server for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-E", "-b", "html",
         "-d", str(out / "doctrees"), str(DOCS), str(out / "html")],
        check=False,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out / "html"


class _Assets(HTMLParser):
    """What a browser fetches by itself: scripts, style sheets, images, fonts, frames."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        given = dict(attrs)
        if tag != "a":
            names = ("src", "href") if given.get("rel") != "canonical" else ("src",)
            self.found += [given[name] for name in names if given.get(name)]


def test_every_page_is_built(site: Path) -> None:
    """A page that no table of contents names would be a warning; all are there."""
    pages = {p.relative_to(DOCS).with_suffix(".html") for p in DOCS.rglob("*.md")}
    assert pages <= {p.relative_to(site) for p in site.rglob("*.html")}


def test_no_asset_comes_from_elsewhere(site: Path) -> None:
    """Neither a page nor a style sheet names another host to fetch from."""
    fetched: list[str] = []
    for page in site.rglob("*.html"):
        assets = _Assets()
        assets.feed(page.read_text(encoding="utf-8"))
        fetched += assets.found
    for sheet in site.rglob("*.css"):
        fetched += re.findall(r"url\(['\"]?([^'\")]+)", sheet.read_text(encoding="utf-8"))
    assert len(fetched) > 50
    outside = [each for each in fetched if re.match(r"(?:[a-z]+:)?//", each)]
    assert outside == []
