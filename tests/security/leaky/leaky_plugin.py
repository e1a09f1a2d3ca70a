"""A plugin at its worst: everything that it raises quotes a code, and all of Python logs DEBUG."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from starship_core import (
    Secret,
    Sku,
    SourceRegistration,
    Toolbox,
    Voucher,
    WalletRegistration,
    Want,
    hookimpl,
)

CODE = os.environ["LEAKY_CODE"]
FLAG = Path(os.environ["LEAKY_FLAG"])
"""While this file is there, the wallet raises."""

for _name in (None, *logging.root.manager.loggerDict):
    logging.getLogger(_name).setLevel(logging.DEBUG)


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


def burst() -> None:
    """Raise, with the code in the text, the cause, the context, a note and the arguments."""
    try:
        int(CODE)
    except ValueError as error:
        wrong = RuntimeError(f"the vendor said: {{'code': '{CODE}'}}", CODE, {"code": CODE})
        wrong.add_note(f"while reading {CODE}")
        raise wrong from error


class LeakySource:
    """Hands over one voucher, and then raises."""

    async def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        yield Voucher(
            sku=Sku(1, 2000, "GBP"),
            reference="leaky-1",
            card_number=Secret(f"{CODE}-1"),
            pin_code=Secret(CODE),
        )
        burst()

    async def confirm(self, references: Sequence[str]) -> None:
        burst()

    async def recalled(self) -> Sequence[str]:
        return []


@asynccontextmanager
async def open_source(_config: Nothing, _toolbox: Toolbox) -> AsyncIterator[LeakySource]:
    yield LeakySource()


class LeakyWallet:
    """A ledger that raises while the flag is up."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        if FLAG.exists():
            burst()
        return getattr(self._ledger, name)


@asynccontextmanager
async def open_wallet(_config: Nothing, toolbox: Toolbox) -> AsyncIterator[LeakyWallet]:
    from starship_wallet_ledger.ledger import Ledger  # noqa: PLC0415

    yield LeakyWallet(Ledger(toolbox.database))


@hookimpl
def register_inventory_sources() -> Iterable[SourceRegistration[Any]]:
    return [SourceRegistration(name="leaky-source", api=1, config=Nothing, open=open_source)]


@hookimpl
def register_wallet_backends() -> Iterable[WalletRegistration[Any]]:
    return [
        WalletRegistration(
            name="leaky-wallet",
            api=1,
            config=Nothing,
            open=open_wallet,
            migrations="starship_wallet_ledger:migrations",
        )
    ]
