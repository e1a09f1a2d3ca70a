"""Wallets as operators see them: rows of ours, balances of the wallet backend's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from msgspec import Struct

from starship_core.clock import micros
from starship_core.errors import NotFound, WrongState
from starship_core.model import Balance, Entry, Money
from starship_core.ports import Transaction, WalletBackend
from starship_core.store.orders import account_of
from starship_core.store.write import insert_transactions

WalletType = Literal["PREPAID", "POSTPAID"]
Row = tuple[Any, ...]

_COLUMNS: Final = "id, client_id, currency, account, type, credit_limit, is_active"
_WALLET: Final = f"SELECT {_COLUMNS} FROM wallets WHERE id = $1"
_WALLETS: Final = f"""
SELECT {_COLUMNS} FROM wallets
WHERE client_id = cast($1 AS bigint) OR cast($1 AS bigint) = 0 ORDER BY id
"""
_CLIENT: Final = "SELECT 1 FROM clients WHERE id = $1"
# the account is named after the id, which is not known yet
_OPEN: Final = """
INSERT INTO wallets (client_id, currency, account, type, credit_limit, created_at, updated_at)
VALUES ($1, $2, $3, $4, 0, $5, $5)
ON CONFLICT DO NOTHING RETURNING id
"""
_NAME: Final = "UPDATE wallets SET account = $2 WHERE id = $1"
_FIRST: Final = """
UPDATE clients SET default_wallet_id = $2 WHERE id = $1 AND default_wallet_id IS NULL
"""
_LIMIT: Final = "UPDATE wallets SET credit_limit = $2, updated_at = $3 WHERE id = $1"
_TRANSACTION: Final = """
SELECT id, wallet_id, amount, currency, balance_after FROM transactions WHERE key = $1
"""


class WalletState(Struct, frozen=True, kw_only=True):
    """A wallet and what is in it."""

    id: int
    client_id: int
    currency: str
    account: str
    type: WalletType
    credit_limit: Money
    balance: Money
    is_active: bool

    @property
    def spendable(self) -> Money:
        """What orders may still cost."""
        return Money(self.balance.minor + self.credit_limit.minor, self.currency)

    def facts(self) -> dict[str, Any]:
        """What an audit row keeps of it."""
        return {
            "currency": self.currency,
            "type": self.type,
            "credit_limit": self.credit_limit.text,
            "balance": self.balance.text,
        }


class Movement(Struct, frozen=True, kw_only=True):
    """Money put into a wallet or taken back. `repeated`: it was before, and nothing moved now."""

    wallet_id: int
    transaction_id: int
    amount: Money
    balance_after: Money
    repeated: bool


def wallet_row(tx: Transaction, wallet_id: int) -> Row:
    """For `wallet_state`. Raises NotFound."""
    rows = tx.execute(_WALLET, wallet_id)
    if not rows:
        raise NotFound("wallet", wallet_id)
    return rows[0]


def wallet_rows(tx: Transaction, client_id: int | None) -> Sequence[Row]:
    """A client's wallets, or all of them."""
    return tx.execute(_WALLETS, client_id or 0)


def wallet_state(row: Row, balance: Balance) -> WalletState:
    """The row and what the backend says of its account."""
    wallet_id, client_id, currency, account, kind, limit, active = row
    return WalletState(
        id=wallet_id,
        client_id=client_id,
        currency=currency,
        account=account,
        type=kind,
        credit_limit=Money(limit, currency),
        balance=Money(balance.minor, currency),
        is_active=bool(active),
    )


def lock_wallet(tx: Transaction, wallet_id: int, wallet: WalletBackend) -> WalletState:
    """The wallet, locked in the backend until commit. Raises NotFound, WrongState."""
    account = str(wallet_row(tx, wallet_id)[3])
    balances = wallet.lock(tx, [account])
    if account not in balances:
        raise WrongState(f"the wallet backend has no account {account}", found="missing")
    return wallet_state(wallet_row(tx, wallet_id), balances[account])


def insert_wallet(
    tx: Transaction, client_id: int, currency: str, kind: WalletType, now: datetime
) -> int:
    """The new wallet's id; the client's first becomes its default. Raises NotFound, WrongState."""
    if not tx.execute(_CLIENT, client_id):
        raise NotFound("client", client_id)
    unnamed = f"new:{client_id}:{currency}"
    opened = tx.execute(_OPEN, client_id, currency, unnamed, kind, micros(now))
    if not opened:
        raise WrongState(f"client {client_id} has a wallet in {currency} already", found="open")
    wallet_id = int(opened[0][0])
    tx.execute(_NAME, wallet_id, account_of(wallet_id))
    tx.execute(_FIRST, client_id, wallet_id)
    return wallet_id


def write_limit(
    tx: Transaction, state: WalletState, limit: Money, wallet: WalletBackend, now: datetime
) -> WalletState:
    """Set how far below zero the wallet may go, in our row and in the backend."""
    wallet.open_account(tx, account_of(state.id), state.currency, floor=-limit.minor)
    tx.execute(_LIMIT, state.id, limit.minor, micros(now))
    return lock_wallet(tx, state.id, wallet)


def move(
    tx: Transaction, state: WalletState, entry: Entry, wallet: WalletBackend, *, remarks: str
) -> Movement:
    """Post the entry, and write the row that the API shows."""
    balance = Money(wallet.post(tx, [entry])[0], entry.currency)
    amount = Money(abs(entry.minor), entry.currency)
    row = (
        state.id, None, entry.key, "CREDIT" if entry.minor > 0 else "DEBIT", amount.minor,
        entry.currency, None, None, None, None, None, None, balance.minor, remarks,
        micros(entry.at),
    )  # fmt: skip
    ids = insert_transactions(tx, [row])
    return Movement(
        wallet_id=state.id,
        transaction_id=ids[entry.key],
        amount=amount,
        balance_after=balance,
        repeated=False,
    )


def find_movement(tx: Transaction, key: str) -> Movement | None:
    """What was moved under this key before."""
    for transaction_id, wallet_id, amount, currency, balance_after in tx.execute(_TRANSACTION, key):
        return Movement(
            wallet_id=wallet_id,
            transaction_id=transaction_id,
            amount=Money(amount, currency),
            balance_after=Money(balance_after, currency),
            repeated=True,
        )
    return None
