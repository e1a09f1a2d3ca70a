"""GET /wallets and /transactions: the client's own, a page at a time (client API, section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from litestar import get
from litestar.types import ASGIApp
from msgspec import Struct

from starship_core.access import Client
from starship_core.clock import moment, rfc3339
from starship_core.database import Tx, json_rows
from starship_core.errors import NotFound
from starship_core.http.errors import invalid
from starship_core.http.exchange import AnyRequest, caller, json_reply, ship_of
from starship_core.http.openapi import ID, Operation, Parameter, documented, paged, sortable
from starship_core.http.paging import Page, Sort, path_id, read_page, read_query, read_sort, whole
from starship_core.model import minor_text
from starship_core.ship import Ship

_WALLETS: Final = """
SELECT id, currency, account, type, credit_limit, is_active, created_at, updated_at
FROM wallets WHERE client_id = $1 ORDER BY id
"""
_COLUMNS: Final = """
SELECT t.id, t.wallet_id, t.order_id, t.transaction_type, t.status, t.amount, t.currency,
       t.source_currency, t.destination_currency, t.forex_rate, t.conversion_charges,
       t.balance_after, t.remarks, t.created_at
FROM transactions t
"""
_MINE: Final = """
WHERE t.wallet_id IN (SELECT cast(value->>0 AS bigint) FROM json_each($1))
  AND ($2 = '' OR t.transaction_type = $2) AND ($3 = '' OR t.status = $3)
"""
_COUNT: Final = "SELECT count(*) FROM transactions t" + _MINE
_KEYS: Final = {
    "id": "t.id",
    # amounts of different currencies are compared as numbers, in thousandths
    "amount": "t.amount * (SELECT CASE decimal_places WHEN 0 THEN 1000 WHEN 3 THEN 1 ELSE 10 END "
    "FROM currencies WHERE code = t.currency)",
    "created_at": "t.created_at",
}
_LISTS: Final = {
    (field, descending): f"{_COLUMNS}{_MINE}ORDER BY {key} {way}, t.id {way} LIMIT $4 OFFSET $5"
    for field, key in _KEYS.items()
    for descending, way in ((False, "ASC"), (True, "DESC"))
}
_ONE: Final = _COLUMNS + "JOIN wallets w ON w.id = t.wallet_id WHERE t.id = $1 AND w.client_id = $2"
_WALLET_FIELDS: Final = ("id", "amount", "created_at", "updated_at")
_TYPES: Final = ("CREDIT", "DEBIT")
_STATUSES: Final = ("PENDING", "COMPLETED", "FAILED")


class WalletAnswer(Struct, frozen=True):
    """A wallet and what it holds now."""

    id: int
    currency_id: int | None
    currency_code: str
    amount: str
    type: str
    credit_limit: str
    is_active: bool


class TransactionAnswer(Struct, frozen=True):
    """One movement of a wallet; `amount` is never negative, `transaction_type` says which way."""

    id: int
    wallet_id: int
    currency_id: int | None
    amount: str
    transaction_type: str
    status: str
    order_id: int | None
    source_currency: str | None
    destination_currency: str | None
    forex_rate: str | None
    conversion_charges: str | None
    balance_after: str
    remarks: str
    created_at: str


_WALLET_EXAMPLE: Final = {
    "id": 12, "currency_id": 3, "currency_code": "GBP", "amount": "941.20", "type": "PREPAID",
    "credit_limit": "0.00", "is_active": True,
}  # fmt: skip
_TRANSACTION_EXAMPLE: Final = {
    "id": 9021, "wallet_id": 12, "currency_id": 3, "amount": "58.80", "transaction_type": "DEBIT",
    "status": "COMPLETED", "order_id": 4411, "source_currency": None, "destination_currency": None,
    "forex_rate": None, "conversion_charges": None, "balance_after": "941.20", "remarks": "",
    "created_at": "2027-01-01T09:30:00Z",
}  # fmt: skip


@get(
    "/wallets",
    opt=documented(
        Operation(
            tag="Wallets",
            summary="Your wallets",
            answer=list[WalletAnswer],
            example=[_WALLET_EXAMPLE],
            query=(*paged(), sortable(*_WALLET_FIELDS)),
        )
    ),
)
async def list_wallets(request: AnyRequest) -> ASGIApp:
    query = read_query(request.scope["query_string"], ("page", "limit", "sort"))
    page, sort = read_page(query), read_sort(query, _WALLET_FIELDS, default=Sort())
    ship, client = ship_of(request), caller(request)
    rows = await ship.database.read(_rows, _WALLETS, client.id)
    if sort.field != "amount":  # then only this page's balances are read
        rows = _sorted(rows, sort)
        shown = [await _wallet(row, ship) for row in page.of(rows)]
    else:
        answers = [await _wallet(row, ship) for row in rows]
        answers.sort(key=lambda each: Decimal(each.amount), reverse=sort.descending)
        shown = list(page.of(answers))
    return json_reply(shown, page.headers(total=len(rows), size=len(shown)))


def _sorted(rows: Sequence[tuple[Any, ...]], sort: Sort) -> Sequence[tuple[Any, ...]]:
    column = {"id": 0, "created_at": 6, "updated_at": 7}[sort.field]
    return sorted(rows, key=lambda row: (row[column], row[0]), reverse=sort.descending)


@get(
    "/wallets/{wallet_id:str}",
    opt=documented(
        Operation(tag="Wallets", summary="One wallet", answer=WalletAnswer, example=_WALLET_EXAMPLE)
    ),
)
async def get_wallet(request: AnyRequest) -> ASGIApp:
    wallet_id = path_id(request.path_params["wallet_id"], "wallet")
    read_query(request.scope["query_string"], ())
    ship, client = ship_of(request), caller(request)
    for row in await ship.database.read(_rows, _WALLETS, client.id):
        if row[0] == wallet_id:
            return json_reply(await _wallet(row, ship))
    raise NotFound("wallet", wallet_id)


async def _wallet(row: tuple[Any, ...], ship: Ship) -> WalletAnswer:
    number, currency, account, kind, credit_limit, active, _, _ = row
    balance = await ship.wallet.balance(account)
    return WalletAnswer(
        id=number,
        currency_id=(await ship.catalogue.current()).currency_ids.get(currency),
        currency_code=currency,
        amount=minor_text(balance.minor, currency),
        type=kind,
        credit_limit=minor_text(credit_limit, currency),
        is_active=bool(active),
    )


@get(
    "/transactions",
    opt=documented(
        Operation(
            tag="Wallets",
            summary="What was taken from your wallets and put into them",
            about="Newest first, unless sorted otherwise.",
            answer=list[TransactionAnswer],
            example=[_TRANSACTION_EXAMPLE],
            query=(
                *paged(),
                sortable(*_KEYS),
                Parameter("wallet_id", "Only this wallet.", ID),
                Parameter(
                    "transaction_type", "In any case.", {"type": "string", "enum": list(_TYPES)}
                ),
                Parameter("status", "In any case.", {"type": "string", "enum": list(_STATUSES)}),
            ),
        )
    ),
)
async def list_transactions(request: AnyRequest) -> ASGIApp:
    allowed = ("page", "limit", "sort", "wallet_id", "transaction_type", "status")
    query = read_query(request.scope["query_string"], allowed)
    page, sort = read_page(query), read_sort(query, tuple(_KEYS), default=Sort("id", "DESC"))
    ship = ship_of(request)
    mine = json_rows([[each] for each in await _wallet_ids(ship, caller(request), query)])
    kind, status = _choice(query, "transaction_type", _TYPES), _choice(query, "status", _STATUSES)
    total, rows = await ship.database.read(_list, sort, page, (mine, kind, status))
    ids = (await ship.catalogue.current()).currency_ids
    shown = [_transaction(row, ids) for row in rows]
    return json_reply(shown, page.headers(total=total, size=len(shown)))


async def _wallet_ids(ship: Ship, client: Client, query: Mapping[str, str]) -> list[int]:
    wanted = whole(query, "wallet_id")
    rows = await ship.database.read(_rows, _WALLETS, client.id)
    return [row[0] for row in rows if wanted in (None, row[0])]


def _choice(query: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    """One of `choices`, in any case; "" when it is left out."""
    chosen = query.get(name, "").upper()
    if name in query and chosen not in choices:
        raise invalid(name, "enum", f"must be one of {', '.join(choices)}")
    return chosen


def _list(
    tx: Tx, sort: Sort, page: Page, filters: tuple[str, str, str]
) -> tuple[int, Sequence[tuple[Any, ...]]]:
    total = tx.execute(_COUNT, *filters)[0][0]
    statement = _LISTS[sort.field, sort.descending]
    return total, tx.execute(statement, *filters, page.limit, page.offset)


@get(
    "/transactions/{transaction_id:str}",
    opt=documented(
        Operation(
            tag="Wallets",
            summary="One transaction",
            answer=TransactionAnswer,
            example=_TRANSACTION_EXAMPLE,
        )
    ),
)
async def get_transaction(request: AnyRequest) -> ASGIApp:
    number = path_id(request.path_params["transaction_id"], "transaction")
    read_query(request.scope["query_string"], ())
    ship = ship_of(request)
    rows = await ship.database.read(_rows, _ONE, number, caller(request).id)
    if not rows:
        raise NotFound("transaction", number)
    return json_reply(_transaction(rows[0], (await ship.catalogue.current()).currency_ids))


def _transaction(row: tuple[Any, ...], currency_ids: Mapping[str, int]) -> TransactionAnswer:
    (number, wallet_id, order_id, kind, status, amount, currency, source, destination, rate, fee,
     balance_after, remarks, created_at) = row  # fmt: skip
    return TransactionAnswer(
        id=number,
        wallet_id=wallet_id,
        currency_id=currency_ids.get(currency),
        amount=minor_text(amount, currency),
        transaction_type=kind,
        status=status,
        order_id=order_id,
        source_currency=source,
        destination_currency=destination,
        forex_rate=rate,
        conversion_charges=None if fee is None else minor_text(fee, currency),
        balance_after=minor_text(balance_after, currency),
        remarks=remarks,
        created_at=rfc3339(moment(created_at)),
    )


def _rows(tx: Tx, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
    return tx.execute(statement, *parameters)


ROUTES: Final = (list_wallets, get_wallet, list_transactions, get_transaction)
