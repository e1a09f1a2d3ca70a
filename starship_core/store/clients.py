"""Rows of clients and their credentials; secrets leave only where they are made."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from starship_core.access import signing_purpose
from starship_core.clock import moment, rfc3339
from starship_core.errors import NotFound
from starship_core.model import Secret
from starship_core.ports import Transaction
from starship_core.vault import Vault

_CLIENT: Final = """
SELECT id, name, is_active, bulk_limit, min_validity_days, default_wallet_id, orders_per_minute,
       reads_per_minute
FROM clients
"""
_CREDENTIAL: Final = """
SELECT id, client_id, api_key, signature_required, allowlist, revoked_at, older_secret_until,
       older_signing_until, created_at
FROM credentials
"""
_INSERT_CLIENT: Final = """
INSERT INTO clients (name, is_active, bulk_limit, min_validity_days, default_wallet_id,
                     orders_per_minute, reads_per_minute, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id
"""
_UPDATE_CLIENT: Final = """
UPDATE clients SET name = $1, is_active = $2, bulk_limit = $3, min_validity_days = $4,
       default_wallet_id = $5, orders_per_minute = $6, reads_per_minute = $7
WHERE id = $8
"""
_INSERT_CREDENTIAL: Final = """
INSERT INTO credentials (client_id, api_key, secret_hash, signing_sealed, signature_required,
                         created_at)
VALUES ($1, $2, $3, '', $4, $5) RETURNING id
"""
_SEAL: Final = "UPDATE credentials SET signing_sealed = $1 WHERE id = $2"
_DISCOUNT: Final = "SELECT discount FROM client_discounts WHERE client_id = $1 AND product_id = $2"
_GIVE: Final = """
INSERT INTO client_discounts (client_id, product_id, discount) VALUES ($1, $2, $3)
ON CONFLICT (client_id, product_id) DO UPDATE SET discount = excluded.discount
"""
_TAKE: Final = "DELETE FROM client_discounts WHERE client_id = $1 AND product_id = $2"


class ClientFacts(Struct, frozen=True, kw_only=True):
    """A client as an operator sets it."""

    id: int = 0
    name: str
    is_active: bool = True
    bulk_limit: int = 10_000
    min_validity_days: int = 0
    default_wallet_id: int | None = None
    orders_per_minute: int | None = None
    """None: the deployment's limit."""
    reads_per_minute: int | None = None


class CredentialFacts(Struct, frozen=True, kw_only=True):
    """A credential without its secrets."""

    id: int
    client_id: int
    api_key: str
    signature_required: bool
    allowlist: tuple[str, ...]
    revoked_at: str | None
    older_secret_until: str | None
    older_signing_until: str | None
    created_at: str


class Listed(Struct, frozen=True, kw_only=True):
    """A client with all its credentials."""

    client: ClientFacts
    credentials: tuple[CredentialFacts, ...]


class Issued(Struct, frozen=True, kw_only=True):
    """Secrets at the one moment they can be read; None: this one did not change."""

    client_id: int
    credential_id: int
    api_key: str
    secret: Secret | None
    signing_secret: Secret | None


def find_client(tx: Transaction, which: str) -> ClientFacts:
    """By id or by name. Raises NotFound."""
    if which.isascii() and which.isdigit() and len(which) < 19:
        rows = tx.execute(f"{_CLIENT} WHERE id = $1", int(which))
    else:
        rows = tx.execute(f"{_CLIENT} WHERE name = $1", which)
    if not rows:
        raise NotFound("client", which)
    return _client(rows[0])


def name_taken(tx: Transaction, name: str) -> bool:
    return bool(tx.execute(f"{_CLIENT} WHERE name = $1", name))


def all_clients(tx: Transaction) -> list[Listed]:
    """With their credentials, by id."""
    by_client: dict[int, list[CredentialFacts]] = {}
    for row in tx.execute(f"{_CREDENTIAL} ORDER BY id"):
        facts = _credential(row)
        by_client.setdefault(facts.client_id, []).append(facts)
    clients = [_client(row) for row in tx.execute(f"{_CLIENT} ORDER BY id")]
    return [Listed(client=each, credentials=tuple(by_client.get(each.id, ()))) for each in clients]


def insert_client(tx: Transaction, new: ClientFacts, at: int) -> int | None:
    """Its id; None when the name is taken."""
    rows = tx.execute(_INSERT_CLIENT, *_columns(new), at)
    return rows[0][0] if rows else None


def update_client(tx: Transaction, client: ClientFacts) -> None:
    tx.execute(_UPDATE_CLIENT, *_columns(client), client.id)


def set_discount(
    tx: Transaction, client_id: int, product_id: int, percent: str | None
) -> str | None:
    """A client's own discount on a product, None for none; returns the one before it."""
    before = tx.execute(_DISCOUNT, client_id, product_id)
    if percent is None:
        tx.execute(_TAKE, client_id, product_id)
    else:
        tx.execute(_GIVE, client_id, product_id, percent)
    return before[0][0] if before else None


class NewKey(NamedTuple):
    """A row of `credentials` before it has secrets."""

    client_id: int
    api_key: str
    signature_required: bool
    created_at: int


def insert_credential(tx: Transaction, new: NewKey, vault: Vault) -> Issued:
    """A new key with new secrets."""
    secret, signing = new_secret(), new_signing_secret()
    row = (
        new.client_id, new.api_key, hash_of(secret), int(new.signature_required), new.created_at,
    )  # fmt: skip
    number: int = tx.execute(_INSERT_CREDENTIAL, *row)[0][0]
    tx.execute(_SEAL, sealed(vault, number, signing), number)  # sealed for its own number
    return Issued(
        client_id=new.client_id,
        credential_id=number,
        api_key=new.api_key,
        secret=secret,
        signing_secret=signing,
    )


def credentials_of(tx: Transaction, client_id: int) -> list[CredentialFacts]:
    rows = tx.execute(f"{_CREDENTIAL} WHERE client_id = $1 ORDER BY id", client_id)
    return [_credential(row) for row in rows]


def _columns(client: ClientFacts) -> tuple[Any, ...]:
    return (
        client.name, int(client.is_active), client.bulk_limit, client.min_validity_days,
        client.default_wallet_id, client.orders_per_minute, client.reads_per_minute,
    )  # fmt: skip


def _client(row: Sequence[Any]) -> ClientFacts:
    number, name, active, bulk_limit, min_validity_days, default_wallet, orders, reads = row
    return ClientFacts(
        id=number,
        name=name,
        is_active=bool(active),
        bulk_limit=bulk_limit,
        min_validity_days=min_validity_days,
        default_wallet_id=default_wallet,
        orders_per_minute=orders,
        reads_per_minute=reads,
    )


def _credential(row: Sequence[Any]) -> CredentialFacts:
    number, client_id, api_key, required, allowlist, revoked, secret_until, signing_until, made = (
        row
    )
    return CredentialFacts(
        id=number,
        client_id=client_id,
        api_key=api_key,
        signature_required=bool(required),
        allowlist=tuple(msgspec.json.decode(allowlist, type=list[str])),
        revoked_at=_time(revoked),
        older_secret_until=_time(secret_until),
        older_signing_until=_time(signing_until),
        created_at=rfc3339(moment(made)),
    )


def _time(stored: int | None) -> str | None:
    return None if stored is None else rfc3339(moment(stored))


def new_secret() -> Secret:
    return Secret(secrets.token_urlsafe(32))


def new_signing_secret() -> Secret:
    return Secret("whsec_" + base64.b64encode(os.urandom(32)).decode())


def hash_of(secret: Secret) -> str:
    """256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def sealed(vault: Vault, credential_id: int, signing: Secret) -> str:
    """For the column; it opens for this credential only."""
    return vault.seal_secret(signing_purpose(credential_id), signing.reveal())
