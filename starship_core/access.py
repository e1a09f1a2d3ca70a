"""Who is calling: API credentials, their clients and wallets, cached for at most two seconds."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from starship_core.clock import Clock, micros
from starship_core.database import Database, Tx
from starship_core.model import Environment, Secret
from starship_core.recent import Recent

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_READ = """
SELECT c.id, c.secret_hash, c.signing_sealed, c.older_secret_hash, c.older_secret_until,
       c.older_signing_sealed, c.older_signing_until, c.allowlist, c.signature_required,
       k.id, k.name, k.bulk_limit, k.min_validity_days, k.default_wallet_id,
       k.orders_per_minute, k.reads_per_minute,
       w.id, w.currency, w.account, w.type, w.credit_limit, w.is_active
FROM credentials c
JOIN clients k ON k.id = c.client_id
LEFT JOIN wallets w ON w.client_id = k.id
WHERE c.api_key = $1 AND c.revoked_at IS NULL AND k.is_active = 1
ORDER BY w.id
"""
_KEY: Final = re.compile(r"sk_(?:live|test)_[A-Za-z0-9_-]{16,64}")
_NO_HASH: Final = bytes(32)


class Wallet(Struct, frozen=True):
    """A client's wallet as the API shows it; the balance is the wallet backend's."""

    id: int
    currency: str
    account: str
    type: str
    credit_limit: int
    is_active: bool


class Client(Struct, frozen=True, kw_only=True):
    """Who is calling, and within which bounds."""

    id: int
    name: str
    credential_id: int
    bulk_limit: int
    min_validity_days: int
    default_wallet_id: int | None
    wallets: tuple[Wallet, ...]
    orders_per_minute: int | None
    """None: the deployment's `[limits] orders`."""
    reads_per_minute: int | None
    environment: Environment

    def wallet(self, wallet_id: int) -> Wallet | None:
        """The client's own wallet of this id, if it is one."""
        return next((each for each in self.wallets if each.id == wallet_id), None)


class Credential(Struct, frozen=True, kw_only=True):
    """What one API key opens; it lives in memory for seconds and is never written anywhere."""

    id: int
    secret_hashes: tuple[bytes, ...]
    """SHA-256 of the secret, and of the older one within its grace period."""
    signing_secrets: tuple[bytes, ...]
    """Opened; the newest first."""
    allowlist: tuple[Network, ...]
    """Empty: any address."""
    signature_required: bool
    client: Client

    def __repr__(self) -> str:
        return f"Credential({self.id})"

    def accepts(self, secret: bytes) -> bool:
        """Whether this is one of its secrets; the time taken does not tell which, or how nearly."""
        return matches(secret, self.secret_hashes)

    def admits(self, address: Address | None) -> bool:
        """Whether a call may come from there; an unknown address passes only where any may."""
        if not self.allowlist:
            return True
        return address is not None and any(address in network for network in self.allowlist)


def matches(secret: bytes, hashes: Sequence[bytes] = (_NO_HASH,)) -> bool:
    """Compare in constant time; without hashes (an unknown key) it costs what a known one does."""
    presented = hashlib.sha256(secret).digest()
    found = False
    for each in hashes:
        found |= hmac.compare_digest(presented, each)
    return found


@lru_cache(maxsize=4096)
def address(text: str) -> Address | None:
    """Parse; an IPv4 address in IPv6 clothes is the IPv4 one. None: not an address."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped or parsed


class OpensSecrets(Protocol):
    """The part of the vault that is needed here."""

    def open_secret(self, purpose: str, sealed: str) -> Secret:
        """The plaintext of what was sealed for this purpose."""
        ...


class Access:
    """Credentials by API key. A revoked one stops within `ttl` seconds in every process."""

    def __init__(  # noqa: PLR0913  # what it reads, and two clocks
        self,
        database: Database,
        vault: OpensSecrets,
        now: Clock,
        *,
        environment: Environment,
        ttl: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._vault = vault
        self._now = now
        self._environment: Environment = environment
        self._prefix = f"sk_{environment}_"
        self._recent = Recent(self._read, ttl=ttl, monotonic=monotonic)

    async def credential(self, api_key: str) -> Credential | None:
        """What the key opens now, or None.

        Raises Unavailable when the database is away and nothing fresh is known.
        """
        if not api_key.startswith(self._prefix) or not _KEY.fullmatch(api_key):
            return None
        return await self._recent.get(api_key)

    def forget(self) -> None:
        """Drop everything remembered; the next call of each key reads again."""
        self._recent.forget()

    async def _read(self, api_key: str) -> Credential | None:
        rows = await self._database.read(_rows, api_key)
        return self._credential(rows) if rows else None

    def _credential(self, rows: Sequence[tuple[Any, ...]]) -> Credential:
        (number, digest, sealed, older_digest, digest_until, older_sealed, sealed_until, *_) = rows[
            0
        ]
        instant = micros(self._now())
        hashes = [bytes.fromhex(digest)]
        if older_digest and digest_until and instant < digest_until:
            hashes.append(bytes.fromhex(older_digest))
        signing = [sealed]
        if older_sealed and sealed_until and instant < sealed_until:
            signing.append(older_sealed)
        return Credential(
            id=number,
            secret_hashes=tuple(hashes),
            signing_secrets=tuple(
                self._vault.open_secret(signing_purpose(number), each).reveal().encode()
                for each in signing
            ),
            allowlist=networks(rows[0][7]),
            signature_required=bool(rows[0][8]),
            client=self._client(number, rows),
        )

    def _client(self, credential_id: int, rows: Sequence[tuple[Any, ...]]) -> Client:
        (number, name, bulk_limit, min_validity_days, default_wallet, orders, reads) = rows[0][9:16]
        return Client(
            id=number,
            name=name,
            credential_id=credential_id,
            bulk_limit=bulk_limit,
            min_validity_days=min_validity_days,
            default_wallet_id=default_wallet,
            wallets=tuple(
                Wallet(wallet, currency, account, kind, limit, bool(active))
                for wallet, currency, account, kind, limit, active in (row[16:22] for row in rows)
                if wallet is not None
            ),
            orders_per_minute=orders,
            reads_per_minute=reads,
            environment=self._environment,
        )


def signing_purpose(credential_id: int) -> str:
    """What a sealed signing secret is sealed for, so that it opens for no other credential."""
    return f"signing:{credential_id}"


def networks(stored: str) -> tuple[Network, ...]:
    """The allowlist column, parsed."""
    return tuple(ipaddress.ip_network(each) for each in msgspec.json.decode(stored, type=list[str]))


def _rows(tx: Tx, api_key: str) -> Sequence[tuple[Any, ...]]:
    return tx.execute(_READ, api_key)
