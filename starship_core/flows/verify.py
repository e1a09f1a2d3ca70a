"""Check every invariant that shows in the data, on one snapshot; name the invariant and the row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.database import Tx
from starship_core.model import Money, Price
from starship_core.ports import WalletBackend
from starship_core.ship import Ship
from starship_core.store.books import money_violations
from starship_core.store.check import Check
from starship_core.store.claim import OpenCode
from starship_core.store.invariants import CHECKS
from starship_core.vault import MissingKey, Unsealable

MOST: Final = 100
"""Rows named per check; one is enough to stop a release."""
_CHUNK: Final = 5_000
_decode_price = msgspec.json.Decoder(Price).decode


class Violation(Struct, frozen=True, kw_only=True):
    """One broken invariant (docs/invariants.md) in one row."""

    invariant: str
    row: str
    problem: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.row}: {self.problem}"


_SEALED: Final = """
SELECT id, sealed, key_id FROM vouchers
WHERE id > $1 AND state IN ('received', 'pooled', 'assigned') ORDER BY id LIMIT $2
"""
_PRICES: Final = """
SELECT id, charged, amount_currency, price FROM orders WHERE id > $1 ORDER BY id LIMIT $2
"""


STEPS: Final = len(CHECKS) + 3
"""How often `progress` is called: after each query, the money, the prices, the codes."""


async def verify(
    ship: Ship, *, progress: Callable[[int], None] = lambda _count: None
) -> list[Violation]:
    """All violations found, at most 100 a check; empty when every invariant holds."""
    return await ship.database.read(_verify, ship.wallet, ship.vault.reveal, progress)


def _verify(
    tx: Tx, wallet: WalletBackend, reveal: OpenCode, progress: Callable[[int], None]
) -> list[Violation]:
    if tx.dialect == "postgresql":
        tx.execute("SET LOCAL statement_timeout = 0")  # all rows are read, however many
        tx.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    found: list[Violation] = []
    for step in (
        *(_broken(tx, check) for check in CHECKS),
        _money(tx, wallet),
        islice(_mispriced(tx), MOST),
        islice(_unreadable(tx, reveal), MOST),
    ):
        found += step  # only now is it asked
        progress(1)
    return found


def _broken(tx: Tx, check: Check) -> Iterator[Violation]:
    for row in tx.execute(f"{check.query} LIMIT {MOST}"):
        yield Violation(invariant=check.invariant, row=str(row[0]), problem=check.problem)


def _money(tx: Tx, wallet: WalletBackend) -> Iterator[Violation]:
    """`I2 ledger_accounts wallet:3: what is wrong`, as the ledger's own check says it."""
    for sentence in money_violations(tx, wallet):
        invariant, _, rest = sentence.partition(" ")
        row, _, problem = rest.partition(": ")
        yield Violation(invariant=invariant, row=row, problem=problem or row)


def _mispriced(tx: Tx) -> Iterator[Violation]:
    """Orders that were not charged what their kept price says, or whose price cannot be read."""
    for order_id, charged, currency, text in _all_rows(tx, _PRICES):
        try:
            price = _decode_price(text)
        except msgspec.MsgspecError:
            problem = "its price cannot be read"
        else:
            due, taken = Money(price.total_payable, price.currency), Money(charged, currency)
            if due == taken:
                continue
            problem = f"charged {taken}, priced at {due}"
        yield Violation(invariant="I3", row=f"order {order_id}", problem=problem)


def _unreadable(tx: Tx, reveal: OpenCode) -> Iterator[Violation]:
    """Codes that no longer open: altered, moved to another row, or their key is gone."""
    for voucher_id, sealed, key_id in _all_rows(tx, _SEALED):
        try:
            reveal(voucher_id, sealed, key_id)
        except (Unsealable, MissingKey) as error:
            yield Violation(invariant="I8", row=f"voucher {voucher_id}", problem=str(error))


def _all_rows(tx: Tx, query: str) -> Iterator[tuple[Any, ...]]:
    """Chunk after chunk by id, so that a million rows need no more memory than five thousand."""
    last = 0
    while rows := tx.execute(query, last, _CHUNK):
        yield from rows
        last = rows[-1][0]
