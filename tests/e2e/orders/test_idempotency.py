"""Idempotency of `POST /orders`: one key, one order, for as long as the order exists."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from starship_core.flows.change_product import ProductChange, change_product
from starship_core.flows.manage_clients import create_client
from starship_core.flows.retry_order import retry_order
from starship_core.model import Money
from starship_core.store.clients import ClientFacts
from tests.e2e.servers import ANA, Caller, Shop

BODY = {"product_id": 1, "denomination": "20.00", "quantity": 2}


async def orders_of(caller: Caller) -> list[Any]:
    found: list[Any] = await caller.get("/orders?limit=100")
    return found


async def test_the_same_again_is_a_replay(shop: Shop, acme: Caller) -> None:
    """The same order, marked, and debited once; as it stands now, not as it was answered then."""
    await shop.stock(1, "20.00", 1)
    first = await acme.ordered("key-00001", quantity=2)
    assert "Idempotency-Replayed" not in first.headers
    again = await acme.ordered("key-00001", quantity=2)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    await shop.stock(1, "20.00", 1)
    await retry_order(1, ANA, shop.ship)
    later = await acme.ordered("key-00001", quantity=2)
    assert (later.json()["status"], len(later.json()["vouchers"])) == ("DELIVERED", 2)
    assert later.json() == await acme.get("/orders/1")
    assert len(await orders_of(acme)) == 1
    assert (await acme.get("/wallets/1"))["amount"] == "960.80"


async def test_what_is_the_same_request(acme: Caller) -> None:
    """Decimals normalised, defaults filled in, `quote` left out; the order of fields is nothing."""
    await acme.order("key-00001")
    same: list[dict[str, Any]] = [
        {"denomination": 20},
        {"denomination": 20.00},
        {"denomination": "020.000"},
        {"metadata": {}},
        {"wallet_id": None},
        {"ref": None},
        {"email": None},
        {"customer_info": None},
        {"quote": "anything"},
    ]
    for body in same:
        again = await acme.ordered("key-00001", **body)
        assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (1, "true"), body


async def test_what_is_another_request(acme: Caller) -> None:
    """422 for any difference that counts; the first order stays what it is."""
    first = await acme.order(
        "key-00001", ref="mine", email="a@b.c", mobile="12345", metadata={"a": 1, "b": 2},
        customer_info={"a": 1}, wallet_id=1,
    )  # fmt: skip
    same: dict[str, Any] = {
        "ref": "mine", "email": "a@b.c", "mobile": "12345", "metadata": {"b": 2, "a": 1},
        "customer_info": {"a": 1}, "wallet_id": 1,
    }  # fmt: skip
    assert await acme.order("key-00001", **same) == first
    for name, value in (
        ("quantity", 2), ("denomination", "50.00"), ("product_id", 2), ("product_id", 999),
        ("ref", "yours"), ("ref", None), ("email", None), ("mobile", "123456"),
        ("metadata", {"a": 1}), ("customer_info", {}), ("wallet_id", None), ("wallet_id", 2),
        ("wallet_id", 999),
    ):  # fmt: skip
        refused = await acme.order("key-00001", 422, **{**same, name: value})
        assert (refused["error"]["code"], refused["error"]["name"]) == (
            "IDEMPOTENCY_KEY_REUSED", "IdempotencyError",
        ), (name, value)  # fmt: skip
    assert await orders_of(acme) == [
        {name: value for name, value in first.items() if name not in {"items", "vouchers"}}
    ]


async def test_a_replay_meets_no_later_refusal(shop: Shop, acme: Caller) -> None:
    """The quote expired, the product off, the rate stale, the wallet empty: 200, the same order."""
    rich = await shop.client("rich", {"EUR": "23.00"})
    asked = {"denomination": "20.00", "quantity": 1}
    charges = await rich.post("/products/1/charges", asked)
    assert charges["total_payable"] == "23.00"
    first = await rich.ordered("key-00001", quote=charges["quote"])
    shop.clock.advance(days=30)  # quote and rates are old by now
    await change_product("card", ProductChange(is_active=False), ANA, shop.ship)
    await shop.seen()
    again = await rich.ordered("key-00001", quote=charges["quote"])
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert (await rich.get("/wallets"))[0]["amount"] == "0.00"
    refused = await rich.order("key-00002", 400, quote=charges["quote"])
    assert refused["error"]["details"]["field"] == "product_id"


async def test_keys_are_the_clients_own(shop: Shop, acme: Caller, bolt: Caller) -> None:
    """Two clients may use one key, and one client's credentials share it."""
    await acme.order("key-00001")
    theirs = await bolt.ordered("key-00001", product_id=3, denomination=500)
    assert (theirs.json()["id"], "Idempotency-Replayed" in theirs.headers) == (2, False)


async def test_keys_that_are_refused(acme: Caller) -> None:
    """400 with the code that says what is wrong with it, before the body is looked at."""
    for key, code in (
        (None, "REQUIRED"),
        (b"", "REQUIRED"),
        (b"1234567", "TOO_SHORT"),
        (b"x" * 257, "TOO_LONG"),
        (b"x" * 9000, "TOO_LONG"),
        ("schlüssel-1".encode(), "REQUIRED"),
        ("schlüssel-1".encode("latin-1"), "REQUIRED"),
        (b"key\t00001", "REQUIRED"),
    ):
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await acme.send("POST", "/orders", b"not JSON", headers=headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["name"]) == (400, "IdempotencyError"), key
        assert error["code"] == f"IDEMPOTENCY_KEY_{code}", key


async def test_keys_that_are_taken(acme: Caller) -> None:
    """8 to 256 printable ASCII characters, as they are."""
    placed = set()
    for key in ("12345678", "x" * 256, "a b!~-_.{}[]\\\"'%00?&"):
        placed.add((order := (await acme.ordered(key)).json())["id"])
        again = await acme.ordered(key)
        assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", order)
    assert len(placed) == 3


async def test_two_keys_are_no_key(acme: Caller) -> None:
    """A header that is repeated is not guessed at: nothing is ordered under either."""
    answer = await acme.http.request(
        "POST",
        "/api/v1/orders",
        content=b'{"product_id":1,"denomination":20,"quantity":1}',
        headers=[
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "key-00001"),
            ("Idempotency-Key", "key-00002"),
        ],
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "IDEMPOTENCY_KEY_REQUIRED"
    assert await orders_of(acme) == []


async def test_a_reference_belongs_to_one_key(acme: Caller, bolt: Caller) -> None:
    """409 for another key; not for a replay, and not for another client."""
    first = await acme.order("key-00001", ref="acme-77")
    refused = await acme.order("key-00002", 409, ref="acme-77")
    assert (refused["error"]["code"], refused["error"]["name"]) == (
        "DUPLICATE_REFERENCE", "ConflictError",
    )  # fmt: skip
    assert await acme.order("key-00001", ref="acme-77") == first
    other = await bolt.order("key-00002", product_id=3, denomination=500, ref="acme-77")
    assert other["id"] != first["id"]
    free = await acme.ordered("key-00002", ref="acme-78")
    assert "Idempotency-Replayed" not in free.headers


async def test_many_at_once_are_one(shop: Shop, acme: Caller) -> None:
    """Forty equal requests, with a ref: one order, one debit, 39 replays, and never a 409."""
    await shop.stock(1, "20.00", 3)
    answers = await asyncio.gather(*[acme.ordered("key-00001", ref="mine") for _ in range(40)])
    assert [answer.json() for answer in answers] == [answers[0].json()] * 40
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 39
    assert (await acme.get("/wallets/1"))["amount"] == "980.40"
    mixed = await asyncio.gather(
        *[
            acme.send(
                "POST", "/orders", BODY | {"quantity": n}, headers={"Idempotency-Key": "key-00002"}
            )
            for n in range(1, 11)
        ]
    )
    assert sorted(answer.status_code for answer in mixed) == [200] + [422] * 9


async def test_a_refusal_leaves_the_key_free(shop: Shop, acme: Caller) -> None:
    """Whatever was refused, the same key may be used for something else."""
    for status, body in (
        (400, {"quantity": 0}),
        (400, {"product_id": 999}),
        (402, {"denomination": "50.00", "quantity": 50}),
    ):
        await acme.order("key-00001", status, **body)
    placed = await acme.ordered("key-00001")
    assert (placed.json()["status"], "Idempotency-Replayed" in placed.headers) == ("PENDING", False)
    assert [order["id"] for order in await orders_of(acme)] == [placed.json()["id"]]


async def test_a_key_lives_as_long_as_its_order(shop: Shop, acme: Caller) -> None:
    """The documented 24 hours are a minimum: a year later it is still a replay."""
    await acme.order("key-00001")
    shop.clock.set(shop.clock() + timedelta(days=365))
    assert (await acme.ordered("key-00001")).headers["Idempotency-Replayed"] == "true"


async def test_money_is_not_looked_at_by_a_replay(shop: Shop) -> None:
    """A client without a single wallet left in its name still gets its order back."""
    issued = await create_client(ClientFacts(name="bare"), ANA, shop.ship)
    assert issued.client_id == 1
    bare = await shop.client("with", {"GBP": "19.60"})
    await bare.order("key-00001")
    await bare.order("key-00002", 402)
    await shop.credit(bare.wallets["GBP"], Money.of("19.60", "GBP"), "more")
    await bare.order("key-00002")
    assert (await bare.ordered("key-00001")).headers["Idempotency-Replayed"] == "true"
