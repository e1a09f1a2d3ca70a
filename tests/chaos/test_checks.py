"""`make chaos` can fail: each of its checks finds what is planted, and nothing before."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import AsyncIterator

import pytest

from tests.chaos.checks import Readings, codes, one_order_a_key, untrue, wallets
from tests.chaos.crew import Crew
from tests.chaos.load import Asked, Load
from tests.chaos.market import market
from tests.chaos.operating import Operator
from tests.chaos.victims import Killer, Victim
from tests.race.fleet import Fleet

PURCHASES = (
    """INSERT INTO approvals (id, product_id, denomination, currency, actor, reason, vendors,
      ceiling, ceiling_currency, state, expires_at, created_at, updated_at)
    VALUES (1, 1, 2000, 'GBP', 'operator:ana', 'a test', '[]', 5000, 'GBP', 'USED', 1, 1, 1)""",
    *(
        f"""INSERT INTO purchases (approval_id, vendor, vendor_product, product_id, denomination,
          currency, quantity, reference, state, ceiling, ceiling_currency, planned_at, sent_at,
          updated_at, closed_at, due_at)
        VALUES (1, 'kart', 'DEMO1', 1, 2000, 'GBP', 2, '{reference}', '{state}', 5000, 'GBP', 1, 1,
          1, {closed}, {due})"""
        for reference, state, closed, due in (
            ("TWICE", "UNKNOWN", "NULL", "1"),
            ("NOT", "NOT_BOUGHT", "1", "NULL"),
            ("LESS", "BOUGHT", "1", "NULL"),
        )
    ),
)


@pytest.fixture
def database_kind() -> str:
    """The checks read, and do not care from where."""
    return "sqlite"


@pytest.fixture
async def victim(unserved: Fleet) -> AsyncIterator[Victim]:
    victim = Victim(unserved.folder, 1)
    await victim.start()
    yield victim
    await victim.gone()


@pytest.fixture
async def load(unserved: Fleet, victim: Victim) -> Load:
    """Some orders that were placed: twenty of them hits."""
    buyers = [await unserved.buyer(f"client-{n}", "10000.00") for n in range(2)]
    for product in (1, 2, 3):
        await unserved.stock(product, 40)
    load = Load([victim], buyers, random.Random(7))
    while sum(bool(vouchers(asked)) for asked in load.asked) < 20:
        await load.run(0.2, a_second=100)
    assert load.faults == []
    return load


def vouchers(asked: Asked) -> int:
    return sum(len(answer["vouchers"]) for answer in asked.answers)


async def test_planted_faults_are_found(unserved: Fleet, victim: Victim, load: Load) -> None:
    """A lie, a code given twice, one lost, one never put in, a key without order, money."""
    readings = Readings(load, victim)
    await readings.read(time.monotonic() + 60)
    assert readings.faults == []
    assert len(readings.orders) == len(load.asked)
    for asked in load.asked:
        assert list(untrue(asked, readings.orders[asked.key])) == []
    assert await codes(unserved, load) == ([], [])
    assert await one_order_a_key(unserved, load) == []
    assert await wallets(unserved, load, victim.port) == []

    hits = [asked for asked in load.asked if vouchers(asked)]
    stolen = hits[0].answers[0]["vouchers"][0]["card_number"]
    hits[1].answers.append(copy.deepcopy(hits[1].answers[0]))
    hits[1].answers[-1]["vouchers"][0]["card_number"] = stolen
    twice, lost = await codes(unserved, load)
    assert [sentence.partition(":")[0] for sentence in twice] == [stolen]
    assert [sentence.partition(":")[0] for sentence in lost] == []
    assert len(list(untrue(hits[1], readings.orders[hits[1].key]))) == 1
    hits[1].answers.pop()

    unserved.made[1].append("GONE")
    hits[2].answers[0]["vouchers"][0]["card_number"] = "NEVER"
    _, lost = await codes(unserved, load)
    assert sorted(sentence.partition(":")[0] for sentence in lost) == ["GONE", "NEVER"]

    load.asked.append(Asked(key="chaos-none", buyer=hits[0].buyer, body={}))
    assert len(await one_order_a_key(unserved, load)) == 2  # no row, and no answer either
    hits[3].answers.append(hits[4].answers[0])
    assert len(await one_order_a_key(unserved, load)) == 3

    await unserved.ship.database.run(
        lambda tx: tx.execute("UPDATE orders SET charged = charged + 1 WHERE id = 1")
    )
    assert len(await wallets(unserved, load, victim.port)) == 1
    assert [sentence[:2] for sentence in await unserved.faults()] != []


async def test_a_vendor_that_sold_what_it_should_not_have(unserved: Fleet) -> None:
    """Twice, to nobody, what here was not bought, and less than what here was bought."""
    async with market(random.Random(7)) as vendor:
        await unserved.ship.database.run(lambda tx: [tx.execute(each) for each in PURCHASES])
        assert await vendor.wrong(unserved) == ["LESS: 0 of 2 sold, 0 vouchers here"]
        for reference in ("TWICE", "TWICE", "NOBODY", "NOT", "LESS"):
            vendor.world.pull(
                {"ExternalOrderId": reference, "BrandProductCode": "DEMO1",
                 "Denomination": "100", "Quantity": "1"}, None,
            )  # fmt: skip
        assert sorted(await vendor.wrong(unserved)) == [
            "LESS: 1 of 2 sold, 0 vouchers here",
            "NOBODY: sold, and not ours",
            "NOT: sold, and here it is NOT_BOUGHT",
            "TWICE: sold 2 times",
        ]


def test_an_attack_that_was_not_made_is_told(unserved: Fleet) -> None:
    """Of workers and Redis: a short run that shows nothing must not look like success."""
    crew = Crew(unserved, random.Random(7))
    crew.plan.update({"worker kills": 2, "redis stops": 1})
    crew.counts.update({"worker kills": 1, "redis stops": 1})
    assert crew.undone() == ["1 of 2 worker kills"]


def test_lies_about_a_later_revision() -> None:
    """A delivered order does not change, a code does not go away, a revision does not go back."""
    told = {"revision": 1, "status": "PENDING", "vouchers": []}
    lasting = dict.fromkeys(
        ("id", "ref", "transaction_id", "product_id", "denomination", "quantity", "amount",
         "discount", "wallet_id", "placed_at", "metadata"), 1,
    )  # fmt: skip
    for answered, reads, lie in (
        ({}, {"revision": 2, "status": "DELIVERED", "vouchers": [{"card_number": "a"}]}, False),
        ({"revision": 3}, {"revision": 2}, True),
        ({"status": "DELIVERED"}, {"revision": 2}, True),
        ({"vouchers": [{"card_number": "a"}]}, {"revision": 2}, True),
        ({"amount": 2}, {"revision": 2}, True),
        ({"status": "CANCELLED"}, {}, True),
    ):
        asked = Asked(key="k", buyer=None, body={}, answers=[lasting | told | answered])  # type: ignore[arg-type]  # nobody asks who
        assert bool(list(untrue(asked, lasting | told | reads))) is lie, (answered, reads)


async def test_a_killed_server_comes_back(unserved: Fleet, victim: Victim) -> None:
    """Killed at the moment that was drawn, and up at the end, on another port."""
    before = victim.port
    killer = Killer([victim], random.Random(1))
    await killer.run(1, 2.0, lambda: 1)
    assert (killer.kills, killer.busy_kills) == (1, 1)
    assert victim.port not in {0, before}
    assert await victim.stop() == 0


async def test_a_flush_that_meets_a_restart_is_no_fault(unserved: Fleet) -> None:
    """The operator of the attack goes on: a Redis that is away is counted as refusing."""
    operator = Operator(unserved, Load([], [], random.Random(7)), random.Random(7))
    await operator.flush()
    unserved.redis.process.kill()
    unserved.redis.process.wait()
    await operator.flush()
    assert (operator.counts, operator.faults) == ({"flushes": 1, "refused": 1}, [])
