"""Expiry between two pumps: what is past its date leaves pool and stock within seconds."""

from __future__ import annotations

from starship_core.clock import micros
from starship_core.ship import Ship
from starship_core.stock.expiry import oldest_expired, take_out_expired

__all__ = ["oldest_expired", "sweep_expiry"]


async def sweep_expiry(ship: Ship) -> int:
    """Take out what has expired by now; twice at once is as good as once."""
    return await take_out_expired(ship.database, ship.pool, micros(ship.now()))
