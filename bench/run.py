"""`make bench`: the hit path over HTTP as a ratio to the bare driver, measured in the same run.

QUICK=1 measures less and only prints. The full run holds the floors, and `--write` keeps the table
in docs/performance.md. Aborts when the baseline is implausible, or the load process the bottleneck.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import hitpath
import others
from floors import FLOORS, Line, broken, page, table
from rich.console import Console

import adapters
from starship_core.testing.servers import postgresql, redis_server

DOCS = Path(__file__).parent.parent / "docs" / "performance.md"


async def measure_all(folder: Path, *, quick: bool, say: Console) -> list[Line]:
    """Every line of the table."""
    lines: list[Line] = []
    with postgresql(folder / "pg") as url, redis_server(folder / "redis") as server:
        plan = hitpath.Plan(folder=folder, redis=server.url, quick=quick, say=say.print)
        say.rule("PostgreSQL")
        lines += await hitpath.on_postgresql(plan, url)
        say.rule("SQLite")
        lines += await hitpath.on_sqlite(plan)
        say.rule("Everything else")
        lines += await others.measure(plan, url)
    say.rule("Adapters")
    lines += await adapters.measure(quick=quick)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", default=os.environ.get("QUICK") == "1")
    parser.add_argument(
        "--write", action="store_true", help="keep the table in docs/performance.md"
    )
    chosen = parser.parse_args()
    say = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="starship-bench-") as name:
        lines = asyncio.run(measure_all(Path(name), quick=chosen.quick, say=say))
    say.print(table(lines))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    say.print(f"{machine}, {datetime.now(UTC):%Y-%m-%d}")
    if chosen.write:
        DOCS.write_text(page(DOCS.read_text(), lines, machine))
    missed = broken(lines)
    for line in missed:
        say.print(f"floor missed: {line.name}: {line.text} (floor {FLOORS[line.key].text})")
    if missed and not chosen.quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
