"""Wallet backends that are wrong in one thing each, made from wallet-ledger, which is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import starship_wallet_ledger

from starship_core import (
    Balance,
    Entry,
    NotFound,
    StatementLine,
    Toolbox,
    Transaction,
    Unavailable,
    WrongState,
)
from starship_core.testing.wallets import WalletCase

(GOOD,) = starship_wallet_ledger.register_wallet_backends()
CASE = WalletCase(registration=GOOD)


class Around:
    """wallet-ledger; a bad one replaces a method."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        return dict(self.inner.lock(tx, accounts))

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        return list(self.inner.post(tx, entries))

    def open_account(self, tx: Transaction, account: str, currency: str, *, floor: int) -> None:
        self.inner.open_account(tx, account, currency, floor=floor)

    async def balance(self, account: str) -> Balance:
        found: Balance = await self.inner.balance(account)
        return found

    async def statement(
        self, account: str, since: datetime, until: datetime
    ) -> tuple[int, Sequence[StatementLine], int]:
        opening, lines, closing = await self.inner.statement(account, since, until)
        return opening, lines, closing

    def violations(self, tx: Transaction) -> Sequence[str]:
        return list(self.inner.violations(tx))

    def entries(self, tx: Transaction, keys: Sequence[str]) -> Mapping[str, Entry]:
        return dict(self.inner.entries(tx, keys))

    def balances(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        return dict(self.inner.balances(tx, accounts))

    def now(self, tx: Transaction, entries: Sequence[Entry]) -> list[int]:
        """What the entries' accounts hold, each as it stands."""
        found = self.inner.balances(tx, [one.account for one in entries])
        return [found[one.account].minor if one.account in found else 0 for one in entries]


def acting(cls: type[Around]) -> WalletCase:
    """The case with a backend of this class."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Toolbox) -> AsyncIterator[Any]:
        async with GOOD.open(config, toolbox) as inner:
            yield cls(inner)

    return replace(CASE, registration=replace(GOOD, open=opened))


# --- accounts ---------------------------------------------------------------------------------
class Unlimited(Around):
    """Does not know the floor of an account that nothing has moved."""

    async def balance(self, account: str) -> Balance:
        found = await super().balance(account)
        return found if found.minor else msgspec.structs.replace(found, floor=0)


class Stubborn(Around):
    """Keeps the first floor."""

    def open_account(self, tx: Transaction, account: str, currency: str, *, floor: int) -> None:
        there = self.inner.balances(tx, [account]).get(account)
        if there is None or there.currency != currency:
            super().open_account(tx, account, currency, floor=floor)


class Polite(Around):
    """Says nothing of another currency."""

    def open_account(self, tx: Transaction, account: str, currency: str, *, floor: int) -> None:
        with suppress(WrongState):
            super().open_account(tx, account, currency, floor=floor)


class Inventive(Around):
    """Knows everybody's balance."""

    async def balance(self, account: str) -> Balance:
        with suppress(NotFound):
            return await super().balance(account)
        return Balance(account=account, currency="GBP", minor=0)


class Short(Around):
    """Forgets the floors of several accounts."""

    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        found = super().lock(tx, accounts)
        if len(found) < 2:
            return found
        return {name: msgspec.structs.replace(one, floor=0) for name, one in found.items()}


# --- entries ----------------------------------------------------------------------------------
class ByAccount(Around):
    """Answers account by account."""

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        answer = super().post(tx, entries)
        order = sorted(range(len(entries)), key=lambda place: entries[place].account)
        return [answer[place] for place in order]


class Demanding(Around):
    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        if not entries:
            raise ValueError("nothing to post")
        return super().post(tx, entries)


class Nostalgic(Around):
    """Answers a key as it did the first time."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.told: dict[str, int] = {}

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        answer = super().post(tx, entries)
        return [
            self.told.setdefault(one.key, now) for one, now in zip(entries, answer, strict=True)
        ]


class Amending(Around):
    """Takes another entry under a key for one more."""

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        try:
            return super().post(tx, entries)
        except WrongState as error:
            if error.code != "KEY_TAKEN":
                raise
        renamed = [msgspec.structs.replace(one, key=f"{one.key}:{one.minor}") for one in entries]
        return super().post(tx, renamed)


class Indulgent(Around):
    """Lends a penny."""

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        for one in entries:
            found = self.inner.balances(tx, [one.account]).get(one.account)
            if found is not None and one.minor == -1 and found.spendable == 0:
                floor = found.floor - 1
                super().open_account(tx, one.account, one.currency, floor=floor)
        return super().post(tx, entries)


class CreditsFirst(Around):
    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        return super().post(tx, sorted(entries, key=lambda one: one.kind != "credit"))


class Rounding(Around):
    """Takes a penny too much for a rounding, and says nothing."""

    amount = 0

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        if entries and entries[-1].minor == self.amount:
            return self.now(tx, entries)
        return super().post(tx, entries)


class RoundingRefunds(Rounding):
    amount = 101


class RoundingReversals(Rounding):
    amount = -101


class Unfounded(Around):
    """Lets a refund of nothing pass for one that was made."""

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        for one in entries:
            there = self.inner.entries(tx, [one.of or ""]).get(one.of or "")
            alone = len(entries) == 1 and one.of is not None
            if alone and (there is None or there.account != one.account):
                return self.now(tx, entries)
        return super().post(tx, entries)


class Converting(Around):
    """Takes yen for pounds."""

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        there = self.inner.balances(tx, [one.account for one in entries])
        return super().post(
            tx,
            [
                msgspec.structs.replace(one, currency=there[one.account].currency)
                if one.account in there
                else one
                for one in entries
            ],
        )


class Obliging(Around):
    """Makes the accounts that are not there."""

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        there = self.inner.balances(tx, [one.account for one in entries])
        for one in entries:
            if one.account not in there:
                super().open_account(tx, one.account, one.currency, floor=0)
        return super().post(tx, entries)


class Remembering(Around):
    """Keeps keys beside the database; a bad one says which."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.keys: set[str] = set()

    def known(self, entries: Sequence[Entry]) -> bool:
        return bool(entries) and any(one.key in self.keys for one in entries)


class KeepsRefused(Remembering):
    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        if self.known(entries):
            return self.now(tx, entries)
        tried = {one.key for one in entries}
        self.keys |= tried
        answer = super().post(tx, entries)
        self.keys -= tried
        return answer


class KeepsPosted(Remembering):
    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        if self.known(entries):
            return self.now(tx, entries)
        answer = super().post(tx, entries)
        self.keys |= {one.key for one in entries}
        return answer


class Floating(Around):
    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        return [int(float(one)) for one in super().post(tx, entries)]


# --- many at once -----------------------------------------------------------------------------
class Overworked(Around):
    """Is busy after six debits."""

    debits = 0

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        self.debits += any(one.kind == "debit" for one in entries)
        if self.debits > 6:
            raise Unavailable("busy")
        return super().post(tx, entries)


class Confused(Around):
    """Takes the last of four refunds for one that was made."""

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        if entries and entries[0].key.endswith("r3"):
            return self.now(tx, entries)
        return super().post(tx, entries)


class Impatient(Around):
    """Has had enough of a key that comes again and again."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.seen: Counter[str] = Counter()

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        self.seen.update(one.key for one in entries)
        if any(count > 5 for count in self.seen.values()):
            raise WrongState("once more", found="6")
        return super().post(tx, entries)


class Lockless(Around):
    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        return super().balances(tx, accounts)


class Disorderly(Around):
    """Locks accounts as they are named."""

    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        return {
            name: found
            for one in accounts
            for name, found in self.inner.lock(tx, [one]).items()
        }  # fmt: skip


class Ambiguous(Around):
    """Rows whose columns have one name: they cannot be told apart where statements are joined."""

    plain_rows = True

    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        ((_, _),) = tx.execute("SELECT 1 AS one, 2 AS one")
        return super().lock(tx, accounts)


# --- reports ----------------------------------------------------------------------------------
class Inexact(Around):
    async def statement(
        self, account: str, since: datetime, until: datetime
    ) -> tuple[int, Sequence[StatementLine], int]:
        opening, lines, closing = await super().statement(account, since, until)
        return opening + 1, lines, closing


class Inclusive(Around):
    """Counts the last moment in."""

    async def statement(
        self, account: str, since: datetime, until: datetime
    ) -> tuple[int, Sequence[StatementLine], int]:
        return await super().statement(account, since, until + timedelta(microseconds=1))


class Renaming(Around):
    async def statement(
        self, account: str, since: datetime, until: datetime
    ) -> tuple[int, Sequence[StatementLine], int]:
        opening, lines, closing = await super().statement(account, since, until)
        renamed: list[Any] = [
            SimpleNamespace(
                key=one.key, kind="movement", at=one.at, minor=one.minor,
                balance_after=one.balance_after,
            )
            for one in lines
        ]  # fmt: skip
        return opening, renamed, closing


class Oblivious(Around):
    """Forgets what a refund was of."""

    def entries(self, tx: Transaction, keys: Sequence[str]) -> Mapping[str, Entry]:
        found = super().entries(tx, keys)
        return {key: msgspec.structs.replace(one, of=None) for key, one in found.items()}


class Floorless(Around):
    def balances(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        found = super().balances(tx, accounts)
        return {name: msgspec.structs.replace(one, floor=0) for name, one in found.items()}


class Anxious(Around):
    def violations(self, tx: Transaction) -> Sequence[str]:
        rows = tx.execute("SELECT count(*) FROM ledger_transactions WHERE kind = 'refund'")
        return [f"I3 {rows[0][0]} refunds"]


BAD: dict[str, WalletCase] = {
    "its_migrations_are_there": replace(
        CASE, registration=replace(GOOD, migrations="starship_wallet_ledger:migration")
    ),
    "an_account_begins_empty": acting(Unlimited),
    "opening_again_sets_the_floor": acting(Stubborn),
    "an_account_keeps_its_currency": acting(Polite),
    "an_unknown_account_is_absent": acting(Inventive),
    "a_lock_answers_for_each_account": acting(Short),
    "each_entry_is_answered_with_its_balance": acting(ByAccount),
    "nothing_to_post_is_no_fault": acting(Demanding),
    "a_key_moves_once": acting(Nostalgic),
    "a_key_stands_for_one_entry": acting(Amending),
    "a_debit_stops_at_the_floor": acting(Indulgent),
    "a_later_credit_pays_no_earlier_debit": acting(CreditsFirst),
    "a_refund_fits_its_debit": acting(RoundingRefunds),
    "a_reversal_fits_its_credit": acting(RoundingReversals),
    "nothing_is_given_back_of_nothing": acting(Unfounded),
    "another_currency_is_refused": acting(Converting),
    "an_unknown_account_is_refused": acting(Obliging),
    "a_refused_batch_leaves_nothing": acting(KeepsRefused),
    "a_rollback_leaves_nothing": acting(KeepsPosted),
    "large_amounts_are_exact": acting(Floating),
    "debits_at_once_stop_at_the_floor": acting(Overworked),
    "refunds_at_once_fit_their_debit": acting(Confused),
    "a_key_at_once_moves_once": acting(Impatient),
    "statements_add_up": acting(Inexact),
    "a_line_is_in_one_window": acting(Inclusive),
    "lines_tell_what_was_posted": acting(Renaming),
    "entries_are_told_as_posted": acting(Oblivious),
    "balances_are_those_of_a_lock": acting(Floorless),
    "its_rows_hold": acting(Anxious),
}
"""The check's name → the backend that only this check fails, on SQLite and on PostgreSQL."""

ON_POSTGRESQL: dict[str, WalletCase] = {
    "a_lock_lasts_until_commit": acting(Lockless),
    "locks_are_taken_in_order": acting(Disorderly),
    "plain_rows_share_a_round_trip": acting(Ambiguous),
}
"""The same on PostgreSQL: where writers take turns, there is nothing to lock, and no round trip."""
