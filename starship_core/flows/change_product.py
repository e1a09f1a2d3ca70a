"""An operator switches a product on or off, or sets a discount: one transaction, one audit row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from starship_core.audit import By, record
from starship_core.catalogue import touch
from starship_core.catalogue_columns import WrongCell, read_percent
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound
from starship_core.ship import Ship
from starship_core.store.clients import find_client, set_discount

_FIND: Final = "SELECT id, is_active, discount FROM products WHERE code = $1"
_UPDATE: Final = "UPDATE products SET is_active = $1, discount = $2, updated_at = $3 WHERE id = $4"


class ProductChange(Struct, frozen=True, kw_only=True):
    """What to set; percentages as text, None takes a discount away."""

    is_active: bool | UnsetType = UNSET
    discount: str | UnsetType | None = UNSET
    client_discounts: Mapping[str, str | None] = {}
    """By the client's name or id."""


class Changed(Struct, frozen=True):
    """The facts that the change was about, before and after it."""

    code: str
    before: dict[str, Any]
    after: dict[str, Any]


async def change_product(code: str, change: ProductChange, by: By, ship: Ship) -> Changed:
    """Nothing is written unless all of it can be. Raises NotFound, InvalidInput."""
    given = [change.discount, *change.client_discounts.values()]
    for percent in given:
        if isinstance(percent, str):
            _require_percent(percent)
    return await ship.database.run(_change, code, change, by, ship.now())


def _require_percent(percent: str) -> None:
    try:
        read_percent(percent)
    except WrongCell as wrong:
        raise InvalidInput(str(wrong), field="discount") from None


def _change(tx: Tx, code: str, change: ProductChange, by: By, now: datetime) -> Changed:
    touch(tx)  # first: whoever else changes the catalogue waits here
    rows = tx.execute(_FIND, code)
    if not rows:
        raise NotFound("product", code)
    product_id, active, discount = rows[0]
    on = bool(active) if change.is_active is UNSET else change.is_active
    percent = discount if change.discount is UNSET else change.discount
    before: dict[str, Any] = {"is_active": bool(active), "discount": discount}
    after: dict[str, Any] = {"is_active": on, "discount": percent}
    if after != before:
        tx.execute(_UPDATE, int(on), percent, micros(now), product_id)
    for which, percent in change.client_discounts.items():
        client = find_client(tx, which)
        before[f"client:{client.id}"] = set_discount(tx, client.id, product_id, percent)
        after[f"client:{client.id}"] = percent
    record(tx, by, "product.set", f"product:{product_id}", at=now, before=before, after=after)
    return Changed(code, before, after)
