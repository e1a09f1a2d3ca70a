"""What an operator does meanwhile: pump, retry, cancel; and somebody flushes Redis."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Final

from starship_core.errors import StarshipError, Unavailable, WrongState
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.pump_inventory import pump
from starship_core.flows.retry_order import retry_order
from tests.chaos.load import PRODUCTS, Load
from tests.e2e.servers import ANA, Shelf
from tests.race.fleet import Fleet

_WAITING: Final = """
SELECT id FROM orders WHERE status IN ('PENDING', 'PARTIALLY_DELIVERED') ORDER BY id DESC LIMIT 50
"""


class Operator:
    """Acts at random; a refusal for another's sake is no fault."""

    def __init__(self, fleet: Fleet, load: Load, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._fleet = fleet
        self._chance = chance
        self._load = load
        self._shelf = Shelf([])

    async def run(self, seconds: float) -> None:
        """An act every half second or so."""
        until = time.monotonic() + seconds
        acts = [self.pump] * 4 + [self._retry] * 4 + [self._cancel] + [self._flush]
        while time.monotonic() < until:
            await asyncio.sleep(self._chance.uniform(0.1, 0.8))
            try:
                await self._chance.choice(acts)()
            except (Unavailable, WrongState):
                self.counts["refused"] += 1
            except StarshipError as error:
                self.faults.append(f"operator: {error!r}")

    async def pump(self) -> None:
        """New vouchers, at most a few more than were ordered: there is stock, and there is none."""
        for product in range(1, PRODUCTS + 1):
            wanted = self._load.units[product] - len(self._fleet.made.get(product, ()))
            count = self._chance.randint(0, max(0, wanted + 20))
            for voucher in self._fleet.vouchers(product, count):
                self._shelf.left[voucher.reference] = voucher
        await self.drain()
        self.counts["pumps"] += 1

    async def drain(self) -> None:
        """Take all that is on the shelf."""
        await pump(self._fleet.ship, by=ANA, sources={"shelf": self._shelf})

    async def _waiting(self) -> int | None:
        rows = await self._fleet.sql(_WAITING)
        return self._chance.choice(rows)[0] if rows else None

    async def _retry(self) -> None:
        if found := await self._waiting():
            await retry_order(found, ANA, self._fleet.ship)
            self.counts["retries"] += 1

    async def _cancel(self) -> None:
        if found := await self._waiting():
            await cancel_order(found, ANA, self._fleet.ship)
            self.counts["cancels"] += 1

    async def _flush(self) -> None:
        with self._fleet.redis.client() as redis:
            await asyncio.to_thread(redis.flushall)
        self.counts["flushes"] += 1
