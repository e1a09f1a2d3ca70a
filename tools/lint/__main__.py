"""Ask every rule about every file; say what each found, and fail if any found something."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tools.lint import intents, names, public_routes, reveals, sizes
from tools.lint.finding import Finding, sources

RULES = (intents, names, public_routes, reveals, sizes)


def findings(root: Path) -> Iterator[Finding]:
    """All that the rules find under `root`."""
    for source in sources(root):
        for rule in RULES:
            yield from rule.check(source)


def main() -> int:
    found = list(findings(Path.cwd()))
    for finding in found:
        print(finding)
    rules = ", ".join(rule.__name__.rpartition(".")[2] for rule in RULES)
    print(f"own rules ({rules}): {len(found) or 'nothing'} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
