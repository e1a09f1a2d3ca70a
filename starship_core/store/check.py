"""One thing that `starship verify` looks at."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """`query` returns the names of the rows of which `problem` is true; none when all is well."""

    invariant: str
    problem: str
    query: str
