"""Clients who order, repeat themselves, and ask again with the same key until they are answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.victims import Victim
from tests.race.fleet import Buyer
from tests.race.wire import Answer, Line, NoAnswer, signed

LINES: Final = 20
PRODUCTS: Final = 3
BOUGHT: Final = 0.15
"""Share of the orders for what only a vendor has, where there is one."""
BULK: Final = 60
"""More than 50 units: parked without items, whatever is in stock."""


@dataclass(kw_only=True)
class Asked:
    """One key, and all that was ever answered to it."""

    key: str
    buyer: Buyer
    body: dict[str, Any]
    answers: list[dict[str, Any]] = field(default_factory=list)


class Load:
    """`run` orders at a pace that leaves time to read every order back."""

    def __init__(
        self,
        victims: Sequence[Victim],
        buyers: Sequence[Buyer],
        chance: random.Random,
        *,
        bought: int | None = None,
    ) -> None:
        """`bought`: the product that only a vendor has."""
        self.asked: list[Asked] = []
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self.units: Counter[int] = Counter()
        """Ordered so far, by product; bulk orders, which wait for an operator, left out."""
        self.in_flight = 0
        self._victims = victims
        self._buyers = buyers
        self._chance = chance
        self._bought = bought

    async def run(self, seconds: float, *, a_second: float) -> None:
        """As `run_while`, for so long."""
        until = time.monotonic() + seconds
        await self.run_while(lambda: time.monotonic() < until, a_second=a_second)

    async def run_while(self, going_on: Callable[[], bool], *, a_second: float) -> None:
        """Returns when each request has its answer."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(LINES):
                tasks.create_task(self._client(going_on, LINES / a_second))

    async def _client(self, going_on: Callable[[], bool], pause: float) -> None:
        lines = {id(victim): Line(0, patience=30) for victim in self._victims}
        while going_on():
            await asyncio.sleep(self._chance.uniform(0, 2 * pause))
            await self._order(self._next(), lines)
        for line in lines.values():
            line.close()

    def _next(self) -> Asked:
        """A new order, now and then a large one; or, one in ten, a known one again."""
        if self.asked and self._chance.random() < 0.1:
            return self._chance.choice(self.asked)
        quantity = BULK if self._chance.random() < 0.01 else self._chance.randint(1, 3)
        number = len(self.asked)
        body: dict[str, Any] = {
            "product_id": self._chance.randint(1, PRODUCTS),
            "denomination": "20.00",
            "quantity": quantity,
            "metadata": {"n": number},
        }
        if self._bought is not None and self._chance.random() < BOUGHT:
            body |= {"product_id": self._bought, "denomination": "100.00"}
            body["quantity"] = quantity = min(quantity, 3)
        if self._chance.random() < 0.3:
            body["ref"] = f"ref-{number:06}"
        asked = Asked(key=f"chaos-{number:06}", buyer=self._chance.choice(self._buyers), body=body)
        self.asked.append(asked)
        self.units[body["product_id"]] += quantity % BULK
        return asked

    async def _order(self, asked: Asked, lines: dict[int, Line]) -> None:
        answer = await self._until_answered(asked, lines)
        self.counts["answers"] += 1
        if answer.status != 200:
            self.faults.append(f"{asked.key}: {answer.status} {answer.body[:500]!r}")
            return
        self.counts["replayed"] += answer.replayed
        asked.answers.append(answer.json)

    async def _until_answered(self, asked: Asked, lines: dict[int, Line]) -> Answer:
        while True:
            victim = self._chance.choice(self._victims)
            if not victim.port:
                await asyncio.sleep(0.02)
                continue
            line = lines[id(victim)]
            if line.port != victim.port:
                line.close()
                line.port = victim.port
            request = signed(asked.buyer.credential, "POST", "/orders", asked.body, key=asked.key)
            self.in_flight += 1
            try:
                answer = await line.call(request)
            except NoAnswer:
                self.counts["unanswered"] += 1
                continue
            finally:
                self.in_flight -= 1
            if answer.status != 503:
                return answer
            self.counts["unavailable"] += 1
            await asyncio.sleep(0.1)
