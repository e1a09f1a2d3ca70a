"""Every call that buys or looks up: under a deadline, and sorted by what to do next.

Of `buy` only a reply or Unavailable says that nothing is in doubt; whatever else escapes is
Ambiguous. Of `find`, which buys nothing, it is Unavailable. What escaped is logged as class, plugin
and our ids, never its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from starship_core.errors import Ambiguous, Unavailable
from starship_core.model import Accepted, Bought, Purchase, Refused, VendorReply
from starship_core.ship import Ship, Vendor
from starship_core.vendor_guard import NotSent, guarded, guarded_buy

_REPLIES = (Bought, Accepted, Refused)
_log = structlog.get_logger("starship.vendor")


async def buy(
    vendor: Vendor, purchase: Purchase, ship: Ship, *, may_send: Callable[[], bool]
) -> VendorReply:
    """Send it once, unless `may_send`, asked right before, says no longer.

    Raises Unavailable (nothing was accepted) or Ambiguous.
    """

    async def call() -> VendorReply:
        if not may_send():
            raise NotSent("the lease was over before the request was sent", retry_after=5)
        try:
            async with asyncio.timeout(vendor.traits.buy_timeout):
                reply = await vendor.port.buy(purchase)
        except (Unavailable, Ambiguous):
            raise
        except Exception as error:  # noqa: BLE001  # a plugin may raise anything
            _escaped(vendor, "buy", purchase, error)
            raise Ambiguous(f"the call ended with {type(error).__name__}") from None
        if not isinstance(reply, _REPLIES):
            raise Ambiguous(f"the plugin answered with {type(reply).__name__}")
        return reply

    return await guarded_buy(vendor, call, ship)


async def find(vendor: Vendor, purchase: Purchase, ship: Ship) -> VendorReply | None:
    """What the vendor knows of it; None: no such reference. Never buys. Raises Unavailable."""

    async def call() -> VendorReply | None:
        try:
            async with asyncio.timeout(vendor.traits.buy_timeout):
                reply = await vendor.port.find(purchase)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a plugin may raise anything
            _escaped(vendor, "find", purchase, error)
            raise Unavailable(f"the call ended with {type(error).__name__}") from None
        if reply is not None and not isinstance(reply, _REPLIES):
            raise Unavailable(f"the plugin answered with {type(reply).__name__}")
        return reply

    return await guarded(vendor, "find", call, ship)


def _escaped(vendor: Vendor, operation: str, purchase: Purchase, error: Exception) -> None:
    _log.error(
        "vendor.escaped",
        vendor=vendor.name,
        plugin=vendor.plugin,
        operation=operation,
        reference=purchase.reference,
        error=type(error).__name__,
    )
