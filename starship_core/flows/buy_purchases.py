"""Buy what is planned, and find out what became of what was sent.

The tables hold the work: every purchase that needs somebody has a due time, and is leased to
whoever looks after it. Killed anywhere, the next sweep goes on.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from starship_core.breaker import Rule
from starship_core.buying import outcomes
from starship_core.buying.delivering import bought
from starship_core.buying.following import Aftermath, Scene
from starship_core.buying.goods import judged
from starship_core.buying.planning import Market
from starship_core.buying.proof import may_send
from starship_core.buying.sending import Hand, Step, take_in_hand
from starship_core.clock import micros
from starship_core.errors import Ambiguous, StarshipError, Unavailable
from starship_core.model import Accepted, Bought, Refused, VendorReply
from starship_core.ship import Ship, Vendor
from starship_core.store.purchases import PurchaseRecord, due, oldest_due
from starship_core.store.sealed_secrets import raw_purpose
from starship_core.vendor_calls import buy, find

__all__ = ["oldest_due", "sweep_purchases"]

BATCH: Final = 16
"""Purchases that one sweep looks after at once."""
TRIES: Final = 20
"""Seconds that what a vendor answered is held while the database is away."""
_log = structlog.get_logger("starship.purchases")


async def sweep_purchases(ship: Ship) -> int:
    """Look after what is due: how many there were. Run again, twice at once or after a kill, it
    sends nothing twice.
    """
    found = await ship.database.read(due, micros(ship.now()), BATCH)
    await asyncio.gather(*(_looked_after(purchase_id, ship) for purchase_id, _ in found))
    return len(found)


async def _looked_after(purchase_id: int, ship: Ship) -> None:
    try:
        await tend(purchase_id, ship)
    except StarshipError as error:  # the others go on, and this one is due again
        _log.warning("purchase.left", purchase=purchase_id, error=type(error).__name__)


async def tend(purchase_id: int, ship: Ship) -> None:
    """One purchase, if it is due. Raises Unavailable when the database is away."""
    token = uuid.uuid4().hex
    hand = Hand(token, Market.of(ship), Rule.of(ship.config.buying), ship.now())
    step = await ship.database.run(take_in_hand, purchase_id, hand)
    await _tell_redis(step.aftermath, ship)
    if step.do == "send":
        await _send(step, token, ship)
    elif step.do == "find":
        await _find(step, token, ship)


async def _send(step: Step, token: str, ship: Ship) -> None:
    one, vendor = step.record, ship.vendors[step.record.vendor]
    log = _log.bind(purchase=one.id, order=one.order_id, vendor=one.vendor)
    log.info("purchase.sent", attempt=one.attempts)
    try:
        reply = await buy(
            vendor, one.asked, ship,
            may_send=lambda: may_send(one.sender_until, vendor.traits, micros(ship.now())),
        )  # fmt: skip
    except Unavailable as error:
        wait = error.retry_after
        await _written(
            ship, token, lambda scene: ship.database.run(outcomes.unavailable, one.id, wait, scene)
        )
        log.info("purchase.unavailable")
    except Ambiguous as error:
        raw = None
        if error.raw is not None:
            raw = ship.vault.seal_secret(raw_purpose(one.id), error.raw.reveal())
        await _written(
            ship, token, lambda scene: ship.database.run(outcomes.ambiguous, one.id, raw, scene)
        )
        log.warning("purchase.unknown")
    else:
        await _replied(one, reply, token, ship)


async def _find(step: Step, token: str, ship: Ship) -> None:
    one, vendor = step.record, ship.vendors[step.record.vendor]
    try:
        reply = await find(vendor, one.asked, ship)
    except Unavailable:
        await _written(
            ship, token, lambda scene: ship.database.run(outcomes.not_told, one.id, scene)
        )
        return
    if reply is None:
        await _not_there(one, vendor, token, ship)
    else:
        await _replied(one, reply, token, ship)


async def _not_there(one: PurchaseRecord, vendor: Vendor, token: str, ship: Ship) -> None:
    traits = vendor.traits
    await _written(
        ship, token,
        lambda scene: ship.database.run(outcomes.unknown_there, one.id, traits, scene),
    )  # fmt: skip


async def _replied(one: PurchaseRecord, reply: VendorReply, token: str, ship: Ship) -> None:
    """A reply, whoever asked for it: written with all that follows."""

    async def write(scene: Scene) -> Aftermath:
        run = ship.database.run
        match reply:
            case Bought():
                goods = await judged(one, reply.vouchers, ship)
                return await run(bought, one.id, reply, goods, scene)
            case Accepted():
                return await run(outcomes.accepted, one.id, reply, scene)
            case Refused():
                return await run(outcomes.refused, one.id, scene)

    await _written(ship, token, write)
    _log.info("purchase.replied", purchase=one.id, reply=type(reply).__name__)


async def _written(ship: Ship, token: str, write: Callable[[Scene], Awaitable[Aftermath]]) -> None:
    """What the vendor said must not be lost because the database was away for a moment."""
    for attempt in range(1, TRIES + 1):
        scene = Scene(token, ship.now(), Market.of(ship), ship.vault.reveal)
        try:
            aftermath = await write(scene)
        except Unavailable:
            if attempt == TRIES:
                raise
            await asyncio.sleep(1)
        else:
            await _tell_redis(aftermath, ship)
            return


async def _tell_redis(aftermath: Aftermath, ship: Ship) -> None:
    """A hint: the pump makes good what is missed here."""
    try:
        for voucher in aftermath.pooled:
            await ship.pool.load(voucher.sku, [(voucher.id, voucher.expires_at)])
        for voucher in aftermath.gone:
            await ship.pool.drop(voucher.sku, [voucher.id])
    except Unavailable:
        _log.info("pool.degraded")
