"""What counts against a client's order limit, and what is counted for whoever watches."""

from __future__ import annotations

from tests.e2e.servers import Shop


async def test_replays_are_cheap(shop: Shop) -> None:
    """Each costs a tenth of an order: with two orders' room left there is room for eleven."""
    caller = await shop.client("slow", {"GBP": "100.00"}, orders_per_minute=3)
    first = await caller.order("key-0001")
    for _ in range(11):
        assert (await caller.order("key-0001"))["id"] == first["id"]
    refused = await caller.ordered("key-0001", 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.json()["error"]["code"] == "TOO_MANY_REQUESTS"
    assert (await caller.get(f"/orders/{first['id']}"))["id"] == first["id"]


async def test_repeated_402s_count(shop: Shop) -> None:
    """Whoever cannot pay does not get to try for ever."""
    caller = await shop.client("poor", {"GBP": "1.00"}, orders_per_minute=3)
    found = []
    for n in range(5):
        answer = await caller.send(
            "POST",
            "/orders",
            {"product_id": 1, "denomination": "20.00", "quantity": 1},
            headers={"Idempotency-Key": f"key-{n:04}"},
        )
        found.append(answer.status_code)
    assert found == [402, 402, 402, 429, 429]


async def test_outcomes_are_counted(shop: Shop) -> None:
    """Delivered, parked and replayed orders, by outcome; refusals are requests with a status."""
    caller = await shop.client("acme", {"GBP": "1000.00"})
    await shop.stock(1, "20.00", 2)
    for key in ("key-0001", "key-0002", "key-0003", "key-0001"):
        await caller.order(key)
    await caller.order("key-0004", 400, denomination="21.00")
    text = (await caller.http.get("/metrics")).text
    for outcome, count in (("delivered", 2), ("pending", 1), ("replayed", 1)):
        assert f'starship_orders_total{{outcome="{outcome}"}} {count}.0' in text
    labels = 'method="POST",route="/api/v1/orders",status="400"'
    assert f"starship_http_requests_total{{{labels}}} 1.0" in text
