"""The sandbox against the documentation, over a real socket, by a client of its own."""

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import starship_pinelabs
from starship_pinelabs.sandbox import Settings, World, sandbox_app
from starship_pinelabs.sandbox.world import GOODS, OUTCOMES

from starship_core import Accepted, Bought, Money, Purchase, Refused, Secret, Sku, Unavailable
from starship_core.testing.plugs import toolbox
from starship_core.testing.serving import served

SECRET = "FAKE-FAKE-0001"
GOLDEN = Path(__file__).parent / "golden"
(VENDOR,) = starship_pinelabs.register_vendor_fulfillers()


class Client:
    """Signs by hand; what it sends can be spoilt."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx2.AsyncClient(trust_env=False, verify=False)
        self.token = ""
        self.spoil: dict[str, str] = {}

    async def login(self, **changed: str) -> httpx2.Response:
        who = {
            "clientId": "sandbox-client", "username": "sandbox-user", "password": "FAKE-FAKE-0002",
        } | changed  # fmt: skip
        answer = await self.http.post(f"{self.url}/oauth2/verify", json=who)
        if answer.status_code != 200:
            return answer
        code = answer.json()["authorizationCode"]
        hop = {"clientId": "sandbox-client", "clientSecret": SECRET, "authorizationCode": code}
        answer = await self.http.post(f"{self.url}/oauth2/token", json=hop)
        self.token = answer.json()["token"]
        return answer

    async def call(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        url = f"{self.url}/rest/v3/{path}"
        address, mark, query = url.partition("?")
        base = f"{method}&{quote(address + mark + '&'.join(sorted(query.split('&'))), safe='')}"
        sent = b""
        if body is not None:
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            base += "&" + quote(text, safe="")
            sent = json.dumps(body).encode()
        headers = {
            "Authorization": f"Bearer {self.token}", "dateAtClient": "2024-02-11T09:30:05.123Z",
            "signature": hmac.new(SECRET.encode(), base.encode(), hashlib.sha512).hexdigest(),
            "User-Agent": "tests",
        } | self.spoil  # fmt: skip
        return await self.http.request(method, url, content=sent, headers=headers)

    async def order(self, sku: str = "CNPIN", **changed: Any) -> httpx2.Response:
        return await self.call("POST", "orders", body(sku, **changed))


def body(sku: str = "CNPIN", qty: int = 2, price: Any = 500, **changed: Any) -> dict[str, Any]:
    return {
        "billing": {"email": "a@example.com"}, "refno": "ORG1_0001", "syncOnly": True,
        "payments": [{"code": "svc", "amount": price * qty}], "deliveryMode": "API",
        "products": [{"sku": sku, "price": price, "qty": qty, "currency": 356}],
    } | changed  # fmt: skip


@pytest.fixture
def world() -> World:
    return World(Settings(slow_seconds=0.2))


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with served(sandbox_app(world)) as url:
        client = Client(url)
        async with client.http:
            await client.login()
            yield client


def shape(value: Any) -> Any:
    """Keys and types; of a list its first element, of products by name any."""
    if isinstance(value, dict):
        keys = ["*"] if set(value) & {one.sku for one in GOODS} else sorted(value)
        inner = [shape(one) for _, one in sorted(value.items())]
        return dict(zip(keys, inner, strict=False))
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_bytes())


def same_shape(answer: httpx2.Response, status: int, name: str) -> None:
    assert (answer.status_code, shape(answer.json())) == (status, shape(golden(name))), name


async def test_answers_have_the_documented_shape(client: Client) -> None:
    """Every answer that the adapter reads, key by key and type by type."""
    asked = golden("order_request.json")
    made = await client.call("POST", "orders", asked)
    same_shape(made, 201, "order_complete.json")
    same_shape(await client.call("POST", "orders", asked), 400, "duplicate.json")
    same_shape(await client.call("GET", f"order/{asked['refno']}/status"), 200, "status.json")
    same_shape(await client.call("GET", "order/NOPE/status"), 400, "status_absent.json")
    number, card = made.json()["orderId"], made.json()["cards"][0]
    page = await client.call("GET", f"order/{number}/cards/?limit=100&offset=0")
    same_shape(page, 200, "cards_page.json")
    held = {"cardNumber": card["cardNumber"], "pin": card["cardPin"]}
    assert shape(held) == shape(golden("balance_request.json"))
    same_shape(await client.call("POST", "balance", held), 201, "balance.json")
    wrong = await client.call("POST", "balance", held | {"pin": "0"})
    same_shape(wrong, 400, "balance_refused.json")
    same_shape(await client.call("POST", "orders/reverse", asked), 202, "reversal.json")


async def test_answers_of_an_order_that_is_open(client: Client) -> None:
    """Without cards; these are not ready, and after it was cancelled they are gone."""
    client.spoil = {"X-Sandbox-Outcome": "cancel"}
    made = await client.order()
    same_shape(made, 202, "order_processing.json")
    path = f"order/{made.json()['orderId']}/cards/?limit=100&offset=0"
    assert shape((await client.call("GET", path)).json()) == shape(golden("cards_not_ready.json"))
    for _ in range(3):
        await client.call("GET", "order/ORG1_0001/status")
    same_shape(await client.call("GET", path), 410, "cards_cancelled.json")


async def test_the_catalogue_has_the_documented_shape(client: Client) -> None:
    """Of products the first has everything, the second next to nothing."""
    same_shape(await client.call("GET", "catalog/categories"), 200, "categories.json")
    path = "catalog/categories/121/products?limit=100&offset=0"
    told, wanted = (await client.call("GET", path)).json(), golden("products_page.json")
    assert shape(told) == shape(wanted)
    assert shape(told["products"][1]) == shape(wanted["products"][1])


async def test_an_order_in_one_call(client: Client, world: World) -> None:
    """201 with its cards; the wallet is debited; texts are texts, the id is a number."""
    answer = await client.order()
    told = answer.json()
    assert (answer.status_code, told["status"], told["refno"]) == (201, "COMPLETE", "ORG1_0001")
    assert told["payments"] == [{"code": "svc", "balance": "999000.0000"}]
    assert [card["amount"] for card in told["cards"]] == ["500.00", "500.00"]
    assert all(card["cardPin"].startswith("0") for card in told["cards"])
    assert all(isinstance(card["cardId"], int) for card in told["cards"])
    assert told["cards"][0]["validity"].endswith("+05:30")
    assert world.wallet == 999_000


async def test_an_order_that_comes_later(client: Client, world: World) -> None:
    """202, and debited at once; its cards are 409 until it is complete; then in pages."""
    answer = await client.order(syncOnly=False, refno="R-2")
    assert (answer.status_code, answer.json()["status"]) == (202, "PROCESSING")
    assert "cards" not in answer.json()
    assert world.wallet == 999_000
    number = answer.json()["orderId"]
    early = await client.call("GET", f"order/{number}/cards/?offset=0&limit=1")
    assert (early.status_code, early.json()["state"]) == (409, "PROCESSING")
    words = [(await client.call("GET", "order/R-2/status")).json()["status"] for _ in range(3)]
    assert words == ["PROCESSING", "PROCESSING", "COMPLETE"]
    pages = [
        (await client.call("GET", f"order/{number}/cards/?offset={offset}&limit=1")).json()
        for offset in (0, 1)
    ]
    assert [page["total_cards"] for page in pages] == [2, 2]
    assert pages[0]["cards"][0]["cardNumber"] != pages[1]["cards"][0]["cardNumber"]


@pytest.mark.parametrize("who", [{"clientId": "x"}, {"username": "x"}, {"password": "x"}])
async def test_who_is_not_known_gets_no_token(client: Client, who: dict[str, str]) -> None:
    """The first hop."""
    assert (await client.login(**who)).status_code == 401


async def test_a_code_is_good_once(client: Client) -> None:
    """The second hop."""
    hop = {"clientId": "c", "clientSecret": SECRET, "authorizationCode": "made up"}
    answer = await client.http.post(f"{client.url}/oauth2/token", json=hop)
    assert (answer.status_code, answer.json()["code"]) == (400, 8321)


SPOILT: dict[str, tuple[dict[str, str], int]] = {
    "signature": ({"signature": "0" * 128}, 401),
    "no signature": ({"signature": ""}, 401),
    "capitals": ({"signature": "A" * 128}, 401),
    "token": ({"Authorization": "Bearer stale"}, 401),
    "no token": ({"Authorization": ""}, 400),
    "no date": ({"dateAtClient": ""}, 401),
    "no user agent": ({"User-Agent": ""}, 403),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_what_is_checked_of_every_call(client: Client, world: World, what: str) -> None:
    """And nothing is bought."""
    client.spoil, status = SPOILT[what]
    answer = await client.order()
    assert answer.status_code == status
    assert world.orders == {}
    if status == 403:
        assert answer.text.startswith("<!DOCTYPE html>")


async def test_a_body_that_was_not_signed(client: Client, world: World) -> None:
    """A signature of another body."""
    other = await client.order()
    client.spoil = {"signature": other.request.headers["signature"]}
    assert (await client.order(refno="R-2")).status_code == 401
    assert list(world.orders) == ["ORG1_0001"]


async def test_addresses_that_may_call(world: World) -> None:
    """403 by the edge: a page."""
    world.settings = replace(world.settings, addresses=frozenset({"192.0.2.1"}))
    async with served(sandbox_app(world)) as url:
        client = Client(url)
        async with client.http:
            assert (await client.login()).status_code == 403


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"sku": "NOPE"}, 5310),
    ({"sku": "DISABLEDSTS"}, 5310),
    ({"price": 99}, 5307),
    ({"sku": "CLAIMCODE", "price": 150}, 5318),
    ({"payments": [{"code": "svc", "amount": 1}]}, 5036),
    ({"price": 10000, "qty": 101}, 5444),
    ({"refno": "a b"}, 5329),
    ({"refno": "A" * 56}, 5329),
    ({"deliveryMode": "EMAIL"}, 5311),
    ({"billing": {}}, 5342),
    ({"products": [{"sku": "CNPIN", "price": 500, "qty": 2, "currency": 840}]}, 5316),
    ({"products": [{"sku": "CNPIN", "price": 500, "qty": 0, "currency": 356}]}, 5337),
    ({"products": []}, 400),
]


@pytest.mark.parametrize(("changed", "code"), REFUSED)
async def test_refusals(client: Client, world: World, changed: dict[str, Any], code: int) -> None:
    """400 and a code; no order, no money."""
    answer = await client.order(**changed)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert world.orders == {}
    assert world.wallet == 1_000_000


async def test_the_same_reference_twice(client: Client, world: World) -> None:
    """5313; one order, paid once."""
    await client.order()
    again = await client.order()
    assert (again.status_code, again.json()["code"]) == (400, 5313)
    assert world.wallet == 999_000


async def test_an_order_that_nobody_knows(client: Client) -> None:
    """5320 by reference, 400 by id."""
    answer = await client.call("GET", "order/NOPE/status")
    assert (answer.status_code, answer.json()["code"]) == (400, 5320)
    answer = await client.call("GET", "order/NOPE/cards/?offset=0&limit=100")
    assert answer.json() == {"code": 400, "message": "This order id isn't valid"}


LAYOUTS = {
    "CNPIN": {"cardNumber", "cardPin"},
    "VOUCHERCODE": {"cardPin"},
    "CLAIMCODE": {"activationCode"},
    "UBEFLOW": {"activationUrl"},
}


@pytest.mark.parametrize("sku", LAYOUTS)
async def test_where_the_code_is(client: Client, sku: str) -> None:
    """By the product's kind."""
    card = (await client.order(sku)).json()["cards"][0]
    fields = {"cardNumber", "cardPin", "activationCode", "activationUrl"}
    assert {name for name in fields if card[name]} == LAYOUTS[sku]


@pytest.mark.parametrize(
    ("outcome", "status", "made"),
    [
        ("html", 200, 1), ("junk", 200, 1), ("error", 500, 1), ("unavailable", 503, 1),
        ("slow", 202, 1), ("hidden", 500, 1), ("error-before", 500, 0), ("too-many", 429, 0),
        ("try-later", 400, 0), ("fraud", 400, 0),
    ],
)  # fmt: skip
async def test_answers_that_do_not_tell(
    client: Client, world: World, outcome: str, status: int, made: int
) -> None:
    """What was made is in the log of purchases, whatever was answered."""
    client.spoil = {"X-Sandbox-Outcome": outcome}
    assert (await client.order()).status_code == status
    assert len(world.orders) == made
    logged = (await client.http.get(f"{client.url}/_sandbox/purchases")).json()
    assert len(logged) == made


async def test_an_order_that_is_cancelled(client: Client, world: World) -> None:
    """The money comes back; its cards are gone."""
    client.spoil = {"X-Sandbox-Outcome": "cancel"}
    number = (await client.order()).json()["orderId"]
    words = [
        (await client.call("GET", "order/ORG1_0001/status")).json()["status"] for _ in range(3)
    ]
    assert words[-1] == "CANCELED"
    gone = await client.call("GET", f"order/{number}/cards/?offset=0&limit=100")
    assert (gone.status_code, gone.json()["state"]) == (410, "CANCELED")
    assert world.wallet == 1_000_000


async def test_the_catalogue(client: Client) -> None:
    """Rows, not pages; the second product lacks most keys; `cpg` is a list or an object."""
    path = "catalog/categories/121/products"
    first = (await client.call("GET", f"{path}?offset=0&limit=3")).json()
    rest = (await client.call("GET", f"{path}?offset=3&limit=100")).json()
    assert (first["productsCount"], len(first["products"]), len(rest["products"])) == (9, 3, 6)
    assert sorted(first["products"][1]) == ["currency", "maxPrice", "minPrice", "name", "sku"]
    assert first["products"][0]["price"]["cpg"] == []
    assert first["products"][2]["price"]["cpg"]["INR"]["type"] == "SLAB"
    assert (await client.call("GET", "catalog/products/CNPIN")).json()["price"]["type"] == "RANGE"
    for path, code in (("catalog/products/NOPE", 1303), ("catalog/categories/9/products", 6652)):
        assert (await client.call("GET", path)).json()["code"] == code


async def test_a_reversal(client: Client, world: World) -> None:
    """By the order's own body; done at the next look but one; again: done already."""
    await client.order()
    other = await client.call("POST", "orders/reverse", body(qty=3))
    assert other.json()["code"] == 10466
    asked = await client.call("POST", "orders/reverse", body())
    assert (asked.status_code, asked.json()["order"]["status"]) == (202, "PROCESSING")
    for _ in range(2):
        told = (await client.call("GET", "order/ORG1_0001/status")).json()
    assert told["status"] == "CANCELED"
    assert world.wallet == 1_000_000
    assert (await client.call("POST", "orders/reverse", body())).status_code == 200


async def test_a_reversal_that_comes_late(client: Client, world: World) -> None:
    """Within so many minutes only."""
    await client.order()
    world.now = lambda: datetime.now(UTC) + timedelta(minutes=16)
    answer = await client.call("POST", "orders/reverse", body())
    assert answer.json()["code"] == 10467


# The adapter against it, where the kit has no check.


def purchase(reference: str = "R1", quantity: int = 2, sku: str = "CNPIN") -> Purchase:
    return Purchase(
        reference=reference,
        sku=Sku(1, 50000, "INR"),
        quantity=quantity,
        vendor_product=sku,
        ceiling=Money(10**9, "INR"),
        planned_at=datetime(2027, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
async def adapter(world: World) -> AsyncIterator[Any]:
    async with served(sandbox_app(world)) as url:
        config = VENDOR.config(
            base_url=url, client_id="sandbox-client", client_secret=Secret(SECRET),
            username="sandbox-user", password=Secret("FAKE-FAKE-0002"), category="121",
            firstname="Asha", lastname="Rao", email="a@example.com", telephone="+910",
            page_seconds=0, timeout=5,
        )  # fmt: skip
        async with VENDOR.open(config, toolbox(Path())) as opened:
            yield opened


async def test_a_stale_token_is_renewed_once(adapter: Any, world: World) -> None:
    """And by one of many calls, not by each; the order is made once."""
    assert isinstance(await adapter.buy(purchase("R1")), Bought)
    assert world.issued == 2
    world.tokens.clear()
    several = [adapter.buy(purchase(f"R{number}")) for number in range(2, 8)]
    replies = await asyncio.gather(*several)
    assert all(isinstance(reply, Bought) for reply in replies)
    assert world.issued == 4
    assert len(world.orders) == 7


async def test_without_a_token_nothing_was_sent(adapter: Any, world: World) -> None:
    """A password that was changed is no purchase that nobody knows of."""
    world.settings = replace(world.settings, password="another")
    with pytest.raises(Unavailable):
        await adapter.buy(purchase())
    assert world.orders == {}


async def test_a_token_that_never_lasts(adapter: Any, world: World) -> None:
    """One renewal; then it is somebody else's turn."""
    world.settings = replace(world.settings, client_secret="another")
    with pytest.raises(Unavailable):
        await adapter.find(purchase())


async def test_more_than_a_page_of_cards(adapter: Any) -> None:
    """A hundred units are one page; fewer than `sync_units` come at once."""
    assert isinstance(await adapter.buy(purchase(quantity=100)), Accepted)
    while isinstance(reply := await adapter.find(purchase(quantity=100)), Accepted):
        pass
    assert isinstance(reply, Bought)
    assert len({voucher.reference for voucher in reply.vouchers}) == 100


async def test_an_order_taken_back(adapter: Any, world: World) -> None:
    """The same body by the same purchase, so that Pine Labs knows it again."""
    await adapter.buy(purchase())
    assert isinstance(await adapter.reverse(purchase()), Accepted)
    await adapter.find(purchase())
    assert isinstance(await adapter.find(purchase()), Refused)
    assert world.wallet == Decimal(1_000_000)


async def test_what_is_left_on_a_card(adapter: Any, world: World) -> None:
    """Of a card that was sold all of it; of one with another PIN nothing is known."""
    reply = await adapter.buy(purchase())
    assert isinstance(reply, Bought)
    card = reply.vouchers[0]
    assert await adapter.card_balance(card.card_number, card.pin_code) == Money.of("500", "INR")
    assert await adapter.card_balance(card.card_number, Secret("0")) is None
    world.settings = replace(world.settings, client_secret="another")
    with pytest.raises(Unavailable):
        await adapter.card_balance(card.card_number, card.pin_code)


def test_codes_differ_and_products_have_outcomes() -> None:
    """No two cards alike; the vendor's own special names."""
    world = World()
    assert len({world.card(number)[0] for number in range(500)}) == 500
    assert all(one.outcome in OUTCOMES for one in GOODS)
    assert {"CNPIN", "VOUCHERCODE", "CLAIMCODE", "UBEFLOW"} <= {one.sku for one in GOODS}


def test_it_starts_from_the_command_line() -> None:
    """And says where it is."""
    command = [sys.executable, "-m", "starship_pinelabs.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        process.terminate()
    assert greeting == "Pine Labs' sandbox at http://127.0.0.1:0\n"


def test_it_knows_nothing_of_the_adapter() -> None:
    """Or the two would agree on a mistake."""
    folder = Path(__file__).parents[1] / "src" / "starship_pinelabs" / "sandbox"
    for file in folder.glob("*.py"):
        lines = [line for line in file.read_text().splitlines() if "starship_pinelabs" in line]
        imports = [line for line in lines if line.startswith(("from", "import"))]
        assert [line for line in imports if "starship_pinelabs.sandbox" not in line] == []
