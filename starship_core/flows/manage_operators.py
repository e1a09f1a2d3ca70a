"""Tokens of the operators' API: issue, list, revoke; each change with its audit row."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.audit import By, record
from starship_core.clock import micros, moment, rfc3339
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound
from starship_core.model import Secret
from starship_core.operators import ABILITIES, hash_of_token, token_prefix
from starship_core.ship import Ship

LONGEST_NAME: Final = 64
_COLUMNS: Final = "id, name, abilities, created_at, revoked_at"
_INSERT: Final = """
INSERT INTO operator_tokens (name, token_hash, abilities, created_at) VALUES ($1, $2, $3, $4)
RETURNING id
"""
_LIST: Final = f"SELECT {_COLUMNS} FROM operator_tokens ORDER BY id"
_REVOKE: Final = f"""
UPDATE operator_tokens SET revoked_at = $1
WHERE name = $2 AND revoked_at IS NULL AND (id = $3 OR $3 = 0) RETURNING {_COLUMNS}
"""


class TokenFacts(Struct, frozen=True, kw_only=True):
    """A token without itself."""

    id: int
    name: str
    abilities: tuple[str, ...]
    created_at: str
    revoked_at: str | None


class IssuedToken(Struct, frozen=True, kw_only=True):
    """A token at the one moment it can be read."""

    facts: TokenFacts
    token: Secret


async def issue_token(name: str, abilities: Collection[str], by: By, ship: Ship) -> IssuedToken:
    """A further token for the operator; reading needs no ability. Raises InvalidInput."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or " " in name:
        what = f"a name has 1 to {LONGEST_NAME} characters, none of them a blank"
        raise InvalidInput(what, field="name")
    unknown = sorted(set(abilities) - set(ABILITIES))
    if unknown:
        what = f"there is no ability {', '.join(unknown)}; there are: {', '.join(ABILITIES)}"
        raise InvalidInput(what, field="abilities")
    ordered = tuple(each for each in ABILITIES if each in abilities)
    return await ship.database.run(_issue, name, ordered, by, ship)


def _issue(tx: Tx, name: str, abilities: tuple[str, ...], by: By, ship: Ship) -> IssuedToken:
    environment, at = ship.config.deployment.environment, ship.now()
    token = token_prefix(environment) + secrets.token_urlsafe(32)
    stored = msgspec.json.encode(abilities).decode()
    number: int = tx.execute(_INSERT, name, hash_of_token(token), stored, micros(at))[0][0]
    facts = TokenFacts(
        id=number, name=name, abilities=abilities, created_at=rfc3339(at), revoked_at=None
    )
    record(tx, by, "token.issued", f"operator_token:{number}", at=at, after=facts)
    return IssuedToken(facts=facts, token=Secret(token))


async def list_tokens(ship: Ship) -> list[TokenFacts]:
    """All that were ever issued, by id."""
    return await ship.database.read(_list)


def _list(tx: Tx) -> list[TokenFacts]:
    return [_facts(row) for row in tx.execute(_LIST)]


async def revoke_tokens(
    name: str, by: By, ship: Ship, *, token_id: int | None = None
) -> list[TokenFacts]:
    """All the operator's tokens stop for good (`token_id`: only that one), in every process within
    five seconds. Raises NotFound when none of them is in use.
    """
    return await ship.database.run(_revoke, name, token_id, by, ship)


def _revoke(tx: Tx, name: str, token_id: int | None, by: By, ship: Ship) -> list[TokenFacts]:
    at = ship.now()
    rows = tx.execute(_REVOKE, micros(at), name, token_id or 0)
    if not rows:
        which = "in use" if token_id is None else f"{token_id} in use"
        raise NotFound(f"token of {name}", which)
    ended = sorted((_facts(row) for row in rows), key=lambda each: each.id)
    for each in ended:
        subject = f"operator_token:{each.id}"
        record(tx, by, "token.revoked", subject, at=at, before={"name": each.name})
    return ended


def _facts(row: Sequence[Any]) -> TokenFacts:
    number, name, abilities, created_at, revoked_at = row
    return TokenFacts(
        id=number,
        name=name,
        abilities=msgspec.json.decode(abilities, type=tuple[str, ...]),
        created_at=rfc3339(moment(created_at)),
        revoked_at=None if revoked_at is None else rfc3339(moment(revoked_at)),
    )
