"""What holds for every call (client API, section 1): the order of checks, pages, amounts, times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.e2e.servers import Caller, Shop

JSON = "application/json"
MIB = 1 << 20


async def refused(caller: Caller, method: str, path: str, body: bytes, **headers: str) -> Any:
    answer = await caller.send(method, path, body, headers=headers)
    return answer.status_code, answer.json()["error"]["code"]


async def test_the_order_of_checks(shop: Shop, acme: Caller) -> None:
    """A request that is wrong in every way is told the first; each correction leads to the next."""
    await acme.order("known-key-1", quantity=1)
    poor = await shop.client("poor", {"GBP": "1.00"})
    good = b'{"product_id":1,"denomination":"20.00","quantity":1}'
    unknown = good.replace(b"1,", b"999,", 1)
    short = {"Idempotency-Key": "short"}
    fine = {"Idempotency-Key": "fresh-key"}
    text = {"Content-Type": "text/plain"}
    anonymous = await acme.http.request(
        "POST", "/api/v1/nothing", content=b"x" * (MIB + 1), auth=None, headers=text
    )
    assert anonymous.status_code == 401
    for caller, method, path, body, headers, expected in (
        (acme, "POST", "/nothing", b"x" * (MIB + 1), text, (413, "PAYLOAD_TOO_LARGE")),
        (acme, "POST", "/nothing", b"{", text, (404, "NOT_FOUND")),
        (acme, "DELETE", "/orders", b"{", text, (405, "METHOD_NOT_ALLOWED")),
        (acme, "POST", "/products/999/charges", b"{", text, (404, "NOT_FOUND")),
        (acme, "POST", "/orders", b"{", text, (415, "UNSUPPORTED_MEDIA_TYPE")),
        (acme, "POST", "/orders", b"{", {}, (400, "IDEMPOTENCY_KEY_REQUIRED")),
        (acme, "POST", "/orders", b"{", short, (400, "IDEMPOTENCY_KEY_TOO_SHORT")),
        (acme, "POST", "/orders", b'{"a":', fine, (400, "SYNTAX_ERROR")),
        (acme, "POST", "/orders", b'{"product_id":0} x', fine, (400, "SYNTAX_ERROR")),
        (acme, "POST", "/orders", b'{"product_id":999}', fine, (400, "E_VALIDATION_FAILURE")),
        (acme, "POST", "/orders", b'{"product_id":999}', {"Idempotency-Key": "known-key-1"},
         (400, "E_VALIDATION_FAILURE")),
        (acme, "POST", "/orders", unknown, {"Idempotency-Key": "known-key-1"},
         (422, "IDEMPOTENCY_KEY_REUSED")),
        (poor, "POST", "/orders", unknown, fine, (400, "INVALID_INPUT")),
        (poor, "POST", "/orders", good, fine, (402, "INSUFFICIENT_BALANCE")),
    ):  # fmt: skip
        assert await refused(caller, method, path, body, **headers) == expected, (path, body)


async def test_orders_have_a_limit_of_their_own(shop: Shop) -> None:
    """Repeated 402s count in full against it; a replay costs a tenth, as does reading an order."""
    shop.ship.limits._seconds = lambda: 1_800_000_010.0  # no minute may end in between
    poor = await shop.client("poor", {"GBP": "1.00"}, orders_per_minute=3)
    for number in range(3):
        await poor.order(f"key-{number:05}", 402)
    answer = await poor.ordered("key-00009", 429)
    assert answer.json()["error"]["code"] == "TOO_MANY_REQUESTS"
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    assert await poor.get("/orders") == []
    busy = await shop.client("busy", {"GBP": "100.00"}, orders_per_minute=3, reads_per_minute=3)
    first = await busy.order("key-00001")
    for _ in range(9):
        assert await busy.order("key-00001") == first
        assert await busy.get(f"/orders/{first['id']}") == first
    await busy.order("key-00002")
    await busy.order("key-00003", 429)


COLLECTIONS = {
    "/products": (50, 10_000), "/categories": (50, 10_000), "/subcategories": (50, 10_000),
    "/countries": (50, 10_000), "/currencies": (50, 10_000), "/wallets": (50, 10_000),
    "/transactions": (50, 10_000), "/orders": (10, 100), "/webhooks": (50, 10_000),
    "/webhooks/1/deliveries": (50, 500),
}  # fmt: skip
"""Path → items a page when nothing is said, and at most."""


WEBHOOK = {"name": "mine", "url": "https://shop.example.com/hooks", "events": ["order.*"]}


async def test_every_collection_is_paged(shop: Shop, acme: Caller) -> None:
    """A bare array, the page in six headers, its size within the documented bounds."""
    description = (await acme.http.get("/openapi.json")).json()["paths"]
    arrays = {
        path.removeprefix("/api/v1")
        for path, methods in description.items()
        if "get" in methods
        and "array" in str(methods["get"]["responses"]["200"]["content"][JSON]["schema"])[:30]
    }
    await acme.http.post("/api/v1/webhooks", json=WEBHOOK)
    feed = {"/events"}  # goes by position, not by page
    assert {path.replace("{webhook_id}", "1") for path in arrays} - feed == set(COLLECTIONS)
    for path, (default, largest) in COLLECTIONS.items():
        whole = await acme.send("GET", path)
        total = len(whole.json())
        assert isinstance(whole.json(), list)
        assert _paging(whole) == ["1", str(default), str(total), str(min(total, 1)), str(total),
                                  "false"], path  # fmt: skip
        assert (await acme.send("GET", f"{path}?limit={largest}")).headers["X-Per-Page"] == str(
            largest
        )
        for wrong in (largest + 1, 0):
            error = (await acme.get(f"{path}?limit={wrong}", 400))["error"]
            assert error["messages"]["limit"][0]["rule"] == "range", path
        beyond = await acme.send("GET", f"{path}?page=7&limit=1")
        assert (beyond.status_code, beyond.json()) == (200, [])
        assert _paging(beyond) == ["7", "1", str(total), str(total), "0", "false"]


def _paging(answer: Any) -> list[str]:
    names = ("Page", "Per-Page", "Total-Count", "Total-Pages", "Page-Size", "Has-More")
    return [answer.headers[f"X-{name}"] for name in names]


AMOUNTS = {
    "amount", "discount", "refunded_amount", "denomination", "credit_limit", "balance_after",
    "non_discounted_total", "discount_amount", "total_amount", "net_amount", "total_payable",
    "handling_fee_amount", "convenience_fee_amount", "gst_amount", "conversion_fee", "min_value",
    "max_value", "value", "exchange_rate", "forex_rate", "conversion_charges",
}  # fmt: skip
TIMES = {
    "placed_at", "delivered_at", "created_at", "updated_at", "expires_at", "last_updated", "at",
    "forex_as_of",
}  # fmt: skip


async def test_amounts_are_strings_and_times_end_in_z(shop: Shop, acme: Caller) -> None:
    """In every answer there is; and nowhere a float, which would not be exact."""
    shop.clock.advance(microseconds=123456)
    await shop.stock(1, "20.00", 1)
    await acme.http.post("/api/v1/webhooks", json=WEBHOOK)
    order = await acme.order("key-00001", wallet_id=acme.wallets["EUR"])
    charges = await acme.post(
        "/products/3/charges", {"denomination": 500, "quantity": 1, "wallet_id": 1}
    )
    answers = [order, charges] + [
        await acme.get(path)
        for path in (*COLLECTIONS, "/orders/1", "/orders/1/timeline", "/products/1", "/wallets/1",
                     "/transactions/1", "/categories/1", "/products/2")
    ]  # fmt: skip
    seen = set()
    for name, value in (pair for answer in answers for pair in _fields(answer)):
        assert not isinstance(value, float), (name, value)
        if value is None:
            continue
        if name in AMOUNTS:
            assert re.fullmatch(r"-?\d+(\.\d+)?", value), (name, value)
        elif name in TIMES:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", value), (name, value)
        else:
            continue
        seen.add(name)
    assert seen | {"refunded_amount"} >= AMOUNTS | TIMES, AMOUNTS | TIMES - seen


def _fields(answer: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(answer, list):
        for each in answer:
            yield from _fields(each)
    elif isinstance(answer, dict):
        for name, value in answer.items():
            if isinstance(value, (dict, list)):
                yield from _fields(value)
            else:
                yield name, value


async def test_unknown_parameters_are_refused_everywhere(shop: Shop, acme: Caller) -> None:
    """By name, on every operation there is; a misspelt filter must not find everything."""
    await acme.order("key-00001", ref="mine")
    await acme.http.post("/api/v1/webhooks", json=WEBHOOK)
    ids = {"ref": "mine", "subcategory_id": "3"}
    paths = (await acme.http.get("/openapi.json")).json()["paths"]
    operations = [
        (method, path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if operation.get("security") != [] and not path.endswith("/signature/explain")
    ]
    operations.sort(key=lambda each: each[0] == "delete")
    assert len(operations) >= 28
    for method, template, operation in operations:
        path = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "1"), template)
        headers = {"Idempotency-Key": "key-00002"}
        options: dict[str, Any] = {}
        if "requestBody" in operation:
            product = {"product_id": 1} if path.endswith("/orders") else {}
            options["json"] = {"denomination": "20.00", "quantity": 1, **product}
            if "/webhooks" in path:
                options["json"] = operation["requestBody"]["content"][JSON]["example"]
        right = await acme.http.request(method, path, headers=headers, **options)
        assert right.status_code == 200, (path, right.text)
        wrong = await acme.http.request(method, path + "?bogus=1", headers=headers, **options)
        error = wrong.json()["error"]
        assert error["messages"]["bogus"][0]["rule"] == "unknown", (method, template, error)
        assert str(wrong.status_code) in operation["responses"]
