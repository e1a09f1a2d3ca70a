"""A vendor calls back: at most a hint that a purchase should be looked up now.

What it says is not believed and not kept, only which of our references it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import structlog

from starship_core.clock import micros
from starship_core.ship import Ship
from starship_core.store.callbacks import hasten

_LONGEST: Final = 200
"""Characters of a reference; ours are shorter."""
_log = structlog.get_logger("starship.callback")


async def hear_callback(instance: str, headers: Mapping[str, str], body: bytes, ship: Ship) -> None:
    """Have the purchase that it names looked up now, if the vendor's secret says so. Idempotent.

    Neither headers nor body are logged. Raises Unavailable, so that the vendor calls again.
    """
    reference = _reference(instance, headers, body, ship)
    hastened = False
    if reference is not None:
        hastened = await ship.database.run(hasten, instance, reference, micros(ship.now()))
    _log.info("callback.heard", vendor=instance, hastened=hastened)


def _reference(instance: str, headers: Mapping[str, str], body: bytes, ship: Ship) -> str | None:
    """None also where the plugin failed: it is shown what strangers send."""
    vendor = ship.vendors[instance]
    try:
        found = cast("Any", vendor.port).reference(headers, body)
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        _log.warning("callback.unreadable", vendor=instance, error=type(error).__name__)
        return None
    if isinstance(found, str) and 0 < len(found) <= _LONGEST and found.isprintable():
        return found
    return None
