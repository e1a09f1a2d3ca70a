"""Tokens shared by all processes: fetched once, encrypted, taken over when a process dies."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from starship_core.errors import Unavailable
from starship_core.model import Secret, Token
from starship_core.testing.clock import ManualClock
from starship_core.tokens import EARLY, LEASE, SharedTokens
from tests.integration.ships import Dock


class Login:
    """A vendor's login: every token is another one."""

    def __init__(self, clock: ManualClock, lasts: timedelta | None = None) -> None:
        self.clock = clock
        self.lasts = lasts
        self.made = 0
        self.error: BaseException | None = None

    async def __call__(self) -> Token:
        self.made += 1
        made = self.made
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        ends = None if self.lasts is None else self.clock() + self.lasts
        return Token(value=Secret(f"token-{made}"), expires_at=ends)


def process(dock: Dock, instance: str = "pine") -> SharedTokens:
    """The tokens of one more process."""
    ship = dock.ship
    return SharedTokens(instance, database=ship.database, vault=ship.vault, now=ship.now)


async def test_many_ask_and_one_fetches(dock: Dock, clock: ManualClock) -> None:
    """Three processes, five tasks each: one login, one token."""
    login = Login(clock)
    found = await asyncio.gather(
        *(tokens.get("oauth", login) for tokens in [process(dock) for _ in range(3)] * 5)
    )
    assert (login.made, {each.reveal() for each in found}) == (1, {"token-1"})


async def test_a_stale_one_is_renewed_once(dock: Dock, clock: ManualClock) -> None:
    """Who says that it is stale after the renewal is given the new one."""
    login = Login(clock)
    one, two = process(dock), process(dock)
    old = await one.get("oauth", login)
    await two.get("oauth", login)
    found = [await tokens.get("oauth", login, stale=old) for tokens in (one, two, one, two)]
    assert (login.made, {each.reveal() for each in found}) == (2, {"token-2"})


async def test_it_is_renewed_before_it_ends(dock: Dock, clock: ManualClock) -> None:
    """A call that takes a while must not end with a token that ended meanwhile."""
    login = Login(clock, lasts=timedelta(hours=1))
    tokens = process(dock)
    await tokens.get("oauth", login)
    clock.advance(seconds=3600 - EARLY.total_seconds() - 1)
    assert (await tokens.get("oauth", login)).reveal() == "token-1"
    clock.advance(seconds=1)
    assert (await tokens.get("oauth", login)).reveal() == "token-2"


async def test_a_login_that_fails_leaves_the_way_free(dock: Dock, clock: ManualClock) -> None:
    """What it raised passes, and the next one tries at once."""
    login = Login(clock)
    login.error = Unavailable("no token")
    with pytest.raises(Unavailable, match="no token"):
        await process(dock).get("oauth", login)
    login.error = None
    assert (await process(dock).get("oauth", login)).reveal() == "token-2"


async def test_a_process_that_died_while_fetching_is_not_waited_for_for_ever(
    dock: Dock, clock: ManualClock
) -> None:
    """Its lease is still on the row; once it has ended, the next process fetches."""
    login = Login(clock)
    await process(dock).get("oauth", login)
    old = Secret("token-1")
    until = int((clock() + LEASE).timestamp()) * 1_000_000
    await dock.change("UPDATE vendor_tokens SET lease_until = $1", until)
    waiting = asyncio.create_task(process(dock).get("oauth", login, stale=old))
    await asyncio.sleep(0.15)
    assert (login.made, waiting.done()) == (1, False)
    clock.advance(seconds=LEASE.total_seconds())
    assert (await waiting).reveal() == "token-2"


async def test_instances_and_names_do_not_share(dock: Dock, clock: ManualClock) -> None:
    """Two accounts at one vendor are two tokens."""
    login = Login(clock)
    found = [
        (await process(dock, instance).get(name, login)).reveal()
        for instance, name in (("a", "x"), ("a", "y"), ("b", "x"), ("a", "x"))
    ]
    assert found == ["token-1", "token-2", "token-3", "token-1"]


async def test_one_that_was_moved_to_another_row_does_not_open(
    dock: Dock, clock: ManualClock
) -> None:
    """It is encrypted for its instance: a copied row is no token, and a new one is fetched."""
    login = Login(clock)
    for instance in ("a", "b"):
        await process(dock, instance).get("x", login)
    await dock.change(
        "UPDATE vendor_tokens SET sealed = (SELECT sealed FROM vendor_tokens t"
        " WHERE t.instance = 'a') WHERE instance = 'b'"
    )
    assert (await process(dock, "b").get("x", login)).reveal() == "token-3"
    rows = await dock.sql("SELECT sealed FROM vendor_tokens")
    assert [row for row in rows if "token-" in row[0]] == []
