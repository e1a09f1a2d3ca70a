"""wallet-ledger: balances kept in double entry, in the deployment's own database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from starship_core import Toolbox, WalletBackend, WalletRegistration, hookimpl


class LedgerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`[wallet] use = "wallet-ledger"`: there is nothing to set."""


@asynccontextmanager
async def open_ledger(_config: LedgerConfig, toolbox: Toolbox) -> AsyncIterator[WalletBackend]:
    """The ledger in the deployment's database; its tables are made by `starship db upgrade`."""
    from starship_wallet_ledger.ledger import Ledger  # noqa: PLC0415  # only who uses it pays for it

    yield Ledger(toolbox.database)


@hookimpl
def register_wallet_backends() -> Iterable[WalletRegistration[Any]]:
    return [
        WalletRegistration(
            name="wallet-ledger",
            api=1,
            config=LedgerConfig,
            open=open_ledger,
            migrations="starship_wallet_ledger:migrations",
        )
    ]
