"""What operators do with clients' wallets: open them, put money in, take it back, set limits, list.

Each change is one transaction: the wallet backend's posting, the row that the API shows and the audit
row happen together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from babel.numbers import is_currency
from msgspec import Struct

from starship_core.audit import By, record
from starship_core.catalogue import touch
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound, WrongState
from starship_core.model import Balance, Entry, Money
from starship_core.ports import WalletBackend
from starship_core.shelves import add_currencies
from starship_core.ship import Ship
from starship_core.store.orders import account_of
from starship_core.store.write import insert_transactions

WalletType = Literal["PREPAID", "POSTPAID"]

_COLUMNS: Final = "id, client_id, currency, account, type, credit_limit, is_active"
_WALLET: Final = f"SELECT {_COLUMNS} FROM wallets WHERE id = $1"
_WALLETS: Final = f"""
SELECT {_COLUMNS} FROM wallets
WHERE client_id = cast($1 AS bigint) OR cast($1 AS bigint) = 0 ORDER BY id
"""
_CLIENT: Final = "SELECT 1 FROM clients WHERE id = $1"
# the account is named after the id, which is not known yet; the placeholder is as unique as the wallet
_OPEN: Final = """
INSERT INTO wallets (client_id, currency, account, type, credit_limit, created_at, updated_at)
VALUES ($1, $2, 'new:' || cast($1 AS text) || ':' || $2, $3, $4, $5, $5)
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


class Moved(Struct, frozen=True, kw_only=True):
    """A credit or its reversal. `repeated`: it had happened before, and nothing moved now."""

    wallet_id: int
    transaction_id: int
    reference: str
    amount: Money
    balance_after: Money
    repeated: bool


class Line(Struct, frozen=True, kw_only=True):
    """One line of a statement; `amount` is negative when it was taken."""

    at: datetime
    key: str
    kind: str
    amount: Money
    balance_after: Money


class Statement(Struct, frozen=True, kw_only=True):
    """A window of a wallet's history: opening + lines = closing."""

    wallet_id: int
    since: datetime
    until: datetime
    opening: Money
    lines: tuple[Line, ...]
    closing: Money


async def open_wallet(  # noqa: PLR0913  # what a wallet is, and whose hand opens it
    ship: Ship,
    client_id: int,
    currency: str,
    *,
    by: By,
    type: WalletType = "PREPAID",  # noqa: A002  # the API's own word
    credit_limit: Money | None = None,
) -> WalletState:
    """A client's only wallet in this currency; its first one becomes its default.

    Raises NotFound, InvalidInput, and WrongState when there is one.
    """
    limit = credit_limit or Money(0, currency)
    if not is_currency(currency):
        raise InvalidInput(f"{currency!r} is no ISO 4217 currency", field="currency")
    _refuse_limit(limit, currency)

    def work(tx: Tx) -> WalletState:
        now = ship.now()
        if not tx.execute(_CLIENT, client_id):
            raise NotFound("client", client_id)
        opened = tx.execute(_OPEN, client_id, currency, type, limit.minor, micros(now))
        if not opened:
            raise WrongState(f"client {client_id} has a wallet in {currency} already", found="open")
        wallet_id = int(opened[0][0])
        account = account_of(wallet_id)
        tx.execute(_NAME, wallet_id, account)
        tx.execute(_FIRST, client_id, wallet_id)
        ship.wallet.open_account(tx, account, currency, floor=-limit.minor)
        add_currencies(tx, {currency}, now)
        touch(tx)
        state = _locked(tx, wallet_id, ship.wallet)
        record(tx, by, "wallet.open", f"wallet:{wallet_id}", at=now, after=_facts(state))
        return state

    return await ship.database.run(work)


async def credit_wallet(  # noqa: PLR0913  # a top-up has these facts
    ship: Ship, wallet_id: int, amount: Money, *, reference: str, by: By, remarks: str = ""
) -> Moved:
    """Put `amount` in, once for each `reference`.

    The same reference again with the same wallet and amount changes nothing and says so. Raises
    WrongState for another one, or when it was reversed; NotFound, InvalidInput.
    """
    if amount.minor <= 0:
        raise InvalidInput(f"a credit is more than 0, not {amount}", field="amount")
    _refuse_reference(reference)

    def work(tx: Tx) -> Moved:
        state = _locked(tx, wallet_id, ship.wallet)
        _refuse_currency(state, amount)
        if earlier := _moved(tx, _credit_key(reference), reference):
            if _moved(tx, _reversal_key(reference), reference):
                raise WrongState(
                    f"the credit {reference} was reversed; use another reference", found="reversed"
                )
            if (earlier.wallet_id, earlier.amount) != (wallet_id, amount):
                raise WrongState(
                    f"{reference} is the reference of a credit of {earlier.amount} to wallet "
                    f"{earlier.wallet_id}",
                    found=str(earlier.amount),
                    code="REFERENCE_TAKEN",
                )
            return earlier
        entry = Entry(
            key=_credit_key(reference),
            account=state.account,
            minor=amount.minor,
            currency=amount.currency,
            kind="credit",
            at=ship.now(),
        )
        return _move(tx, ship.wallet, state, entry, (by, reference, remarks or f"credit {reference}"))

    return await ship.database.run(work)


async def reverse_credit(ship: Ship, reference: str, *, by: By, remarks: str = "") -> Moved:
    """Take a credit back, all of it, once.

    Raises NotFound for an unknown reference and InsufficientFunds when the money has been spent.
    """

    def work(tx: Tx) -> Moved:
        credit = _moved(tx, _credit_key(reference), reference)
        if credit is None:
            raise NotFound("credit with the reference", reference)
        state = _locked(tx, credit.wallet_id, ship.wallet)
        if earlier := _moved(tx, _reversal_key(reference), reference):
            return earlier
        entry = Entry(
            key=_reversal_key(reference),
            account=state.account,
            minor=-credit.amount.minor,
            currency=state.currency,
            kind="reversal",
            of=_credit_key(reference),
            at=ship.now(),
        )
        return _move(
            tx, ship.wallet, state, entry, (by, reference, remarks or f"reversal of {reference}")
        )

    return await ship.database.run(work)


async def set_limit(ship: Ship, wallet_id: int, credit_limit: Money, *, by: By) -> WalletState:
    """How far below zero orders may take the wallet. Raises WrongState below what is owed now."""

    def work(tx: Tx) -> WalletState:
        before = _locked(tx, wallet_id, ship.wallet)
        _refuse_limit(credit_limit, before.currency)
        if before.credit_limit == credit_limit:
            return before
        owed = Money(max(0, -before.balance.minor), before.currency)
        if credit_limit < owed:
            raise WrongState(
                f"wallet {wallet_id} owes {owed}; its limit cannot be {credit_limit}",
                found=str(owed),
            )
        now = ship.now()
        ship.wallet.open_account(tx, before.account, before.currency, floor=-credit_limit.minor)
        tx.execute(_LIMIT, wallet_id, credit_limit.minor, micros(now))
        after = _locked(tx, wallet_id, ship.wallet)
        record(
            tx, by, "wallet.limit", f"wallet:{wallet_id}", at=now, before=_facts(before),
            after=_facts(after),
        )  # fmt: skip
        return after

    return await ship.database.run(work)
