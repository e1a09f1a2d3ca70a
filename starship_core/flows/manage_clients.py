"""Clients: create one with its first key, add keys, change, give a discount, list.

Every change is one transaction with its audit row.
"""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from starship_core.audit import By, record
from starship_core.catalogue import touch
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound
from starship_core.ship import Ship
from starship_core.store.clients import (
    ClientFacts,
    Issued,
    Listed,
    NewKey,
    all_clients,
    credentials_of,
    find_client,
    insert_client,
    insert_credential,
    name_taken,
    set_discount,
    update_client,
)

_REQUIRE: Final = "UPDATE credentials SET signature_required = $1 WHERE id = $2"


async def create_client(new: ClientFacts, by: By, ship: Ship) -> Issued:
    """A client and its first credential. Raises InvalidInput for a name that is taken."""
    return await ship.database.run(_create, new, by, ship)


def _create(tx: Tx, new: ClientFacts, by: By, ship: Ship) -> Issued:
    _require_sense(new)
    at = ship.now()
    number = insert_client(tx, new, micros(at))
    if number is None:
        raise InvalidInput(f"there is a client named {new.name} already", field="name")
    made = replace(new, id=number)
    record(tx, by, "client.created", f"client:{made.id}", at=at, after=_told(made))
    return _issue(tx, made, by, ship)


async def add_credential(client: str, by: By, ship: Ship) -> Issued:
    """A further key; those before it stay as they are. Raises NotFound."""
    return await ship.database.run(lambda tx: _issue(tx, find_client(tx, client), by, ship))


def _issue(tx: Tx, client: ClientFacts, by: By, ship: Ship) -> Issued:
    environment = ship.config.deployment.environment
    asked = ship.config.server.require_signatures
    required = environment == "live" if asked is None else asked
    key = f"sk_{environment}_{secrets.token_urlsafe(24)}"
    at = ship.now()
    made = insert_credential(tx, NewKey(client.id, key, required, micros(at)), ship.vault)
    facts = {"client": client.id, "api_key": key, "signature_required": required}
    record(tx, by, "credential.created", f"credential:{made.credential_id}", at=at, after=facts)
    return made


async def change_client(
    client: str, changes: dict[str, Any], by: By, ship: Ship
) -> tuple[ClientFacts, ClientFacts]:
    """Set fields of `ClientFacts`, and `signature_required` of all its live credentials.

    Returns it before and after. Raises NotFound, InvalidInput.
    """
    return await ship.database.run(_change, client, changes, by, ship)


def _change(
    tx: Tx, client: str, changes: dict[str, Any], by: By, ship: Ship
) -> tuple[ClientFacts, ClientFacts]:
    before = find_client(tx, client)
    fields = dict(changes)
    required: bool | None = fields.pop("signature_required", None)
    after = replace(before, **fields)
    _require_sense(after)
    _require_own_wallet(tx, after)
    if after.name != before.name and name_taken(tx, after.name):
        raise InvalidInput(f"there is a client named {after.name} already", field="name")
    at = ship.now()
    if after != before:
        update_client(tx, after)
        subject = f"client:{after.id}"
        record(tx, by, "client.changed", subject, at=at, before=_told(before), after=_told(after))
    for each in credentials_of(tx, after.id) if required is not None else ():
        if each.revoked_at is None and each.signature_required != required:
            tx.execute(_REQUIRE, int(bool(required)), each.id)
            fact = {"signature_required": required}
            record(tx, by, "credential.changed", f"credential:{each.id}", at=at, after=fact)
    return before, after


async def list_clients(ship: Ship) -> list[Listed]:
    """All of them, by id."""
    return await ship.database.read(all_clients)


class Discount(Struct, frozen=True):
    """A client's own discount on a product, in percent of the face value; None: no own one."""

    product_id: int
    percent: Decimal | None


async def give_discount(client: str, discount: Discount, by: By, ship: Ship) -> None:
    """Set it, or take it away. Raises NotFound, InvalidInput."""
    if discount.percent is not None and not 0 <= discount.percent <= 100:
        raise InvalidInput("a discount is a percentage from 0 to 100", field="discount")
    await ship.database.run(_give, client, discount, by, ship)


def _give(tx: Tx, client: str, discount: Discount, by: By, ship: Ship) -> None:
    touch(tx)  # first: whoever else changes the catalogue waits here
    found = find_client(tx, client)
    product = discount.product_id
    if not tx.execute("SELECT id FROM products WHERE id = $1", product):
        raise NotFound("product", product)
    percent = None if discount.percent is None else format(discount.percent, "f")
    before = set_discount(tx, found.id, product, percent)
    record(
        tx, by, "client.discount", f"client:{found.id}", at=ship.now(),
        before={"product": product, "percent": before},
        after={"product": product, "percent": percent},
    )  # fmt: skip


def _require_sense(client: ClientFacts) -> None:
    if not client.name or len(client.name) > 64 or not client.name.isprintable():
        raise InvalidInput("a name has 1 to 64 printable characters", field="name")
    if client.name.isdigit():
        raise InvalidInput("a name that is a number would be taken for an id", field="name")
    for field in ("bulk_limit", "min_validity_days", "orders_per_minute", "reads_per_minute"):
        value: int | None = getattr(client, field)
        if value is not None and not (field == "bulk_limit") <= value <= 1_000_000_000:
            raise InvalidInput(f"{field} is out of range", field=field)


def _require_own_wallet(tx: Tx, client: ClientFacts) -> None:
    mine = "SELECT id FROM wallets WHERE id = $1 AND client_id = $2"
    wallet = client.default_wallet_id
    if wallet is not None and not tx.execute(mine, wallet, client.id):
        raise InvalidInput(f"wallet {wallet} is not this client's", field="default_wallet_id")


def _told(client: ClientFacts) -> dict[str, Any]:
    return msgspec.structs.asdict(client)
