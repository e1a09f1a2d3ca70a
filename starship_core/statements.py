"""Statements, written once, and how they are said to each database."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_PARAMETER: Final = re.compile(r"\$(\d+)")


@lru_cache(maxsize=512)
def for_sqlite(statement: str) -> str:
    """`$1` → `?1`."""
    return statement.replace("$", "?")


@lru_cache(maxsize=512)
def for_postgresql(statement: str) -> str:
    """Sets are read as jsonb."""
    # `json` is parsed again for every `->>`; `jsonb` once (an order's row has 27 columns)
    return statement.replace("json_each(", "jsonb_each(")


@lru_cache(maxsize=64)
def chained(statements: tuple[tuple[str, int], ...]) -> str:
    """All as one: (number of the statement, a row that it returned, as a JSON object) each."""
    queries, answers, before = [], ["SELECT 0, '' WHERE false"], 0
    for number, (text, parameters) in enumerate(statements):
        queries.append(f"s{number} AS ({_shifted(text, before)})")
        words = text.split()
        if words[0] == "SELECT" or "RETURNING" in words:
            answers.append(f"SELECT {number}, row_to_json(s{number})::text FROM s{number}")
        before += parameters
    return f"WITH {', '.join(queries)} {' UNION ALL '.join(answers)}"


def _shifted(text: str, by: int) -> str:
    """Its parameters, counted on from `$by`."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", text)
