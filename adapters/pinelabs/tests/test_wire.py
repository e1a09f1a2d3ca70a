"""`wire` against requests and answers written by hand; no connection anywhere."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starship_pinelabs import wire
from starship_pinelabs.answers import Answer, error_code
from starship_pinelabs.codes import CODES, ERRORS, STATUSES
from starship_pinelabs.config import PineLabsConfig
from starship_pinelabs.signature import canonical

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
    Unavailable,
    Voucher,
)

REFNO = "ORG1_20240211_0001"
FACE = Sku(7, 100000, "INR")
CONFIG = PineLabsConfig(
    base_url="https://sandbox.woohoo.in", client_id="c", client_secret=Secret("s"), username="u",
    password=Secret("p"), category="121", firstname="Asha", lastname="Rao",
    email="asha@example.com", telephone="+919800000001",
)  # fmt: skip
GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_bytes())


COMPLETE: dict[str, Any] = golden("order_complete.json")
PROCESSING: dict[str, Any] = golden("order_processing.json")
CARD: dict[str, Any] = COMPLETE["cards"][0]


def purchase(**changed: object) -> Purchase:
    given = Purchase(
        reference=REFNO,
        sku=FACE,
        quantity=1,
        vendor_product="CNPIN",
        ceiling=Money(100000, "INR"),
        planned_at=datetime(2024, 2, 11, tzinfo=UTC),
    )
    return msgspec.structs.replace(given, **changed)


def answer(status: int, body: object) -> Answer:
    return Answer(status, json.dumps(body).encode())


def error(code: object, status: int = 400) -> Answer:
    return answer(status, {"code": code, "message": "m", "messages": []})


def ordered(given: Answer) -> object:
    return wire.ordered(given, purchase())


def test_an_order_is_written_as_pine_labs_reads_it() -> None:
    """The body that worked in the vendor's sandbox: amounts and currency are numbers."""
    assert json.loads(canonical(wire.order(purchase(), CONFIG))) == golden("order_request.json")


@pytest.mark.parametrize(("quantity", "sync"), [(4, True), (5, False)])
def test_larger_orders_do_not_wait_for_their_cards(quantity: int, *, sync: bool) -> None:
    """And what is paid is the sum."""
    body = wire.order(purchase(quantity=quantity, sku=Sku(7, 1250, "INR")), CONFIG)
    assert body["syncOnly"] is sync
    assert body["products"][0]["price"] == Decimal("12.5")
    assert body["payments"][0]["amount"] == Decimal("12.5") * quantity


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"reference": "a b"}, "the reference is not of"),
        ({"reference": "A" * 56}, "the reference is not of"),
        ({"reference": "é"}, "the reference is not of"),
        ({"sku": Sku(7, 100, "XXX")}, "the number of the currency XXX"),
        ({"quantity": 101}, "one order is of 1 to 100 units"),
    ],
)
def test_what_cannot_be_sent_is_told_before(changed: dict[str, object], why: str) -> None:
    """Nothing leaves the machine."""
    told = wire.unsendable(purchase(**changed), most=100)
    assert told is not None
    assert told.startswith(why)
    assert wire.unsendable(purchase(), most=100) is None


def test_a_complete_order() -> None:
    """Number and PIN as text, the value from its text, Indian midnight in UTC."""
    assert ordered(answer(201, COMPLETE)) == Bought(
        vouchers=(
            Voucher(
                sku=FACE,
                reference="5550001",
                card_number=Secret("6000000000000017"),
                pin_code=Secret("012345"),
                expires_at=datetime(2025, 2, 10, 18, 29, 59, tzinfo=UTC),
            ),
        ),
        charged=None,
        vendor_reference="ABF0000000017",
    )


LAYOUTS: list[tuple[dict[str, Any], tuple[str | None, str | None, str | None]]] = [
    ({"cardNumber": None, "cardPin": "VC-1"}, ("VC-1", None, None)),
    ({"cardNumber": None, "cardPin": None, "activationCode": "AC-1"}, ("AC-1", None, None)),
    ({"cardNumber": "N", "cardPin": None, "activationCode": "AC-1"}, ("N", "AC-1", None)),
    (
        {"cardNumber": None, "cardPin": None, "activationUrl": "https://a.example/1"},
        (None, None, "https://a.example/1"),
    ),
    ({"cardNumber": "", "cardPin": "VC-1"}, ("VC-1", None, None)),
]


@pytest.mark.parametrize(("layout", "expected"), LAYOUTS)
def test_where_the_code_is(
    layout: dict[str, Any], expected: tuple[str | None, str | None, str | None]
) -> None:
    """It depends on the product's kind; an empty text is none."""
    reply = ordered(answer(201, COMPLETE | {"cards": [CARD | layout]}))
    assert isinstance(reply, Bought)
    (voucher,) = reply.vouchers
    parts = (voucher.card_number, voucher.pin_code, voucher.claim_url)
    assert tuple(part and part.reveal() for part in parts) == expected


def test_a_card_that_shows_nothing_yet() -> None:
    """More is to come."""
    blank = CARD | {"cardNumber": None, "cardPin": None, "cardId": None}
    reply = ordered(answer(201, COMPLETE | {"cards": [CARD, blank]}))
    assert isinstance(reply, Bought)
    assert (len(reply.vouchers), reply.final) == (1, False)


def test_what_a_card_may_lack() -> None:
    """An id: its place in the order; a validity: it never expires."""
    reply = ordered(answer(201, COMPLETE | {"cards": [CARD | {"cardId": None, "validity": None}]}))
    assert isinstance(reply, Bought)
    assert reply.vouchers[0].reference == "ABF0000000017:1"
    assert reply.vouchers[0].expires_at == NO_EXPIRY


@pytest.mark.parametrize("status", ["PROCESSING", "PENDING", "Activate Error", "Closed", ""])
def test_any_other_status_is_open(status: str) -> None:
    """PROCESSING is debited; a word that nobody knows neither delivers nor refuses."""
    open_order = Accepted(vendor_reference="ABF0000000018")
    told = answer(202, PROCESSING | {"status": status})
    assert ordered(told) == open_order
    assert wire.looked_up(told._replace(status=200), purchase()) == open_order


def test_complete_without_cards_is_looked_up() -> None:
    """Asked for in the same call, and yet not there."""
    told = answer(200, COMPLETE | {"cards": []})
    assert ordered(told) == Accepted(vendor_reference="ABF0000000017")
    found = wire.looked_up(told, purchase())
    assert isinstance(found, wire.Order)


def test_cancelled_is_refused() -> None:
    """The money was returned."""
    told = answer(200, PROCESSING | {"status": "CANCELED"})
    refused = Refused(reason="CANCELED: the money was returned")
    assert ordered(told) == refused
    assert wire.looked_up(told, purchase()) == refused
    assert wire.cards(answer(410, golden("cards_cancelled.json")), "ABF1") == refused


def test_a_page_of_cards() -> None:
    """The key of their number is in snake case; their answers are as those of the order."""
    told = answer(200, golden("cards_page.json"))
    found = wire.cards(told, "ABF0000000017")
    assert isinstance(found, wire.Cards)
    assert (found.total, found.currency.code) == (1, "INR")
    bought = wire.bought(found.cards, "INR", purchase(), order_id="ABF0000000017", answer=told)
    assert bought == ordered(answer(201, COMPLETE))


def test_cards_that_are_not_ready() -> None:
    """409; the key is `state` here."""
    open_order = Accepted(vendor_reference="ABF1")
    assert wire.cards(answer(409, golden("cards_not_ready.json")), "ABF1") == open_order


@pytest.mark.parametrize(
    ("status", "body"), [(409, {}), (410, {"state": "x"}), (409, []), (404, {})]
)
def test_cards_that_make_no_sense(status: int, body: object) -> None:
    """An edge may answer so, too."""
    with pytest.raises(Ambiguous):
        wire.cards(answer(status, body), "ABF1")


@pytest.mark.parametrize("code", [code for code, meant in CODES.items() if meant.money == "no"])
def test_a_listed_code_is_a_refusal(code: int) -> None:
    """As a number or as text."""
    refused = Refused(reason=f"{code}: {CODES[code].meaning}")
    assert ordered(error(code)) == refused
    assert ordered(error(str(code))) == refused


@pytest.mark.parametrize("code", [5313, 8232, 6053, 5321, 6050, 8212, 11429, 5320])
def test_a_code_that_leaves_it_open(code: int) -> None:
    """The first send may have bought."""
    with pytest.raises(Ambiguous, match=str(code)):
        ordered(error(code))
    with pytest.raises(Ambiguous, match="5313"):
        ordered(answer(400, golden("duplicate.json")))


@pytest.mark.parametrize(
    "given",
    [
        error(5034),
        error(None),
        error(True),
        error("5310x"),
        error(5310, 422),
        error(5310, 500),
        answer(400, []),
        Answer(400, b"5310"),
        Answer(200, b"<html>"),
        Answer(201, b""),
        answer(200, COMPLETE | {"refno": "ANOTHER"}),
        answer(200, COMPLETE | {"currency": None}),
        answer(200, COMPLETE | {"cards": [CARD | {"sku": "ANOTHER"}]}),
        answer(200, COMPLETE | {"cards": [CARD | {"amount": "1000.001"}]}),
        answer(200, COMPLETE | {"cards": [CARD | {"amount": "NaN"}]}),
        answer(200, COMPLETE | {"cards": [CARD | {"amount": "1e99999999"}]}),
        answer(200, COMPLETE | {"cards": [CARD | {"validity": "2025-02-10T23:59:59"}]}),
        answer(200, COMPLETE | {"cards": [CARD | {"validity": "soon"}]}),
        Answer(503, b"<html>"),
        Answer(302, b""),
    ],
)
def test_anything_unlisted_is_ambiguous(given: Answer) -> None:
    """The answer is kept, and not shown."""
    with pytest.raises(Ambiguous) as raised:
        ordered(given)
    assert raised.value.raw == Secret(given.body.decode())


@pytest.mark.parametrize("status", [401, 403, 429])
def test_turned_away_at_the_door(status: int) -> None:
    """Whatever the body is: the edge answers with a page."""
    for sort in (wire.ordered, wire.looked_up):
        with pytest.raises(Unavailable):
            sort(Answer(status, b"<html>"), purchase())


def test_lookups() -> None:
    """5320 is "no such order"; what fails is asked again; what is archived is for an operator."""
    assert isinstance(wire.looked_up(answer(200, golden("status.json")), purchase()), wire.Order)
    assert wire.looked_up(answer(400, golden("status_absent.json")), purchase()) is None
    with pytest.raises(Unavailable):
        wire.looked_up(Answer(503, b""), purchase())
    for given in (error(11429), error(5320, 404), Answer(404, b"<html>")):
        with pytest.raises(Ambiguous):
            wire.looked_up(given, purchase())


def test_reversals() -> None:
    """Under way, done before, or it stays bought; else nobody knows."""
    body = golden("reversal.json")
    under_way = Accepted(vendor_reference="ABF0000000017")
    assert wire.reversed_(answer(202, body)) == under_way
    assert wire.reversed_(answer(200, body)) == under_way
    assert wire.reversed_(error(10467)) == Refused(reason="10467: it stays bought")
    for given in (error(8221), error(5320), error(10467, 500), answer(202, {"code": 0})):
        with pytest.raises(Ambiguous):
            wire.reversed_(given)


def test_a_page_of_products() -> None:
    """Prices are text; a product may lack most keys; `cpg` is a list or an object."""
    body = golden("products_page.json")
    full = body["products"][0] | {"price": {"cpg": {"INR": {"type": "RANGE"}}}, "images": []}
    for changed in ({}, {"productsCount": "40"}, {"products": [full, body["products"][1]]}):
        total, products = wire.page(answer(200, body | changed))
        names = [one.vendor_product for one in products]
        assert (total, names) == (40, ["DEMOEGC001", "DEMOEGC002"])
        assert (products[0].maximum, products[1].minimum) == (Decimal(10000), Decimal("100.50"))


CARD_NUMBER = "6000000000000017"


def test_a_cards_balance() -> None:
    """201; the amount is text; without a PIN none is sent; 6049 as text: no such card."""
    assert wire.held(CARD_NUMBER, "012345") == golden("balance_request.json")
    assert wire.held(CARD_NUMBER, None) == {"cardNumber": CARD_NUMBER}
    told = golden("balance.json")
    assert wire.balance(answer(201, told), CARD_NUMBER) == Money.of("1000", "INR")
    assert wire.balance(answer(400, golden("balance_refused.json")), CARD_NUMBER) is None
    for status, changed in ((200, {}), (201, {"balance": "much"}), (201, {"cardNumber": "6"})):
        with pytest.raises(Ambiguous):
            wire.balance(answer(status, told | changed), CARD_NUMBER)


@pytest.mark.parametrize("change", [{"minPrice": "cheap"}, {"minPrice": 100}, {"sku": None}])
def test_a_product_that_cannot_be_read(change: dict[str, object]) -> None:
    """Is not guessed at."""
    rupee = {"code": "INR"}
    one = {"sku": "A", "name": "a", "currency": rupee, "minPrice": "1", "maxPrice": "2"} | change
    with pytest.raises(Ambiguous):
        wire.page(answer(200, {"productsCount": 1, "products": [one]}))


@pytest.mark.parametrize(
    ("body", "code"), [(b'{"code":"6049"}', 6049), (b'{"code":1.5}', None), (b"[" * 99999, None)]
)
def test_codes_are_numbers_or_text(body: bytes, code: int | None) -> None:
    """The balance's answers write text."""
    assert error_code(Answer(400, body)) == code


def test_the_table_is_whole() -> None:
    """Every code of the documentation that an order can be answered with, and no other."""
    unknown = sorted(code for code, meant in CODES.items() if meant.money == "unknown")
    assert unknown == [5313, 5320, 5321, 6050, 6053, 8212, 8232, 11429]
    assert len(CODES) == 116
    sort: Callable[[int], bool] = CODES.__contains__
    assert not sort(5034)


def became(reply: Callable[[], object]) -> str:
    try:
        return type(reply()).__name__.removesuffix("Type")
    except Ambiguous:
        return "Ambiguous"


def test_what_is_told_of_pine_labs_words_is_true() -> None:
    """The tables that a deployer reads, row by row against what is made of such an answer."""
    for one in STATUSES[:-1]:
        word = one.word.partition(",")[0]
        told = answer(200, (COMPLETE if word == "COMPLETE" else PROCESSING) | {"status": word})
        assert became(lambda told=told: ordered(told)) == one.becomes, word  # type: ignore[misc]
    absent = answer(400, {"code": int(STATUSES[-1].word)})
    assert became(lambda: wire.looked_up(absent, purchase())) == STATUSES[-1].becomes == "None"
    codes = [(int(code), one) for one in ERRORS for code in one.word.split(", ")]
    assert sorted(code for code, _ in codes) == sorted(CODES)
    for code, one in codes:
        told = answer(400, {"code": code})
        assert became(lambda told=told: ordered(told)) == one.becomes, code  # type: ignore[misc]
