"""Credentials: rotate their secrets, revoke them, and say from where they may be used.

Every change is one transaction with its audit row; older secrets stay good for a grace period.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.clock import micros, rfc3339
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound, WrongState
from starship_core.ship import Ship
from starship_core.store.clients import (
    CredentialFacts,
    Issued,
    credentials_of,
    find_client,
    hash_of,
    new_secret,
    new_signing_secret,
    sealed,
)

GRACE: Final = timedelta(hours=24)
"""How long an older secret stays good, unless said otherwise."""
_ROTATE_KEY: Final = """
UPDATE credentials SET older_secret_hash = secret_hash, older_secret_until = $1, secret_hash = $2
WHERE id = $3
"""
_ROTATE_SIGNING: Final = """
UPDATE credentials
SET older_signing_sealed = signing_sealed, older_signing_until = $1, signing_sealed = $2
WHERE id = $3
"""
_REVOKE: Final = "UPDATE credentials SET revoked_at = $1 WHERE id = $2"
_ALLOW: Final = "UPDATE credentials SET allowlist = $1 WHERE id = $2"


class Which(Struct, frozen=True):
    """A client, by id or name, and one of its credentials; None: the only live one it has."""

    client: str
    credential: int | None = None


class Rotation(Struct, frozen=True, kw_only=True):
    """What changes, and how long what it replaces stays good."""

    secret: bool = True
    signing_secret: bool = True
    grace: timedelta = GRACE


async def rotate(which: Which, rotation: Rotation, by: By, ship: Ship) -> Issued:
    """New secrets for a key. The older ones end after the grace period, at once when it is 0.

    A secret that was still within an earlier grace period ends now. Raises NotFound, WrongState.
    """
    return await ship.database.run(_rotate, which, rotation, by, ship)


def _rotate(tx: Tx, which: Which, rotation: Rotation, by: By, ship: Ship) -> Issued:
    credential = _one(tx, which)
    at = ship.now()
    until = micros(at + rotation.grace)
    secret = new_secret() if rotation.secret else None
    signing = new_signing_secret() if rotation.signing_secret else None
    if secret:
        tx.execute(_ROTATE_KEY, until, hash_of(secret), credential.id)
    if signing:
        stored = sealed(ship.vault, credential.id, signing)
        tx.execute(_ROTATE_SIGNING, until, stored, credential.id)
    fact = {
        "secret": rotation.secret,
        "signing_secret": rotation.signing_secret,
        "older_until": rfc3339(at + rotation.grace),
    }
    record(tx, by, "credential.rotated", f"credential:{credential.id}", at=at, after=fact)
    return Issued(
        client_id=credential.client_id,
        credential_id=credential.id,
        api_key=credential.api_key,
        secret=secret,
        signing_secret=signing,
    )


async def revoke(which: Which, by: By, ship: Ship) -> CredentialFacts:
    """The key stops for good, in every process within five seconds. Raises NotFound, WrongState."""
    return await ship.database.run(_revoke, which, by, ship)


def _revoke(tx: Tx, which: Which, by: By, ship: Ship) -> CredentialFacts:
    credential = _one(tx, which)
    at = ship.now()
    tx.execute(_REVOKE, micros(at), credential.id)
    subject = f"credential:{credential.id}"
    record(tx, by, "credential.revoked", subject, at=at, before={"api_key": credential.api_key})
    return replace(credential, revoked_at=rfc3339(at))


async def allow_addresses(
    which: Which, addresses: Sequence[str], by: By, ship: Ship
) -> CredentialFacts:
    """Calls may come from these addresses or CIDRs and no others; none: from anywhere.

    Raises InvalidInput, NotFound, WrongState.
    """
    return await ship.database.run(_allow, which, addresses, by, ship)


def _allow(tx: Tx, which: Which, addresses: Sequence[str], by: By, ship: Ship) -> CredentialFacts:
    try:
        allowlist = tuple(dict.fromkeys(str(ipaddress.ip_network(each)) for each in addresses))
    except ValueError as error:
        raise InvalidInput(str(error), field="addresses") from None
    credential = _one(tx, which)
    tx.execute(_ALLOW, msgspec.json.encode(allowlist).decode(), credential.id)
    record(
        tx, by, "credential.addresses", f"credential:{credential.id}", at=ship.now(),
        before=credential.allowlist, after=allowlist,
    )  # fmt: skip
    return replace(credential, allowlist=allowlist)


def _one(tx: Tx, which: Which) -> CredentialFacts:
    client = find_client(tx, which.client)
    found = [
        each
        for each in credentials_of(tx, client.id)
        if (each.revoked_at is None if which.credential is None else each.id == which.credential)
    ]
    if not found:
        raise NotFound(f"credential of client {client.name}", which.credential or "in use")
    if len(found) > 1:
        ids = ", ".join(str(each.id) for each in found)
        raise WrongState(f"client {client.name} has credentials {ids}; name one", found=ids)
    if found[0].revoked_at is not None:
        raise WrongState(f"credential {found[0].id} was revoked", found="revoked")
    return found[0]
