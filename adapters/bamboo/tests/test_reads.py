"""`reads` against answers written by hand: whatever is not a purchase."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starship_bamboo import reads
from starship_bamboo.answers import Answer
from starship_bamboo.reads import OrderLine

from starship_core import Ambiguous, FxTable, Money, Secret, Unavailable, VendorOrder, VendorProduct

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2024, 2, 11, tzinfo=UTC)
SECRET = Secret("shared-string")


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def test_a_page_of_the_catalogue() -> None:
    """Fixed values and ranges, tombstones left out, "global" is no country, costs rounded up."""
    page = reads.page(Answer(200, golden("catalogue_page.json")))
    assert page.count == 2
    assert list(reads.products(page.items)) == [
        VendorProduct(
            vendor_product="910001",
            name="Demo Store 50 AED",
            currency="AED",
            country="AE",
            minimum=Decimal(50),
            maximum=Decimal(50),
            cost=Money(1377, "USD"),
            stock=None,
        ),
        VendorProduct(
            vendor_product="910002",
            name="Demo Store AED",
            currency="AED",
            country="AE",
            minimum=Decimal(10),
            maximum=Decimal(500),
            cost=None,
            stock=7,
        ),
        VendorProduct(
            vendor_product="910010",
            name="Demo Games 12.50 USD",
            currency="USD",
            country=None,
            minimum=Decimal("12.5"),
            maximum=Decimal("12.5"),
            cost=Money(1188, "USD"),
            stock=0,
        ),
    ]


def test_the_balance_is_that_of_the_account_that_pays() -> None:
    """And not more than there is."""
    assert reads.balance(Answer(200, golden("accounts.json")), 4001) == Money(1250055, "USD")


@pytest.mark.parametrize("body", [golden("accounts.json"), b'{"accounts": []}'])
def test_an_account_that_is_not_there_has_no_balance(body: bytes) -> None:
    """Instead of another account's."""
    with pytest.raises(Unavailable, match="account 4002 is not ours"):
        reads.balance(Answer(200, body), 4002)


def test_an_inactive_account_buys_nothing() -> None:
    """So its balance is not told."""
    body = golden("accounts.json").replace(b"true", b"false")
    with pytest.raises(Unavailable, match="or not active"):
        reads.balance(Answer(200, body), 4001)


def test_rates() -> None:
    """Digit by digit; one that is no rate is left out, the others can be used."""
    assert reads.rates(Answer(200, golden("rates.json")), "USD", NOW) == FxTable(
        base="USD",
        rates={"AED": Decimal("3.6725"), "INR": Decimal("83.1")},
        source="bamboo",
        as_of=NOW,
    )
    with pytest.raises(Unavailable, match="no rates for EUR"):
        reads.rates(Answer(200, golden("rates.json")), "EUR", NOW)


def test_the_list_of_orders() -> None:
    """Our reference, and what was charged."""
    assert reads.order_lines(Answer(200, golden("orders.json"))) == (
        OrderLine(
            client_reference_number="6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001",
            order_number="O-000123",
            status="Succeeded",
            quantity=2,
            total=Decimal("27.539"),
            account_currency="USD",
        ),
    )


def line(reference: str, status: str, total: str) -> dict[str, Any]:
    """One line of the list, of one unit."""
    return {
        "clientReferenceNumber": reference, "orderNumber": "O-1", "status": status, "quantity": 1,
        "total": float(total), "accountCurrency": "USD",
    }  # fmt: skip


def test_lines_of_one_order_are_one_order() -> None:
    """In our spelling; an amount is told once it is known what was sold, and never too small."""
    first, second, third = (f"6F1D0B1E-3F0A-4F62-9A55-0D7C3C9D000{n}" for n in (1, 2, 3))
    rows = [
        line(first, "Succeeded", "10.001"), line(second, "Failed", "0"),
        line(first, "PartialFailed", "5"), line(third, "Processing", "7"),
    ]  # fmt: skip
    assert reads.orders(Answer(200, msgspec.json.encode(rows))) == [
        VendorOrder(reference=first.lower(), quantity=2, charged=Money(1501, "USD")),
        VendorOrder(reference=second.lower(), quantity=1, charged=Money(0, "USD"), failed=True),
        VendorOrder(reference=third.lower(), quantity=1, charged=None),
    ]


def test_the_statement() -> None:
    """A blank behind the id is not part of it; the sign is Bamboo's."""
    (booking,) = reads.bookings(Answer(200, golden("transactions.json")))
    assert booking.transaction_id == "T-000777"
    assert booking.request_id == "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"
    assert booking.transaction_amount is not None
    assert booking.transaction_amount.value == Decimal("-27.539")
    assert booking.at == datetime(2024, 2, 11, 9, 30, 6, tzinfo=UTC)


def test_a_callback_names_our_reference() -> None:
    """In our spelling, whatever Bamboo's."""
    told = reads.reference(golden("callback.json"), SECRET)
    assert told == "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"


@pytest.mark.parametrize(
    ("body", "secret"),
    [
        (golden("callback.json"), None),
        (golden("callback.json"), Secret("another")),
        (golden("callback.json").replace(b"6F1D0B1E-", b""), SECRET),
        (b"", SECRET),
        (b"[]", SECRET),
        (b'{"requestId": "6f1d0b1e-3f0a-4f62-9a55-0d7c3c9d0001"}', SECRET),
        (b"\xff\xfe", SECRET),
    ],
)
def test_a_callback_that_is_not_believed(body: bytes, secret: Secret | None) -> None:
    """Anybody can send one."""
    assert reads.reference(body, secret) is None


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_read_that_fails_is_asked_again(status: int) -> None:
    """It changed nothing."""
    with pytest.raises(Unavailable):
        reads.page(Answer(status, b""))


@pytest.mark.parametrize(
    "answer", [Answer(200, b"<html>"), Answer(404, b"{}"), Answer(200, b'{"count": "x"}')]
)
def test_a_read_that_makes_no_sense(answer: Answer) -> None:
    """Is kept for whoever looks into it."""
    with pytest.raises(Ambiguous) as raised:
        reads.page(answer)
    assert raised.value.raw == Secret(answer.body.decode())
