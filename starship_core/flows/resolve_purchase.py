"""An operator settles what a vendor left unknown: not bought, or bought, with its vouchers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from starship_core.audit import By, record
from starship_core.buying.closing import closed_unbought
from starship_core.buying.delivering import bought
from starship_core.buying.following import Aftermath, Scene
from starship_core.buying.goods import Goods, judged
from starship_core.buying.planning import Market
from starship_core.database import Tx
from starship_core.errors import InvalidInput, WrongState
from starship_core.model import Bought, Money, Voucher, Want
from starship_core.ports import InventorySource
from starship_core.ship import Ship
from starship_core.store.purchases import PurchaseRecord, find_purchase, take_purchase

IN_DOUBT: Final = ("ACCEPTED", "UNKNOWN", "NEEDS_REVIEW")
_MOST: Final = 10_000


async def resolve_not_bought(purchase_id: int, evidence: str, by: By, ship: Ship) -> PurchaseRecord:
    """Nothing was bought: an operator knows, and says how. Its items wait again; the next vendor of
    the approval is not asked by itself. Raises NotFound, InvalidInput, WrongState.
    """
    if not evidence.strip():
        raise InvalidInput("say how you know that nothing was bought", field="evidence")
    await ship.database.run(_not_bought, purchase_id, evidence.strip(), by, ship.now())
    return await ship.database.read(find_purchase, purchase_id)


def _not_bought(tx: Tx, purchase_id: int, evidence: str, by: By, now: datetime) -> None:
    one = _settled(tx, purchase_id, by, now, {"bought": False, "evidence": evidence})
    if one.received:
        raise WrongState(
            f"purchase {purchase_id} has brought {one.received} vouchers; settle it with --bought",
            found=one.state,
        )
    closed_unbought(tx, one, now, f"not bought, says {by.actor}: {evidence}")


async def resolve_bought(
    purchase_id: int,
    vouchers: Mapping[str, InventorySource],
    by: By,
    ship: Ship,
    *,
    charged: Money | None = None,
) -> PurchaseRecord:
    """It was bought, and these are its vouchers (`flows.import_stock.by_hand` opens a file): they
    are delivered like an answer. Fewer than were bought: no more will come. Run it again after a
    crash. Raises NotFound, InvalidInput, WrongState.
    """
    one = await ship.database.read(find_purchase, purchase_id)
    _must_be_in_doubt(one)
    units = await _read(one, vouchers)
    goods = await judged(one, units, ship)
    if goods.refused:
        raise InvalidInput(f"the file cannot be taken: {goods.refused[0]}", field="bought")
    reply = Bought(vouchers=units, charged=charged)
    scene = Scene("", ship.now(), Market.of(ship), ship.vault.reveal, says=by.actor)
    aftermath = await ship.database.run(_bought, one.id, by, reply, (goods, scene))
    for voucher in aftermath.pooled:
        await ship.pool.load(voucher.sku, [(voucher.id, voucher.expires_at)])
    return await ship.database.read(find_purchase, purchase_id)


def _bought(
    tx: Tx, purchase_id: int, by: By, reply: Bought, context: tuple[Goods, Scene]
) -> Aftermath:
    goods, scene = context
    facts = {"bought": True, "vouchers": len(reply.vouchers), "charged": str(reply.charged)}
    _settled(tx, purchase_id, by, scene.now, facts)
    return bought(tx, purchase_id, reply, goods, scene)


async def _read(
    one: PurchaseRecord, vouchers: Mapping[str, InventorySource]
) -> tuple[Voucher, ...]:
    units: list[Voucher] = []
    for source in vouchers.values():
        async for voucher in source.pull([Want(one.sku, one.quantity)]):
            units.append(voucher)
            if len(units) > _MOST:
                raise InvalidInput(f"the file has more than {_MOST} vouchers", field="bought")
    strange = {str(unit.sku) for unit in units if unit.sku != one.sku}
    if strange:
        raise InvalidInput(
            f"purchase {one.id} is of {one.sku}, and the file has {', '.join(sorted(strange))}",
            field="bought",
        )
    if not units:
        raise InvalidInput("the file has no voucher in it", field="bought")
    return tuple(units)


def _settled(
    tx: Tx, purchase_id: int, by: By, now: datetime, facts: Mapping[str, object]
) -> PurchaseRecord:
    """Locked, in doubt, and the operator's word on record."""
    one = take_purchase(tx, purchase_id)
    _must_be_in_doubt(one)
    record(
        tx, by, "purchase.resolve", f"purchase:{purchase_id}", at=now,
        before={"state": one.state}, after=facts,
    )  # fmt: skip
    return one


def _must_be_in_doubt(one: PurchaseRecord) -> None:
    if one.state in IN_DOUBT:
        return
    hint = "cancel the order, or let it be sent" if one.state == "PLANNED" else "it is settled"
    if one.state == "SENT":
        hint = "its sender is asking the vendor; look again in a minute"
    raise WrongState(f"purchase {one.id} is {one.state}: {hint}", found=one.state)
