"""`wire` against requests and answers written by hand; no connection anywhere."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starship_voucherkart import wire
from starship_voucherkart.answers import Answer, stale
from starship_voucherkart.codes import CODES, ERRORS, STATUSES
from starship_voucherkart.dialect import Call, Dialect
from starship_voucherkart.seal import Seal

from starship_core import (
    NO_EXPIRY,
    Accepted,
    Ambiguous,
    Bought,
    Money,
    Purchase,
    Refused,
    Secret,
    Sku,
    StarshipError,
    Unavailable,
    VendorProduct,
    Voucher,
)

GOLDEN = Path(__file__).parent / "golden"
KEY, IV = "0123456789abcdef0123456789abcdef", "fedcba9876543210"
SEAL = Seal(KEY, IV)
PLAIN = Dialect(seal=SEAL)
FACE = Sku(7, 10000, "INR")


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def purchase(**changed: object) -> Purchase:
    given = Purchase(
        reference="VKT-0001",
        sku=FACE,
        quantity=2,
        vendor_product="DEMO1",
        ceiling=Money(20000, "INR"),
        planned_at=datetime(2024, 2, 11, tzinfo=UTC),
    )
    return msgspec.structs.replace(given, **changed)


def sealed(data: Any, /, **changed: Any) -> Answer:
    """HTTP 200, and `data` under the seal."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    body = {"status": "success", "data": SEAL.seal(text), "desc": "Success", "code": "0000"}
    return Answer(200, json.dumps(body | changed).encode())


def error(code: object, text: str, data: object = "", status: str = "failed") -> Answer:
    body = {"status": status, "data": data, "desc": text, "code": code}
    return Answer(200, json.dumps(body).encode())


def order(**changed: Any) -> dict[str, Any]:
    return dict(json.loads(golden("order_answer.json"))) | changed


def unit(**changed: Any) -> dict[str, Any]:
    """An order of one voucher, changed."""
    found = order()
    one = found["PullVouchers"][0]["Vouchers"][0] | changed
    found["PullVouchers"] = [{"Vouchers": [one]}]
    return found


def pulled(answer: Answer, dialect: Dialect = PLAIN) -> object:
    return wire.pulled(answer, purchase(), dialect)


def looked_up(answer: Answer) -> object:
    return wire.looked_up(answer, purchase(), PLAIN)


def voucher(ordinal: int, **changed: object) -> Voucher:
    one = Voucher(
        sku=FACE,
        reference=f"5f0c3a52-0000-4000-8000-00000000000{'ab'[ordinal - 1]}",
        card_number=Secret(f"DEMO-000{ordinal}"),
        pin_code=Secret(("0911", "9912")[ordinal - 1]),
        expires_at=datetime(2025, 12, 31, 18, 29, 59, tzinfo=UTC),
    )
    return msgspec.structs.replace(one, **changed)


FIELDS: list[tuple[Call, str, dict[str, str]]] = [
    ("stock", "stock_request", wire.stock("DEMO1", FACE.face)),
    ("pull", "pull_request", wire.pull(purchase())),
    ("status", "status_request", wire.status(purchase())),
]


@pytest.mark.parametrize(("call", "name", "fields"), FIELDS)
def test_requests_are_written_as_documented(call: Call, name: str, fields: dict[str, str]) -> None:
    """Byte by byte, before and after they are sealed; every value is text."""
    assert msgspec.json.encode(fields) == golden(f"{name}.json")
    assert PLAIN.body(call, fields) == golden(f"{name}.sealed.json")


def test_two_requests_are_not_sealed() -> None:
    """As documented."""
    assert PLAIN.body("brands", wire.brands()) == golden("brands_request.json")
    assert PLAIN.body("balance", {}) == golden("balance_request.json")


@pytest.mark.parametrize(
    ("minor", "written"), [(10000, "100"), (1250, "12.5"), (10, "0.1"), (100000000, "1000000")]
)
def test_a_denomination_has_no_digit_too_many(minor: int, written: str) -> None:
    """The documented list says `100,500`."""
    assert wire.stock("DEMO1", Money(minor, "INR"))["Denomination"] == written


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"reference": ""}, "the reference is not of"),
        ({"reference": "a b"}, "the reference is not of"),
        ({"reference": "A" * 51}, "the reference is not of"),
        ({"sku": Sku(7, 100, "USD")}, "VoucherKart sells in INR only, not in USD"),
        ({"quantity": 11}, "one order is of 1 to 10 units"),
        ({"quantity": 0}, "one order is of 1 to 10 units"),
    ],
)
def test_what_cannot_be_sent_is_told_before(changed: dict[str, object], why: str) -> None:
    """So that it never comes to an error of theirs."""
    told = wire.unsendable(purchase(**changed), most=10)
    assert told is not None
    assert told.startswith(why)
    assert wire.unsendable(purchase(), most=10) is None


def test_an_order_with_its_vouchers() -> None:
    """The documented answer, from a pull and from its status: the same."""
    wanted = Bought(vouchers=(voucher(1), voucher(2)), charged=None)
    answer = Answer(200, golden("order_answer.sealed.json"))
    assert pulled(answer) == wanted
    assert looked_up(answer) == wanted


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"Voucherpin": ""}, {"pin_code": None}),
        (
            {"VoucherNo": "", "Voucherpin": "0007"},
            {"card_number": Secret("0007"), "pin_code": None},
        ),
        (
            {"VoucherNo": "", "Voucherpin": "", "VoucherGCcode": "GC-1"},
            {"card_number": Secret("GC-1"), "pin_code": None},
        ),
        ({"Voucherpin": "", "VoucherGCcode": "GC-1"}, {"pin_code": Secret("GC-1")}),
        ({"VoucherGCcode": "DEMO-0001"}, {}),
        (
            {"VoucherGCcode": "https://claim.example/x"},
            {"claim_url": Secret("https://claim.example/x")},
        ),
        ({"VoucherGuid": ""}, {"reference": "VKT-0001:1"}),
        ({"VoucherGuid": None}, {"reference": "VKT-0001:1"}),
        ({"EndDate": ""}, {"expires_at": NO_EXPIRY}),
        ({"EndDate": "1 feb 2026"}, {"expires_at": datetime(2026, 2, 1, 18, 29, 59, tzinfo=UTC)}),
        ({"Value": "250.50"}, {"sku": Sku(7, 25050, "INR")}),
    ],
)
def test_where_the_code_is(changed: dict[str, Any], wanted: dict[str, object]) -> None:
    """It depends on the brand; the value is what VoucherKart says, whatever was ordered."""
    assert pulled(sealed(unit(**changed))) == Bought(vouchers=(voucher(1, **wanted),), charged=None)


def test_a_unit_without_a_code_may_still_come() -> None:
    """What is there is handed on, and it is not the end."""
    found = order()
    found["PullVouchers"][0]["Vouchers"][1] |= {"VoucherNo": "", "Voucherpin": ""}
    assert pulled(sealed(found)) == Bought(vouchers=(voucher(1),), charged=None, final=False)


UNCLEAR: dict[str, Answer] = {
    "another order": sealed(order(ExternalOrderIdOut="VKT-0002")),
    "another product": sealed(order(BrandProductCode="DEMO2")),
    "no vouchers": sealed(order(PullVouchers=[])),
    "not a success": sealed(order(ResultType="FAILED")),
    "half of it": sealed({"ResultType": "SUCCESS"}),
    "a number for a text": sealed(unit(Value=100)),
    "another date": sealed(unit(EndDate="2025-12-31")),
    "a day that is none": sealed(unit(EndDate="31 Feb 2025")),
    "no amount": sealed(unit(Value="1e3")),
    "too many decimals": sealed(unit(Value="100.001")),
    "another key": Answer(
        200, json.dumps({"status": "success", "code": "0000", "desc": "",
                         "data": Seal(KEY[::-1], IV).seal(golden("order_answer.json"))}).encode()
    ),
    "not sealed": sealed({}, data=order()),
    "no base64": sealed({}, data="????"),
    "no data": sealed({}, data=None),
    "sealed noise": sealed(b"\xff\xfe"),
    "a success with an error's code": error("ER047", "Vouchers not available", status="success"),
    "a failure with the good code": sealed(order(), status="failed"),
    "a list": Answer(200, b"[]"),
    "nothing": Answer(200, b""),
    "deep": Answer(200, b"[" * 10000),
    "500": Answer(500, golden("no_stock_answer.json")),
    "a refusal, but 400": Answer(400, golden("no_stock_answer.json")),
    "a code that is long": error("x" * 500, "Vouchers not available"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNCLEAR)
def test_what_is_unclear_stays_unclear(what: str) -> None:
    """It may have been bought; a lookup is never None, never Refused."""
    with pytest.raises(Ambiguous) as raised:
        pulled(UNCLEAR[what])
    assert "DEMO-0001" not in str(raised.value)
    assert raised.value.raw is not None
    with pytest.raises(StarshipError):
        looked_up(UNCLEAR[what])


def test_what_was_sealed_is_kept_open() -> None:
    """An operator has no key at hand."""
    with pytest.raises(Ambiguous) as raised:
        pulled(sealed(order(ExternalOrderIdOut="VKT-0002")))
    assert raised.value.raw is not None
    assert '"VoucherNo":"DEMO-0001"' in raised.value.raw.reveal()


TEXTS: dict[str, str] = {
    "ER082": "Unable to decrypt", "1007": "Invalid JSON", "ER010": "External order id missing",
    "ER022": "Invalid quantity", "ER023": "Quantity is wrong", "ER059": "Max quantity exceeded",
    "ER032": "Product is inactive", "ER076": "Invalid brand", "ER077": "Invalid denomination",
    "ER047": "Vouchers not available", "ER1006": "Out of stock", "ER1011": "Something else",
    "ER1012": "",
}  # fmt: skip


def test_every_refusal_has_its_test() -> None:
    """A code that refuses is a claim that no money was taken."""
    assert set(TEXTS) == {code for code, known in CODES.items() if known.says == "no"}


@pytest.mark.parametrize("code", TEXTS)
def test_a_refusal(code: str) -> None:
    """By code and text; of a question it says nothing."""
    reply = pulled(error(code, TEXTS[code]))
    assert reply == Refused(reason=f"{code}: {CODES[code].meaning}")
    with pytest.raises(Ambiguous):
        looked_up(error(code, TEXTS[code]))


@pytest.mark.parametrize("code", [code for code in TEXTS if CODES[code].words])
def test_a_known_code_with_another_text_is_unclear(code: str) -> None:
    """Such vendors use one code for several things."""
    with pytest.raises(Ambiguous):
        pulled(error(code, "Please look at your order later"))


def test_a_code_may_be_a_number() -> None:
    """And the text may be missing."""
    assert isinstance(pulled(error(1007, "Invalid JSON")), Refused)
    with pytest.raises(Ambiguous):
        pulled(Answer(200, b'{"status": "failed", "code": 1007}'))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("ER048", "Order already processed"), ("ER079", "Different data"),
        ("EROIP", "Order is in process"), ("1051", "Request timeout"), ("ER1056", "x"),
        ("ER041", "x"), ("ER031", "Order not found"), ("ER061", "Order not found"), ("", ""),
    ],
)  # fmt: skip
def test_a_pull_that_may_have_bought(code: str, text: str) -> None:
    """Nothing but an enumerated refusal refuses."""
    with pytest.raises(Ambiguous):
        pulled(error(code, text))


def test_a_repeated_order_that_shows_the_first() -> None:
    """It is ours, by the order id; without its vouchers, or with another's, it is unclear."""
    with pytest.raises(Ambiguous, match="ER048: the order id was used before"):
        pulled(Answer(200, golden("duplicate_answer.json")))
    own = SEAL.seal(golden("order_answer.json"))
    reply = pulled(error("ER048", "Order already processed", own))
    assert reply == Bought(vouchers=(voucher(1), voucher(2)), charged=None)
    other = SEAL.seal(json.dumps(order(ExternalOrderIdOut="VKT-9")).encode())
    for data in (other, "", None):
        with pytest.raises(Ambiguous):
            pulled(error("ER048", "Order already processed", data))


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answer(401, b""), 300), (Answer(403, b"<html>"), 300), (Answer(429, b""), 60),
        (error("ER083", "Invalid token"), 300), (error("ER057", "IP is not whitelisted"), 300),
        (error("ER001", "Invalid username"), 300), (error("ER002", "Wrong password"), 300),
        (error("ER024", "Not authorised"), 300), (error("ER025", "Client is inactive"), 300),
    ],
)  # fmt: skip
def test_who_is_not_let_in_has_bought_nothing(answer: Answer, wait: float) -> None:
    """Whatever was asked."""
    asks: list[Callable[[Answer], object]] = [pulled, looked_up]
    for ask in asks:
        with pytest.raises(Unavailable) as raised:
            ask(answer)
        assert raised.value.retry_after == wait


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (Answer(200, golden("stale_answer.json")), True),
        (Answer(401, b""), True),
        (error("ER083", "Order placed"), False),
        (Answer(200, golden("no_stock_answer.json")), False),
        (Answer(403, b""), False),
        (Answer(500, golden("stale_answer.json")), False),
        (Answer(200, b"ER083 token"), False),
    ],
)
def test_a_stale_token(answer: Answer, *, wanted: bool) -> None:
    """Only what was surely not processed is sent again."""
    assert stale(answer, PLAIN) is wanted


def test_an_order_that_is_looked_up() -> None:
    """In process; not known; and a 5xx is no answer."""
    in_process = Answer(200, golden("in_process_answer.json"))
    assert looked_up(in_process) == Accepted(vendor_reference=None)
    assert looked_up(Answer(200, golden("not_found_answer.json"))) is None
    assert looked_up(error("ER061", "Record Not Found")) is None
    with pytest.raises(Ambiguous):
        looked_up(error("ER031", "Please try later"))
    with pytest.raises(Unavailable):
        looked_up(Answer(503, golden("not_found_answer.json")))


def test_the_catalogue() -> None:
    """A list of denominations, or a range; whether there are any."""
    assert wire.products(Answer(200, golden("brands_answer.sealed.json")), PLAIN) == [
        VendorProduct(
            vendor_product="DEMO1", name="Demo", currency="INR",
            minimum=Decimal(100), maximum=Decimal(1000),
        ),
        VendorProduct(
            vendor_product="DEMO2", name="Demo of any amount", currency="INR",
            minimum=Decimal(10), maximum=Decimal(10000), stock=0,
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changed", [{"ServiceType": "E"}, {"denominationList": ""}, {"DenomType": "D"}]
)
def test_what_cannot_be_bought_is_not_listed(changed: dict[str, str]) -> None:
    """No voucher, no price, half a range."""
    first, second = json.loads(golden("brands_answer.json"))
    listed = wire.products(sealed([first | changed, second]), PLAIN)
    assert [one.vendor_product for one in listed] == ["DEMO2"]
    with pytest.raises(Ambiguous):
        wire.products(sealed([first | {"denominationList": "a lot"}]), PLAIN)


def test_stock_and_balance_and_token() -> None:
    """Numbers as text, and exact; a token in quotes is the same token."""
    assert wire.in_stock(Answer(200, golden("stock_answer.sealed.json")), PLAIN) == 23
    balance = wire.balance(Answer(200, golden("balance_answer.sealed.json")), PLAIN)
    assert balance == Money(125050, "INR")
    assert wire.balance(sealed({"Balance": "0.999"}), PLAIN) == Money(99, "INR")
    token = golden("token_answer.txt")
    assert wire.token(Answer(200, golden("token_answer.sealed.json")), PLAIN) == token.decode()
    assert wire.token(sealed(b'"%b"' % token), PLAIN) == token.decode()
    for spoilt in (b"", "tokén".encode(), b"two\nlines"):
        with pytest.raises(Ambiguous):
            wire.token(sealed(spoilt), PLAIN)
    for answer in (sealed({"AvailableQuantity": "-1"}), error("ER077", "Invalid denomination")):
        with pytest.raises(Ambiguous):
            wire.in_stock(answer, PLAIN)
    with pytest.raises(Ambiguous):
        wire.balance(sealed({"Balance": "NaN"}), PLAIN)


OTHER = Dialect(
    seal=SEAL,
    paths={"pull": "/v2/order"},
    names={"ExternalOrderId": "ClientRef", "payload": "blob", "code": "rc", "VoucherNo": "No"},
    plain_requests=("pull",),
    plain_answers=("pull",),
    refusals={"ER047": "sold out", "VK-12": "sold out"},
)


def test_another_dialect() -> None:
    """Names, paths, seals and codes are the deployer's, once VoucherKart has said what they are."""
    assert OTHER.path("pull") == "v2/order"
    assert OTHER.path("stock") == "API/v1/getstock"
    assert json.loads(OTHER.body("pull", wire.pull(purchase())))["ClientRef"] == "VKT-0001"
    assert json.loads(OTHER.body("status", wire.status(purchase()))) == {
        "blob": json.loads(golden("status_request.sealed.json"))["payload"]
    }
    text = golden("order_answer.json").replace(b"VoucherNo", b"No")
    body = {"status": "success", "rc": "0000", "data": json.loads(text)}
    wanted = Bought(vouchers=(voucher(1), voucher(2)), charged=None)
    assert pulled(Answer(200, json.dumps(body).encode()), OTHER) == wanted


@pytest.mark.parametrize("code", ["ER047", "VK-12"])
def test_a_deployers_refusals(code: str) -> None:
    """Besides the documented ones, and instead of one of the same code."""
    body = {"status": "failed", "rc": code, "desc": "Product SOLD OUT today"}
    assert isinstance(pulled(Answer(200, json.dumps(body).encode()), OTHER), Refused)
    body["desc"] = "Vouchers not available"
    with pytest.raises(Ambiguous):
        pulled(Answer(200, json.dumps(body).encode()), OTHER)


@given(st.binary(max_size=300), st.integers(min_value=200, max_value=599))
def test_no_noise_sells_or_refuses(noise: bytes, status: int) -> None:
    """Whatever comes is sorted, and nothing that is not documented is a reply."""
    for answer in (Answer(status, noise), sealed(noise)):
        with pytest.raises(StarshipError):
            pulled(answer)


@given(st.text(max_size=40), st.sampled_from(sorted(CODES)))
def test_no_text_turns_another_code_into_a_refusal(text: str, code: str) -> None:
    """Only the codes of the table refuse."""
    try:
        reply = pulled(error(code, text))
    except StarshipError:
        return
    assert isinstance(reply, Refused)
    assert CODES[code].says == "no"


def became(sort: Callable[[Answer], object], told: Answer) -> str:
    try:
        reply = sort(told)
    except (Ambiguous, Unavailable) as raised:
        return type(raised).__name__
    return "None" if reply is None else type(reply).__name__


def test_what_is_told_of_voucherkarts_words_is_true() -> None:
    """The tables that a deployer reads, row by row against what is made of such an answer."""
    sold, *others = STATUSES
    assert became(looked_up, sealed(order(ResultType=sold.word))) == sold.becomes
    assert [one.word.partition(",")[0] for one in (*ERRORS, *others)] == sorted(
        CODES, key=lambda code: CODES[code].says in ("open", "absent")
    )
    for sort, rows in ((looked_up, others), (pulled, ERRORS)):
        for one in rows:
            code, _, words = one.word.partition(", with a word of: ")
            assert became(sort, error(code, words.partition(", ")[0])) == one.becomes, code
