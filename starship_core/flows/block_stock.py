"""Take vouchers out of sale by hand, with a reason, and let them back in.

What was delivered stays delivered (`replace` an order's voucher instead). What is let back in is
`received`: the next pump puts it on sale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from starship_core.audit import By, record
from starship_core.clock import micros
from starship_core.database import json_rows
from starship_core.errors import InvalidInput, Unavailable
from starship_core.model import Sku
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.snapshot import Snapshot
from starship_core.stock.intake import missing_part
from starship_core.stock.listing import Found, find
from starship_core.stock.table import CHUNK, Pooled, block
from starship_core.vault import Unsealable, Vault

_HELD_BACK: Final = ("blocked", "quarantined")
_LET_BACK: Final = """
UPDATE vouchers SET state = 'received', state_reason = NULL, updated_at = $2
WHERE id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
  AND state IN ('blocked', 'quarantined') AND order_id IS NULL
RETURNING id
"""


class Changed(Struct, frozen=True):
    """What became of the vouchers named."""

    done: list[int]
    refused: dict[int, str]
    """Id → why nothing was done with it."""


async def block_stock(ship: Ship, ids: Sequence[int], *, by: By) -> Changed:
    """Out of stock and pool at once. Raises InvalidInput without a reason, or for too many."""
    _checked(ids, by)
    blocked, refused = await ship.database.run(_block, ids, by, ship.now())
    by_sku: dict[Sku, list[int]] = defaultdict(list)
    for voucher in blocked:
        by_sku[voucher.sku].append(voucher.id)
    try:
        for sku, gone in by_sku.items():
            await ship.pool.drop(sku, gone)
    except Unavailable:
        pass  # SQL decides; the next pump removes them
    return Changed(sorted(voucher.id for voucher in blocked), refused)


async def unblock_stock(ship: Ship, ids: Sequence[int], *, by: By) -> Changed:
    """Blocked ones, and quarantined ones that are in order by now; the next pump pools them."""
    _checked(ids, by)
    catalogue = await ship.catalogue.current()
    sound = _Sound(catalogue, ship.vault, micros(ship.now()))
    done, refused = await ship.database.run(_unblock, ids, sound, (by, ship.now()))
    return Changed(done, refused)


def _checked(ids: Sequence[int], by: By) -> None:
    if not by.reason.strip():
        raise InvalidInput("say why: the reason is kept with every voucher", field="reason")
    if len(ids) > CHUNK:
        raise InvalidInput(f"at most {CHUNK} vouchers at once", field="ids")


def _block(
    tx: Transaction, ids: Sequence[int], by: By, now: datetime
) -> tuple[list[Pooled], dict[int, str]]:
    before = find(tx, ids)
    blocked = block(tx, dict.fromkeys(ids, by.reason), micros(now))
    for voucher in blocked:
        _note(tx, by, before[voucher.id], "blocked", now)
    done = {voucher.id for voucher in blocked}
    now_there = find(tx, [id_ for id_ in ids if id_ not in done])
    return blocked, {id_: _why_not(now_there.get(id_)) for id_ in ids if id_ not in done}


def _why_not(found: Found | None) -> str:
    if found is None:
        return "there is no such voucher"
    if found.state == "assigned":
        return f"it belongs to order {found.order_id}; replace it there"
    return f"it is {found.state}" + (f" ({found.reason})" if found.reason else "")


class _Sound:
    """Whether a voucher could be sold if it were on sale."""

    def __init__(self, catalogue: Snapshot, vault: Vault, now: int) -> None:
        self._catalogue = catalogue
        self._vault = vault
        self._now = now

    def problem(self, found: Found | None) -> str | None:
        if found is None or found.state not in _HELD_BACK:
            return _why_not(found)
        if found.order_id is not None:
            return f"it was replaced in order {found.order_id}"
        if found.expires_at <= self._now:
            return "it has expired"
        product = self._catalogue.products[found.sku.product_id]
        if product.currency != found.sku.currency or not product.offers(found.sku.denomination):
            return f"{product.code} is not offered in {found.sku.face}"
        try:
            code = self._vault.reveal(found.id, found.sealed, found.key_id)
        except Unsealable:
            return "its code does not open"
        missing = missing_part(code, product)
        return missing and f"{product.code} needs a {missing}"


def _unblock(
    tx: Transaction, ids: Sequence[int], sound: _Sound, context: tuple[By, datetime]
) -> tuple[list[int], dict[int, str]]:
    by, now = context
    before = find(tx, ids)
    refused = {id_: why for id_ in ids if (why := sound.problem(before.get(id_)))}
    free = json_rows((id_,) for id_ in before if id_ not in refused)
    done = sorted(row[0] for row in tx.execute(_LET_BACK, free, micros(now)))
    for id_ in done:
        _note(tx, by, before[id_], "received", now)
    return done, refused


def _note(tx: Transaction, by: By, before: Found, state: str, now: datetime) -> None:
    action = "stock.block" if state == "blocked" else "stock.unblock"
    was = {"state": before.state, "reason": before.reason}
    after = {"state": state, "reason": by.reason}
    record(tx, by, action, f"voucher:{before.id}", at=now, before=was, after=after)
