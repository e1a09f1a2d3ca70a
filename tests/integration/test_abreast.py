"""Statements of a plugin that share a round trip with the core's: only the time is different."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from starship_core.database import Tx
from starship_core.ports import Query, Transaction

COUNT = "INSERT INTO counters (name, value) VALUES ($1, $2)"
READ = "SELECT name, value FROM counters ORDER BY name"
plain = pytest.mark.parametrize("plain", [True, False])


def counted(name: str, value: int) -> Query:
    return f"{COUNT} RETURNING name, value", (name, value)


@plain
async def test_each_has_its_rows(database: Any, *, plain: bool) -> None:
    """The core's statements theirs, the work its own, also of those that come after the first."""

    def work(tx: Transaction) -> list[Any]:
        first = tx.execute(f"{COUNT} RETURNING value", "c", 3)
        second = tx.execute(f"{COUNT} RETURNING value", "d", 4)
        return [*first, *second, *tx.execute("SELECT count(*) FROM counters WHERE name >= 'c'")]

    def both(tx: Tx) -> Any:
        return tx.abreast([counted("a", 1), counted("b", 2)], work, plain=plain)

    rows, answer = await database.run(both)
    assert rows == [[("a", 1)], [("b", 2)]]
    assert answer == [(3,), (4,), (2,)]
    kept = await database.read(lambda tx: tx.execute(READ))
    assert [(n, v) for n, v in kept if n in "abcd"] == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


@plain
async def test_a_work_without_statements(database: Any, *, plain: bool) -> None:
    """Its answer is there all the same."""
    rows, answer = await database.run(
        lambda tx: tx.abreast([counted("a", 1)], lambda _: "nothing asked", plain=plain)
    )
    assert (rows, answer) == ([[("a", 1)]], "nothing asked")


@plain
async def test_what_it_raises_is_raised(database: Any, *, plain: bool) -> None:
    """After any of its statements; and nothing is kept, of the core's neither."""

    def work(tx: Transaction) -> None:
        tx.execute(COUNT, "b", 2)
        raise LookupError("no such account")

    with pytest.raises(LookupError, match="no such account"):
        await database.run(lambda tx: tx.abreast([counted("a", 1)], work, plain=plain))
    names = {row[0] for row in await database.read(lambda tx: tx.execute(READ))}
    assert names.isdisjoint({"a", "b"})


@plain
async def test_it_hears_of_its_own_faults(database: Any, *, plain: bool) -> None:
    """A statement of its own that fails, fails where the work stands."""
    heard = []

    def work(tx: Transaction) -> None:
        tx.execute(COUNT, "b", 2)
        try:
            tx.execute(COUNT, "b", 3)
        except IntegrityError as error:
            heard.append(type(error.orig).__name__)
            raise

    with pytest.raises(IntegrityError):
        await database.run(lambda tx: tx.abreast([counted("a", 1)], work, plain=plain))
    assert len(heard) == 1
