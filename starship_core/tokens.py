"""Vendors' tokens shared by all processes: an encrypted row each, renewed by one under a lease.

Redis holds none of them: its loss must log nobody in and nobody out.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

from starship_core.clock import Clock, micros, moment
from starship_core.database import Database
from starship_core.errors import Unavailable
from starship_core.model import Secret, Token
from starship_core.ports import Transaction
from starship_core.vault import MissingKey, Unsealable, Vault

LEASE: Final = timedelta(seconds=60)
"""How long one process may take to fetch; whoever waits then fetches himself."""
EARLY: Final = timedelta(seconds=30)
"""A token is renewed so long before it ends, as calls take time."""
PATIENCE: Final = LEASE.total_seconds() + 5
_POLL: Final = 0.1

_FIND: Final = """
SELECT generation, sealed, expires_at FROM vendor_tokens WHERE instance = $1 AND name = $2
"""
_MAKE: Final = """
INSERT INTO vendor_tokens (instance, name, updated_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_TAKE: Final = """
UPDATE vendor_tokens SET lease_until = $5, updated_at = $4
WHERE instance = $1 AND name = $2 AND generation = $3 AND coalesce(lease_until, 0) <= $4
RETURNING generation
"""
_STORE: Final = """
UPDATE vendor_tokens SET sealed = $4, expires_at = $5, generation = generation + 1,
    lease_until = NULL, updated_at = $6
WHERE instance = $1 AND name = $2 AND generation = $3
"""
_GIVE_UP: Final = """
UPDATE vendor_tokens SET lease_until = NULL
WHERE instance = $1 AND name = $2 AND generation = $3 AND lease_until = $4
"""


class _Held(NamedTuple):
    """A token as the row holds it; `value` None: none that holds or can be opened."""

    generation: int
    value: Secret | None
    expires_at: int | None


class SharedTokens:
    """The `Tokens` of one plugin instance; what it holds in memory is only a copy of the row."""

    def __init__(self, instance: str, *, database: Database, vault: Vault, now: Clock) -> None:
        self._instance = instance
        self._database = database
        self._vault = vault
        self._now = now
        self._copies: dict[str, _Held] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(
        self, name: str, fetch: Callable[[], Awaitable[Token]], *, stale: Secret | None = None
    ) -> Secret:
        """As `ports.Tokens` says; waits for another process's renewal at most `PATIENCE`."""
        if (value := self._usable(self._copies.get(name), stale)) is not None:
            return value
        async with self._turns[name]:  # one of this process asks for all of it
            if (value := self._usable(self._copies.get(name), stale)) is not None:
                return value
            return await self._shared(name, fetch, stale)

    async def _shared(
        self, name: str, fetch: Callable[[], Awaitable[Token]], stale: Secret | None
    ) -> Secret:
        give_up = time.monotonic() + PATIENCE
        while True:
            held = await self._database.read(self._find, name)
            self._copies[name] = held
            if (value := self._usable(held, stale)) is not None:
                return value
            until = micros(self._now() + LEASE)
            if await self._database.run(self._take, name, held.generation, until):
                return await self._renewed(name, held.generation, until, fetch)
            if time.monotonic() >= give_up:
                raise Unavailable("another process is fetching the token", retry_after=5)
            await asyncio.sleep(_POLL)

    async def _renewed(
        self, name: str, generation: int, until: int, fetch: Callable[[], Awaitable[Token]]
    ) -> Secret:
        """Fetched outside any transaction. Should the lease have ended meanwhile, the row stays as
        another made it: the vendor will say which of the two still holds.
        """
        try:
            token = await fetch()
        except BaseException:
            await asyncio.shield(self._database.run(self._give_up, name, generation, until))
            raise
        ends = None if token.expires_at is None else micros(token.expires_at)
        self._copies[name] = _Held(generation + 1, token.value, ends)
        await self._database.run(self._store, name, generation, token.value, ends)
        return token.value

    def _usable(self, held: _Held | None, stale: Secret | None) -> Secret | None:
        if held is None or held.value is None or held.value == stale:
            return None
        ends = held.expires_at
        if ends is not None and moment(ends) <= self._now() + EARLY:
            return None
        return held.value

    def _find(self, tx: Transaction, name: str) -> _Held:
        rows = tx.execute(_FIND, self._instance, name)
        if not rows:
            return _Held(0, None, None)
        generation, sealed, expires_at = rows[0]
        return _Held(generation, self._opened(name, sealed), expires_at)

    def _opened(self, name: str, sealed: str | None) -> Secret | None:
        """None also for what does not open: a token can be fetched again."""
        if sealed is None:
            return None
        try:
            return self._vault.open_secret(self._purpose(name), sealed)
        except (Unsealable, MissingKey):
            return None

    def _take(self, tx: Transaction, name: str, generation: int, until: int) -> bool:
        at = micros(self._now())
        tx.execute(_MAKE, self._instance, name, at)
        return bool(tx.execute(_TAKE, self._instance, name, generation, at, until))

    def _store(
        self, tx: Transaction, name: str, generation: int, value: Secret, expires_at: int | None
    ) -> None:
        sealed = self._vault.seal_secret(self._purpose(name), value.reveal())
        at = micros(self._now())
        tx.execute(_STORE, self._instance, name, generation, sealed, expires_at, at)

    def _give_up(self, tx: Transaction, name: str, generation: int, until: int) -> None:
        tx.execute(_GIVE_UP, self._instance, name, generation, until)

    def _purpose(self, name: str) -> str:
        return f"token:{self._instance}:{name}"
