"""The sandbox against the documentation, over a real socket, by a client of its own."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from starship_voucherkart.sandbox import Settings, World, sandbox_app
from starship_voucherkart.sandbox.cipher import decrypted, encrypted
from starship_voucherkart.sandbox.goods import GOODS, OUTCOMES

from starship_core.testing.serving import served

GOLDEN = Path(__file__).parent / "golden"
KEY, IV = "0123456789abcdef0123456789abcdef", "fedcba9876543210"
SEALED = {"getstock", "pullvoucher", "pullvoucher/checkstatus"}


class Client:
    """Calls the sandbox with a token; seals by hand."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.AsyncClient(base_url=f"{url}/API/v1/", trust_env=False, verify=False)
        self.headers = {"token": ""}

    async def login(self, **changed: str) -> dict[str, Any]:
        who = {"username": "sandbox-user", "password": "FAKE-FAKE-0002"} | changed
        told = dict((await self.http.get("gettoken", headers=who)).json())
        if told["code"] == "0000":
            self.headers["token"] = decrypted(told["data"], KEY, IV)
        return told

    async def raw(self, call: str, body: bytes) -> httpx2.Response:
        return await self.http.post(call, content=body, headers=self.headers)

    async def ask(self, call: str, **fields: Any) -> dict[str, Any]:
        """The envelope, opened."""
        body = json.dumps(fields)
        if call in SEALED:
            body = json.dumps({"payload": encrypted(body, KEY, IV)})
        answer = await self.raw(call, body.encode())
        assert answer.status_code == 200, answer.text
        told = dict(answer.json())
        return (
            told | {"data": json.loads(decrypted(told["data"], KEY, IV))} if told["data"] else told
        )

    async def pull(self, code: str = "DEMO1", **changed: Any) -> dict[str, Any]:
        return await self.ask("pullvoucher", **(order(code) | changed))

    async def status(self, order_id: str = "VKT-0001") -> dict[str, Any]:
        return await self.ask("pullvoucher/checkstatus", sv_ex_order_id=order_id)


def order(code: str = "DEMO1") -> dict[str, str]:
    return {
        "BrandProductCode": code, "Denomination": "100", "Quantity": "2",
        "ExternalOrderId": "VKT-0001",
    }  # fmt: skip


@pytest.fixture
def world() -> World:
    return World(Settings(aes_key=KEY, aes_iv=IV, slow_seconds=0.2))


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with served(sandbox_app(world)) as url:
        client = Client(url)
        async with client.http:
            await client.login()
            yield client


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def shape(value: Any) -> Any:
    """Keys and kinds, without the values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize(
    ("call", "asked", "answered"),
    [
        ("getbrands", "brands_request.json", "brands_answer"),
        ("getstock", "stock_request.sealed.json", "stock_answer"),
        ("pullvoucher", "pull_request.sealed.json", "order_answer"),
        ("pullvoucher/checkstatus", "status_request.sealed.json", "order_answer"),
        ("getwalletbalance", "balance_request.json", "balance_answer"),
    ],
)
async def test_the_documented_calls(client: Client, call: str, asked: str, answered: str) -> None:
    """The documented request, byte by byte, has an answer of the documented shape."""
    if call.endswith("checkstatus"):
        await client.pull()
    told = (await client.raw(call, golden(asked))).json()
    wanted = json.loads(golden(f"{answered}.sealed.json"))
    assert {**told, "data": ""} == {**wanted, "data": ""}
    opened = json.loads(decrypted(told["data"], KEY, IV))
    assert shape(opened) == shape(json.loads(golden(f"{answered}.json")))


async def test_the_documented_refusals(client: Client) -> None:
    """Sold out, in process, used before: word by word."""
    told = [await client.pull(code) for code in ("DROPS", "LATER", "LATER")]
    wanted = [json.loads(golden(f"{name}_answer.json")) for name in ("no_stock", "in_process")]
    assert told == [*wanted, wanted[1]]
    await client.pull(ExternalOrderId="VKT-2")
    again = await client.pull(ExternalOrderId="VKT-2")
    assert again == json.loads(golden("duplicate_answer.json"))


async def test_a_token(client: Client) -> None:
    """Sealed as all answers are: three parts, another one each time."""
    told = [await client.login() for _ in range(2)]
    wanted = json.loads(golden("token_answer.sealed.json"))
    assert [one | {"data": ""} for one in told] == [wanted | {"data": ""}] * 2
    tokens = {decrypted(one["data"], KEY, IV) for one in told}
    assert [token.count(".") for token in tokens] == [2, 2]
    assert decrypted(wanted["data"], KEY, IV).encode() == golden("token_answer.txt")


async def test_an_order(client: Client, world: World) -> None:
    """Its vouchers at once; the wallet is debited; all is text, and a PIN begins with a zero."""
    told = (await client.pull())["data"]
    assert (told["ResultType"], told["ExternalOrderIdOut"]) == ("SUCCESS", "VKT-0001")
    vouchers = told["PullVouchers"][0]["Vouchers"]
    assert [one["Value"] for one in vouchers] == ["100.00", "100.00"]
    assert [one["Voucherpin"][0] for one in vouchers] == ["0", "0"]
    assert len({one["VoucherNo"] for one in vouchers}) == 2
    assert datetime.strptime(vouchers[0]["EndDate"], "%d %b %Y").replace(tzinfo=UTC)
    assert world.wallet == 999_800
    assert (await client.ask("getwalletbalance"))["data"] == {"Balance": "999800.00"}
    assert (await client.status())["data"] == told


@pytest.mark.parametrize(
    ("who", "code"), [({"username": "x"}, "ER001"), ({"password": "x"}, "ER002")]
)
async def test_who_is_not_known(client: Client, who: dict[str, str], code: str) -> None:
    """HTTP 200 all the same."""
    assert (await client.login(**who))["code"] == code


async def test_a_token_ends(client: Client, world: World) -> None:
    """After half an hour; without one, or with another's, nothing is bought either."""
    world.now = lambda: datetime.now(UTC) + timedelta(minutes=31)
    assert (await client.pull())["code"] == "ER083"
    for token in ("", "made up"):
        client.headers["token"] = token
        assert await client.pull() == json.loads(golden("stale_answer.json"))
    assert world.orders == []
    await client.login()
    assert (await client.pull())["code"] == "0000"


async def test_addresses_that_may_call(client: Client, world: World) -> None:
    """Even for a token."""
    world.settings = replace(world.settings, addresses=frozenset({"192.0.2.1"}))
    assert (await client.login())["code"] == "ER057"
    assert (await client.pull())["code"] == "ER057"


def by_hand(padded: bytes) -> str:
    """Sealed whatever its padding is."""
    import base64  # noqa: PLC0415

    work = Cipher(algorithms.AES(KEY.encode()), modes.CBC(IV.encode())).encryptor()
    return base64.b64encode(work.update(padded)).decode()


WRONG: dict[str, tuple[bytes, str]] = {
    "in clear": (json.dumps(order()).encode(), "ER082"),
    "another key": (
        json.dumps({"payload": encrypted(json.dumps(order()), KEY[::-1], IV)}).encode(),
        "ER082",
    ),
    "another IV": (
        json.dumps({"payload": encrypted(json.dumps(order()), KEY, IV[::-1])}).encode(),
        "1007",
    ),
    "no base64": (b'{"payload": "???"}', "ER082"),
    "no padding": (json.dumps({"payload": by_hand(b"x" * 16)}).encode(), "ER082"),
    "no JSON": (b"<order/>", "1007"),
    "sealed, and no JSON": (json.dumps({"payload": encrypted("x", KEY, IV)}).encode(), "1007"),
    "a list": (json.dumps({"payload": encrypted("[]", KEY, IV)}).encode(), "1007"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_seal_is_verified(client: Client, world: World, what: str) -> None:
    """And nothing is bought."""
    body, code = WRONG[what]
    answer = await client.raw("pullvoucher", body)
    assert (answer.status_code, answer.json()["code"]) == (200, code)
    assert world.orders == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ExternalOrderId": ""}, "ER010"),
    ({"ExternalOrderId": "A" * 51}, "ER010"),
    ({"Quantity": "0"}, "ER022"),
    ({"Quantity": "two"}, "ER022"),
    ({"Quantity": "11"}, "ER059"),
    ({"Quantity": 2}, "1007"),
    ({"Denomination": 100}, "1007"),
    ({"BrandProductCode": "NOPE"}, "ER076"),
    ({"Denomination": "150"}, "ER077"),
    ({"Denomination": "-1"}, "ER077"),
    ({"BrandProductCode": "DEMO2", "Denomination": "9"}, "ER077"),
    ({"BrandProductCode": "INACTIVE"}, "ER032"),
    ({"BrandProductCode": "SOLDOUT"}, "ER047"),
    ({"BrandProductCode": "SCARCE", "Quantity": "4"}, "ER047"),
    ({"BrandProductCode": "DROPS"}, "ER047"),
]


@pytest.mark.parametrize(("changed", "code"), REFUSED)
async def test_refusals(client: Client, world: World, changed: dict[str, Any], code: str) -> None:
    """HTTP 200, `failed` and a code; no order, no money."""
    told = await client.pull(**changed)
    assert (told["status"], told["code"]) == ("failed", code)
    assert world.orders == []
    assert world.wallet == 1_000_000


async def test_an_empty_wallet(client: Client, world: World) -> None:
    """With a text that says nothing, as documented."""
    world.wallet -= 999_900
    told = await client.pull()
    assert (told["code"], told["desc"]) == ("ER1011", "Unable to process the request")


async def test_stock_goes_down(client: Client) -> None:
    """And may be gone between the question and the order."""
    fields = {"BrandProductCode": "SCARCE", "Denomination": "100"}
    assert (await client.ask("getstock", **fields))["data"]["AvailableQuantity"] == "3"
    await client.pull("SCARCE")
    assert (await client.ask("getstock", **fields))["data"]["AvailableQuantity"] == "1"
    fields["BrandProductCode"] = "DROPS"
    assert (await client.ask("getstock", **fields))["data"]["AvailableQuantity"] == "1000"


@pytest.mark.parametrize(
    ("style", "code", "shown", "made"),
    [
        ("rejects", "ER048", False, 1),
        ("rejects and replays", "ER048", True, 1),
        ("replays", "0000", True, 1),
        ("sells again", "0000", True, 2),
    ],
)
async def test_the_same_order_id_twice(
    client: Client, world: World, style: Any, code: str, *, shown: bool, made: int
) -> None:
    """In each style; only one of them costs twice."""
    world.settings = replace(world.settings, duplicates=style)
    first = await client.pull()
    again = await client.pull()
    assert (again["code"], bool(again["data"])) == (code, shown)
    assert (again["data"] == first["data"]) is (shown and made == 1)
    assert len(world.orders) == made
    assert world.wallet == 1_000_000 - 200 * made


async def test_the_same_order_id_for_another_order(client: Client, world: World) -> None:
    """ER079; while the first one is open, EROIP."""
    await client.pull()
    assert (await client.pull(Quantity="1"))["code"] == "ER079"
    await client.pull("LATER", ExternalOrderId="VKT-2")
    assert (await client.pull("LATER", ExternalOrderId="VKT-2"))["code"] == "EROIP"
    assert len(world.orders) == 2


async def test_an_order_that_comes_later(client: Client) -> None:
    """In process twice, then its vouchers."""
    assert (await client.pull("LATER"))["code"] == "EROIP"
    codes = [(await client.status())["code"] for _ in range(4)]
    assert codes == ["EROIP", "EROIP", "0000", "0000"]


async def test_an_order_that_nobody_knows(client: Client) -> None:
    """ER031 for it; the same, at first, for one that was made."""
    assert (await client.status("NOPE")) == json.loads(golden("not_found_answer.json"))
    client.headers["X-Sandbox-Outcome"] = "hidden"
    assert (await client.raw("pullvoucher", golden("pull_request.sealed.json"))).status_code == 500
    assert [(await client.status())["code"] for _ in range(2)] == ["ER031", "0000"]


async def test_fewer_than_asked_for(client: Client, world: World) -> None:
    """And fewer are paid."""
    told = await client.pull("PARTIAL")
    assert len(told["data"]["PullVouchers"][0]["Vouchers"]) == 1
    assert world.wallet == 999_900


ANSWERS: dict[str, tuple[int, str | None, int]] = {
    "slow": (200, "0000", 1), "html": (200, None, 1), "junk": (200, None, 1),
    "garbage": (200, "0000", 1), "empty": (200, "0000", 1), "error": (500, None, 1),
    "unavailable": (503, None, 1), "error-before": (500, None, 0), "too-many": (429, None, 0),
    "upstream": (200, "1051", 1), "upstream-before": (200, "1051", 0),
    "another-text": (200, "ER047", 1), "assorted": (200, "ER1056", 0), "never": (200, "EROIP", 1),
}  # fmt: skip


@pytest.mark.parametrize("outcome", ANSWERS)
async def test_answers_that_do_not_tell(client: Client, outcome: str) -> None:
    """What was made is in the log of purchases, whatever was answered."""
    status, code, made = ANSWERS[outcome]
    client.headers["X-Sandbox-Outcome"] = outcome
    answer = await client.raw("pullvoucher", golden("pull_request.sealed.json"))
    assert answer.status_code == status
    if code is not None:
        assert answer.json()["code"] == code
    logged = await client.http.get(str(client.http.base_url.copy_with(path="/_sandbox/purchases")))
    assert logged.json() == [{"reference": "VKT-0001", "quantity": 2}] * made


async def test_a_wrong_key_makes_garbage(client: Client) -> None:
    """What comes cannot be opened, or cannot be read."""
    client.headers["X-Sandbox-Outcome"] = "garbage"
    told = (await client.raw("pullvoucher", golden("pull_request.sealed.json"))).json()
    with pytest.raises(ValueError, match=r".*"):
        json.loads(decrypted(told["data"], KEY, IV))


async def test_too_many_calls(client: Client, world: World) -> None:
    """Within a minute, where there is a limit; the login was one."""
    world.settings = replace(world.settings, per_minute=3)
    statuses = [
        (await client.raw("getbrands", golden("brands_request.json"))).status_code for _ in range(3)
    ]
    assert statuses == [200, 200, 429]
    world.now = lambda: datetime.now(UTC) + timedelta(minutes=2)
    assert (await client.raw("getbrands", golden("brands_request.json"))).status_code == 200


async def test_the_seal_can_be_switched_off(client: Client, world: World) -> None:
    """Call by call, for requests and for answers."""
    world.settings = replace(
        world.settings,
        plain_requests=frozenset({"getstock"}),
        plain_answers=frozenset({"getstock"}),
    )
    told = (await client.raw("getstock", golden("stock_request.json"))).json()
    assert told["data"] == {"AvailableQuantity": "1000", "BrandName": "Demo"}
    assert (await client.raw("getbrands", golden("brands_request.json"))).json()["code"] == "ER082"


async def test_brands(client: Client) -> None:
    """All, or one; fixed or a range; truths are text."""
    brands = {one["BrandProductCode"]: one for one in (await client.ask("getbrands"))["data"]}
    assert list(brands) == [one.code for one in GOODS]
    assert (brands["DEMO1"]["DenomType"], brands["DEMO1"]["MinValue"]) == ("F", "")
    assert (brands["DEMO2"]["DenomType"], brands["DEMO2"]["MaxValue"]) == ("D", "10000")
    assert brands["SOLDOUT"]["stockAvailable"] == "false"
    one = await client.ask("getbrands", BrandProductCode="DEMO2")
    assert [brand["BrandName"] for brand in one["data"]] == ["Demo of any amount"]


async def test_doors_that_are_none(client: Client) -> None:
    """Another path, another method."""
    assert (await client.raw("nothing", b"{}")).status_code == 404
    assert (await client.http.get("getbrands", headers=client.headers)).status_code == 405
    assert (await client.http.post("gettoken")).status_code == 405


def test_codes_differ_and_products_have_outcomes() -> None:
    """No two vouchers alike."""
    world = World()
    assert len({world.voucher(number)[0] for number in range(500)}) == 500
    assert len({world.issue() for _ in range(50)}) == 50
    assert [one.code for one in GOODS if one.outcome not in OUTCOMES] == []


def test_it_starts_from_the_command_line() -> None:
    """And says where it is."""
    command = [sys.executable, "-m", "starship_voucherkart.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        process.terminate()
    assert greeting == "A sandbox like VoucherKart at http://127.0.0.1:0\n"


def test_it_knows_nothing_of_the_adapter() -> None:
    """Or the two would agree on a mistake; and the adapter knows nothing of it."""
    package = Path(__file__).parents[1] / "src" / "starship_voucherkart"
    for file in package.rglob("*.py"):
        lines = [line for line in file.read_text().splitlines() if "starship_voucherkart" in line]
        imports = [line for line in lines if line.startswith(("from", "import"))]
        own = file.parent.name == "sandbox"
        assert [
            line for line in imports if ("starship_voucherkart.sandbox" in line) is not own
        ] == []
