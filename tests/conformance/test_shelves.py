"""The sources in memory that other tests pump from, under the kit: a fake that lies proves lies."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from starship_core import Secret, Sku, SourceRegistration, Toolbox, Voucher
from starship_core.testing.plugs import Nothing
from starship_core.testing.sources import SourceCase, SourceConformance
from tests.e2e import servers
from tests.integration import ships

UNITS = [
    Voucher(sku=Sku(7, 1000, "EUR"), reference=f"u{number}", card_number=Secret(f"CODE-{number}"))
    for number in range(3)
]


def shelved(filled: Callable[[], Any]) -> SourceCase:
    """A shelf for each folder: whoever opens it again finds it as he left it."""
    shelves: dict[Path, Any] = {}

    def fill(folder: Path) -> Sequence[Voucher]:
        shelves[folder] = filled()
        return UNITS

    @asynccontextmanager
    async def opened(_config: Nothing, toolbox: Toolbox) -> AsyncIterator[Any]:
        yield shelves.setdefault(toolbox.folder, filled())

    def recall(folder: Path, reference: str) -> None:
        shelves[folder].recalls.append(reference)

    return SourceCase(
        registration=SourceRegistration(name="shelf", api=1, config=Nothing, open=opened),
        fill=fill,
        away=lambda _folder: None,
        recall=recall,
    )


class ShelfConformance(SourceConformance):
    """But for what memory cannot be."""

    @pytest.mark.xfail(reason="a shelf in memory is never away", strict=True)
    async def test_a_place_that_is_away_is_unavailable(self, stage: Any) -> None:
        """The kit's own check, which fails."""
        await SourceConformance().test_a_place_that_is_away_is_unavailable(stage)


class TestShelfOfFlows(ShelfConformance):
    """`tests/integration/ships.py`."""

    @pytest.fixture
    def case(self) -> SourceCase:
        """Filled by hand."""
        return shelved(lambda: ships.Shelf({one.reference: one for one in UNITS}))


class TestShelfOverHttp(ShelfConformance):
    """`tests/e2e/servers.py`."""

    @pytest.fixture
    def case(self) -> SourceCase:
        """Filled when it is made."""
        return shelved(lambda: servers.Shelf(UNITS))
