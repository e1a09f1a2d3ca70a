"""What the wallet kit checks of entries: what moves, what is refused, what is left behind."""

from __future__ import annotations

from typing import Any, Final

import pytest

from starship_core import InsufficientFunds, StarshipError, Transaction, WrongState
from starship_core.testing.books import Books
from starship_core.testing.kit import Conformance
from starship_core.testing.plug_case import raised

LARGE: Final = 2**53 + 1
"""Minor units; as a float it is another number."""


class EntryChecks(Conformance):
    """Entries move balances, in the caller's transaction and by their keys."""

    pytestmark = pytest.mark.asyncio

    async def test_each_entry_is_answered_with_its_balance(self, books: Books) -> None:
        """The account's, after it, in the order of the entries.

        If this fails: compute running balances by account, and answer in the order given.
        """
        async with books.wallet() as wallet:
            await books.made(wallet, "b", currency="JPY")
            b: dict[str, Any] = {"account": books.account("b"), "currency": "JPY"}
            answer = await books.posted(
                wallet,
                books.entry("credit", "topup", 1000),
                books.entry("credit", "topup:b", 700, **b),
                books.entry("debit", "order", -300),
                books.entry("debit", "order:b", -200, **b),
                books.entry("refund", "back", 100, of="order"),
                books.entry("reversal", "undo", -800, of="topup"),
            )
            assert (await books.holds(wallet), await books.holds(wallet, "b")) == (0, 500)
        assert answer == [1000, 700, 700, 500, 800, 0]

    async def test_nothing_to_post_is_no_fault(self, books: Books) -> None:
        """An empty batch has an empty answer.

        If this fails: return early.
        """
        async with books.wallet(1000) as wallet:
            assert await books.posted(wallet) == []
            assert await books.holds(wallet) == 1000

    async def test_a_key_moves_once(self, books: Books) -> None:
        """Again in the same batch, in another, or an hour later: the answer is the balance as it
        stands.

        If this fails: the key is unique in the database; insert, and pass over what was there.
        """
        async with books.wallet(1000) as wallet:
            debit = books.entry("debit", "order", -300)
            twice = await books.posted(wallet, debit, debit)
            await books.posted(wallet, books.entry("debit", "another", -100))
            books.clock.advance(hours=1)
            later = await books.posted(wallet, books.entry("debit", "order", -300))
            assert await books.holds(wallet) == 600
        assert (twice, later) == ([700, 700], [600])

    async def test_a_key_stands_for_one_entry(self, books: Books) -> None:
        """Another amount, or another account, under a key that was posted moves nothing.

        If this fails: compare with what is posted under the key, and raise `WrongState`.
        """
        async with books.wallet(1000) as wallet:
            await books.made(wallet, "b")
            await books.posted(wallet, books.entry("debit", "order", -300))
            await books.refused(wallet, books.entry("debit", "order", -200))
            await books.refused(wallet, books.entry("credit", "order", 50))
            onto_b = books.entry("credit", "order", 50, account=books.account("b"))
            await books.refused(wallet, onto_b)
            assert (await books.holds(wallet), await books.holds(wallet, "b")) == (700, 0)

    async def test_a_debit_stops_at_the_floor(self, books: Books) -> None:
        """To the floor itself, and not a unit further: InsufficientFunds.

        If this fails: compare the new balance with the floor where it is moved.
        """
        async with books.wallet(1000, floor=-500) as wallet:
            assert await books.posted(wallet, books.entry("debit", "all", -1500)) == [-500]
            error = await books.refused(wallet, books.entry("debit", "more", -1))
            assert isinstance(error, InsufficientFunds)
            assert await books.holds(wallet) == -500

    async def test_a_later_credit_pays_no_earlier_debit(self, books: Books) -> None:
        """Entries are posted in order, also within a batch.

        If this fails: look at the balance after each entry, not after the batch.
        """
        async with books.wallet() as wallet:
            batch = [books.entry("debit", "order", -300), books.entry("credit", "late", 300)]
            assert isinstance(await books.refused(wallet, *batch), InsufficientFunds)
            assert await books.holds(wallet) == 0

    async def test_a_refund_fits_its_debit(self, books: Books) -> None:
        """All refunds of a debit together, in one batch or in several: WrongState.

        If this fails: sum what was given back already, and what this batch gives back.
        """
        async with books.wallet(1000) as wallet:
            await books.posted(wallet, books.entry("debit", "order", -300))
            over = [books.entry("refund", f"o{n}", 151, of="order") for n in range(2)]
            assert isinstance(await books.refused(wallet, *over), WrongState)
            await books.posted(wallet, books.entry("refund", "part", 200, of="order"))
            rest = books.entry("refund", "rest", 101, of="order")
            assert isinstance(await books.refused(wallet, rest), WrongState)
            assert await books.posted(
                wallet, books.entry("refund", "exact", 100, of="order")
            ) == [1000]  # fmt: skip

    async def test_a_reversal_fits_its_credit(self, books: Books) -> None:
        """As a refund its debit: WrongState.

        If this fails: treat reversals as refunds, with the other sign.
        """
        async with books.wallet(1000) as wallet:
            await books.posted(wallet, books.entry("credit", "topup", 300))
            await books.posted(wallet, books.entry("reversal", "part", -200, of="topup"))
            rest = books.entry("reversal", "rest", -101, of="topup")
            assert isinstance(await books.refused(wallet, rest), WrongState)
            assert await books.holds(wallet) == 1100

    async def test_nothing_is_given_back_of_nothing(self, books: Books) -> None:
        """Of a key that was never posted, or of somebody else's debit: WrongState.

        If this fails: look up the entry it is `of`, by key and account.
        """
        async with books.wallet(1000) as wallet:
            await books.made(wallet, "b")
            await books.posted(wallet, books.entry("debit", "order", -300))
            stranger = books.entry("refund", "r1", 1, of="stranger")
            others = books.entry("refund", "r2", 1, of="order", account=books.account("b"))
            for refund in (stranger, others):
                assert isinstance(await books.refused(wallet, refund), WrongState)
            assert (await books.holds(wallet), await books.holds(wallet, "b")) == (700, 0)

    async def test_another_currency_is_refused(self, books: Books) -> None:
        """An account moves in its own.

        If this fails: compare the entry's currency with the account's.
        """
        async with books.wallet(1000) as wallet:
            for kind, minor in (("credit", 500), ("debit", -500)):
                entry = books.entry(kind, f"yen:{kind}", minor, currency="JPY")
                assert isinstance(await books.refused(wallet, entry), StarshipError)
            assert await books.holds(wallet) == 1000

    async def test_an_unknown_account_is_refused(self, books: Books) -> None:
        """And not made on the way.

        If this fails: raise `NotFound` where no account was moved.
        """
        async with books.wallet() as wallet:
            nobody = books.account("nobody")
            entry = books.entry("credit", "topup", 500, account=nobody)
            assert isinstance(await books.refused(wallet, entry), StarshipError)
            assert nobody not in await books.run(lambda tx: wallet.lock(tx, [nobody]))

    async def test_a_refused_batch_leaves_nothing(self, books: Books) -> None:
        """Of entries posted together all stand or none, and the keys of none are taken.

        If this fails: raise, and let the caller's transaction roll back.
        """
        async with books.wallet() as wallet:
            topup = books.entry("credit", "topup", 200)
            order = books.entry("debit", "order", -300)
            assert isinstance(await books.refused(wallet, topup, order), InsufficientFunds)
            assert await books.holds(wallet) == 0
            more = books.entry("credit", "more", 100)
            assert await books.posted(wallet, more, topup, order) == [100, 300, 0]

    async def test_a_rollback_leaves_nothing(self, books: Books) -> None:
        """The transaction is the core's: what it gives up was never posted.

        If this fails: write through `tx` alone, and remember nothing beside it.
        """
        async with books.wallet(1000) as wallet:
            order = books.entry("debit", "order", -300)

            def given_up(tx: Transaction) -> None:
                wallet.open_account(tx, books.account("b"), "GBP", floor=0)
                wallet.post(tx, [order])
                raise _GivenUpError

            assert isinstance(await raised(books.database.run(given_up)), _GivenUpError)
            b = books.account("b")
            assert b not in await books.run(lambda tx: wallet.lock(tx, [b]))
            assert await books.holds(wallet) == 1000
            assert await books.posted(wallet, order) == [700]

    async def test_large_amounts_are_exact(self, books: Books) -> None:
        """To the minor unit; balances are whole numbers.

        If this fails: keep minor units as integers of 64 bits.
        """
        async with books.wallet() as wallet:
            answer = await books.posted(
                wallet, books.entry("credit", "topup", LARGE), books.entry("debit", "one", -1)
            )
            stands = (await books.stands(wallet)).minor
        assert answer == [LARGE, LARGE - 1]
        assert stands == LARGE - 1
        assert {type(one) for one in (*answer, stands)} == {int}


class _GivenUpError(Exception):
    """The core changed its mind."""
