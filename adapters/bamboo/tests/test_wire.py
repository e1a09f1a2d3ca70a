"""`wire` against requests and answers written by hand; no connection anywhere."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from starship_bamboo import wire
from starship_bamboo.answers import Answer, instant, money, up
from starship_bamboo.wire import WORDS, checked_out, checkout, found, unsendable

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

GOLDEN = Path(__file__).parent / "golden"
REFERENCE = "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"
FACE = Sku(7, 5000, "AED")


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def purchase(**changed: object) -> Purchase:
    given = Purchase(
        reference=REFERENCE,
        sku=FACE,
        quantity=2,
        vendor_product="910001",
        ceiling=Money(3000, "USD"),
        planned_at=datetime(2024, 2, 11, tzinfo=UTC),
    )
    return msgspec.structs.replace(given, **changed)


def order(name: str, **changed: object) -> Answer:
    return Answer(200, msgspec.json.encode(msgspec.json.decode(golden(name)) | changed))


def ask(sort: Callable[[Answer, Purchase], object], status: int, body: bytes) -> object:
    return sort(Answer(status, body), purchase())


def test_checkout_is_written_as_bamboo_reads_it() -> None:
    """PascalCase; the face value is a number without one digit too many."""
    assert checkout(purchase(), 4001) == golden("checkout_request.json").rstrip()
    decimal = purchase(quantity=1, vendor_product="910002", sku=Sku(7, 1250, "AED"))
    assert checkout(decimal, 4001) == golden("checkout_request_decimal.json").rstrip()
    large = checkout(purchase(sku=Sku(7, 1_000_000_00, "AED")), 4001)
    assert large.endswith(b'"Value":1000000}]}')


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"reference": "ORDER-7"}, "the reference is no GUID, and Bamboo takes no other"),
        ({"reference": REFERENCE.replace("-", "")}, "the reference is no GUID"),
        ({"vendor_product": "DEMO-AE"}, "a product of Bamboo is a number"),
        ({"vendor_product": "٣"}, "a product of Bamboo is a number"),
        ({"quantity": 501}, "one order is of 1 to 500 cards"),
        ({"quantity": 0}, "one order is of 1 to 500 cards"),
    ],
)
def test_what_cannot_be_sent_is_told_before(changed: dict[str, object], why: str) -> None:
    """So that Bamboo's binding errors, which are no enumerated refusals, never come up."""
    told = unsendable(purchase(**changed), most=500)
    assert told is not None
    assert told.startswith(why)


def test_what_can_be_sent() -> None:
    """The largest order there is."""
    assert unsendable(purchase(quantity=500), most=500) is None


@pytest.mark.parametrize("name", ["checkout_answer.json", "checkout_answer_object.json"])
def test_a_checkout_is_accepted_by_its_reference(name: str) -> None:
    """A bare string, as was observed, or an object, as the documentation says; in any case."""
    assert ask(checked_out, 200, golden(name)) == Accepted(vendor_reference=None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>OK</html>"),
        (200, b'"6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0002"'),
        (200, b"{}"),
        (200, b'{"message":"InsufficientBalance"}'),
        (200, b"null"),
        (200, b"[" * 100_000),
        (201, b'"6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"'),
        (302, b""),
        (400, b'{"message":"SomethingNew"}'),
        (400, b'{"error":"InsufficientBalance"}'),
        (400, b'{"message":["InsufficientBalance"]}'),
        (400, b"InsufficientBalance"),
        (404, b'{"message":"InsufficientBalance"}'),
        (422, b'{"message":"InsufficientBalance"}'),
        (500, b'{"message":"InsufficientBalance"}'),
        (503, b"Service Unavailable"),
        (599, b""),
    ],
)
def test_anything_unlisted_is_ambiguous(status: int, body: bytes) -> None:
    """A refusal needs its status and its word; the answer is kept, and not shown."""
    with pytest.raises(Ambiguous) as raised:
        ask(checked_out, status, body)
    assert raised.value.raw == Secret(body.decode())
    assert "Insufficient" not in str(raised.value)


@pytest.mark.parametrize("word", [word for word, meant in WORDS.items() if meant.money == "no"])
def test_a_listed_word_is_a_refusal(word: str) -> None:
    """All that Bamboo documents, but one."""
    body = msgspec.json.encode({"message": word})
    assert ask(checked_out, 400, body) == Refused(reason=f"{word}: {WORDS[word].meaning}")


def test_a_reference_that_was_used_before_is_ambiguous() -> None:
    """It may have bought the first time, so it is no refusal."""
    with pytest.raises(Ambiguous, match="OrderAlreadyExists: the reference was used before"):
        ask(checked_out, 400, golden("already_exists.json"))


def test_the_words_are_those_of_the_documentation() -> None:
    """Twelve; the one of Get Order is no answer to a checkout."""
    assert sorted(WORDS) == [
        "CardsLimitExceeded", "ClientCatalogNotExist", "ClientPriceInvalid",
        "InsufficientBalance", "InvalidDenomination", "InvalidProduct", "InvalidProductIds",
        "NoProducts", "OrderAlreadyExists", "ProductIsOutOfStock", "UserNotEnabled",
        "WrongAccount",
    ]  # fmt: skip


@pytest.mark.parametrize("sort", [checked_out, found])
@pytest.mark.parametrize(
    ("status", "body", "seconds"),
    [
        (429, golden("too_many.txt"), 3406.0),
        (429, b'{"message":"Please WAIT 7 seconds"}', 7.0),
        (429, b"", 60.0),
        (401, b"", 300.0),
        (403, golden("forbidden.json"), 300.0),
    ],
)
def test_turned_away_at_the_door(
    sort: Callable[[Answer, Purchase], object], status: int, body: bytes, seconds: float
) -> None:
    """Nothing was processed; the wait is the one that Bamboo writes, where it writes one."""
    with pytest.raises(Unavailable) as raised:
        ask(sort, status, body)
    assert raised.value.retry_after == seconds


def test_an_order_that_succeeded() -> None:
    """Codes, PINs and serials as text; 27.5391 was charged, which is 27.54 to us."""
    assert ask(found, 200, golden("order_succeeded.json")) == Bought(
        vouchers=(
            Voucher(
                sku=FACE,
                reference="3300001",
                card_number=Secret("DEMO-7F3A-11C0"),
                pin_code=Secret("0821"),
                voucher_reference_number="0a0e1000-0000-4000-8000-000000000001",
                expires_at=datetime(2026, 12, 31, tzinfo=UTC),
            ),
            Voucher(sku=FACE, reference="3300002", card_number=Secret("DEMO-9B20-77D4")),
        ),
        charged=Money(2754, "USD"),
        vendor_reference="778899",
    )


def test_an_order_that_failed_in_part() -> None:
    """Only what was sold; a code that is an address is where the voucher is claimed."""
    assert ask(found, 200, golden("order_partial.json")) == Bought(
        vouchers=(
            Voucher(
                sku=FACE,
                reference="3300003",
                claim_url=Secret("https://redeem.example/0042"),
                expires_at=datetime(2027, 1, 31, 12, 0, 0, 123456, UTC),
            ),
        ),
        charged=Money(1377, "USD"),
        vendor_reference="778900",
    )


def test_an_order_that_failed() -> None:
    """Nothing bought, nothing charged: a proof."""
    assert ask(found, 200, golden("order_failed.json")) == Refused(
        reason="Failed: the order ended without a card, and is not charged"
    )


@pytest.mark.parametrize(
    "status", ["Created", "Processing", "Pending", "CheckingOut", "Paused", "Refunded", ""]
)
def test_any_other_status_is_open(status: str) -> None:
    """A word that nobody has seen yet neither delivers nor refuses."""
    answer = order("order_succeeded.json", status=status)
    assert found(answer, purchase()) == Accepted(vendor_reference="778899")


def test_statuses_in_any_case() -> None:
    """Bamboo writes them in small letters elsewhere."""
    answer = order("order_failed.json", status="failed")
    assert isinstance(found(answer, purchase()), Refused)


@pytest.mark.parametrize("status", [400, 404])
def test_no_such_order(status: int) -> None:
    """Documented as one, seen as the other."""
    assert ask(found, status, golden("not_found.json")) is None


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b"<html>Not Found</html>"),
        Answer(400, b'{"message":"InvalidProduct"}'),
        Answer(410, golden("not_found.json")),
        Answer(200, b"{"),
        Answer(200, golden("order_succeeded.json")[:-20]),
        order("order_succeeded.json", requestId="6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0002"),
        order("order_succeeded.json", status="Failed"),
        order("order_failed.json", status="Succeeded"),
        order("order_failed.json", status="PartialFailed"),
        order("order_succeeded.json", total=[]),
        order("order_succeeded.json", items=7),
        Answer(200, golden("order_succeeded.json").replace(b"910001", b"910002")),
        Answer(200, golden("order_succeeded.json").replace(b"27.5391", b"NaN")),
        Answer(200, golden("order_succeeded.json").replace(b"27.5391", b"1e999999999")),
        Answer(200, golden("order_succeeded.json").replace(b": 50.0", b": 50.001")),
        Answer(200, golden("order_succeeded.json").replace(b"2026-12-31T", b"31/12/26 ")),
    ],
)
def test_an_order_that_cannot_be_believed(answer: Answer) -> None:
    """Neither bought nor refused nor unknown to Bamboo: somebody has to look at what is kept."""
    with pytest.raises(Ambiguous) as raised:
        found(answer, purchase())
    assert raised.value.raw == Secret(answer.body.decode())


def test_a_lookup_that_fails_is_asked_again() -> None:
    """It is a question: unlike a checkout, it changes nothing."""
    with pytest.raises(Unavailable):
        ask(found, 503, golden("order_failed.json"))


def test_sold_but_not_shown_yet() -> None:
    """More is to come under this reference."""
    answer = Answer(200, golden("order_succeeded.json").replace(b'"DEMO-9B20-77D4"', b"null"))
    reply = found(answer, purchase())
    assert isinstance(reply, Bought)
    assert (len(reply.vouchers), reply.final) == (1, False)


def test_a_card_without_an_id_has_its_place_as_reference() -> None:
    """The same place each time it is looked up."""
    answer = Answer(200, golden("order_succeeded.json").replace(b'"id": 3300002', b'"id": null'))
    reply = found(answer, purchase())
    assert isinstance(reply, Bought)
    assert [voucher.reference for voucher in reply.vouchers] == ["3300001", f"{REFERENCE}:2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-11T09:30:05.1234567", datetime(2024, 2, 11, 9, 30, 5, 123456, UTC)),
        ("2024-02-11T09:30:05.1", datetime(2024, 2, 11, 9, 30, 5, 100000, UTC)),
        ("2024-02-11T09:30:05", datetime(2024, 2, 11, 9, 30, 5, tzinfo=UTC)),
        ("2024-02-11T13:30:05.1234567+04:00", datetime(2024, 2, 11, 9, 30, 5, 123456, UTC)),
        ("0001-01-01T00:00:00", None),
        ("", None),
        (None, None),
    ],
)
def test_dates(text: str | None, expected: datetime | None) -> None:
    """No zone is UTC; seven decimals; .NET's zero is no date."""
    assert instant(text) == expected


def test_amounts_are_exact() -> None:
    """A sum that a float cannot hold, and currencies with and without decimals."""
    assert money(Decimal("0.1"), "KWD", rounding=up) == Money(100, "KWD")
    assert money(Decimal("27.0001"), "JPY", rounding=up) == Money(28, "JPY")
    assert money(Decimal("90071992547409.93"), "USD", rounding=up) == Money(9007199254740993, "USD")


def test_no_expiry_is_none() -> None:
    """`null` is a card that never expires."""
    reply = ask(found, 200, golden("order_succeeded.json"))
    assert isinstance(reply, Bought)
    assert reply.vouchers[1].expires_at == NO_EXPIRY


def test_final_statuses_are_three() -> None:
    """Whatever else Bamboo may call an order, it is open."""
    assert set(wire.FINAL) == {"succeeded", "failed", "partialfailed"}


def became(sort: Callable[[Answer, Purchase], object], status: int, body: bytes) -> str:
    try:
        reply = ask(sort, status, body)
    except (Ambiguous, Unavailable) as error:
        return type(error).__name__
    return "None" if reply is None else type(reply).__name__


def test_what_is_told_of_bamboos_words_is_true() -> None:
    """The tables that a deployer reads, row by row against what is made of such an answer."""
    files = {
        "Succeeded": "order_succeeded.json",
        "PartialFailed": "order_partial.json",
        "Failed": "order_failed.json",
        wire.OPEN.word: "order_open.json",
    }
    for one in (*wire.STATUSES, wire.OPEN):
        assert became(found, 200, golden(files[one.word])) == one.becomes, one.word
    assert [one.word for one in wire.ERRORS] == list(WORDS)
    for one in wire.ERRORS:
        body = msgspec.json.encode({"message": one.word})
        assert became(checked_out, 400, body) == one.becomes, one.word
