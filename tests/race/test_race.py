"""Sixty-four clients at once, through several processes, while Redis is flushed and stopped."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.race.fleet import Buyer, Fleet, command
from tests.race.wire import Answer, Line, signed

CLIENTS = 64
ORDERS = 6
POOR = "100.00"
"""Five units: less than any of them will ask for in all."""
STOPPED_SECONDS = 2.0


class Race:
    """Every client orders 1 to 5 units of a product, again and again."""

    def __init__(self, fleet: Fleet, buyers: Sequence[Buyer], product: int, seed: int) -> None:
        chance = random.Random(seed)
        self.fleet = fleet
        self.product = product
        self.plans = [(buyer, [chance.randint(1, 5) for _ in range(ORDERS)]) for buyer in buyers]
        self.placed: list[tuple[Buyer, dict[str, Any]]] = []
        self.refused: list[Buyer] = []
        self._answered = 0
        orders = ORDERS * len(buyers)
        self._trouble = {
            orders // 6: self._flush,
            orders // 3: self._stop,
            orders * 2 // 3: self._flush,
        }

    async def run(self) -> None:
        """Redis is flushed after a sixth and two thirds of the answers, stopped after a third."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for number in range(len(self.plans)):
                tasks.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        buyer, plan = self.plans[number]
        line = Line(self.fleet.ports[number % len(self.fleet.ports)])
        for position, quantity in enumerate(plan):
            body = {"product_id": self.product, "denomination": "20.00", "quantity": quantity}
            key = f"race-{self.product}-{number:03}-{position}"
            request = signed(buyer.credential, "POST", "/orders", body, key=key)
            self._note(buyer, quantity, await line.call(request))
        line.close()

    def _note(self, buyer: Buyer, quantity: int, answer: Answer) -> None:
        assert answer.status in {200, 402}, answer.body
        if answer.status == 402:
            self.refused.append(buyer)
        else:
            order = answer.json
            assert order["quantity"] == quantity
            assert order["delivered_quantity"] == len(order["vouchers"])
            self.placed.append((buyer, order))
        self._answered += 1
        if trouble := self._trouble.get(self._answered):
            self._tasks.create_task(trouble())

    async def _flush(self) -> None:
        with self.fleet.redis.client() as redis:
            await asyncio.to_thread(redis.flushall)

    async def _stop(self) -> None:
        process = self.fleet.redis.process
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_SECONDS)
        process.send_signal(signal.SIGCONT)

    @property
    def codes(self) -> list[str]:
        return [v["card_number"] for _, order in self.placed for v in order["vouchers"]]

    async def check(self) -> None:
        """No code twice, none lost, nobody waits for what is there, money as it should be."""
        left = await self.fleet.in_stock(self.product)
        assert [code for code, times in Counter(self.codes).items() if times > 1] == []
        assert sorted([*self.codes, *left]) == sorted(self.fleet.made[self.product])
        waiting = [order for _, order in self.placed if order["status"] == "PENDING"]
        assert {order["status"] for _, order in self.placed} <= {"DELIVERED", "PENDING"}
        assert [o["id"] for o in waiting if o["quantity"] <= len(left)] == []

    def spent(self, buyer: Buyer) -> Decimal:
        return sum(
            (Decimal(order["amount"]) for who, order in self.placed if who is buyer), Decimal(0)
        )


async def test_a_race(fleet: Fleet) -> None:
    """Stock for half of it, to spare, and to the last unit; nothing is rebuilt by hand."""
    buyers = [
        await fleet.buyer(f"client-{n}", POOR if n % 3 == 0 else "100000.00")
        for n in range(CLIENTS)
    ]
    scarce = Race(fleet, buyers, 1, seed=1)
    await fleet.stock(1, sum(sum(plan) for who, plan in scarce.plans if who.money > 100) // 2)
    await scarce.run()
    await scarce.check()
    assert any(order["status"] == "PENDING" for _, order in scarce.placed)
    assert len({buyer.client_id for buyer in scarce.refused}) > CLIENTS // 4

    plenty = Race(fleet, buyers, 2, seed=2)
    await fleet.stock(2, sum(sum(plan) for _, plan in plenty.plans))
    await plenty.run()
    await plenty.check()
    assert {order["status"] for _, order in plenty.placed} == {"DELIVERED"}

    rich = [buyer for buyer in buyers if buyer.money > 100]
    exact = Race(fleet, rich, 3, seed=3)
    await fleet.stock(3, sum(sum(plan) for _, plan in exact.plans))
    await exact.run()
    await exact.check()
    assert {order["status"] for _, order in exact.placed} == {"DELIVERED"}

    for buyer in buyers:
        left = await balance(fleet, buyer)
        assert left == buyer.money - sum(race.spent(buyer) for race in (scarce, plenty, exact))
        assert left >= 0
    assert await fleet.faults() == []
    status, said = await command(fleet.folder, "verify")
    assert status == 0, said


async def balance(fleet: Fleet, buyer: Buyer) -> Decimal:
    line = Line(fleet.ports[-1])
    request = signed(buyer.credential, "GET", f"/wallets/{buyer.wallet_id}")
    answer = await line.call(request)
    line.close()
    assert answer.status == 200, answer.body
    return Decimal(answer.json["amount"])
