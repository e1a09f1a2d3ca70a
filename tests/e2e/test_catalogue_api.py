from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from starship_core.audit import By
from starship_core.config import load
from starship_core.database import json_rows
from starship_core.flows.change_product import ProductChange, change_product
from starship_core.flows.import_products import import_products
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.keyring import create_keys
from starship_core.model import Money, Sku
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts
from starship_core.testing.clock import ManualClock
from starship_core.web.app import create_app

BY = By(actor="operator:ana")
CONFIG = """
[database]
url = "{url}"
[plugins]
enabled = ["wallet-ledger", "fx-fixed"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
base = "GBP"
as_of = 2027-01-01T00:00:00Z
rates = {{ EUR = "1.17342199", JPY = "191.5", KWD = "0.39" }}
[pricing]
discount = "1"
handling_percent = "1.5"
convenience_percent = "0.25"
conversion_percent = "2"
tax_percent = "18"
"""
PRODUCTS = """\
code,name,brand,category,subcategory,country,currency,denominations,discount,delivery_type,\
validity,description,terms,image_url,vendors
card,Sample Store Card,Sample,Shopping,Books,GB,GBP,20.00;50.00@2.5,2.0,code_with_pin,\
12 months,All of it.,No cash.,https://cdn.example.com/310.png,Bamboo;PineLabs
cafe,Café Zürich,Bohne,Food & drink,,,GBP,5.00-100.00,,code,,,,,
yen,Kissaten,Sample,Food & drink,Coffee,JP,JPY,500;1000,,claim_url,,,,,
off,Switched off,Sample,Shopping,,GB,GBP,10.00,,code,,,,,
"""
INSERT = """
INSERT INTO vouchers (product_id, denomination, currency, state, sealed, key_id, fingerprint,
    origin, expires_at, created_at, updated_at)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), value->>2, 'pooled', '', 'k1',
    value->>3, value->>3, 253402300799000000, 0, 0
FROM json_each($1)
"""
CARD, CAFE, YEN, OFF = 1, 2, 3, 4


class Shop:
    """A deployment with four products, and one client with a wallet in EUR and one in KWD."""

    def __init__(self, ship: Ship, http: httpx2.AsyncClient, clock: ManualClock) -> None:
        self.ship, self.http, self.clock = ship, http, clock
        self.client_id = self.euros = self.dinars = 0

    async def open(self) -> None:
        issued = await create_client(ClientFacts(name="acme", bulk_limit=500), BY, self.ship)
        assert issued.secret is not None
        headers = {"X-API-Key": issued.api_key, "X-API-Secret": issued.secret.reveal()}
        self.http.headers.update(headers)
        self.client_id = issued.client_id
        self.euros = await self._wallet("EUR")
        self.dinars = await self._wallet("KWD")

    async def _wallet(self, currency: str) -> int:
        wallet = await open_wallet(self.ship, self.client_id, currency, by=BY)
        money = Money.of(5000, currency)
        await credit_wallet(self.ship, wallet.id, money, reference=f"C-{currency}", by=BY)
        return wallet.id

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.http.get(f"/api/v1{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self.http.post(
            f"/api/v1{path}",
            content=content,
            headers={"Content-Type": "application/json", **headers},
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    async def order(self, key: str, status: int = 200, **body: Any) -> Any:
        return await self.post("/orders", body, status, **{"Idempotency-Key": key})

    async def stock(self, sku: Sku, count: int) -> None:
        rows = [
            (sku.product_id, sku.denomination, sku.currency, f"{sku}-{i}") for i in range(count)
        ]
        await self.ship.database.run(lambda tx: tx.execute(INSERT, json_rows(rows)))

    async def change(self, code: str, **change: Any) -> None:
        await change_product(code, ProductChange(**change), BY, self.ship)
        await self.seen()

    async def seen(self) -> None:
        """Processes look for changes once a second; here at once."""
        self.ship.catalogue._confirmed = self.ship.catalogue._next_look = 0.0
        self.ship.access.forget()


@pytest.fixture
async def shop(
    database_url: str, redis_url: str, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Shop]:
    (tmp_path / "starship.toml").write_text(CONFIG.format(url=database_url))
    (tmp_path / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    create_keys(tmp_path / "keys")
    config = load(tmp_path / "starship.toml", {})
    async with Ship.open(config, now=clock, redis_url=redis_url) as ship:
        await import_products(tmp_path / "products.csv", BY, ship)
        await change_product("off", ProductChange(is_active=False), BY, ship)
        transport = httpx2.ASGITransport(create_app(ship))
        async with httpx2.AsyncClient(transport=transport, base_url="http://shop") as http:
            shop = Shop(ship, http, clock)
            await shop.open()
            yield shop


CARD_ITEM = {
    "id": CARD, "name": "Sample Store Card", "category": "Shopping", "sub_category": "Books",
    "country_id": 1, "currency_id": 1, "currency_code": "GBP",
    "image_url": "https://cdn.example.com/310.png", "delivery_type": "code_with_pin",
    "delivery_time": "DELAYED", "validity": "12 months",
    "available_denominations": [
        {"min_value": "20.00", "max_value": "20.00", "discount": "2.0"},
        {"min_value": "50.00", "max_value": "50.00", "discount": "2.5"},
    ],
}  # fmt: skip


# --- products -------------------------------------------------------------------------------------


async def test_a_list_shows_active_products_with_their_offers(shop: Shop) -> None:
    """Every field of the contract, for a fixed denomination, for a range and for no decimals."""
    items = await shop.get("/products")
    assert [item["id"] for item in items] == [CARD, CAFE, YEN]
    assert items[0] == CARD_ITEM
    assert items[1]["available_denominations"] == [
        {"min_value": "5.00", "max_value": "100.00", "discount": "1"}
    ]
    assert (items[1]["country_id"], items[1]["sub_category"], items[1]["image_url"]) == (
        None,
        None,
        None,
    )
    assert items[2]["available_denominations"][0] == {
        "min_value": "500",
        "max_value": "500",
        "discount": "1",
    }


async def test_one_product_with_its_stock(shop: Shop) -> None:
    """The same and more; the hint stops at 50, and a range has no denomination to count."""
    await shop.stock(Sku(CARD, 2000, "GBP"), 60)
    await shop.stock(Sku(CARD, 5000, "GBP"), 2)
    assert await shop.get(f"/products/{CARD}") == {
        **CARD_ITEM,
        "delivery_time": "INSTANT",
        "description": "All of it.",
        "terms": "No cash.",
        "vendors": ["Bamboo", "PineLabs"],
        "denominations": [
            {"value": "20.00", "delivery_time": "INSTANT", "available_quantity_hint": 50},
            {"value": "50.00", "delivery_time": "INSTANT", "available_quantity_hint": 2},
        ],
    }
    assert (await shop.get("/products"))[0]["delivery_time"] == "INSTANT"
    cafe = await shop.get(f"/products/{CAFE}")
    assert (cafe["delivery_time"], cafe["denominations"]) == ("DELAYED", [])


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({"search": "sample"}, [CARD, YEN]),
    ({"search": "ZÜRICH"}, [CAFE]),
    ({"search": "nothing"}, []),
    ({"category": "food & drink"}, [CAFE, YEN]),
    ({"category": "food-drink--coffee"}, [YEN]),
    ({"category": "2"}, [CAFE, YEN]),
    ({"category": "99"}, []),
    ({"country_id": "1"}, [CARD]),
    ({"currency_id": "2"}, [YEN]),
    ({"currency_id": "99"}, []),
    ({"search": "sample", "currency_id": "1"}, [CARD]),
    ({"sort": '{"field":"id","direction":"DESC"}'}, [YEN, CAFE, CARD]),
    ({"sort": '{"field":"name","direction":"asc"}'}, [CAFE, YEN, CARD]),
    ({"sort": '{"field":"name","direction":"DESC"}', "limit": "1"}, [CARD]),
    ({"page": "2", "limit": "2"}, [YEN]),
    ({"page": "9"}, []),
]


async def test_filters_sorting_and_pages(shop: Shop) -> None:
    """Every documented query parameter is honoured, alone and together."""
    found = [[item["id"] for item in await shop.get("/products", **query)] for query, _ in FILTERS]
    assert found == [expected for _, expected in FILTERS]


async def test_paging_headers(shop: Shop) -> None:
    """A collection is a bare array; where it stands is in the headers."""
    answer = await shop.http.get("/api/v1/products", params={"page": 2, "limit": 2})
    headers = {name: answer.headers[name] for name in answer.headers if name.startswith("x-")}
    del headers["x-request-id"]
    assert headers == {
        "x-page": "2", "x-per-page": "2", "x-total-count": "3", "x-total-pages": "2",
        "x-page-size": "1", "x-has-more": "false",
    }  # fmt: skip


WRONG: list[dict[str, Any]] = [
    {"limit": "10001"}, {"limit": "0"}, {"page": "-1"}, {"colour": "red"}, {"sort": "id"},
    {"sort": '{"field":"discount"}'}, {"currency_id": "GBP"}, {"country_id": "1.0"},
]  # fmt: skip


async def test_a_query_that_fails_its_schema_is_refused(shop: Shop) -> None:
    """A misspelt or impossible parameter never means "all"."""
    for query in WRONG:
        error = (await shop.get("/products", 400, **query))["error"]
        assert (error["code"], list(error["messages"])) == ("E_VALIDATION_FAILURE", list(query))


async def test_a_product_that_is_not_on_offer_is_not_found(shop: Shop) -> None:
    """Switched off, unknown, and what cannot be an id at all."""
    for number in (OFF, 99, 0, "x", "1e0", 10**30):
        assert (await shop.get(f"/products/{number}", 404))["error"]["code"] == "NOT_FOUND"


async def test_a_page_of_very_many_is_the_same_as_its_parts(shop: Shop, tmp_path: Path) -> None:
    """Long pages are put together elsewhere, and say the same."""
    lines = ["code,name,category,currency,denominations"]
    lines += [f"p{i},Product {i},Many,GBP,1.00;2.00" for i in range(1500)]
    (tmp_path / "many.csv").write_text("\n".join(lines))
    await import_products(tmp_path / "many.csv", BY, shop.ship)
    await shop.seen()
    whole = await shop.get("/products", limit=10_000)
    parts = [
        item for page in range(1, 17) for item in await shop.get("/products", page=page, limit=100)
    ]
    assert (len(whole), whole == parts) == (1503, True)


# --- availability ---------------------------------------------------------------------------------


AVAILABLE: list[tuple[Any, int, tuple[bool, str, int]]] = [
    ("20.00", 3, (True, "INSTANT", 500)),
    (20, 50, (True, "INSTANT", 500)),
    ("20.0", 51, (True, "DELAYED", 500)),
    ("50.00", 1, (True, "DELAYED", 500)),
    ("20", 501, (False, "DELAYED", 500)),
]


async def test_availability(shop: Shop) -> None:
    """Whether the order would be taken, whether at once, and how many it may ask for."""
    await shop.stock(Sku(CARD, 2000, "GBP"), 60)
    for denomination, quantity, expected in AVAILABLE:
        body = {"denomination": denomination, "quantity": quantity}
        assert await shop.post(f"/products/{CARD}/availability", body) == dict(
            zip(("is_available", "delivery_time", "max_quantity"), expected, strict=True)
        )


async def test_a_range_is_instant_when_the_call_names_a_value_in_stock(shop: Shop) -> None:
    """What no list can say, a call with a denomination can."""
    await shop.stock(Sku(CAFE, 1234, "GBP"), 1)
    body = {"denomination": "12.34", "quantity": 1}
    assert (await shop.post(f"/products/{CAFE}/availability", body))["delivery_time"] == "INSTANT"


async def test_a_product_that_is_switched_off_is_not_available(shop: Shop) -> None:
    """Whoever knows its id is told, instead of a 404."""
    body = {"denomination": "10.00", "quantity": 1}
    assert await shop.post(f"/products/{OFF}/availability", body) == {
        "is_available": False,
        "delivery_time": "DELAYED",
        "max_quantity": 0,
    }


# --- charges --------------------------------------------------------------------------------------


async def test_every_line_of_the_charges(shop: Shop) -> None:
    """50.00 GBP × 3 from a wallet in EUR, 2.5 % off this denomination, all fees, tax on them."""
    body: dict[str, Any] = {"denomination": "50.00", "quantity": 3, "wallet_id": shop.euros}
    found = await shop.post(f"/products/{CARD}/charges", body)
    assert found.pop("quote").count(".") == 2
    # 150 GBP = 176.0132985 EUR; × 0.975 = 171.6129660…; fees on that 1.5 %, 0.25 %, 2 %; 18 % tax
    assert found == {
        "non_discounted_total": "176.01",
        "discount": "2.5",
        "discount_amount": "4.40",
        "total_amount": "171.61",
        "net_amount": "178.04",
        "handling_fee_amount": "2.57",
        "convenience_fee_amount": "0.43",
        "gst_amount": "1.16",
        "total_payable": "179.20",
        "max_quantity": 500,
        "delivery_time": "DELAYED",
        "expires_at": "2027-01-01T00:05:00Z",
        "charges_details": {
            "source_currency": "GBP",
            "destination_currency": "EUR",
            "forex_rate": "1.17342199",
            "forex_source": "fx-fixed",
            "forex_as_of": "2027-01-01T00:00:00Z",
            "conversion_fee": "3.43",
        },
    }


async def test_charges_of_three_decimals_and_of_none(shop: Shop) -> None:
    """A yen product from a wallet in dinars: each amount with its own currency's decimals."""
    body = {"denomination": 1000, "quantity": 1, "wallet_id": shop.dinars}
    found = await shop.post(f"/products/{YEN}/charges", body)
    total = Decimal(1000) / Decimal("191.5") * Decimal("0.39")
    assert found["non_discounted_total"] == f"{total:.3f}" == "2.037"
    assert (found["discount"], found["charges_details"]["conversion_fee"]) == ("1", "0.040")


async def test_charges_in_one_currency_have_no_conversion(shop: Shop) -> None:
    """No rate, no source, no time and no surcharge, all null."""
    wallet = await open_wallet(shop.ship, shop.client_id, "GBP", by=BY)
    await shop.seen()
    body = {"denomination": "20.00", "quantity": 1}
    found = await shop.post(f"/products/{CARD}/charges", body)
    assert found["charges_details"] == {
        "source_currency": "GBP", "destination_currency": "GBP", "forex_rate": None,
        "forex_source": None, "forex_as_of": None, "conversion_fee": None,
    }  # fmt: skip
    assert (found["total_payable"], wallet.currency) == ("20.00", "GBP")


async def test_an_order_is_charged_what_the_charges_said(shop: Shop) -> None:
    """With or without the quote it is one cascade."""
    body: dict[str, Any] = {"denomination": "50.00", "quantity": 3, "wallet_id": shop.euros}
    quoted = await shop.post(f"/products/{CARD}/charges", body)
    order = await shop.order("without-quote", product_id=CARD, **body)
    assert (order["amount"], order["amount_currency"]) == (quoted["total_payable"], "EUR")
    assert order["discount"] == quoted["discount_amount"]


async def test_a_quote_holds_whatever_changes_until_it_expires(shop: Shop) -> None:
    """A price, not a reservation: five minutes, even when the discount is gone meanwhile."""
    body: dict[str, Any] = {"denomination": "50.00", "quantity": 3, "wallet_id": shop.euros}
    await shop.change("card", client_discounts={"acme": "10"})
    quoted = await shop.post(f"/products/{CARD}/charges", body)
    await shop.change("card", client_discounts={"acme": None})
    asked: dict[str, Any] = {"product_id": CARD, **body, "quote": quoted["quote"]}
    shop.clock.advance(seconds=299)
    assert (await shop.order("with-quote-1", **asked))["amount"] == quoted["total_payable"]
    shop.clock.advance(seconds=1)
    error = (await shop.order("with-quote-2", 400, **asked))["error"]
    assert (error["code"], error["details"]["reason"]) == ("INVALID_INPUT", "quote_expired")
    assert (await shop.order("with-quote-1", **asked))["amount"] == quoted["total_payable"]


OTHERS: list[dict[str, Any]] = [
    {"quantity": 2}, {"denomination": "20.00"}, {"product_id": CAFE}, {"wallet_id": 2},
]  # fmt: skip


async def test_a_quote_for_something_else_is_refused(shop: Shop) -> None:
    """Never a silent new price."""
    body: dict[str, Any] = {"denomination": "50.00", "quantity": 3, "wallet_id": shop.euros}
    quoted = await shop.post(f"/products/{CARD}/charges", body)
    for other in OTHERS:
        asked: dict[str, Any] = {"product_id": CARD, **body, "quote": quoted["quote"], **other}
        error = (await shop.order("other-order", 400, **asked))["error"]
        assert (error["code"], error["details"]["reason"]) == ("INVALID_INPUT", "quote_mismatch")


async def test_a_client_sees_its_own_discount_in_lists_and_charges(shop: Shop) -> None:
    """And it replaces the product's; they are not added."""
    await shop.change("card", client_discounts={"acme": "7.25"})
    offers = (await shop.get(f"/products/{CARD}"))["available_denominations"]
    assert [offer["discount"] for offer in offers] == ["7.25", "7.25"]
    body = {"denomination": "50.00", "quantity": 1, "wallet_id": shop.euros}
    assert (await shop.post(f"/products/{CARD}/charges", body))["discount"] == "7.25"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"denomination": "30.00", "quantity": 1}, "denomination"),
    ({"denomination": "20.001", "quantity": 1}, "denomination"),
    ({"denomination": "20.00", "quantity": 501}, "quantity"),
    ({"denomination": "20.00", "quantity": 1, "wallet_id": 99}, "wallet_id"),
]


async def test_charges_for_what_cannot_be_ordered(shop: Shop) -> None:
    """The refusal that the order would get, by the same name."""
    for body, field in REFUSED:
        error = (await shop.post(f"/products/{CARD}/charges", body, 400))["error"]
        assert (error["code"], error["details"]["field"]) == ("INVALID_INPUT", field)
        order = await shop.order("same-refusal", 400, product_id=CARD, **body)
        assert order["error"]["details"] == error["details"]


@pytest.mark.parametrize("call", ["availability", "charges"])
async def test_what_is_no_amount_never_becomes_one(shop: Shop, call: str) -> None:
    """The raw token is looked at before a Decimal is made of it (more of them: test_amounts)."""
    for token, code in (
        ("NaN", "SYNTAX_ERROR"),
        ("1e2", "E_VALIDATION_FAILURE"),
        ('"٢٠"', "E_VALIDATION_FAILURE"),
        ('"20.0001"', "E_VALIDATION_FAILURE"),
        ("null", "E_VALIDATION_FAILURE"),
    ):
        body = f'{{"denomination": {token}, "quantity": 1}}'.encode()
        assert (await shop.post(f"/products/{CARD}/{call}", body, 400))["error"]["code"] == code


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"quantity": 1}, "denomination"),
    ({"denomination": "20"}, "quantity"),
    ({"denomination": "20", "quantity": 0}, "quantity"),
    ({"denomination": "20", "quantity": "1"}, "quantity"),
    ({"denomination": "20", "quantity": 1.5}, "quantity"),
    ({"denomination": "20", "quantity": 1, "walet_id": 1}, "walet_id"),
]


@pytest.mark.parametrize("call", ["availability", "charges"])
async def test_a_body_that_fails_its_schema_is_refused_by_field(shop: Shop, call: str) -> None:
    """A misspelt field is money, so it is named."""
    for body, field in MALFORMED:
        error = (await shop.post(f"/products/{CARD}/{call}", body, 400))["error"]
        assert (error["code"], list(error["messages"])) == ("E_VALIDATION_FAILURE", [field])


@pytest.mark.parametrize("call", ["availability", "charges"])
async def test_a_path_that_leads_nowhere_is_told_before_the_body(shop: Shop, call: str) -> None:
    """404 comes before 400, for an id that is unknown and for one that cannot be."""
    for number in ("99", "x", "0"):
        error = (await shop.post(f"/products/{number}/{call}", b"{", 404))["error"]
        assert error["code"] == "NOT_FOUND"


async def test_stale_rates_price_nothing(shop: Shop) -> None:
    """503 with a clear text: neither charges nor orders are made with rates of three days ago."""
    shop.clock.advance(hours=72)
    body = {"denomination": "50.00", "quantity": 1, "wallet_id": shop.euros}
    error = (await shop.post(f"/products/{CARD}/charges", body, 503))["error"]
    assert (error["code"], error["message"]) == (
        "UNAVAILABLE",
        "the exchange rates for GBP are of 2027-01-01 00:00 UTC, too old to price with",
    )
    await shop.order("stale-rates", 503, product_id=CARD, **body)
    assert (await shop.get("/currencies"))[0]["exchange_rate"] is None


# --- shelves, countries, currencies ---------------------------------------------------------------
AT = "2027-01-01T00:00:00Z"


async def test_categories(shop: Shop) -> None:
    """Top shelves in the order they came; what is below them only when asked for."""
    food = {
        "id": 2, "name": "Food & drink", "slug": "food-drink", "description": "", "icon": None,
        "is_active": True, "product_count": 2, "created_at": AT, "updated_at": AT,
    }  # fmt: skip
    shopping = {**food, "id": 1, "name": "Shopping", "slug": "shopping", "product_count": 1}
    assert await shop.get("/categories") == [shopping, food]
    assert await shop.get("/categories", per_page=1, page=2) == [food]
    assert await shop.get("/categories", include_subcategories="true") == [
        {**shopping, "subcategories": [{"id": 3, "name": "Books"}]},
        {**food, "subcategories": [{"id": 4, "name": "Coffee"}]},
    ]
    assert await shop.get("/categories/2") == food
    assert await shop.get("/subcategories") == [
        {"id": 3, "name": "Books"},
        {"id": 4, "name": "Coffee"},
    ]
    assert await shop.get("/subcategories/4") == {"id": 4, "name": "Coffee"}
    for path in ("/categories/3", "/categories/99", "/subcategories/1", "/subcategories/x"):
        await shop.get(path, 404)


async def test_an_inactive_category_is_shown_only_when_asked_for(shop: Shop) -> None:
    """`active_only` is true unless the call says otherwise."""

    def switch_off(tx: Any) -> None:
        tx.execute("UPDATE categories SET is_active = 0 WHERE id = $1", 1)

    await shop.ship.database.run(switch_off)
    await shop.change("card")
    assert [each["id"] for each in await shop.get("/categories")] == [2]
    both = await shop.get("/categories", active_only="false")
    assert [(each["id"], each["is_active"]) for each in both] == [(1, False), (2, True)]


async def test_countries(shop: Shop) -> None:
    """With the money that is used there; searched by code or by part of the name."""
    britain = {
        "id": 1, "code": "GB", "name": "United Kingdom", "currency_code": "GBP",
        "is_active": True, "created_at": AT, "updated_at": AT,
    }  # fmt: skip
    assert await shop.get("/countries", search="gb") == [britain]
    assert [each["code"] for each in await shop.get("/countries")] == ["GB", "JP"]
    assert [each["code"] for each in await shop.get("/countries", search="JAP")] == ["JP"]


async def test_currencies_against_the_clients_own_money(shop: Shop) -> None:
    """Its default wallet's currency is the base, unless the call names another."""
    found = await shop.get("/currencies")
    assert {each["base_currency"] for each in found} == {"EUR"}
    pounds = await shop.get("/currencies", base_currency="gbp")
    yen = next(each for each in pounds if each["code"] == "JPY")
    assert yen == {
        "id": 2, "code": "JPY", "name": "Japanese Yen", "symbol": "¥", "decimal_places": 0,
        "exchange_rate": "191.5", "base_currency": "GBP", "is_active": True,
        "supported_denominations": ["500", "1000"], "last_updated": AT, "created_at": AT,
        "updated_at": AT,
    }  # fmt: skip
    pound = next(each for each in pounds if each["code"] == "GBP")
    assert (pound["exchange_rate"], pound["supported_denominations"]) == ("1", ["20.00", "50.00"])
    error = (await shop.get("/currencies", 400, base_currency="XXX"))["error"]
    assert (error["code"], error["details"]) == ("INVALID_INPUT", {"field": "base_currency"})
