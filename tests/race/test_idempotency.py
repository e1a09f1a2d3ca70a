"""Equal POSTs at the same moment through several processes are one order and one debit."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from tests.race.fleet import Buyer, Fleet
from tests.race.wire import Answer, Line, signed

AT_ONCE = 200
KEYS = 30
UNITS = 2
PRICE = Decimal("40.00")
BODY = {"product_id": 1, "denomination": "20.00", "quantity": UNITS}


@pytest.fixture
def database_kind() -> str:
    """Several processes share PostgreSQL only."""
    return "postgresql"


async def all_at_once(lines: list[Line], requests: list[bytes]) -> list[Answer]:
    pairs = zip(lines, requests, strict=True)
    return await asyncio.gather(*[line.call(request) for line, request in pairs])


async def lines_to(ports: Any) -> list[Line]:
    lines = [Line(ports[n % len(ports)]) for n in range(AT_ONCE)]
    await asyncio.gather(*[line.connect() for line in lines])
    return lines


async def debits_and_orders(fleet: Fleet, buyer: Buyer) -> tuple[int, int]:
    ((debits,),) = await fleet.sql("SELECT count(*) FROM ledger_transactions WHERE kind = 'debit'")
    ((orders,),) = await fleet.sql(
        "SELECT count(*) FROM orders WHERE client_id = $1", buyer.client_id
    )
    return int(debits), int(orders)


@pytest.mark.parametrize("with_ref", [False, True], ids=["without-ref", "with-ref"])
async def test_equal_posts_are_one_order(fleet: Fleet, *, with_ref: bool) -> None:
    """All 200 are answered 200 with one order, half of the keys from stock, half of them parked."""
    buyer = await fleet.buyer("acme", "100000.00")
    await fleet.stock(1, KEYS // 2 * UNITS)
    lines = await lines_to(fleet.ports)
    seen: list[dict[str, Any]] = []
    for number in range(KEYS):
        body = BODY | ({"ref": f"mine-{number}"} if with_ref else {})
        request = signed(buyer.credential, "POST", "/orders", body, key=f"equal-{number:03}")
        answers = await all_at_once(lines, [request] * AT_ONCE)
        assert Counter(answer.status for answer in answers) == {200: AT_ONCE}
        assert sum(not answer.replayed for answer in answers) == 1
        order = answers[0].json
        # most are the same bytes: not all 200 are parsed
        assert all(json.loads(body) == order for body in {answer.body for answer in answers})
        seen.append(order)
    for line in lines:
        line.close()
    assert len({order["id"] for order in seen}) == KEYS
    statuses = Counter(order["status"] for order in seen)
    assert statuses == {"DELIVERED": KEYS // 2, "PENDING": KEYS - KEYS // 2}
    assert {Decimal(order["amount"]) for order in seen} == {PRICE}
    assert await debits_and_orders(fleet, buyer) == (KEYS, KEYS)
    assert await fleet.faults() == []


async def test_other_bodies_under_one_key(fleet: Fleet) -> None:
    """The first is an order, 199 are 422, whichever process they met."""
    buyer = await fleet.buyer("acme", "100000.00")
    await fleet.stock(1, KEYS)
    lines = await lines_to(fleet.ports)
    for number in range(KEYS):
        requests = [
            signed(
                buyer.credential, "POST", "/orders", BODY | {"metadata": {"n": n}},
                key=f"other-{number:03}",
            )
            for n in range(AT_ONCE)
        ]  # fmt: skip
        answers = await all_at_once(lines, requests)
        assert Counter(answer.status for answer in answers) == {200: 1, 422: AT_ONCE - 1}
        codes = {a.json["error"]["code"] for a in answers if a.status == 422}
        assert codes == {"IDEMPOTENCY_KEY_REUSED"}
        (first,) = (n for n, answer in enumerate(answers) if answer.status == 200)
        assert answers[first].json["metadata"] == {"n": first}
    for line in lines:
        line.close()
    assert await debits_and_orders(fleet, buyer) == (KEYS, KEYS)
    assert await fleet.faults() == []
