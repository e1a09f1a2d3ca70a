from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starship_wallet_ledger.ledger import Ledger

from starship_core import Entry
from starship_core.database import Database, Tx, opened
from starship_core.testing.clock import ManualClock

Make = Callable[..., Entry]


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """With connections enough for a crowd."""
    async with opened(database_url, folder=tmp_path, connections=16) as database:
        yield database


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    """Two wallets in pounds, one in yen; wallet:2 may owe 5.00."""
    ledger = Ledger(database)

    def accounts(tx: Tx) -> None:
        ledger.open_account(tx, "wallet:1", "GBP", floor=0)
        ledger.open_account(tx, "wallet:2", "GBP", floor=-500)
        ledger.open_account(tx, "wallet:3", "JPY", floor=0)

    await database.run(accounts)
    return ledger


@pytest.fixture
def entry(clock: ManualClock) -> Make:
    """`entry("credit", "topup:1", 500)`: on wallet:1 in GBP unless said otherwise."""

    def make(kind: Any, key: str, minor: int, **others: Any) -> Entry:
        usual: dict[str, Any] = {"account": "wallet:1", "currency": "GBP", "at": clock()}
        return Entry(kind=kind, key=key, minor=minor, **(usual | others))

    return make
