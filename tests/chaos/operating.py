"""What an operator does meanwhile: pump, retry, cancel; and somebody flushes Redis."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

import redis

from starship_core.errors import StarshipError, Unavailable, WrongState
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.pump_inventory import pump
from starship_core.flows.retry_order import retry_order
from starship_core.model import Money
from tests.chaos.load import PRODUCTS, Load
from tests.chaos.market import FACE, VENDOR
from tests.e2e.servers import ANA, Shelf
from tests.race.fleet import Fleet

_WAITING: Final = """
SELECT id FROM orders WHERE status IN ('PENDING', 'PARTIALLY_DELIVERED') ORDER BY id DESC LIMIT 50
"""


_UNSERVED: Final = """
SELECT id, pending_items FROM orders
WHERE product_id = $1 AND status = 'PENDING' AND pending_items > 0
  AND NOT EXISTS (SELECT 1 FROM approvals WHERE order_id = orders.id)
ORDER BY id DESC LIMIT 10
"""


class Operator:
    """Acts at random; a refusal for another's sake is no fault."""

    def __init__(
        self, fleet: Fleet, load: Load, chance: random.Random, *, bought: int | None = None
    ) -> None:
        """`bought`: the product that only a vendor has."""
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._fleet = fleet
        self._chance = chance
        self._load = load
        self._bought = bought
        self._shelf = Shelf([])

    async def run_while(self, going_on: Callable[[], bool]) -> None:
        """An act every half second or so."""
        acts = [self.pump] * 4 + [self._retry] * 4 + [self._cancel] + [self.flush]
        if self._bought is not None:
            acts += [self._approve] * 6
        while going_on():
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

    async def _approve(self) -> None:
        """Up to five orders at once, so that workers have purchases under way."""
        for order_id, units in (await self._fleet.sql(_UNSERVED, self._bought))[:5]:
            await approve_fallback(
                order_id, ANA, self._fleet.ship, vendors=[VENDOR],
                ceiling=Money(FACE.minor * units, FACE.currency),
            )  # fmt: skip
            self.counts["approvals"] += 1

    async def flush(self) -> None:
        """One that meets a Redis that is being restarted is refused: it will be empty anyway."""
        with self._fleet.redis.client() as client:
            try:
                await asyncio.to_thread(client.flushall)
            except redis.ConnectionError:
                self.counts["refused"] += 1
            else:
                self.counts["flushes"] += 1
