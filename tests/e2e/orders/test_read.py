"""Orders read back: one, by reference, its timeline, and lists with their filters and pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.refund_order import refund_order
from starship_core.flows.replace_voucher import replace_voucher
from starship_core.flows.retry_order import retry_order
from tests.e2e.servers import ANA, Caller, Shop

TOLD = (
    "status", "sub_status", "delivery_time", "pendingItems", "fulfilledFromCache",
    "delivered_quantity", "refunded_amount", "revision", "delivered_at",
)  # fmt: skip


def told(order: dict[str, Any]) -> list[Any]:
    return [order[name] for name in TOLD]


def statuses(order: dict[str, Any]) -> list[str]:
    return [item["status"] for item in order["items"]]


async def test_an_order_through_its_life(shop: Shop, acme: Caller) -> None:
    """Pending, partly delivered, the rest cancelled: each state as section 6 has it."""
    order = await acme.order("key-00001", quantity=3)
    assert told(order) == [
        "PENDING", "VENDOR_ORDER_PENDING", "DELAYED", 3, 0, 0, "0.00", 1, None,
    ]  # fmt: skip
    shop.clock.advance(hours=1)
    await shop.stock(1, "20.00", 1)
    await retry_order(1, ANA, shop.ship)
    partly = await acme.get("/orders/1")
    assert told(partly) == ["PARTIALLY_DELIVERED", "PARTIAL", "DELAYED", 2, 1, 1, "0.00", 2, None]
    assert statuses(partly) == ["DELIVERED", "PENDING", "PENDING"]
    assert [each["item_id"] for each in partly["vouchers"]] == [1]
    await cancel_order(1, ANA, shop.ship)
    cancelled = await acme.get("/orders/1")
    assert told(cancelled) == ["CANCELLED", "PARTIAL", "DELAYED", 0, 1, 1, "39.20", 3, None]
    assert statuses(cancelled) == ["DELIVERED", "CANCELLED", "CANCELLED"]
    assert cancelled["vouchers"] == partly["vouchers"]
    assert (await acme.get("/wallets/1"))["amount"] == "980.40"


async def test_a_retry_delivers_the_rest(shop: Shop, acme: Caller) -> None:
    """DELIVERED means all of them, with the time of the last."""
    await acme.order("key-00001", quantity=2)
    shop.clock.advance(minutes=90)
    await shop.stock(1, "20.00", 2)
    await retry_order(1, ANA, shop.ship)
    order = await acme.get("/orders/1")
    assert told(order) == [
        "DELIVERED", "COMPLETED", "DELAYED", 0, 2, 2, "0.00", 2, "2027-01-01T01:30:00Z",
    ]  # fmt: skip


async def test_nothing_delivered_and_cancelled(shop: Shop, acme: Caller) -> None:
    """All of the money is back, and there is no sub-status; of a bulk order, too."""
    await acme.order("key-00001", quantity=2)
    await acme.order("key-00002", quantity=51, wallet_id=acme.wallets["EUR"])
    for number in (1, 2):
        await cancel_order(number, ANA, shop.ship)
    one, bulk = await acme.get("/orders/1"), await acme.get("/orders/2")
    assert told(one) == ["CANCELLED", None, "DELAYED", 0, 0, 0, "39.20", 2, None]
    assert told(bulk) == ["CANCELLED", None, "DELAYED", 0, 0, 0, bulk["amount"], 2, None]
    assert bulk["items"] == []
    assert [each["amount"] for each in await acme.get("/wallets")] == ["1000.00", "5000.00"]


async def test_refunded_and_replaced(shop: Shop, acme: Caller) -> None:
    """A refund leaves the vouchers readable; a replaced one shows the new code in its item."""
    await shop.stock(1, "20.00", 3)
    await acme.order("key-00001", quantity=2)
    await replace_voucher(1, 2, ANA, shop.ship)
    await refund_order(1, ANA, shop.ship, items=[1])
    order = await acme.get("/orders/1")
    assert told(order)[:3] + told(order)[6:8] == ["DELIVERED", "COMPLETED", "INSTANT", "19.60", 3]
    assert [(v["item_id"], v["card_number"]) for v in order["vouchers"]] == [
        (1, "CARD-0001"), (2, "CARD-0003"),
    ]  # fmt: skip


async def test_what_is_no_order(acme: Caller, bolt: Caller) -> None:
    """Whatever cannot be an id, or is another client's, is the same 404."""
    assert (await bolt.order("key-00001", product_id=3, denomination=500))["id"] == 1
    for text in (
        "1", "2", "0", "-1", "+2", "01", "1.0", "1e0", "abc", "1%20", "%D9%A1", str(2**63),
        "9" * 400, "1;1", "null", "%FF", "%00", "{order_id}",
    ):  # fmt: skip
        for path in (f"/orders/{text}", f"/orders/{text}/timeline"):
            answer = await acme.send("GET", path)
            assert answer.status_code == 404, (path, answer.text)
            error = answer.json()["error"]
            assert (error["code"], error["name"]) == ("NOT_FOUND", "NotFoundError")
    assert (await bolt.get("/orders/%31"))["id"] == 1


async def test_by_reference_takes_every_reference(acme: Caller, bolt: Caller) -> None:
    """Percent-encoded in the path it comes back as it was; another client's is not found."""
    refs = ["acme-77", "timeline", "a b", "a+b", "1", "a=b&c=d", "'\"<>", "~.-_", "{ref}", "a:b;c@"]
    for number, ref in enumerate(refs, 1):
        placed = await acme.order(f"key-{number:05}", ref=ref)
        assert await acme.get(f"/orders/by-reference/{quote(ref, safe='')}") == placed
        theirs = await bolt.get(f"/orders/by-reference/{quote(ref, safe='')}", 404)
        assert theirs["error"]["code"] == "NOT_FOUND"
    for stranger in ("ACME-77", "acme-7", "x" * 300, "%FF", "%00", "a%2Fb", "%C3%A9"):
        assert (await acme.get(f"/orders/by-reference/{stranger}", 404))["error"]["code"]


async def test_vouchers_by_the_page(shop: Shop) -> None:
    """The whole by default; a thousand a page when asked, with X-Has-More."""
    rich = await shop.client("rich", {"EUR": "9999.00"})
    await shop.stock(2, "5.00", 1001)
    await rich.order(
        "key-00001", product_id=2, denomination=5, quantity=1001
    )  # fmt: skip
    await retry_order(1, ANA, shop.ship)
    whole = await rich.send("GET", "/orders/1")
    assert "X-Has-More" not in whole.headers
    vouchers = whole.json()["vouchers"]
    assert [each["item_id"] for each in vouchers] == list(range(1, 1002))
    for page, part, more in ((1, vouchers[:1000], "true"), (2, vouchers[1000:], "false"),
                             (3, [], "false")):  # fmt: skip
        answer = await rich.send("GET", f"/orders/1?vouchers_page={page}")
        assert (answer.json()["vouchers"], answer.headers["X-Has-More"]) == (part, more)
        assert len(answer.json()["items"]) == 1001
    for wrong in ("0", "-1", "x", "", "1.0", "%D9%A1"):
        refused = await rich.get(f"/orders/1?vouchers_page={wrong}", 400)
        assert refused["error"]["messages"]["vouchers_page"][0]["rule"] == "range"


async def test_every_reveal_is_audited(shop: Shop, acme: Caller) -> None:
    """POST, read and replay leave a row each, with the request's id; lists and misses none."""
    await shop.stock(1, "20.00", 1)
    for request_id in ("post-1", "replay-2"):
        body = {"product_id": 1, "denomination": "20.00", "quantity": 1}
        headers = {"Idempotency-Key": "key-00001", "X-Request-Id": request_id}
        assert (await acme.send("POST", "/orders", body, headers=headers)).status_code == 200
    await acme.send("GET", "/orders/1", headers={"X-Request-Id": "read-3"})
    await acme.get("/orders")
    await acme.get("/orders/1/timeline")
    await acme.order("key-00002")
    rows = await shop.ship.database.read(
        lambda tx: tx.execute(
            "SELECT actor, subject, request_id FROM audit WHERE action = 'reveal' ORDER BY id"
        )
    )
    assert [tuple(row) for row in rows] == [
        ("credential:1", "order:1", name) for name in ("post-1", "replay-2", "read-3")
    ]


async def test_the_timeline(shop: Shop, acme: Caller) -> None:
    """What happened, why, and what is next, in order."""
    await acme.order("key-00001", quantity=2, ref="mine")
    shop.clock.advance(seconds=1.5)
    await shop.stock(1, "20.00", 1)
    await retry_order(1, ANA, shop.ship)
    shop.clock.advance(seconds=1)
    assert await acme.get("/orders/1/timeline") == {
        "order_id": 1,
        "reference_code": "mine",
        "status": "PARTIALLY_DELIVERED",
        "sub_status": "PARTIAL",
        "steps": [
            {
                "at": "2027-01-01T00:00:00Z",
                "what": "order.created",
                "why": "accepted; the wallet was debited",
                "revision": 1,
            },
            {
                "at": "2027-01-01T00:00:00Z",
                "what": "order.pending",
                "why": "the pool did not hold all of it; no vendor was called",
                "revision": 1,
            },
            {
                "at": "2027-01-01T00:00:01.500000Z",
                "what": "order.partially_delivered",
                "why": "the pool held some of what was missing",
                "revision": 2,
            },
        ],
        "next": "the rest waits for stock and a retry, for an approved vendor purchase, "
        "or for a cancel",
    }
    await cancel_order(1, ANA, shop.ship)
    after = await acme.get("/orders/1/timeline")
    assert [step["what"] for step in after["steps"]][3:] == ["order.cancelled"]
    assert (after["status"], after["next"]) == ("CANCELLED", "nothing; it is closed")


async def _thirteen(shop: Shop, acme: Caller) -> None:
    """Orders 1 to 13, an hour apart; the even ones delivered, 1 and 7 of another product."""
    await shop.stock(1, "20.00", 6)
    for number in range(1, 14):
        body: dict[str, Any] = {"ref": f"R{number}"}
        if number in {1, 7}:
            body |= {"product_id": 2, "denomination": 5}
        elif number % 2:
            body |= {"denomination": "50.00"}
        await acme.order(f"key-{number:05}", **body)
        shop.clock.advance(hours=1)


def paging(answer: Any) -> tuple[str, ...]:
    names = ("Page", "Per-Page", "Total-Count", "Total-Pages", "Page-Size", "Has-More")
    return tuple(answer.headers[f"X-{name}"] for name in names)


async def test_lists_are_paged(shop: Shop, acme: Caller, bolt: Caller) -> None:
    """Newest first, ten a page, headers and all; one item is the order without what it holds."""
    await _thirteen(shop, acme)
    await bolt.order("key-00001", product_id=3, denomination=500)
    first = await acme.send("GET", "/orders")
    assert [each["id"] for each in first.json()] == list(range(13, 3, -1))
    assert paging(first) == ("1", "10", "13", "2", "10", "true")
    second = await acme.send("GET", "/orders?page=2")
    assert [each["id"] for each in second.json()] == [3, 2, 1]
    assert paging(second) == ("2", "10", "13", "2", "3", "false")
    beyond = await acme.send("GET", "/orders?page=3&limit=100")
    assert (beyond.json(), paging(beyond)) == ([], ("3", "100", "13", "1", "0", "false"))
    nobody = await shop.client("new", {})
    empty = await nobody.send("GET", "/orders")
    assert (empty.json(), paging(empty)) == ([], ("1", "10", "0", "0", "0", "false"))
    whole = await acme.get("/orders/2")
    assert whole["vouchers"][0]["card_number"] == "CARD-0001"
    del whole["items"], whole["vouchers"]
    assert second.json()[1] == whole


async def test_lists_are_filtered(shop: Shop, acme: Caller) -> None:
    """Each filter, in any case where it is a word, and several together."""
    await _thirteen(shop, acme)  # it is 13:00 now
    for query, found in (
        ("status=delivered", [12, 10, 8, 6, 4, 2]),
        ("status=PENDING", [13, 11, 9, 7, 5, 3, 1]),
        ("status=Cancelled", []),
        ("product_id=2", [7, 1]),
        ("product_id=999", []),
        ("reference_code=R7", [7]),
        ("reference_code=r7", []),
        ("reference_code=%20", []),
        ("placed_after=2027-01-01T09:00:00Z", [13, 12, 11]),
        ("placed_after=2027-01-01T09:59:59.999999%2B01:00", [13, 12, 11, 10]),
        ("placed_before=2027-01-01T02:00:00Z", [2, 1]),
        ("placed_after=2027-01-01T02:00:00Z&placed_before=2027-01-01T05:00:00Z", [5, 4]),
        ("older_than=11h", [2, 1]),
        ("older_than=660m", [2, 1]),
        ("older_than=39599s", [3, 2, 1]),
        ("older_than=1d", []),
        ("older_than=11h&placed_before=2027-01-01T01:00:00Z", [1]),
        ("older_than=12h&placed_before=2027-01-01T05:00:00Z", [1]),
        ("status=PENDING&older_than=8h&product_id=2", [1]),
        ("limit=2&page=2&status=PENDING", [9, 7]),
    ):
        answer = await acme.send("GET", f"/orders?limit=100&{query}".replace(
            "limit=100&limit", "limit"))  # fmt: skip
        assert answer.status_code == 200, (query, answer.text)
        assert [each["id"] for each in answer.json()] == found, query


async def test_the_daily_reconciliation(shop: Shop, acme: Caller) -> None:
    """PENDING and older than 24 hours, to the microsecond."""
    await acme.order("key-00001")
    shop.clock.advance(hours=24)
    assert await acme.get("/orders?status=PENDING&older_than=24h") == []
    shop.clock.set(shop.clock() + timedelta(microseconds=1))
    found = await acme.get("/orders?status=PENDING&older_than=24h")
    assert [each["id"] for each in found] == [1]


async def test_queries_that_are_refused(acme: Caller) -> None:
    """400 with the parameter and its rule; a misspelt filter must not list everything."""
    for query, field, rule in (
        ("limit=101", "limit", "range"),
        ("limit=0", "limit", "range"),
        ("limit=-1", "limit", "range"),
        ("limit=", "limit", "range"),
        ("limit=1e1", "limit", "range"),
        ("limit=%D9%A1", "limit", "range"),
        ("page=0", "page", "range"),
        ("page=9999999999", "page", "range"),
        ("page=" + "9" * 5000, "page", "range"),
        ("page=1&page=2", "page", "repeated"),
        ("status=DONE", "status", "enum"),
        ("status=", "status", "enum"),
        ("product_id=x", "product_id", "range"),
        ("product_id=9223372036854775808", "product_id", "range"),
        ("placed_after=yesterday", "placed_after", "format"),
        ("placed_after=2027-01-01", "placed_after", "format"),
        ("placed_after=2027-01-01T00:00:00", "placed_after", "format"),
        ("placed_after=2027-02-30T00:00:00Z", "placed_after", "format"),
        ("placed_before=1798761600", "placed_before", "format"),
        ("placed_before=10000-01-01T00:00:00Z", "placed_before", "format"),
        ("older_than=24", "older_than", "format"),
        ("older_than=24H", "older_than", "format"),
        ("older_than=-1h", "older_than", "format"),
        ("older_than=0h", "older_than", "format"),
        ("older_than=1.5h", "older_than", "format"),
        ("older_than=999999d", "older_than", "range"),
        ("statuss=PENDING", "statuss", "unknown"),
        ("Status=PENDING", "Status", "unknown"),
        ("vouchers_page=1", "vouchers_page", "unknown"),
        ("=1", "", "unknown"),
        ("reference_code=%FF", "reference_code", "encoding"),
        ("reference_code=%00", "reference_code", "encoding"),
        ("%FF=1", "query", "encoding"),
    ):
        refused = await acme.get(f"/orders?{query}", 400)
        assert refused["error"]["code"] == "E_VALIDATION_FAILURE", query
        ((line,),) = [refused["error"]["messages"][field]]
        assert (line["field"], line["rule"]) == (field, rule), query
