"""What operators do with clients' wallets: open, credit, reverse a credit, set a limit, list.

Each change is one transaction: the wallet backend's posting, the row that the API shows and the
audit row happen together or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from babel.numbers import is_currency
from msgspec import Struct

from starship_core.audit import By, record
from starship_core.catalogue import touch
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound, WrongState
from starship_core.model import Entry, Money
from starship_core.ports import Statements
from starship_core.ship import Ship
from starship_core.store.orders import account_of
from starship_core.store.shelves import add_currencies
from starship_core.store.wallets import (
    Movement,
    WalletState,
    WalletType,
    find_movement,
    insert_wallet,
    lock_wallet,
    move,
    wallet_row,
    wallet_rows,
    wallet_state,
    write_limit,
)

_REFERENCE: Final = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")


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
    if not is_currency(currency):
        raise InvalidInput(f"{currency!r} is no ISO 4217 currency", field="currency")
    limit = credit_limit or Money(0, currency)
    _refuse_limit(limit, currency)

    def work(tx: Tx) -> WalletState:
        now = ship.now()
        touch(tx)  # first: its row is what makes two who add the same currency wait
        add_currencies(tx, {currency}, now)
        wallet_id = insert_wallet(tx, client_id, currency, type, now)
        ship.wallet.open_account(tx, account_of(wallet_id), currency, floor=0)
        state = lock_wallet(tx, wallet_id, ship.wallet)
        if limit.minor:
            state = write_limit(tx, state, limit, ship.wallet, now)
        record(tx, by, "wallet.open", f"wallet:{wallet_id}", at=now, after=state.facts())
        return state

    return await ship.database.run(work)


async def credit_wallet(  # noqa: PLR0913  # a credit has these facts
    ship: Ship, wallet_id: int, amount: Money, *, reference: str, by: By, remarks: str = ""
) -> Movement:
    """Put `amount` in, once for each `reference`.

    The same reference again with the same wallet and amount changes nothing and says so. Raises
    WrongState for another one, and when it was reversed since; NotFound; InvalidInput.
    """
    _refuse_malformed(amount, reference)

    def work(tx: Tx) -> Movement:
        state = lock_wallet(tx, wallet_id, ship.wallet)
        if amount.currency != state.currency:
            raise InvalidInput(
                f"wallet {wallet_id} is in {state.currency}, not {amount.currency}", field="amount"
            )
        if earlier := find_movement(tx, _credit_key(reference)):
            _refuse_another(earlier, wallet_id, amount, reference)
            if find_movement(tx, _reversal_key(reference)):
                raise WrongState(
                    f"the credit {reference} was reversed; use another reference", found="reversed"
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
        moved = move(tx, state, entry, ship.wallet, remarks=remarks or f"credit {reference}")
        _record(tx, by, state, moved, (entry, reference))
        return moved

    return await ship.database.run(work)


async def reverse_credit(ship: Ship, reference: str, *, by: By, remarks: str = "") -> Movement:
    """Take a credit back, all of it, once; again changes nothing and says so.

    Raises NotFound for an unknown reference, InsufficientFunds when the money has been spent.
    """

    def work(tx: Tx) -> Movement:
        credit = find_movement(tx, _credit_key(reference))
        if credit is None:
            raise NotFound("credit with the reference", reference)
        state = lock_wallet(tx, credit.wallet_id, ship.wallet)
        if earlier := find_movement(tx, _reversal_key(reference)):
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
        moved = move(tx, state, entry, ship.wallet, remarks=remarks or f"reversal of {reference}")
        _record(tx, by, state, moved, (entry, reference))
        return moved

    return await ship.database.run(work)


async def set_limit(ship: Ship, wallet_id: int, credit_limit: Money, *, by: By) -> WalletState:
    """How far below zero orders may take the wallet. Raises WrongState below what is owed now."""

    def work(tx: Tx) -> WalletState:
        before = lock_wallet(tx, wallet_id, ship.wallet)
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
        after = write_limit(tx, before, credit_limit, ship.wallet, now)
        record(
            tx, by, "wallet.limit", f"wallet:{wallet_id}", at=now, before=before.facts(),
            after=after.facts(),
        )  # fmt: skip
        return after

    return await ship.database.run(work)


async def show_wallet(ship: Ship, wallet_id: int) -> WalletState:
    """The wallet as it stands. Raises NotFound."""
    row = await ship.database.read(wallet_row, wallet_id)
    return wallet_state(row, await ship.wallet.balance(account_of(wallet_id)))


async def list_wallets(ship: Ship, client_id: int | None = None) -> Sequence[WalletState]:
    """All wallets, or a client's. Each balance is true at its own moment."""
    rows = await ship.database.read(wallet_rows, client_id)
    return [wallet_state(row, await ship.wallet.balance(account_of(row[0]))) for row in rows]


async def statement(ship: Ship, wallet_id: int, since: datetime, until: datetime) -> Statement:
    """What happened from `since` to before `until`; it adds up. Raises NotFound, InvalidInput."""
    backend: Any = ship.wallet
    if not hasattr(backend, "statement"):
        raise InvalidInput("this deployment's wallet backend gives no statements")
    statements: Statements = backend
    row = await ship.database.read(wallet_row, wallet_id)
    currency = str(row[2])
    opening, lines, closing = await statements.statement(account_of(wallet_id), since, until)
    return Statement(
        wallet_id=wallet_id,
        since=since,
        until=until,
        opening=Money(opening, currency),
        lines=tuple(
            Line(
                at=line.at,
                key=line.key,
                kind=line.kind,
                amount=Money(line.minor, currency),
                balance_after=Money(line.balance_after, currency),
            )
            for line in lines
        ),
        closing=Money(closing, currency),
    )


def _record(tx: Tx, by: By, state: WalletState, moved: Movement, told: tuple[Entry, str]) -> None:
    entry, reference = told
    facts = state.facts()
    moved_to = {"balance": moved.balance_after.text, "amount": moved.amount.text}
    record(
        tx, by, f"wallet.{entry.kind}", f"wallet:{state.id}", at=entry.at, before=facts,
        after=facts | moved_to | {"reference": reference},
    )  # fmt: skip


def _credit_key(reference: str) -> str:
    return f"topup:{reference}"


def _reversal_key(reference: str) -> str:
    return f"reversal:{reference}"


def _refuse_malformed(amount: Money, reference: str) -> None:
    """What is no credit, whatever the database holds."""
    if amount.minor <= 0:
        raise InvalidInput(f"a credit is more than 0, not {amount}", field="amount")
    if not _REFERENCE.fullmatch(reference):
        raise InvalidInput(
            "a reference is 1 to 255 printable ASCII characters without blanks at its ends",
            field="reference",
        )


def _refuse_another(earlier: Movement, wallet_id: int, amount: Money, reference: str) -> None:
    if (earlier.wallet_id, earlier.amount) != (wallet_id, amount):
        raise WrongState(
            f"{reference} is the reference of a credit of {earlier.amount} to wallet "
            f"{earlier.wallet_id}",
            found=str(earlier.amount),
            code="REFERENCE_TAKEN",
        )


def _refuse_limit(limit: Money, currency: str) -> None:
    if limit.minor < 0 or limit.currency != currency:
        raise InvalidInput(
            f"a credit limit is an amount of {currency} from 0 up, not {limit}",
            field="credit_limit",
        )
