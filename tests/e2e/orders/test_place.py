"""`POST /orders` to the letter of the client API, section 6: fields, answers, refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starship_core.flows.manage_clients import change_client
from starship_core.model import Money
from starship_core.testing.clock import START
from tests.e2e.servers import ANA, Caller, Shop

HIT = {
    "id": 1, "ref": "acme-77", "reference_code": "acme-77", "transaction_id": 3, "product_id": 1,
    "product_name": "Sample Store Card", "currency": "GBP", "denomination": "20.00",
    "quantity": 3, "amount": "58.80", "amount_currency": "GBP", "discount": "1.20",
    "refunded_amount": "0.00", "wallet_id": 1, "status": "DELIVERED", "sub_status": "COMPLETED",
    "delivery_time": "INSTANT", "pendingItems": 0, "fulfilledFromCache": 3,
    "delivered_quantity": 3, "revision": 1,
    "items": [
        {"id": 1, "status": "DELIVERED", "denomination": "20.00"},
        {"id": 2, "status": "DELIVERED", "denomination": "20.00"},
        {"id": 3, "status": "DELIVERED", "denomination": "20.00"},
    ],
    "vouchers": [
        {
            "item_id": 1, "card_number": "CARD-0002", "pin_code": "PIN-0002", "claim_url": None,
            "voucher_reference_number": "VR-0002", "expires_at": "2027-06-30T00:00:00Z",
        },
        {
            "item_id": 2, "card_number": "CARD-0003", "pin_code": "PIN-0003", "claim_url": None,
            "voucher_reference_number": "VR-0003", "expires_at": "2027-06-30T00:00:00Z",
        },
        {
            "item_id": 3, "card_number": "CARD-0001", "pin_code": "PIN-0001", "claim_url": None,
            "voucher_reference_number": "VR-0001", "expires_at": None,
        },
    ],
    "email": "ana@example.com", "mobile": "+44 20 7946 0000",
    "customer_info": {"name": "Ana", "vip": True}, "metadata": {"cart": ["a", 1, None, 1.5]},
    "placed_at": "2027-01-01T00:00:00Z", "delivered_at": "2027-01-01T00:00:00Z",
}  # fmt: skip
MISS = HIT | {
    "ref": "acme-78", "reference_code": "acme-78", "status": "PENDING",
    "sub_status": "VENDOR_ORDER_PENDING", "delivery_time": "DELAYED", "pendingItems": 3,
    "fulfilledFromCache": 0, "delivered_quantity": 0, "vouchers": [], "email": None,
    "mobile": None, "customer_info": None, "metadata": {}, "delivered_at": None,
    "items": [
        {"id": 1, "status": "PENDING", "denomination": "20.00"},
        {"id": 2, "status": "PENDING", "denomination": "20.00"},
        {"id": 3, "status": "PENDING", "denomination": "20.00"},
    ],
}  # fmt: skip


def refusal(answer: Any, field: str | None = None) -> tuple[str, str | None, str | None]:
    """Code, and of a schema's failure the rule that `field` breaks, of others the reason."""
    error = answer["error"]
    if field is None:
        return error["code"], None, None
    if "messages" in error:
        assert list(error["messages"]) == [field], error
        ((line,),) = [error["messages"][field]]
        assert line["field"] == field
        return error["code"], line["field"], line["rule"]
    assert error["details"]["field"] == field, error
    return error["code"], field, error["details"].get("reason")


async def test_a_hit_is_delivered_in_the_answer(shop: Shop, acme: Caller) -> None:
    """Every field of the answer, the first to expire first; a read gives the same order."""
    await shop.stock(1, "20.00", 1)
    await shop.stock(1, "20.00", 2, expires_at=START + timedelta(days=180))
    answer = await acme.ordered(
        "key-00001", quantity=3, ref="acme-77", email="ana@example.com",
        mobile="+44 20 7946 0000", customer_info={"name": "Ana", "vip": True},
        metadata={"cart": ["a", 1, None, 1.5]},
    )  # fmt: skip
    assert answer.json() == HIT
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Idempotency-Replayed" not in answer.headers
    assert await acme.get("/orders/1") == HIT
    assert (await acme.get("/wallets/1"))["amount"] == "941.20"


async def test_a_miss_is_parked_and_paid(shop: Shop, acme: Caller) -> None:
    """Fewer than asked for in the pool: none of them is taken, the wallet is debited."""
    await shop.stock(1, "20.00", 2)
    assert await acme.order("key-00001", quantity=3, ref="acme-78") == MISS
    assert await acme.get("/orders/1") == MISS
    assert (await acme.get("/wallets/1"))["amount"] == "941.20"
    hit = await acme.order("key-00002", quantity=2)
    assert (hit["status"], hit["fulfilledFromCache"]) == ("DELIVERED", 2)


async def test_bulk_has_no_items_yet(shop: Shop, acme: Caller) -> None:
    """Above 50 the order is parked whatever the stock, without items; 50 are served at once."""
    await shop.stock(1, "20.00", 101)
    fifty = await acme.order("key-00001", quantity=50, wallet_id=acme.wallets["EUR"])
    assert (fifty["status"], len(fifty["items"]), len(fifty["vouchers"])) == ("DELIVERED", 50, 50)
    bulk = await acme.order("key-00002", quantity=51, wallet_id=acme.wallets["EUR"])
    told = ("status", "sub_status", "delivery_time", "pendingItems", "fulfilledFromCache")
    assert [bulk[name] for name in told] == ["PENDING", "INITIAL", "DELAYED", 0, 0]
    assert (bulk["items"], bulk["vouchers"], bulk["delivered_quantity"]) == ([], [], 0)
    assert await acme.get(f"/orders/{bulk['id']}") == bulk


async def test_a_made_reference_is_as_good(acme: Caller) -> None:
    """Without `ref` one is made, under both names, and it leads back to the order."""
    made = await acme.order("key-00001")
    assert made["ref"] == made["reference_code"]
    assert await acme.get(f"/orders/by-reference/{made['ref']}") == made


async def test_denominations_are_strings_or_numbers(acme: Caller) -> None:
    """Written with the currency's own decimals, whatever way they came."""
    for number, (product, denomination, told, amount) in enumerate(
        [
            (1, "20.00", "20.00", "19.60"),
            (1, "20", "20.00", "19.60"),
            (1, 20, "20.00", "19.60"),
            (1, 20.0, "20.00", "19.60"),
            (1, "0020.0", "20.00", "19.60"),
            (1, "50.00", "50.00", "48.75"),
            (2, "5.01", "5.01", "5.01"),
            (2, 99.99, "99.99", "99.99"),
        ]
    ):
        body: dict[str, Any] = {"product_id": product, "denomination": denomination}
        order = await acme.order(f"key-{number:05}", **body)
        assert (order["denomination"], order["amount"]) == (told, amount)


async def test_each_currency_has_its_decimals(shop: Shop) -> None:
    """Yen have none and dinars three, in requests and answers."""
    caller = await shop.client("coin", {"JPY": "2000", "KWD": "10.000"})
    yen = await caller.order("key-00001", product_id=3, denomination="500")
    assert (yen["denomination"], yen["amount"], yen["discount"]) == ("500", "500", "0")
    dinar = await caller.order("key-00002", product_id=4, denomination="1.25", quantity=2)
    assert (dinar["denomination"], dinar["amount"]) == ("1.250", "2.500")
    for key, product, face in (("key-00003", 3, "500.0"), ("key-00004", 4, "1.250")):
        order = await caller.order(key, product_id=product, denomination=face)
        assert order["product_id"] == product
    refused = await caller.order("key-00005", 400, product_id=3, denomination="500.5")
    assert refusal(refused, "denomination") == ("INVALID_INPUT", "denomination", None)
    assert (await caller.get("/wallets"))[0]["amount"] == "1000"


async def test_claim_urls_are_codes_too(shop: Shop) -> None:
    """A product of links: the link is there, card and PIN are null."""
    caller = await shop.client("coin", {"JPY": "2000"})
    await shop.stock(3, "500", 1, claim_url="https://claim.example.com/{}")
    order = await caller.order("key-00001", product_id=3, denomination=500)
    assert order["vouchers"] == [
        {
            "item_id": 1,
            "card_number": None,
            "pin_code": None,
            "claim_url": "https://claim.example.com/0001",
            "voucher_reference_number": "VR-0001",
            "expires_at": None,
        }
    ]


MISSING: Any = object()
SCHEMA = [
    ("product_id", MISSING, "required"),
    ("product_id", 0, "range"),
    ("product_id", -1, "range"),
    ("product_id", 2**63, "range"),
    ("product_id", 10**30, "range"),
    ("product_id", "1", "type"),
    ("product_id", None, "type"),
    ("product_id", True, "type"),
    ("product_id", 1.5, "type"),
    ("denomination", MISSING, "required"),
    ("denomination", "", "format"),
    ("denomination", "0", "range"),
    ("denomination", 0, "range"),
    ("denomination", "0.000", "range"),
    ("denomination", -20, "format"),
    ("denomination", "-20", "format"),
    ("denomination", "+20", "format"),
    ("denomination", "20.", "format"),
    ("denomination", ".20", "format"),
    ("denomination", "2e1", "format"),
    ("denomination", "20.0000", "format"),
    ("denomination", " 20", "format"),
    ("denomination", "20\n", "format"),
    ("denomination", "2_0", "format"),
    ("denomination", "20,00", "format"),
    ("denomination", "٢٠", "format"),
    ("denomination", "NaN", "format"),
    ("denomination", "Infinity", "format"),
    ("denomination", "1" * 13, "format"),
    ("denomination", None, "format"),
    ("denomination", True, "format"),
    ("denomination", ["20"], "format"),
    ("denomination", {"value": 20}, "format"),
    ("quantity", MISSING, "required"),
    ("quantity", 0, "range"),
    ("quantity", -1, "range"),
    ("quantity", 1_000_001, "range"),
    ("quantity", 10**30, "range"),
    ("quantity", "3", "type"),
    ("quantity", 1.5, "type"),
    ("quantity", None, "type"),
    ("wallet_id", 0, "range"),
    ("wallet_id", "1", "type"),
    ("ref", "", "length"),
    ("ref", "x" * 256, "length"),
    ("ref", "a/b", "format"),
    ("ref", "a?b", "format"),
    ("ref", "a#b", "format"),
    ("ref", "a%b", "format"),
    ("ref", "é", "format"),
    ("ref", "a\tb", "format"),
    ("ref", "a\n", "format"),
    ("ref", "a\x7f", "format"),
    ("ref", 7, "type"),
    ("email", "ana", "format"),
    ("email", "ana@example", "format"),
    ("email", "a na@example.com", "format"),
    ("email", "ana@example.com\n", "format"),
    ("email", "a" * 250 + "@example.com", "length"),
    ("mobile", "call me", "format"),
    ("mobile", "1", "format"),
    ("customer_info", "Ana", "type"),
    ("customer_info", [], "type"),
    ("quote", "", "length"),
    ("quote", "x" * 4097, "length"),
    ("metadata", None, "type"),
    ("metadata", [], "type"),
    ("metadata", {"x": "y" * 4096}, "length"),
    ("qty", 3, "unknown"),
    ("Quantity", 3, "unknown"),
    ("", 3, "unknown"),
]


async def test_what_the_schema_refuses(acme: Caller) -> None:
    """400 E_VALIDATION_FAILURE with the field and the rule; nothing is kept, the key stays free."""
    for field, value, rule in SCHEMA:
        body = {"product_id": 1, "denomination": "20.00", "quantity": 1, field: value}
        if value is MISSING:
            del body[field]
        answer = await acme.send("POST", "/orders", body, headers={"Idempotency-Key": "key-00001"})
        assert answer.status_code == 400, (field, value, answer.text)
        found = refusal(answer.json(), field)
        assert found == ("E_VALIDATION_FAILURE", field, rule), (field, value)
        assert answer.json()["error"]["name"] == "ValidationException"
    assert await acme.get("/orders") == []
    assert (await acme.order("key-00001"))["id"] == 1


async def test_the_widest_that_is_allowed(acme: Caller) -> None:
    """At the limits themselves nothing is refused, and what was sent comes back."""
    ref = "".join(map(chr, range(32, 127)))
    for banned in "/?#%":
        ref = ref.replace(banned, "")
    ref = ref * 2 + "x" * 73
    metadata = {"x": "y" * 4088}
    order = await acme.order("k" * 8, ref=ref, metadata=metadata, email="a@b.c", mobile="12345")
    assert (len(ref), order["ref"], order["metadata"]) == (255, ref, metadata)
    assert (order["email"], order["mobile"]) == ("a@b.c", "12345")
    assert (await acme.get(f"/orders/by-reference/{_quoted(ref)}"))["id"] == order["id"]


def _quoted(ref: str) -> str:
    return "".join(f"%{ord(each):02X}" for each in ref)


async def test_what_is_not_acceptable(shop: Shop, acme: Caller, bolt: Caller) -> None:
    """400 INVALID_INPUT names the field: what is not on offer, or not the client's."""
    other = bolt.wallets["JPY"]
    for field, body in (
        ("product_id", {"product_id": 999}),
        ("product_id", {"product_id": 5}),
        ("product_id", {"product_id": 2**63 - 1}),
        ("denomination", {"denomination": "21.00"}),
        ("denomination", {"denomination": "20.001"}),
        ("denomination", {"denomination": "999999999999.99"}),
        ("denomination", {"product_id": 2, "denomination": "4.99"}),
        ("denomination", {"product_id": 2, "denomination": "100.01"}),
        ("quantity", {"quantity": 10_001}),
        ("wallet_id", {"wallet_id": other}),
        ("wallet_id", {"wallet_id": 999}),
    ):
        refused = await acme.order("key-00001", 400, **body)
        assert refusal(refused, field) == ("INVALID_INPUT", field, None), body
        assert refused["error"]["name"] == "InvalidInputError"
    assert await acme.get("/orders") == []
    assert await bolt.get("/orders") == []


async def test_the_bulk_limit_is_the_clients(shop: Shop, acme: Caller) -> None:
    """An operator's limit holds to the unit."""
    await change_client("acme", {"bulk_limit": 2}, ANA, shop.ship)
    await shop.seen()
    refused = await acme.order("key-00001", 400, quantity=3)
    assert refused["error"]["message"] == "quantity may be at most 2"
    assert (await acme.order("key-00001", quantity=2))["quantity"] == 2


async def test_which_wallet_pays(shop: Shop, acme: Caller) -> None:
    """The one named; else the one in the product's currency; else the default one."""
    pounds, euros = acme.wallets["GBP"], acme.wallets["EUR"]
    assert (await acme.order("key-00001"))["wallet_id"] == pounds
    named = await acme.order("key-00002", wallet_id=euros)
    assert (named["wallet_id"], named["amount"], named["amount_currency"]) == (
        euros, "23.00", "EUR",
    )  # fmt: skip
    foreign = await acme.order("key-00003", product_id=3, denomination=500)
    assert (foreign["wallet_id"], foreign["currency"], foreign["amount_currency"]) == (
        pounds, "JPY", "GBP",
    )  # fmt: skip
    await change_client("acme", {"default_wallet_id": euros}, ANA, shop.ship)
    await shop.seen()
    assert (await acme.order("key-00004", product_id=3, denomination=500))["wallet_id"] == euros


async def test_too_little_money_keeps_nothing(shop: Shop) -> None:
    """402, and the same key is good after a top-up; neither an order nor a voucher is gone."""
    poor = await shop.client("poor", {"GBP": "19.59"})
    await shop.stock(1, "20.00", 1)
    refused = await poor.order("key-00001", 402, ref="mine")
    assert {name: refused["error"][name] for name in ("code", "name")} == {
        "code": "INSUFFICIENT_BALANCE", "name": "InsufficientBalanceError",
    }  # fmt: skip
    assert await poor.get("/orders") == []
    assert [each["amount"] for each in await poor.get("/transactions")] == ["19.59"]
    await shop.credit(poor.wallets["GBP"], Money.of("0.01", "GBP"), "top-up")
    paid = await poor.ordered("key-00001", ref="mine")
    assert (paid.json()["status"], paid.json()["amount"]) == ("DELIVERED", "19.60")
    assert "Idempotency-Replayed" not in paid.headers
    assert (await poor.get("/wallets"))[0]["amount"] == "0.00"
