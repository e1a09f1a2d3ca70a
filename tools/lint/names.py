"""What has no name has no home.

A module called `utils` has no reason to refuse anything, so it takes everything: in one well-known
project it grew to 1,686 lines, and a folder convention with a slot called `service.py` was filled
with 54 methods. Name a module for what is in it; if that is hard, it belongs in two others.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.lint.finding import Finding, Source

BANNED = {"util", "helper", "common", "misc", "base", "manager", "service"}


def check(source: Source) -> Iterator[Finding]:
    for part in (*source.path.parts[:-1], source.path.stem):
        words = part.strip("_").split("_")
        if {words[0], words[0].removesuffix("s")} & BANNED and len(words) == 1:
            yield Finding(source.path, 1, f"`{part}` says nothing about what is in it")
