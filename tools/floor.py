"""A pytest plugin: how many tests each folder of a run has, held against `tests/floor.toml`.

A renamed fixture, a broken glob or a skip can switch off a hundred tests, and the run stays green.
So a folder that collects fewer tests than its floor fails the run, and so does a folder without a
floor, and a skip that the file does not allow. A run of some folders answers for those.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

_HEAD = """\
# The least number of tests each folder must collect; `make floor` raises it to what is there.
# A skip is allowed only by a table of this kind, with its reason:
#   [[skip]]
#   test = "tests/docs/test_x.py::test_y*"
#   why = "…"
"""


def folder_of(test: str) -> str:
    """`tests/unit`, `plugins/fx_fixed`: the first two names of the path."""
    return "/".join(test.split("::", maxsplit=1)[0].split("/")[:2])


def complaints(
    counts: Mapping[str, int], skipped: Iterable[str], floor: dict[str, Any]
) -> list[str]:
    """One sentence for each thing that is wrong; empty when all is as the file wants it."""
    floors: dict[str, int] = floor.get("floor", {})
    allowed = [entry["test"] for entry in floor.get("skip", [])]
    found = [
        f"{folder}: {counts.get(folder, 0)} tests, its floor is {least}"
        for folder, least in floors.items()
        if counts.get(folder, 0) < least
    ]
    found += [
        f"{folder}: has no floor; run `make floor`" for folder in counts if folder not in floors
    ]
    found += [
        f"{test}: skipped, and tests/floor.toml does not allow it"
        for test in sorted(set(skipped))
        if not any(fnmatch(test, pattern) for pattern in allowed)
    ]
    return found


def within(folder: str, places: Iterable[str | Path], root: Path) -> bool:
    """Whether the folder is one of these places, or lies in one or around one."""
    here = root / folder
    there = [root / place for place in places]
    return any(here.is_relative_to(each) or each.is_relative_to(here) for each in there)


class Floor:
    """Counts on the controller of a parallel run, or in the one process of another."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.file = config.rootpath / "tests" / "floor.toml"
        self.floor = tomllib.loads(self.file.read_text()) if self.file.exists() else {}
        self.floors: dict[str, int] = self.floor.get("floor", {})
        self.counts: Counter[str] = Counter()
        self.skipped: list[str] = []
        self.complaints: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self._count(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        if not self.counts:  # every worker collects the same
            self._count(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # whole modules skipped while collecting are known to the workers only
        self.skipped += getattr(node, "workeroutput", {}).get("skipped_modules", [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.config.option.write_floor:
            _write(self.file, self.counts, self.floors)
            return
        self.complaints = complaints(
            self.counts, self.skipped, self.floor | {"floor": self._held()}
        )
        if self.complaints and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("collected tests")
        for folder, count in sorted(self.counts.items()):
            terminalreporter.line(f"{folder:<32} {count:>5}   floor {self.floors.get(folder, '–')}")
        terminalreporter.line(f"{'all':<32} {self.counts.total():>5}")
        for complaint in self.complaints:
            terminalreporter.line(f"FLOOR {complaint}", red=True)

    def _held(self) -> dict[str, int]:
        """The floors of what this run was asked for."""
        root, left_out = self.config.rootpath, self.config.option.ignore or ()
        return {
            folder: least
            for folder, least in self.floors.items()
            if within(folder, self.config.args, root) and not within(folder, left_out, root)
        }

    def _count(self, ids: Iterable[str]) -> None:
        self.counts = Counter(map(folder_of, ids))


class SkippedModules:
    """In a worker: what was skipped while collecting goes home with the worker's output."""

    def __init__(self, config: pytest.Config) -> None:
        self.found: list[str] = vars(config)["workeroutput"].setdefault("skipped_modules", [])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.found.append(report.nodeid)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-floor", action="store_true", help="raise tests/floor.toml")


def pytest_configure(config: pytest.Config) -> None:
    in_worker = hasattr(config, "workerinput")
    config.pluginmanager.register(SkippedModules(config) if in_worker else Floor(config))


def _write(file: Path, counts: Mapping[str, int], floors: Mapping[str, int]) -> None:
    """Up only: who takes tests away lowers the floor by hand, where a reviewer sees it."""
    raised = {
        folder: max(counts.get(folder, 0), floors.get(folder, 0)) for folder in {*counts, *floors}
    }
    text = file.read_text() if file.exists() else _HEAD
    kept, _, rest = text.partition("[floor]\n")
    _, _, skips = rest.partition("\n\n")
    lines = "".join(f'"{folder}" = {count}\n' for folder, count in sorted(raised.items()))
    file.write_text(f"{kept.rstrip()}\n\n[floor]\n{lines}" + (f"\n{skips}" if skips else ""))
