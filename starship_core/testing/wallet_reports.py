"""What the wallet kit checks of a backend that reports: statements, reconciliation, its own rows.

An ability that a backend does not have is not checked.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from starship_core import Entry
from starship_core.testing.books import Books
from starship_core.testing.kit import Conformance
from starship_core.testing.plug_case import called


class ReportChecks(Conformance):
    """`Statements`, `Reconciles`, `Verifies`."""

    pytestmark = pytest.mark.asyncio

    async def test_statements_add_up(self, books: Books) -> None:
        """For any window: the opening balance and its lines are the closing balance, line by line.

        If this fails: read all three from one snapshot, in posting order.
        """
        async with books.wallet() as wallet:
            if not hasattr(wallet, "statement"):
                return
            moments = await _traffic(books, wallet)
            for since, until in _windows(moments):
                opening, lines, closing = await _statement(books, wallet, since, until)
                balance = opening
                for line in lines:
                    balance += line.minor
                    assert line.balance_after == balance
                assert balance == closing
            assert closing == await books.holds(wallet)

    async def test_a_line_is_in_one_window(self, books: Books) -> None:
        """From its first moment, and until before its last: the next one begins where it ends.

        If this fails: `at >= since AND at < until`.
        """
        async with books.wallet() as wallet:
            if not hasattr(wallet, "statement"):
                return
            moments = await _traffic(books, wallet)
            end = moments[-1] + timedelta(hours=1)
            _, whole, _ = await _statement(books, wallet, moments[0], end)
            parts = [
                line.key
                for since, until in zip(moments, [*moments[1:], end], strict=True)
                for line in (await _statement(books, wallet, since, until))[1]
            ]
        assert [line.key for line in whole] == parts
        assert parts == [books.key(name) for name in ("topup", "order", "back", "undo")]

    async def test_lines_tell_what_was_posted(self, books: Books) -> None:
        """Key, kind, amount and time of each.

        If this fails: keep the entry's own `at`, not the time of writing.
        """
        async with books.wallet() as wallet:
            if not hasattr(wallet, "statement"):
                return
            moments = await _traffic(books, wallet)
            _, lines, _ = await _statement(
                books, wallet, moments[0], moments[-1] + timedelta(seconds=1)
            )
        kinds = ("credit", "debit", "refund", "reversal")
        amounts = (1000, -300, 100, -200)
        told = [(line.kind, line.minor, line.at) for line in lines]
        assert told == list(zip(kinds, amounts, moments, strict=True))

    async def test_entries_are_told_as_posted(self, books: Books) -> None:
        """By their keys; a key that never was is absent.

        If this fails: answer with all that `Entry` holds.
        """
        async with books.wallet(1000) as wallet:
            if not hasattr(wallet, "entries"):
                return
            posted = [
                books.entry("debit", "order", -300),
                books.entry("refund", "back", 100, of="order"),
            ]
            await books.posted(wallet, *posted)
            keys = [one.key for one in posted] + [books.key("stranger")]
            told: dict[str, Entry] = await books.run(lambda tx: dict(wallet.entries(tx, keys)))
        assert told == {one.key: one for one in posted}

    async def test_balances_are_those_of_a_lock(self, books: Books) -> None:
        """Of the same accounts.

        If this fails: read the same rows, without the lock.
        """
        async with books.wallet(1000, floor=-5) as wallet:
            if not hasattr(wallet, "balances"):
                return
            names = [books.account("nobody"), books.account()]
            locked = await books.run(lambda tx: dict(wallet.lock(tx, names)))
            assert await books.run(lambda tx: dict(wallet.balances(tx, names))) == locked

    async def test_plain_rows_share_a_round_trip(self, books: Books) -> None:
        """With `plain_rows`: `lock` and `post` answer the same when the core asks with them.

        If this fails: rows of numbers, texts and null, each under a name of its own; or no
        `plain_rows`.
        """
        async with books.wallet(1000, floor=-5) as wallet:
            if not getattr(wallet, "plain_rows", False):
                return
            names = [books.account("nobody"), books.account()]
            locked = await books.run(lambda tx: dict(wallet.lock(tx, names)))
            debits = [books.entry("debit", key, -300) for key in ("order", "other")]

            def shared(tx: Any) -> tuple[Any, Any]:
                ours = [("SELECT 1 AS one", ())]
                _, found = tx.abreast(ours, lambda beside: wallet.lock(beside, names), plain=True)
                _, left = tx.abreast(ours, lambda beside: wallet.post(beside, debits), plain=True)
                return dict(found), list(left)

            assert await books.run(shared) == (locked, [700, 400])
            assert await books.posted(wallet, *debits) == [400, 400]

    async def test_its_rows_hold(self, books: Books) -> None:
        """After entries of every kind, and one that was refused, it finds nothing wrong.

        If this fails: postings sum to zero, or `violations` complains of what is right.
        """
        async with books.wallet() as wallet:
            if not hasattr(wallet, "violations"):
                return
            await _traffic(books, wallet)
            await books.refused(wallet, books.entry("debit", "much", -(10**6)))
            assert list(await books.run(wallet.violations)) == []


async def _traffic(books: Books, wallet: Any) -> list[datetime]:
    """An entry of each kind, an hour after the other; when they were."""
    moments = []
    for kind, key, minor, others in (
        ("credit", "topup", 1000, {}),
        ("debit", "order", -300, {}),
        ("refund", "back", 100, {"of": "order"}),
        ("reversal", "undo", -200, {"of": "topup"}),
    ):
        moments.append(books.clock.advance(hours=1))
        await books.posted(wallet, books.entry(kind, key, minor, **others))
    return moments


def _windows(moments: list[datetime]) -> list[tuple[datetime, datetime]]:
    """Every window between two edges; the last is all of it."""
    edge = timedelta(minutes=30)
    edges = [moments[0] - edge, *moments, moments[-1] + edge]
    windows = [(since, until) for since in edges for until in edges if since <= until]
    return [*windows, (edges[0], edges[-1])]


async def _statement(books: Books, wallet: Any, since: datetime, until: datetime) -> Any:
    return await called(wallet.statement(books.account(), since, until))
