"""Countries and currencies over HTTP; `ROUTES` has the whole of section 5 of the client API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar import get
from litestar.types import ASGIApp
from msgspec import Struct

from starship_core.access import Client
from starship_core.catalogue import Country, Currency, Snapshot
from starship_core.clock import rfc3339
from starship_core.errors import InvalidInput, Unavailable
from starship_core.http.exchange import AnyRequest, caller, ship_of
from starship_core.http.openapi import Operation, Parameter, documented, paged
from starship_core.http.paging import flag
from starship_core.model import FxTable, minor_text
from starship_core.ship import Ship
from starship_core.web import products, shelves
from starship_core.web.shelves import ACTIVE_ONLY, AT, PER_PAGE, collection_query, one_page

BASE: Final = "USD"
"""What rates are shown against when a client has no default wallet and names no base."""


class CountryAnswer(Struct, frozen=True, kw_only=True):
    """Where products can be used."""

    id: int
    code: str
    name: str
    currency_code: str | None
    is_active: bool
    created_at: str
    updated_at: str


class CurrencyAnswer(Struct, frozen=True, kw_only=True):
    """A currency of products or wallets."""

    id: int
    code: str
    name: str
    symbol: str
    decimal_places: int
    exchange_rate: str | None
    """What one unit of `base_currency` buys; null while there is no rate to price with."""
    base_currency: str
    is_active: bool
    supported_denominations: list[str]
    """Fixed denominations on offer in it, ascending."""
    last_updated: str | None
    """When the rate was true."""
    created_at: str
    updated_at: str


_COUNTRY: Final = {
    "id": 1, "code": "GB", "name": "United Kingdom", "currency_code": "GBP", "is_active": True,
    "created_at": AT, "updated_at": AT,
}  # fmt: skip
_CURRENCY: Final = {
    "id": 3, "code": "GBP", "name": "British Pound", "symbol": "£", "decimal_places": 2,
    "exchange_rate": "0.8522", "base_currency": "EUR", "is_active": True,
    "supported_denominations": ["10.00", "20.00", "50.00"], "last_updated": AT,
    "created_at": AT, "updated_at": AT,
}  # fmt: skip


@get(
    "/countries",
    opt=documented(
        Operation(
            tag="Catalogue",
            summary="Countries",
            answer=list[CountryAnswer],
            example=[_COUNTRY],
            query=(*paged(), PER_PAGE, Parameter("search", "The code, or part of the name.")),
        )
    ),
)
async def list_countries(request: AnyRequest) -> ASGIApp:
    query = collection_query(request, "search")
    wanted = query.get("search", "").casefold()
    found = [
        each
        for each in (await ship_of(request).catalogue.current()).countries.values()
        if wanted in each.name.casefold() or wanted == each.code.casefold()
    ]
    return one_page(found, query, _country)


def _country(found: Country) -> CountryAnswer:
    return CountryAnswer(
        id=found.id, code=found.code, name=found.name, currency_code=found.currency_code,
        is_active=found.is_active, created_at=rfc3339(found.created_at),
        updated_at=rfc3339(found.updated_at),
    )  # fmt: skip


@get(
    "/currencies",
    opt=documented(
        Operation(
            tag="Catalogue",
            summary="Currencies, and what they are worth",
            about="Rates are shown for information; a charge says which one it was made with.",
            answer=list[CurrencyAnswer],
            example=[_CURRENCY],
            query=(
                *paged(),
                PER_PAGE,
                Parameter("base_currency", "Left out: that of your default wallet."),
                ACTIVE_ONLY,
            ),
            errors=("INVALID_INPUT",),
        )
    ),
)
async def list_currencies(request: AnyRequest) -> ASGIApp:
    query = collection_query(request, "base_currency", "active_only")
    ship = ship_of(request)
    snapshot = await ship.catalogue.current()
    base = _base(query, snapshot, caller(request))
    active_only = flag(query, "active_only", default=True)
    found = [c for c in snapshot.currencies.values() if c.is_active or not active_only]
    rates = await _rates(base, ship)
    return one_page(found, query, lambda each: _currency(each, base, rates))


def _base(query: Mapping[str, str], snapshot: Snapshot, client: Client) -> str:
    asked = query.get("base_currency")
    if asked is None:
        wallet = client.wallet(client.default_wallet_id or 0)
        return wallet.currency if wallet else BASE
    if asked.upper() not in snapshot.currency_ids:
        raise InvalidInput(f"there is no currency {asked[:10]}", field="base_currency")
    return asked.upper()


async def _rates(base: str, ship: Ship) -> FxTable | None:
    """None when there are none: a list of currencies is worth showing without them."""
    try:
        return await ship.fx.table(base)
    except (InvalidInput, Unavailable):
        return None


def _currency(found: Currency, base: str, rates: FxTable | None) -> CurrencyAnswer:
    rate = rates.rates.get(found.code) if rates else None
    same = found.code == base
    return CurrencyAnswer(
        id=found.id,
        code=found.code,
        name=found.name,
        symbol=found.symbol,
        decimal_places=found.decimal_places,
        exchange_rate="1" if same else None if rate is None else format(rate, "f"),
        base_currency=base,
        is_active=found.is_active,
        supported_denominations=[minor_text(value, found.code) for value in found.denominations],
        last_updated=rfc3339(rates.as_of) if rates and (same or rate is not None) else None,
        created_at=rfc3339(found.created_at),
        updated_at=rfc3339(found.updated_at),
    )


ROUTES: Final = (*products.ROUTES, *shelves.ROUTES, list_countries, list_currencies)
