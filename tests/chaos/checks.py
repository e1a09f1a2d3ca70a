"""What must be true afterwards; each check gives sentences of evidence, none when it holds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.chaos.load import LINES, Asked, Load
from tests.chaos.victims import Victim
from tests.race.fleet import Fleet
from tests.race.wire import Line, NoAnswer, signed

LASTING = (
    "id", "ref", "transaction_id", "product_id", "denomination", "quantity", "amount", "discount",
    "wallet_id", "placed_at", "metadata",
)  # fmt: skip
"""Fields that no later change of an order touches."""


class Readings:
    """Every order as it is read at the end, over HTTP."""

    def __init__(self, load: Load, victim: Victim) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.faults: list[str] = []
        self._port = victim.port
        self._left = deque(asked for asked in load.asked if asked.answers)

    async def read(self, until: float) -> None:
        """Oldest first; what is not read by then stays unread, and is told as such."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(LINES):
                tasks.create_task(self._reader(until))

    async def _reader(self, until: float) -> None:
        line = Line(self._port)
        while self._left and time.monotonic() < until:
            asked = self._left.popleft()
            path = f"/orders/{asked.answers[0]['id']}"
            try:
                answer = await line.call(signed(asked.buyer.credential, "GET", path))
            except NoAnswer as error:
                self.faults.append(f"{asked.key}: {path} was not answered: {error}")
                continue
            if answer.status == 200:
                self.orders[asked.key] = answer.json
            else:
                self.faults.append(f"{asked.key}: {path} is {answer.status} {answer.body!r}")
        line.close()


def untrue(asked: Asked, order: Mapping[str, Any]) -> Iterator[str]:
    """Answers that the order, as it is read now, does not bear out."""
    for answer in asked.answers:
        if answer["revision"] == order["revision"]:
            if answer != order:
                yield f"{asked.key}: answered {answer}, reads {order} at the same revision"
            continue
        wrong = [name for name in LASTING if answer[name] != order[name]]
        gone = [one for one in answer["vouchers"] if one not in order["vouchers"]]
        later = answer["revision"] > order["revision"] or answer["status"] == "DELIVERED"
        if wrong or gone or later:
            yield f"{asked.key}: answered {answer}, reads {order}: {wrong}"


async def one_order_a_key(fleet: Fleet, load: Load) -> list[str]:
    """As the table has them, and as they were answered."""
    rows = await fleet.sql("SELECT client_id, idempotency_key, id FROM orders")
    kept = Counter((client, key) for client, key, _ in rows)
    wanted = {(asked.buyer.client_id, asked.key) for asked in load.asked}
    found = [f"{name}: {times} orders" for name, times in kept.items() if times > 1]
    found += [f"{name}: an order that nobody asked for" for name in kept.keys() - wanted]
    found += [f"{name}: no order" for name in wanted - kept.keys()]
    ids = {(client, key): id_ for client, key, id_ in rows}
    for asked in load.asked:
        told = {answer["id"] for answer in asked.answers}
        if told != {ids.get((asked.buyer.client_id, asked.key))}:
            found.append(f"{asked.key}: answered with orders {told}")
    return found


async def codes(fleet: Fleet, load: Load) -> tuple[list[str], list[str]]:
    """(handed out twice, lost): by all answers, and by every row opened."""
    rows = await fleet.sql("SELECT id, sealed, key_id, state, order_id, origin FROM vouchers")
    state: dict[str, tuple[str, int | None]] = {}
    twice, bought = [], set()
    for voucher_id, sealed, key_id, kind, order_id, origin in rows:
        number = fleet.ship.vault.reveal(voucher_id, sealed, key_id).card_number
        assert number is not None
        if number.reveal() in state:
            twice.append(f"{number.reveal()}: in two rows")
        state[number.reveal()] = (kind, order_id)
        if origin.startswith("purchase:"):
            bought.add(number.reveal())
    holders: dict[str, set[int]] = {}
    for asked in load.asked:
        for answer in asked.answers:
            for voucher in answer["vouchers"]:
                holders.setdefault(voucher["card_number"], set()).add(answer["id"])
    twice += [f"{code}: handed to orders {ids}" for code, ids in holders.items() if len(ids) > 1]
    lost = [
        f"{code}: handed to orders {ids}, the row says {state.get(code)}"
        for code, ids in holders.items()
        if state.get(code) not in {("assigned", order_id) for order_id in ids}
    ]
    made = {code for some in fleet.made.values() for code in some}
    lost += [f"{code}: put in, not there" for code in made - state.keys()]
    lost += [f"{code}: there, never put in" for code in state.keys() - made - bought]
    kinds = Counter(kind for kind, _ in state.values())
    lost += [f"{n} are {kind}" for kind, n in kinds.items() if kind not in {"assigned", "pooled"}]
    return twice, lost


async def wallets(fleet: Fleet, load: Load, port: int) -> list[str]:
    """What each client has left is what it had, less its orders, plus refunds."""
    rows = await fleet.sql("SELECT client_id, sum(charged - refunded) FROM orders GROUP BY 1")
    spent = {client: Decimal(minor) / 100 for client, minor in rows}
    found = []
    line = Line(port)
    for buyer in {asked.buyer.client_id: asked.buyer for asked in load.asked}.values():
        path = f"/wallets/{buyer.wallet_id}"
        left = Decimal((await line.call(signed(buyer.credential, "GET", path))).json["amount"])
        if left != buyer.money - spent.get(buyer.client_id, Decimal(0)):
            found.append(f"client {buyer.client_id}: {left} left, spent {spent}")
    line.close()
    await asyncio.sleep(0)
    return found
