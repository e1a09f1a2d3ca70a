"""Credentials: what an operator does to them, and what a server process makes of it."""

import asyncio
import hashlib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from starship_core.access import Access, address
from starship_core.audit import By
from starship_core.errors import InvalidInput, NotFound, Unavailable, WrongState
from starship_core.flows.manage_clients import (
    Discount,
    add_credential,
    change_client,
    create_client,
    give_discount,
    list_clients,
)
from starship_core.flows.manage_credentials import (
    Rotation,
    Which,
    allow_addresses,
    revoke,
    rotate,
)
from starship_core.model import Secret
from starship_core.store.clients import ClientFacts
from starship_core.testing.clock import ManualClock
from starship_core.vault import Vault, create_keys

BY = By(actor="operator:ana", reason="test", request_id="req-1")


@pytest.fixture
def ship(database: Any, clock: ManualClock, tmp_path: Path) -> Any:
    """As much of a deployment as credentials need."""
    create_keys(tmp_path / "keys")
    return SimpleNamespace(
        database=database,
        vault=Vault.open(tmp_path / "keys"),
        now=clock,
        config=SimpleNamespace(
            deployment=SimpleNamespace(environment="test"),
            server=SimpleNamespace(require_signatures=None),
        ),
    )


def plain(secret: Secret | None) -> str:
    """Fails where an operation should have made a secret and did not."""
    assert secret is not None
    return secret.reveal()


def access_to(
    ship: Any, *, ttl: Any = 0.0, environment: Any = "test", monotonic: Any = lambda: 0.0
) -> Any:
    return Access(
        ship.database, ship.vault, ship.now, environment=environment, ttl=ttl, monotonic=monotonic
    )


class Monotonic:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


async def audited(ship: Any) -> Any:
    rows = await ship.database.read(
        lambda tx: tx.execute("SELECT action, subject, actor, before, after FROM audit ORDER BY id")
    )
    return [tuple(row) for row in rows]


async def test_a_new_client_can_call_at_once(ship: Any) -> None:
    """Key and secret of a new client open it, with its bounds; a wrong secret does not."""
    issued = await create_client(
        ClientFacts(name="acme", bulk_limit=500, min_validity_days=30, orders_per_minute=60),
        BY,
        ship,
    )
    found = await access_to(ship).credential(issued.api_key)
    assert found.accepts(plain(issued.secret).encode())
    assert not found.accepts(b"wrong")
    assert found.signing_secrets == (plain(issued.signing_secret).encode(),)
    assert not found.signature_required
    client = found.client
    assert (client.id, client.name, client.credential_id) == (issued.client_id, "acme", found.id)
    assert (client.bulk_limit, client.min_validity_days) == (500, 30)
    assert (client.orders_per_minute, client.reads_per_minute) == (60, None)
    assert client.wallets == ()


async def test_secrets_are_not_in_the_database(ship: Any) -> None:
    """Tables hold a hash and a ciphertext; the audit and every repr hold neither."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    secret, signing = plain(issued.secret), plain(issued.signing_secret)
    rows = await ship.database.read(lambda tx: tx.execute("SELECT * FROM credentials"))
    everything = repr([*map(tuple, rows), await audited(ship), issued])
    assert hashlib.sha256(secret.encode()).hexdigest() in everything
    assert secret not in everything
    assert signing not in everything
    found = await access_to(ship).credential(issued.api_key)
    assert repr(found) == f"Credential({found.id})"


async def test_live_deployments_require_signatures(ship: Any) -> None:
    """Required by default where money is real, and prefixed by the environment."""
    ship.config.deployment.environment = "live"
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    assert issued.api_key.startswith("sk_live_")
    found = await access_to(ship, environment="live").credential(issued.api_key)
    assert found.signature_required


async def test_the_other_environments_key_is_unknown(ship: Any) -> None:
    """A test key opens nothing in a live deployment, whatever the database says."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    assert await access_to(ship, environment="live").credential(issued.api_key) is None


@pytest.mark.parametrize(
    "key", ["", "sk_test_", "sk_test_" + "a" * 65, "sk_test_'; DROP TABLE clients", "\x00" * 30]
)
async def test_what_cannot_be_a_key_is_not_looked_up(ship: Any, key: Any) -> None:
    """Garbage costs no read and fills no memory."""
    access = access_to(ship)
    await ship.database.close()
    assert await access.credential(key) is None


async def test_revoked_stops_within_the_ttl(ship: Any) -> None:
    """A revoked key works at most as long as it is remembered, in a process that knew it."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    time = Monotonic()
    access = access_to(ship, ttl=2, monotonic=time)
    assert await access.credential(issued.api_key) is not None
    await revoke(Which("acme"), BY, ship)
    time.time += 0.9
    assert await access.credential(issued.api_key) is not None
    time.time += 1.1
    assert await access.credential(issued.api_key) is None


async def test_remembered_credentials_need_no_database(ship: Any) -> None:
    """Within the ttl a database that is away does not matter; after it is 503, not 401."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    time = Monotonic()
    access = access_to(ship, ttl=2, monotonic=time)
    assert await access.credential(issued.api_key) is not None

    async def away(*_: Any) -> None:
        raise Unavailable

    ship.database.read = away
    time.time += 1.9
    assert await access.credential(issued.api_key) is not None
    time.time += 0.1
    with pytest.raises(Unavailable):
        await access.credential(issued.api_key)


async def test_a_busy_key_is_read_once_a_ttl(ship: Any) -> None:
    """Calls at the same time share a read, and later ones are answered from memory."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    access, reads, read = access_to(ship, ttl=60), 0, ship.database.read

    async def counted(*arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*arguments)

    ship.database.read = counted
    await asyncio.gather(*(access.credential(issued.api_key) for _ in range(50)))
    assert await access.credential("sk_test_" + "u" * 32) is None
    assert await access.credential("sk_test_" + "u" * 32) is None
    assert reads == 2


async def test_a_refresh_does_not_hold_up_calls(ship: Any) -> None:
    """In the second half of its ttl a credential is read again behind the callers' back."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    time = Monotonic()
    access = access_to(ship, ttl=2, monotonic=time)
    first = await access.credential(issued.api_key)
    await change_client("acme", {"bulk_limit": 7}, BY, ship)
    time.time += 1.5
    assert await access.credential(issued.api_key) is first
    await asyncio.gather(*access._recent.reading.values())
    second = await access.credential(issued.api_key)
    assert second.client.bulk_limit == 7


async def test_unknown_keys_do_not_fill_memory(ship: Any) -> None:
    """Made-up keys push each other out; what is remembered of them is bounded."""
    access = access_to(ship, ttl=60)

    async def nobody(*_: Any) -> Any:
        return ()

    ship.database.read = nobody
    for number in range(5000):
        assert await access.credential(f"sk_test_{number:032}") is None
    assert len(access._recent.known) == 4096


async def test_an_inactive_client_cannot_call(ship: Any) -> None:
    """Switching a client off closes all its keys, and on again opens them."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    await change_client("acme", {"is_active": False}, BY, ship)
    assert await access_to(ship).credential(issued.api_key) is None
    await change_client("acme", {"is_active": True}, BY, ship)
    assert await access_to(ship).credential(issued.api_key) is not None


async def test_rotation_keeps_the_older_ones_for_a_while(ship: Any, clock: ManualClock) -> None:
    """Both secrets and both signing secrets are good during the grace period, then only the new."""
    old = await create_client(ClientFacts(name="acme"), BY, ship)
    new = await rotate(Which("acme"), Rotation(grace=timedelta(hours=2)), BY, ship)
    assert new.api_key == old.api_key
    secrets = [plain(each.secret).encode() for each in (old, new)]
    signing = [plain(each.signing_secret).encode() for each in (old, new)]
    found = await access_to(ship).credential(new.api_key)
    assert [found.accepts(each) for each in secrets] == [True, True]
    assert found.signing_secrets == (signing[1], signing[0])
    clock.advance(hours=2)
    found = await access_to(ship).credential(new.api_key)
    assert [found.accepts(each) for each in secrets] == [False, True]
    assert found.signing_secrets == (signing[1],)


async def test_only_one_of_the_two_may_be_rotated(ship: Any) -> None:
    """A new secret alone leaves the signing secret as it is."""
    old = await create_client(ClientFacts(name="acme"), BY, ship)
    new = await rotate(Which("acme"), Rotation(signing_secret=False), BY, ship)
    assert new.signing_secret is None
    found = await access_to(ship).credential(old.api_key)
    assert found.signing_secrets == (plain(old.signing_secret).encode(),)
    assert len(found.secret_hashes) == 2


async def test_no_grace_ends_the_older_one_at_once(ship: Any) -> None:
    """After a leak a rotation without grace is a replacement."""
    old = await create_client(ClientFacts(name="acme"), BY, ship)
    await rotate(Which("acme"), Rotation(grace=timedelta()), BY, ship)
    found = await access_to(ship).credential(old.api_key)
    assert not found.accepts(plain(old.secret).encode())


async def test_addresses_are_held_to_the_list(ship: Any) -> None:
    """Addresses and CIDRs of both families; an unknown address is outside of every list."""
    issued = await create_client(ClientFacts(name="acme"), BY, ship)
    listed = ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"]
    facts = await allow_addresses(Which("acme"), listed, BY, ship)
    assert facts.allowlist == ("203.0.113.7/32", "10.0.0.0/8", "2001:db8::/32")
    found = await access_to(ship).credential(issued.api_key)
    asked = ["203.0.113.7", "203.0.113.8", "10.9.9.9", "::ffff:10.9.9.9", "2001:db8::1", "2001::1"]
    assert [found.admits(address(each)) for each in asked] == [True, False, True, True, True, False]
    assert not found.admits(None)
    await allow_addresses(Which("acme"), [], BY, ship)
    assert (await access_to(ship).credential(issued.api_key)).admits(None)


async def test_a_wrong_address_changes_nothing(ship: Any) -> None:
    """A typing error in one address refuses all of them."""
    await create_client(ClientFacts(name="acme"), BY, ship)
    with pytest.raises(InvalidInput):
        await allow_addresses(Which("acme"), ["10.0.0.1/8"], BY, ship)
    assert (await list_clients(ship))[0].credentials[0].allowlist == ()


async def test_several_keys_must_be_named(ship: Any) -> None:
    """With two live keys an operator says which; with one left there is no question."""
    await create_client(ClientFacts(name="acme"), BY, ship)
    second = await add_credential("acme", BY, ship)
    with pytest.raises(WrongState, match="name one"):
        await revoke(Which("acme"), BY, ship)
    await revoke(Which("acme", second.credential_id), BY, ship)
    with pytest.raises(WrongState, match="was revoked"):
        await rotate(Which("acme", second.credential_id), Rotation(), BY, ship)
    await revoke(Which("acme"), BY, ship)
    with pytest.raises(NotFound):
        await revoke(Which("acme"), BY, ship)


@pytest.mark.parametrize(
    "facts",
    [
        {"name": ""},
        {"name": "12"},
        {"name": "a\nb"},
        {"name": "x" * 65},
        {"name": "a", "bulk_limit": 0},
        {"name": "a", "min_validity_days": -1},
        {"name": "a", "orders_per_minute": -1},
    ],
)
async def test_senseless_clients_are_refused(ship: Any, facts: Any) -> None:
    """What would confuse an operator or break a bound is refused before it is written."""
    with pytest.raises(InvalidInput):
        await create_client(ClientFacts(**facts), BY, ship)
    assert await list_clients(ship) == []


async def test_names_are_unique(ship: Any) -> None:
    """A name stands for one client, at creation and when one is renamed."""
    await create_client(ClientFacts(name="acme"), BY, ship)
    with pytest.raises(InvalidInput, match="named acme already"):
        await create_client(ClientFacts(name="acme"), BY, ship)
    await create_client(ClientFacts(name="other"), BY, ship)
    with pytest.raises(InvalidInput, match="named acme already"):
        await change_client("other", {"name": "acme"}, BY, ship)


async def test_another_clients_wallet_is_no_default(ship: Any) -> None:
    """A default wallet must be the client's own, or it would pay for another."""
    await create_client(ClientFacts(name="acme"), BY, ship)
    with pytest.raises(InvalidInput, match="not this client's"):
        await change_client("acme", {"default_wallet_id": 99}, BY, ship)


async def test_every_change_is_audited(ship: Any) -> None:
    """Who, what, before and after; one row a change, none for a change that changes nothing."""
    await create_client(ClientFacts(name="acme"), BY, ship)
    await change_client("acme", {"bulk_limit": 9}, BY, ship)
    await change_client("acme", {"bulk_limit": 9}, BY, ship)
    await change_client("acme", {"signature_required": True}, BY, ship)
    await rotate(Which("acme"), Rotation(), BY, ship)
    await allow_addresses(Which("acme"), ["10.0.0.1"], BY, ship)
    await revoke(Which("acme"), BY, ship)
    rows = await audited(ship)
    assert [row[0] for row in rows] == [
        "client.created",
        "credential.created",
        "client.changed",
        "credential.changed",
        "credential.rotated",
        "credential.addresses",
        "credential.revoked",
    ]
    assert {row[2] for row in rows} == {"operator:ana"}
    before, after = (msgspec.json.decode(text) for text in rows[2][3:])
    assert (before["bulk_limit"], after["bulk_limit"]) == (10_000, 9)


async def test_a_discount_is_the_clients_own(ship: Any) -> None:
    """Set, changed and taken away, audited; the catalogue is told to look again."""
    await create_client(ClientFacts(name="acme"), BY, ship)
    with pytest.raises(NotFound):
        await give_discount("acme", Discount(310, Decimal("2.5")), BY, ship)
    with pytest.raises(InvalidInput):
        await give_discount("acme", Discount(310, Decimal(101)), BY, ship)

    def product(tx: Any) -> None:
        tx.execute(
            "INSERT INTO categories (id, name, slug, created_at, updated_at)"
            " VALUES (1, 'a', 'a', 0, 0)"
        )
        tx.execute(
            "INSERT INTO products (id, code, name, category_id, currency, created_at, updated_at)"
            " VALUES (310, 'p', 'p', 1, 'GBP', 0, 0)"
        )

    await ship.database.run(product)
    seen = []
    for percent in (Decimal("2.5"), Decimal(3), None):
        await give_discount("acme", Discount(310, percent), BY, ship)
        seen.append(
            await ship.database.read(
                lambda tx: [
                    tuple(row)
                    for row in tx.execute(
                        "SELECT d.discount, c.value FROM counters c"
                        " LEFT JOIN client_discounts d ON d.product_id = 310"
                        " WHERE c.name = 'catalogue'"
                    )
                ]
            )
        )
    assert seen == [[("2.5", 1)], [("3", 2)], [(None, 3)]]
