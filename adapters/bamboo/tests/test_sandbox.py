"""The sandbox against Bamboo's documentation, over a real socket, by a client of its own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starship_bamboo.sandbox import Settings, World, sandbox_app
from starship_bamboo.sandbox.goods import GOODS, OUTCOMES

from starship_core.testing.serving import served

GOLDEN = Path(__file__).parent / "golden"
FIRST = "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"
V1 = "/api/integration/v1.0/"
CHECKOUT = V1 + "orders/checkout"
NUMBER = {product.outcome: product.id for product in GOODS if product.id > 920000}


class Client:
    """Calls the sandbox with the right credentials, unless told otherwise."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.AsyncClient(
            base_url=url, auth=("sandbox-client", "FAKE-FAKE-0001"), trust_env=False, verify=False
        )

    async def get(self, path: str, **query: Any) -> httpx2.Response:
        return await self.http.get(V1 + path, params=query)

    async def buy(self, product: int = 910001, **changed: Any) -> httpx2.Response:
        line = {"ProductId": product, "Quantity": 2, "Value": changed.pop("Value", 50)}
        body = {"RequestId": FIRST, "AccountId": 4001, "Products": [line]} | changed
        return await self.http.post(CHECKOUT, json=body)

    async def order(self, reference: str = FIRST) -> dict[str, Any]:
        answer = await self.get(f"orders/{reference}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def world() -> World:
    return World(Settings(limits=False, slow_seconds=0.2))


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with served(sandbox_app(world)) as url:
        client = Client(url)
        async with client.http:
            yield client


def shape(value: Any) -> Any:
    """Keys and kinds, without the values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def keys(value: Any) -> Any:
    """Of a page, where any text may be null."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


async def test_the_documented_purchase(client: Client, world: World) -> None:
    """The request of the documentation, byte by byte, is answered as the documentation shows."""
    sent = (GOLDEN / "checkout_request.json").read_bytes()
    answer = await client.http.post(CHECKOUT, content=sent)
    assert (answer.status_code, answer.text) == (200, f'"{FIRST}"')
    statuses = [(await client.order())["status"] for _ in range(4)]
    assert statuses == ["Created", "Processing", "Succeeded", "Succeeded"]
    order = await client.order()
    wanted = golden("order_succeeded.json")
    optional = {"status"}
    assert set(order) == set(wanted)
    assert set(order["items"][0]) | optional == set(wanted["items"][0]) | optional
    assert shape(order["items"][0]["cards"][0]) == shape(wanted["items"][0]["cards"][0])
    assert shape(order["items"][0]["cards"][1]) == shape(wanted["items"][0]["cards"][1])
    assert order["createdDate"].endswith("7")
    assert len(order["createdDate"]) == len("2024-02-11T09:30:05.1234567")
    assert order["total"] == 25.8680  # 2 × 50 AED × 0.95 / 3.6725, each rounded to 0.0001
    assert str(world.accounts[4001].balance) == "12474.1320"


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("accounts", {}, "accounts.json"),
        ("exchange-rates", {"baseCurrency": "USD"}, "rates.json"),
        ("orders", {"startDate": "2000-01-01", "endDate": "2100-01-01"}, "orders.json"),
        ("transactions", {"startDate": "2000-01-01", "endDate": "2100-01-01"}, "transactions.json"),
    ],
)
async def test_reads_have_the_documented_shape(
    client: Client, path: str, query: dict[str, str], name: str
) -> None:
    """Key by key; the lists of an order's parts are shorter here."""
    await client.buy()
    answer = shape((await client.get(path, **query)).json())
    wanted = shape(golden(name))
    if path == "transactions":
        wanted["clients"][0]["transactions"][0]["orderItems"] = [
            {"createdDate": "str", "quantity": "number"}
        ]
        wanted["clients"][0]["transactions"][0].pop("orderTotalForSelectedProducts")
    assert answer == wanted


async def test_the_catalogue_in_pages(client: Client) -> None:
    """Counted from 0; the key is misspelt; tombstones only for who asks what changed."""
    pages = "/api/integration/v2.0/catalog"
    first = (await client.http.get(pages, params={"PageSize": 1})).json()
    second = (await client.http.get(pages, params={"PageSize": 1, "PageIndex": 1})).json()
    beyond = (await client.http.get(pages, params={"PageSize": 1, "PageIndex": 9})).json()
    assert (first["pageindex"], second["pageindex"], first["count"]) == (0, 1, 3)
    assert first["items"] != second["items"]
    assert beyond["items"] == []
    assert keys(first) == keys(golden("catalogue_page.json"))
    ids = [product["id"] for product in first["items"][0]["products"]]
    assert 910005 not in ids
    changed = (await client.http.get(pages, params={"ModifiedDate": "2024-01-01"})).json()
    gone = [one for one in changed["items"][0]["products"] if one["isDeleted"]]
    assert [one["id"] for one in gone] == [910005]


@pytest.mark.parametrize(
    "path",
    [
        "/api/integration/v1.0/accounts",
        "/api/integration/v1/accounts",
        "/api/Integration/V1/Accounts/",
    ],
)
async def test_paths_in_any_spelling(client: Client, path: str) -> None:
    """The documentation disagrees with itself."""
    assert (await client.http.get(path)).status_code == 200


@pytest.mark.parametrize(
    "auth", [None, ("sandbox-client", "wrong"), ("other", "FAKE-FAKE-0001"), ("", "")]
)
async def test_credentials_are_checked(client: Client, auth: Any) -> None:
    """Missing or wrong, and nothing is bought."""
    client.http.auth = auth
    assert (await client.buy()).status_code == 401
    assert (await client.http.get("/_sandbox/purchases")).json() == []


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic ####", "Basic ÿ"])
async def test_malformed_credentials(client: Client, header: str) -> None:
    """401, not a fault of the sandbox."""
    given = {b"Authorization": header.encode()}
    answer = await client.http.get(V1 + "accounts", headers=given, auth=None)
    assert answer.status_code == 401


async def test_addresses_that_may_call() -> None:
    """403 with `error`, and no `message`."""
    world = World(Settings(addresses=frozenset({"192.0.2.1"})))
    async with served(sandbox_app(world)) as url:
        client = Client(url)
        async with client.http:
            answer = await client.buy()
    assert answer.status_code == 403
    assert list(answer.json()) == ["error"]


async def test_a_proxys_headers_are_refused(client: Client) -> None:
    """400, as was seen."""
    client.http.headers["X-Forwarded-For"] = "192.0.2.1"
    assert (await client.buy()).status_code == 400


@pytest.mark.parametrize(
    ("path", "most", "seconds"),
    [
        ("orders/" + FIRST, 120, 60),
        ("catalog", 2, 3600),
        ("exchange-rates", 20, 60),
        ("accounts", 1, 1),
        ("transactions?startDate=2024-01-01&endDate=2024-01-01", 4, 3600),
    ],
)
async def test_rates_are_limited(path: str, most: int, seconds: int) -> None:
    """As many as documented, then 429 with the text that tells how long to wait; then again."""
    clock = [datetime(2027, 1, 1, tzinfo=UTC)]
    world = World(now=lambda: clock[0])
    async with served(sandbox_app(world)) as url:
        client = Client(url)
        async with client.http:
            allowed = [(await client.http.get(V1 + path)).status_code for _ in range(most)]
            refused = await client.http.get(V1 + path)
            clock[0] += timedelta(seconds=seconds)
            again = await client.http.get(V1 + path)
    assert 429 not in allowed
    assert (refused.status_code, refused.text) == (
        429,
        f"Too many requests. Please wait for {seconds} seconds.",
    )
    assert again.status_code != 429


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"Products": []}, "NoProducts"),
        ({"AccountId": 9}, "WrongAccount"),
        ({"AccountId": 4003}, "WrongAccount"),
        ({"AccountId": 4002}, "InsufficientBalance"),
        ({"product": 1}, "InvalidProductIds"),
        ({"product": 910005, "Value": 30}, "InvalidProductIds"),
        ({"Value": 51}, "InvalidDenomination"),
        ({"product": 910004, "Value": 20}, "ProductIsOutOfStock"),
        ({"product": NUMBER["no-stock"], "Value": 25}, "ProductIsOutOfStock"),
        ({"product": NUMBER["no-price"], "Value": 25}, "ClientPriceInvalid"),
        ({"product": NUMBER["user-off"], "Value": 25}, "UserNotEnabled"),
        ({"product": NUMBER["no-catalogue"], "Value": 25}, "ClientCatalogNotExist"),
    ],
)
async def test_refusals(client: Client, world: World, changed: dict[str, Any], word: str) -> None:
    """400 and the word; no order, no money."""
    answer = await client.buy(**changed)
    assert (answer.status_code, answer.json()) == (400, {"message": word})
    assert world.orders == {}
    assert world.accounts[4001].balance == 12500


async def test_more_than_500_cards(client: Client) -> None:
    """Its own word."""
    line = {"ProductId": 910002, "Quantity": 501, "Value": 10}
    answer = await client.buy(Products=[line])
    assert answer.json() == {"message": "CardsLimitExceeded"}


@pytest.mark.parametrize(
    "changed",
    [{"RequestId": "ORDER-7"}, {"Products": [{"ProductId": 910001}]}, {"AccountId": None}],
)
async def test_what_does_not_bind(client: Client, world: World, changed: dict[str, Any]) -> None:
    """400 as well, but with no word of the list."""
    answer = await client.buy(**changed)
    assert answer.status_code == 400
    assert answer.json().get("message") in (None, "WrongAccount")
    assert world.orders == {}


async def test_the_same_reference_twice(client: Client, world: World) -> None:
    """Refused in any spelling; one order, paid once."""
    await client.buy()
    again = await client.buy(RequestId=FIRST.upper())
    assert (again.status_code, again.json()) == (400, golden("already_exists.json"))
    assert list(world.orders) == [FIRST]
    assert world.checkouts == [FIRST, FIRST]


@pytest.mark.parametrize("status", [400, 404])
async def test_a_reference_nobody_knows(status: int) -> None:
    """Documented as the one, seen as the other."""
    async with served(sandbox_app(World(Settings(unknown=status)))) as url:
        client = Client(url)
        async with client.http:
            answer = await client.get(f"orders/{FIRST}")
    assert (answer.status_code, answer.json()) == (status, golden("not_found.json"))


ENDS = {
    "fail": ("Failed", [None, None], 0),
    "partial": ("PartialFailed", ["DEMO", None], 1),
    "link": ("Succeeded", ["http", "http"], 2),
    "unshown": ("Succeeded", ["DEMO", None], 2),
    "paused": ("Succeeded", ["DEMO", "DEMO"], 2),
    "endless": ("Processing", [None, None], 0),
    "object": ("Succeeded", ["DEMO", "DEMO"], 2),
}


@pytest.mark.parametrize("outcome", ENDS)
async def test_how_orders_end(client: Client, world: World, outcome: str) -> None:
    """Cards that were sold show a code; cards that failed are not charged."""
    assert (await client.buy(NUMBER[outcome], Value=25)).status_code == 200
    for _ in range(2):
        await client.order()
    order = await client.order()
    status, codes, paid = ENDS[outcome]
    cards = order["items"][0]["cards"]
    cost = world.orders[FIRST].cost
    assert order["status"] == status
    assert [card["cardCode"] and card["cardCode"][:4] for card in cards] == codes
    assert order["total"] == float(cost * paid)
    held = 2 if outcome == "endless" else paid
    assert world.accounts[4001].balance == 12500 - cost * held


async def test_a_paused_card(client: Client) -> None:
    """Its order goes on."""
    await client.buy(NUMBER["paused"], Value=25)
    await client.order()
    order = await client.order()
    assert [card["status"] for card in order["items"][0]["cards"]] == ["Processing", "Paused"]


async def test_an_order_that_is_not_found_at_first(client: Client) -> None:
    """The race that a settle time is for."""
    await client.buy(NUMBER["hidden"], Value=25)
    assert (await client.get(f"orders/{FIRST}")).status_code == 400
    assert (await client.order())["status"] == "Processing"


@pytest.mark.parametrize(
    ("outcome", "status", "made"),
    [
        ("html", 200, 1),
        ("junk", 200, 1),
        ("error", 500, 1),
        ("unavailable", 503, 1),
        ("slow", 200, 1),
        ("error-before", 500, 0),
        ("too-many", 429, 0),
        ("forbidden", 403, 0),
    ],
)
async def test_answers_that_do_not_tell(
    client: Client, world: World, outcome: str, status: int, made: int
) -> None:
    """What was made is in the log of purchases, whatever was answered."""
    answer = await client.buy(NUMBER[outcome], Value=25)
    assert (answer.status_code, len(world.orders)) == (status, made)
    logged = (await client.http.get("/_sandbox/purchases")).json()
    assert [one["reference"] for one in logged] == [FIRST][:made]


async def test_an_outcome_by_header(client: Client) -> None:
    """For any product, without looking for one that has it."""
    client.http.headers["X-Sandbox-Outcome"] = "error"
    assert (await client.buy()).status_code == 500


async def test_stock_goes_down(client: Client, world: World) -> None:
    """Where there is a count at all."""
    await client.buy(910002, Value=12.5)
    assert world.stock[910002] == 998
    assert world.stock[910001] is None
    assert str(world.orders[FIRST].cost) == "3.2335"


async def test_time_alone_ends_an_order() -> None:
    """Nobody has to look."""
    clock = [datetime(2027, 1, 1, tzinfo=UTC)]
    world = World(Settings(limits=False), now=lambda: clock[0])
    async with served(sandbox_app(world)) as url:
        client = Client(url)
        async with client.http:
            await client.buy()
            clock[0] += timedelta(seconds=4)
            assert (await client.order())["status"] == "Succeeded"


async def test_it_calls_back(client: Client, world: World) -> None:
    """Not signed: the secret in clear, the status in small letters."""
    told: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        told.put_nowait(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    world.settings = Settings(limits=False, step_seconds=0.05)
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        given = {"notificationUrlSandbox": f"http://127.0.0.1:{port}/", "secretKey": "shared"}
        await client.http.post(V1 + "notification", json=given)
        assert (await client.get("notification")).json() == given
        await client.buy()
        callback = json.loads(await asyncio.wait_for(told.get(), 5))
    assert shape(callback) == shape(golden("callback.json"))
    assert (callback["status"], callback["secretKey"]) == ("succeeded", "shared")
    assert callback["requestId"] == FIRST


def test_codes_differ_and_keep_their_zeros() -> None:
    """A PIN that begins with a zero is what a number would lose."""
    world = World()
    codes = [world.code(card) for card in range(500)]
    assert len({code for code, _, _ in codes}) == 500
    assert all(pin.startswith("0") and len(pin) == 4 for _, pin, _ in codes)


def test_every_outcome_has_a_product() -> None:
    """So that each can be had without a header."""
    assert set(NUMBER) == set(OUTCOMES)


@contextmanager
def started(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "starship_bamboo.sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()


def test_it_starts_from_the_command_line() -> None:
    """And says where it is."""
    with started("--port", "0") as greeting:
        assert greeting == "Bamboo's sandbox at http://127.0.0.1:0\n"


def test_it_knows_nothing_of_the_adapter() -> None:
    """Or the two would agree on a mistake."""
    folder = Path(__file__).parents[1] / "src" / "starship_bamboo"
    for file in (folder / "sandbox").glob("*.py"):
        lines = [line for line in file.read_text().splitlines() if "starship_bamboo" in line]
        imports = [line for line in lines if line.startswith(("from", "import"))]
        assert [line for line in imports if "starship_bamboo.sandbox" not in line] == []
