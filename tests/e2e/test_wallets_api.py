"""Wallets and transactions over HTTP: amounts to the digit, pages, sorting, and only one's own."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from starship_core.clock import micros

ANOTHER = 987_654_321


async def add_transactions(
    ship: Any, wallet_id: Any, currency: Any, *, count: Any, first_amount: Any = 100
) -> None:
    """Rows as orders leave them: amounts 100, 101, … minor units, a second apart."""
    start = ship.now()

    def insert(tx: Any) -> None:
        for n in range(count):
            tx.execute(
                "INSERT INTO transactions (wallet_id, key, transaction_type, status, amount,"
                " currency, balance_after, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                *(wallet_id, f"k-{wallet_id}-{n}", "DEBIT" if n % 2 else "CREDIT", "COMPLETED"),
                *(first_amount + n, currency, 5000, micros(start + timedelta(seconds=n))),
            )

    await ship.database.run(insert)


async def get(caller: Any, target: Any) -> Any:
    answer = await caller("GET", f"/api/v1/{target}")
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_wallet_with_its_balance(acme: Any, fund: Any) -> None:
    """Amounts are strings with the currency's own number of decimals."""
    pounds, yen = await fund(acme, "941.20", "GBP"), await fund(acme, "127", "JPY")
    wallets = (await get(acme, "wallets")).json()
    assert wallets == [
        {
            "id": pounds, "currency_id": 1, "currency_code": "GBP", "amount": "941.20",
            "type": "PREPAID", "credit_limit": "0.00", "is_active": True,
        },
        {
            "id": yen, "currency_id": 3, "currency_code": "JPY", "amount": "127",
            "type": "PREPAID", "credit_limit": "0", "is_active": True,
        },
    ]  # fmt: skip
    for wallet in wallets:
        assert (await get(acme, f"wallets/{wallet['id']}")).json() == wallet


async def test_a_credit_is_a_transaction(acme: Any, fund: Any) -> None:
    """What an operator credits shows as a line that explains the balance."""
    wallet = await fund(acme, "50.00", "GBP")
    (line,) = (await get(acme, "transactions")).json()
    assert {**line, "id": 0, "remarks": ""} == {
        "id": 0, "wallet_id": wallet, "currency_id": 1, "amount": "50.00",
        "transaction_type": "CREDIT", "status": "COMPLETED", "order_id": None,
        "source_currency": None, "destination_currency": None, "forex_rate": None,
        "conversion_charges": None, "balance_after": "50.00", "remarks": "",
        "created_at": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    assert (await get(acme, f"transactions/{line['id']}")).json() == line


@pytest.mark.parametrize("what", ["wallets", "transactions"])
async def test_anothers_is_not_found(
    ship: Any, caller_of: Any, acme: Any, fund: Any, what: Any
) -> None:
    """Another client's ids answer as ids that do not exist, and its rows are in no list."""
    other = await caller_of(ship, "other")
    await fund(other, "10.00", "GBP")
    (theirs,) = (await get(other, what)).json()
    assert (await get(acme, what)).json() == []
    for number in (theirs["id"], ANOTHER):
        answer = await acme("GET", f"/api/v1/{what}/{number}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "NOT_FOUND"
    answer = await get(acme, f"transactions?wallet_id={theirs['id']}")
    assert (answer.json(), answer.headers["x-total-count"]) == ([], "0")


async def test_pages_are_told_in_headers(ship: Any, acme: Any, fund: Any) -> None:
    """Page by page everything is seen once; the headers count what there is."""
    wallet = await fund(acme, "1.00", "GBP")
    await add_transactions(ship, wallet, "GBP", count=6)
    seen: list[int] = []
    for page, size, more in ((1, 3, "true"), (2, 3, "true"), (3, 1, "false"), (4, 0, "false")):
        answer = await get(acme, f"transactions?page={page}&limit=3")
        seen.extend(each["id"] for each in answer.json())
        assert {name: answer.headers[f"x-{name}"] for name in (
            "page", "per-page", "total-count", "total-pages", "page-size", "has-more"
        )} == {
            "page": str(page), "per-page": "3", "total-count": "7", "total-pages": "3",
            "page-size": str(size), "has-more": more,
        }  # fmt: skip
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 7


async def test_filters_are_taken_in_any_case(ship: Any, acme: Any, fund: Any) -> None:
    """By wallet, type and status; statuses in any case."""
    pounds, euros = await fund(acme, "1.00", "GBP"), await fund(acme, "2.00", "EUR")
    await add_transactions(ship, pounds, "GBP", count=4)

    async def count(query: Any) -> Any:
        return int((await get(acme, f"transactions?{query}")).headers["x-total-count"])

    assert await count("") == 6
    assert await count(f"wallet_id={euros}") == 1
    assert await count("transaction_type=debit") == 2
    assert await count("transaction_type=CREDIT") == 4
    assert await count("status=Completed") == 6
    assert await count("status=FAILED") == 0
    assert await count(f"wallet_id={pounds}&transaction_type=Debit&status=completed") == 2


@pytest.mark.parametrize("direction", ["ASC", "desc"])
@pytest.mark.parametrize("field", ["id", "amount", "created_at"])
async def test_transactions_are_sorted(
    ship: Any, acme: Any, fund: Any, field: Any, direction: Any
) -> None:
    """By each sortable field, both ways; amounts by value, whatever the currency's decimals."""
    pounds, yen = await fund(acme, "1.05", "GBP"), await fund(acme, "102", "JPY")
    await add_transactions(ship, pounds, "GBP", count=3, first_amount=10_150)
    await add_transactions(ship, yen, "JPY", count=3)
    sort = quote(json.dumps({"field": field, "direction": direction}))
    found = (await get(acme, f"transactions?sort={sort}")).json()

    def key(line: Any) -> Any:
        value = float(line["amount"]) if field == "amount" else line[field]
        return value, line["id"]

    assert found == sorted(found, key=key, reverse=direction == "desc")
    assert len(found) == 8


@pytest.mark.parametrize(
    ("field", "expected"),
    [("id", ["10.00", "900", "20.00"]), ("amount", ["10.00", "20.00", "900"])],
)
async def test_wallets_are_sorted(acme: Any, fund: Any, field: Any, expected: Any) -> None:
    """A balance is not a column, and can be sorted by all the same."""
    for amount, currency in (("10.00", "GBP"), ("900", "JPY"), ("20.00", "EUR")):
        await fund(acme, amount, currency)
    for direction in ("ASC", "DESC"):
        sort = quote(json.dumps({"field": field, "direction": direction}))
        found = [each["amount"] for each in (await get(acme, f"wallets?sort={sort}")).json()]
        assert found == (expected if direction == "ASC" else expected[::-1])
    first = await get(acme, f"wallets?sort={sort}&limit=1&page=2")
    assert [each["amount"] for each in first.json()] == [expected[1]]


WRONG_PARAMETERS = [
    ("page=0", "page"), ("page=-1", "page"), ("page=x", "page"), ("page=", "page"),
    ("page=1.0", "page"), ("page=99999999999999999999", "page"), ("limit=10001", "limit"),
    ("limit=0", "limit"), ("sort=id", "sort"), ("sort=%7B%22field%22%3A%22name%22%7D", "sort"),
    ("sort=%7B%22field%22%3A%22id%22%2C%22direction%22%3A%22UP%22%7D", "sort"),
    ("sort=%7B%22fields%22%3A%22id%22%7D", "sort"), ("status=DONE", "status"),
    ("transaction_type=x", "transaction_type"), ("wallet_id=x", "wallet_id"),
    ("pages=1", "pages"), ("page=1&page=2", "page"), ("status=%00", "status"),
    ("status=%ff", "status"),
]  # fmt: skip


async def test_wrong_parameters_are_named(acme: Any) -> None:
    """A misspelt or impossible parameter is refused, and `messages` says which one."""
    for query, field in WRONG_PARAMETERS:
        answer = await acme("GET", f"/api/v1/transactions?{query}")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "E_VALIDATION_FAILURE"), query
        assert list(error["messages"]) == [field], query
        (message,) = error["messages"][field]
        assert set(message) == {"rule", "field", "message"}
        assert message["field"] == field


async def test_what_cannot_be_an_id_is_not_found(acme: Any) -> None:
    """Whatever stands where an id belongs is 404, never a fault of the database."""
    for number in ("0", "-1", "1.0", "x", "1e3", "%D9%A1", "9" * 19, "9" * 400):
        for what in ("wallets", "transactions"):
            answer = await acme("GET", f"/api/v1/{what}/{number}")
            found = (answer.status_code, answer.json()["error"]["code"])
            assert found == (404, "NOT_FOUND"), number
