"""Products, their availability and their charges over HTTP (client API, section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
from litestar import get, post
from litestar.types import ASGIApp

from starship_core.catalogue import Product, Snapshot
from starship_core.errors import NotFound
from starship_core.flows.quote_charges import (
    availability,
    delivery_times,
    quote_charges,
    stock_of,
)
from starship_core.http.amounts import read_amount
from starship_core.http.errors import decode, require_json
from starship_core.http.exchange import (
    AnyRequest,
    Reply,
    body_of,
    caller,
    json_reply,
    request_id,
    ship_of,
)
from starship_core.http.openapi import ID, Operation, Parameter, documented, paged, sortable
from starship_core.http.paging import Sort, path_id, read_page, read_query, read_sort, whole
from starship_core.model import DeliveryTime
from starship_core.new_order import NewOrder
from starship_core.web.product_answer import (
    AvailabilityAnswer,
    AvailabilityBody,
    ChargesAnswer,
    ChargesBody,
    ProductAnswer,
    ProductDetail,
    Shown,
    charges_answer,
)

_MANY: Final = 200
"""Products on a page from which it is put together off the event loop."""
_SORTABLE: Final = ("id", "name")
_FILTERS: Final = ("page", "limit", "category", "country_id", "currency_id", "search", "sort")

_ITEM: Final = {
    "id": 310, "name": "Sample Store Card", "category": "Shopping", "sub_category": "Books",
    "country_id": 1, "currency_id": 3, "currency_code": "GBP",
    "image_url": "https://cdn.example.com/310.png", "delivery_type": "code_with_pin",
    "delivery_time": "INSTANT", "validity": "12 months",
    "available_denominations": [
        {"min_value": "20.00", "max_value": "20.00", "discount": "2.0"},
        {"min_value": "50.00", "max_value": "50.00", "discount": "2.5"},
    ],
}  # fmt: skip
_DETAIL: Final = {
    **_ITEM, "description": "For everything in the store.", "terms": "Not exchangeable for money.",
    "vendors": ["Sample Vendor"],
    "denominations": [
        {"value": "20.00", "delivery_time": "INSTANT", "available_quantity_hint": 50},
        {"value": "50.00", "delivery_time": "INSTANT", "available_quantity_hint": 7},
    ],
}  # fmt: skip
_CHARGES: Final = {
    "non_discounted_total": "70.41", "discount": "2.5", "discount_amount": "1.76",
    "total_amount": "68.65", "net_amount": "71.22", "handling_fee_amount": "1.03",
    "convenience_fee_amount": "0.17", "gst_amount": "0.46", "total_payable": "71.68",
    "max_quantity": 10000, "delivery_time": "INSTANT", "quote": "WzEsNyw.k1.Zm9v",
    "expires_at": "2027-01-01T09:35:00Z",
    "charges_details": {
        "source_currency": "GBP", "destination_currency": "EUR", "forex_rate": "1.17342199",
        "forex_source": "fx-fixed", "forex_as_of": "2027-01-01T06:00:00Z",
        "conversion_fee": "1.37",
    },
}  # fmt: skip


@get(
    "/products",
    opt=documented(
        Operation(
            tag="Products",
            summary="What you can order",
            about="`delivery_time` is of one unit, as of now.",
            answer=list[ProductAnswer],
            example=[_ITEM],
            query=(
                *paged(),
                sortable(*_SORTABLE),
                Parameter("category", "Id, name or slug of a category or a subcategory."),
                Parameter("country_id", "Only this country's.", ID),
                Parameter("currency_id", "Only in this currency.", ID),
                Parameter("search", "Part of the name or the brand, in any case."),
            ),
        )
    ),
)
async def list_products(request: AnyRequest) -> ASGIApp:
    query = read_query(request.scope["query_string"], _FILTERS)
    page, sort = read_page(query), read_sort(query, _SORTABLE, default=Sort())
    ship, client = ship_of(request), caller(request)
    snapshot = await ship.catalogue.current()
    found = _sorted(_selected(snapshot, query), sort)
    products = page.of(found)
    times = await delivery_times(products, client, ship)
    headers = page.headers(total=len(found), size=len(products))
    reply = partial(_listed, Shown(snapshot, client, ship), products, times, headers)
    return reply() if len(products) < _MANY else await asyncio.to_thread(reply)


def _listed(
    shown: Shown,
    products: Sequence[Product],
    times: Mapping[int, DeliveryTime],
    headers: Mapping[str, str],
) -> Reply:
    return json_reply([shown.item(each, times[each.id]) for each in products], headers)


def _selected(snapshot: Snapshot, query: Mapping[str, str]) -> list[Product]:
    """The active products that pass every filter, by id."""
    country, currency = whole(query, "country_id"), whole(query, "currency_id")
    code = None if currency is None else snapshot.currencies.get(currency)
    search, shelves = query.get("search", "").casefold(), _shelves(snapshot, query)
    return [
        product
        for product in snapshot.products.values()
        if product.is_active
        and (country is None or product.country_id == country)
        and (currency is None or (code is not None and product.currency == code.code))
        and (shelves is None or product.category_id in shelves or product.subcategory_id in shelves)
        and (search in product.name.casefold() or search in (product.brand or "").casefold())
    ]


def _shelves(snapshot: Snapshot, query: Mapping[str, str]) -> set[int] | None:
    """Ids of the categories and subcategories that are meant; None: all."""
    wanted = query.get("category", "").casefold()
    if not wanted:
        return None
    return {
        shelf.id
        for shelf in snapshot.categories.values()
        if wanted in (str(shelf.id), shelf.slug, shelf.name.casefold())
    }


def _sorted(products: list[Product], sort: Sort) -> list[Product]:
    if sort.field == "name":
        products.sort(key=lambda product: (product.name.casefold(), product.id))
    return products[::-1] if sort.descending else products


@get(
    "/products/{product_id:str}",
    opt=documented(
        Operation(
            tag="Products",
            summary="One product",
            about="With the stock of each fixed denomination, as of now.",
            answer=ProductDetail,
            example=_DETAIL,
        )
    ),
)
async def get_product(request: AnyRequest) -> ASGIApp:
    product_id = path_id(request.path_params["product_id"], "product")
    read_query(request.scope["query_string"], ())
    ship, client = ship_of(request), caller(request)
    snapshot = await ship.catalogue.current()
    product = snapshot.product(product_id)
    if product is None:
        raise NotFound("product", product_id)
    stock = await stock_of(product, client, ship)
    instant = len(stock) == len(product.denominations) and all(stock.values())
    shown = Shown(snapshot, client, ship)
    return json_reply(shown.whole(product, "INSTANT" if instant else "DELAYED", stock))


_availability_body = msgspec.json.Decoder(AvailabilityBody)
_charges_body = msgspec.json.Decoder(ChargesBody)
_ASKED: Final = {"denomination": "20.00", "quantity": 3}


@post(
    "/products/{product_id:str}/availability",
    status_code=200,
    opt=documented(
        Operation(
            tag="Products",
            summary="Could I order this now, and when would it come?",
            about="The answer rests on the rows that an order would take; it reserves nothing.",
            body=AvailabilityBody,
            body_example=_ASKED,
            answer=AvailabilityAnswer,
            example={"is_available": True, "delivery_time": "INSTANT", "max_quantity": 10000},
            errors=("INVALID_INPUT",),
        )
    ),
)
async def post_availability(request: AnyRequest) -> ASGIApp:
    product_id = await _known_product(request)
    require_json(request.scope["headers"])
    body = decode(body_of(request), _availability_body)
    denomination = read_amount(body.denomination, "denomination")
    client, ship = caller(request), ship_of(request)
    found = await availability(product_id, denomination, body.quantity, client=client, ship=ship)
    answer = AvailabilityAnswer(found.is_available, found.delivery_time, found.max_quantity)
    return json_reply(answer)


@post(
    "/products/{product_id:str}/charges",
    status_code=200,
    opt=documented(
        Operation(
            tag="Products",
            summary="What would this cost?",
            about="An order that sends `quote` back in time is charged exactly this.",
            body=ChargesBody,
            body_example={**_ASKED, "wallet_id": 12},
            answer=ChargesAnswer,
            example=_CHARGES,
            errors=("INVALID_INPUT",),
        )
    ),
)
async def post_charges(request: AnyRequest) -> ASGIApp:
    product_id = await _known_product(request)
    require_json(request.scope["headers"])
    body = decode(body_of(request), _charges_body)
    asked = NewOrder(
        key="",
        product_id=product_id,
        denomination=read_amount(body.denomination, "denomination"),
        quantity=body.quantity,
        wallet_id=body.wallet_id,
        request_id=request_id(request),
    )
    return json_reply(charges_answer(await quote_charges(asked, caller(request), ship_of(request))))


async def _known_product(request: AnyRequest) -> int:
    """A path that leads nowhere is told before anything is said of the body."""
    product_id = path_id(request.path_params["product_id"], "product")
    read_query(request.scope["query_string"], ())
    if product_id not in (await ship_of(request).catalogue.current()).products:
        raise NotFound("product", product_id)
    return product_id


ROUTES: Final = (list_products, get_product, post_availability, post_charges)
