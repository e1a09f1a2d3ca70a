"""What the wallet kit checks of accounts and their locks, and of many who post at once."""

from __future__ import annotations

import asyncio

import pytest

from starship_core import Balance, InsufficientFunds, NotFound, StarshipError, schema
from starship_core.testing.books import Books
from starship_core.testing.kit import Conformance
from starship_core.testing.plug_case import called, raised


class AccountChecks(Conformance):
    """Accounts have a currency, a balance and a floor."""

    pytestmark = pytest.mark.asyncio

    async def test_its_migrations_are_there(self, books: Books) -> None:
        """Where the registration says: `starship db upgrade` makes the tables by them.

        If this fails: `migrations="package:folder"`, and the folder is part of the wheel.
        """
        where = books.case.registration.migrations
        if where is not None:
            assert schema.scripts(where), f"there is nothing at {where}"

    async def test_an_account_begins_empty(self, books: Books) -> None:
        """With its currency and its floor.

        If this fails: `open_account` writes a row in the transaction that it is given.
        """
        async with books.wallet(floor=-500) as wallet:
            assert await books.stands(wallet) == Balance(
                account=books.account(), currency="GBP", minor=0, floor=-500
            )

    async def test_opening_again_sets_the_floor(self, books: Books) -> None:
        """And changes nothing else: it is idempotent.

        If this fails: insert, and where there is one update its floor alone.
        """
        async with books.wallet(1000) as wallet:
            await books.made(wallet)
            await books.made(wallet, floor=-500)
            stands = await books.stands(wallet)
        assert (stands.minor, stands.floor) == (1000, -500)

    async def test_an_account_keeps_its_currency(self, books: Books) -> None:
        """Opened in another one, it is refused.

        If this fails: raise `WrongState` where the account that is there has another currency.
        """
        async with books.wallet(1000) as wallet:
            assert isinstance(await raised(books.made(wallet, currency="JPY")), StarshipError)
            stands = await books.stands(wallet)
        assert (stands.minor, stands.currency) == (1000, "GBP")

    async def test_an_unknown_account_is_absent(self, books: Books) -> None:
        """From the answer of `lock`; `balance` raises NotFound.

        If this fails: answer for the accounts that there are, and invent none.
        """
        async with books.wallet() as wallet:
            names = [books.account("nobody"), books.account()]
            found = await books.run(lambda tx: wallet.lock(tx, names))
            assert isinstance(await raised(wallet.balance(books.account("nobody"))), NotFound)
        assert set(found) == {books.account()}

    async def test_a_lock_answers_for_each_account(self, books: Books) -> None:
        """With what it holds, in whatever order and however often it is named.

        If this fails: select by a set of names, and answer by name.
        """
        async with books.wallet(1000) as wallet:
            await books.made(wallet, "b", floor=-5)
            names = [books.account("b"), books.account("a"), books.account("b")]
            found = await books.run(lambda tx: dict(wallet.lock(tx, names)))
            none = await books.run(lambda tx: dict(wallet.lock(tx, [])))
        a, b = books.account("a"), books.account("b")
        assert found == {
            a: Balance(account=a, currency="GBP", minor=1000),
            b: Balance(account=b, currency="GBP", minor=0, floor=-5),
        }
        assert none == {}


class ConcurrencyChecks(Conformance):
    """Many post at once, and each as if it were alone."""

    pytestmark = pytest.mark.asyncio

    async def test_debits_at_once_stop_at_the_floor(self, books: Books) -> None:
        """Of eight debits three can be paid, and three are.

        If this fails: move the balance in one statement that compares it with the floor.
        """
        async with books.wallet(1000) as wallet:
            debits = [[books.entry("debit", f"order:{number}", -300)] for number in range(8)]
            answers = await books.together(wallet, debits)
            left = await books.holds(wallet)
        assert sorted(one[0] for one in answers if isinstance(one, list)) == [100, 400, 700]
        assert [type(one) for one in answers if not isinstance(one, list)] == 5 * [
            InsufficientFunds
        ]
        assert left == 100

    async def test_refunds_at_once_fit_their_debit(self, books: Books) -> None:
        """Of four that give back all of it, one does.

        If this fails: read what is left of a debit under the lock of its account.
        """
        async with books.wallet(1000) as wallet:
            await books.posted(wallet, books.entry("debit", "order", -300))
            refunds = [[books.entry("refund", f"r{n}", 300, of="order")] for n in range(4)]
            answers = await books.together(wallet, refunds)
            assert await books.holds(wallet) == 1000
        assert [one for one in answers if isinstance(one, list)] == [[1000]]

    async def test_a_key_at_once_moves_once(self, books: Books) -> None:
        """Whoever comes second waits, and is told the balance as it stands.

        If this fails: the key is unique in the database, and goes in before the balance moves.
        """
        async with books.wallet(1000) as wallet:
            same = books.entry("debit", "order", -300)
            answers = await books.together(wallet, 6 * [[same]])
            assert await books.holds(wallet) == 700
        assert answers == 6 * [[700]]

    async def test_a_lock_lasts_until_commit(self, books: Books) -> None:
        """Meanwhile nobody else moves the account. (One writer at a time needs no lock.)

        If this fails: `SELECT … FOR UPDATE`, in the transaction that is given.
        """
        async with books.wallet(1000) as wallet:
            if books.one_writer:
                return
            async with books.locked(wallet, "a"):
                debit = books.posted(wallet, books.entry("debit", "order", -300))
                other = asyncio.ensure_future(debit)
                assert await books.waits(other), "it was moved under the lock"
            assert await called(other) == [700]

    async def test_locks_are_taken_in_order(self, books: Books) -> None:
        """Of name, whatever the order in which they are asked for: or two wait for each other.

        If this fails: `ORDER BY account FOR UPDATE`, in one statement.
        """
        async with books.wallet() as wallet:
            await books.made(wallet, "b")
            if books.one_writer:
                return
            both = [books.account("b"), books.account("a")]
            third, held = asyncio.ensure_future(asyncio.sleep(0)), False
            async with books.locked(wallet, "a"):
                second = asyncio.ensure_future(books.run(lambda tx: wallet.lock(tx, both)))
                if await books.waits(second):  # where nothing is locked, another check tells
                    first = both[:1]
                    third = asyncio.ensure_future(books.run(lambda tx: wallet.lock(tx, first)))
                    held = await books.waits(third, waiters=2)
            await asyncio.gather(second, third)
        assert not held, "b was locked before a"
