"""How the story is told: chapters, what was seen, and what has to be true of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Untrue(AssertionError):
    """Something that the story claims is not so."""


class Teller:
    """Speaks to the terminal, and keeps count of what was checked."""

    def __init__(self) -> None:
        # outside a terminal (a log of CI) a fixed width reads better than a guess
        self.console = Console(highlight=False, width=None if Console().is_terminal else 110)
        self.checked = 0
        self.chapters: list[tuple[str, float]] = []

    @contextmanager
    def chapter(self, title: str, why: str) -> Iterator[None]:
        """A numbered heading, and how long it took."""
        self.console.print()
        self.console.rule(Text(f"{len(self.chapters) + 1}. {title}", "bold"), align="left")
        self.console.print(Text(why, "dim"))
        began = perf_counter()
        yield
        self.chapters.append((title, perf_counter() - began))

    def does(self, text: str) -> None:
        """What is being sent or typed."""
        self.console.print(Text.assemble(("  → ", "cyan"), text))

    def sees(self, text: str) -> None:
        """What came back."""
        self.console.print(Text.assemble(("  ← ", "blue"), text))

    def check(self, claim: str, found: Any, expected: Any) -> None:
        """Say that the claim holds, or end the story."""
        if found != expected:
            self.console.print(Text.assemble(("  ✗ ", "bold red"), claim))
            raise Untrue(f"{claim}: expected {expected!r}, found {found!r}")
        self.checked += 1
        self.console.print(Text.assemble(("  ✓ ", "green"), claim))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows of text under a title; numbers stand to the right."""
        table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for place, name in enumerate(columns):
            table.add_column(name, justify="left" if place == 0 else "right")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print()
        self.console.print(table)
