"""Who operates: tokens of the operators' API, and what each of them may do."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

from starship_core.database import Database, Tx
from starship_core.model import Environment
from starship_core.recent import Recent

Ability = Literal["approve", "retry", "cancel", "refund", "replace", "pump", "switch", "resolve"]
ABILITIES: Final[tuple[Ability, ...]] = get_args(Ability)
"""What a token may be able to do; reading is open to every token."""

_READ: Final = """
SELECT id, name, abilities FROM operator_tokens WHERE token_hash = $1 AND revoked_at IS NULL
"""
_FORM: Final = "op_{}_"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Operator(Struct, frozen=True, kw_only=True):
    """Who is calling, by which token, and what it may do."""

    token_id: int
    name: str
    abilities: frozenset[str]

    @property
    def actor(self) -> str:
        """As audit rows name them."""
        return f"operator:{self.name}"


def token_prefix(environment: Environment) -> str:
    """What every token of a deployment begins with, for people and for scanners of secrets."""
    return _FORM.format(environment)


def hash_of_token(token: str) -> str:
    """256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


class Operators:
    """Operators by token. A revoked one stops within `ttl` seconds in every process.

    What is looked up, and remembered, is the token's hash: how long that takes tells something of
    a hash at most, from which nobody comes nearer to its token.
    """

    def __init__(
        self,
        database: Database,
        *,
        environment: Environment,
        ttl: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._prefix = token_prefix(environment)
        self._recent = Recent(self._read, ttl=ttl, monotonic=monotonic)

    async def operator(self, token: str) -> Operator | None:
        """Whose token it is, or None: unknown, revoked, another environment's, no token at all.

        Raises Unavailable when the database is away and nothing fresh is known.
        """
        known = token.startswith(self._prefix)
        if not known or not _SECRET.fullmatch(token.removeprefix(self._prefix)):
            return None
        return await self._recent.get(hash_of_token(token))

    def forget(self) -> None:
        """Drop everything remembered; the next call of each token reads again."""
        self._recent.forget()

    async def _read(self, token_hash: str) -> Operator | None:
        rows = await self._database.read(_rows, token_hash)
        if not rows:
            return None
        number, name, abilities = rows[0]
        return Operator(
            token_id=number,
            name=name,
            abilities=frozenset(msgspec.json.decode(abilities, type=list[str])),
        )


def _rows(tx: Tx, token_hash: str) -> Sequence[tuple[Any, ...]]:
    return tx.execute(_READ, token_hash)
