from pathlib import Path

import msgspec
import pytest
import starship_wallet_ledger
from starship_wallet_ledger.ledger import Ledger

from starship_core import (
    PLUGIN_API,
    Database,
    Reconciles,
    Statements,
    Toolbox,
    Transaction,
    Verifies,
    WalletBackend,
)
from starship_core.schema import scripts
from starship_core.testing.clock import ManualClock


def accepted(ledger: Ledger) -> tuple[WalletBackend, Statements, Verifies, Reconciles]:
    """For the type checker: the ledger is all four."""
    return ledger, ledger, ledger, ledger


async def test_what_the_hook_hands_over(database: Database, clock: ManualClock) -> None:
    """One registration of this plugin API, which opens without touching anything."""
    (registration,) = starship_wallet_ledger.register_wallet_backends()
    toolbox = Toolbox(
        instance="wallet",
        environment="test",
        now=clock,
        log=print,
        database=database,
        data_dir=Path(),
    )

    def opened(tx: Transaction) -> None:
        ledger.open_account(tx, "wallet:1", "GBP", floor=0)

    async with registration.open(registration.config(), toolbox) as ledger:
        await database.run(opened)
        assert (await ledger.balance("wallet:1")).minor == 0
    assert (registration.name, registration.kind) == ("wallet-ledger", "wallet")
    assert registration.api == PLUGIN_API


def test_its_migrations_are_where_it_says() -> None:
    """The core finds revision 0001 without importing the package."""
    (registration,) = starship_wallet_ledger.register_wallet_backends()
    found = scripts(str(registration.facts()["migrations"]))
    assert found is not None
    assert (found.package, found.want()) == ("starship_wallet_ledger", "0001")


def test_there_is_nothing_to_set() -> None:
    """A field in the section is a mistake, and named."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `flor`"):
        msgspec.convert({"flor": 1}, starship_wallet_ledger.LedgerConfig)
