"""Tables that tests leave with `record_property("table:…", …)` are printed at the end of a run."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tables: dict[str, str] = {}
    for report in terminalreporter.stats.get("passed", []):
        for name, value in getattr(report, "user_properties", ()):
            if name.startswith("table:"):
                tables[name.removeprefix("table:")] = value
    for name, text in sorted(tables.items()):
        terminalreporter.section(name)
        terminalreporter.write_line(text)
