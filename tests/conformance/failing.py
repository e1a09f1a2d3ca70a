"""Which checks of a kit a plugin fails."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from starship_core.testing.kit import Conformance
from starship_core.testing.plug_facts import PlugChecks


def checks_of(kit: type[Conformance]) -> list[str]:
    """A kit's own, in the order in which they are written; the shared ones are the vendor kit's."""
    parts = [part for part in kit.__bases__ if part is not PlugChecks]
    return [name for part in parts for name in vars(part) if name.startswith("test_")]


def given(check: Any) -> dict[str, Any]:
    """What a check is called with: the first of its faults, if it takes faults."""
    (mark,) = [m for m in getattr(check, "pytestmark", ()) if m.name == "parametrize"] or [None]
    return {} if mark is None else {mark.args[0]: mark.args[1][0]}


async def failing(
    kit: type[Conformance], stage: Callable[[str], Any], checks: Sequence[str] | None = None
) -> set[str]:
    """The checks that fail, each on a stage of its own; left out: all of the kit's own."""
    failed = set()
    for name in checks_of(kit) if checks is None else checks:
        check = getattr(kit, name)
        short = name.removeprefix("test_")
        try:
            await check(kit(), stage(short), **given(check))
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  # a check may fail anyhow
            failed.add(short)
    return failed
