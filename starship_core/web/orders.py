"""Orders over HTTP (client API, section 6)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.types import ASGIApp
from msgspec import Meta

from starship_core.clock import Clock, micros
from starship_core.errors import NotFound
from starship_core.flows.explain_order import order_timeline
from starship_core.flows.place_order import Replayed, place_order
from starship_core.flows.read_order import (
    Asker,
    OrderFilter,
    OrderView,
    id_by_reference,
    list_orders,
    read_order,
)
from starship_core.http.amounts import read_amount
from starship_core.http.errors import decode, idempotency_key, invalid, require_json
from starship_core.http.exchange import (
    AnyRequest,
    body_of,
    caller,
    json_reply,
    request_id,
    serving,
    ship_of,
)
from starship_core.http.express import EXPRESS
from starship_core.http.paging import path_id, read_page, read_query, whole
from starship_core.new_order import NewOrder
from starship_core.web.order_answer import just_placed, summary, whole_order
from starship_core.web.order_description import (
    LIST,
    PLACE,
    READ,
    READ_BY_REFERENCE,
    STATUSES,
    TIMELINE,
    OrderBody,
)

_METADATA_BYTES: Final = 4096
_VOUCHERS_A_PAGE: Final = 1000
_AGE: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_body = msgspec.json.Decoder(OrderBody)
_sorted = msgspec.json.Encoder(order="sorted").encode


@post("/orders", status_code=200, opt={**PLACE, **EXPRESS})
async def create_order(request: AnyRequest) -> ASGIApp:
    """Place an order: delivered in this answer from the pool, or parked as PENDING."""
    require_json(request.scope["headers"])
    key = idempotency_key(request.scope["headers"])
    new = _new_order(decode(body_of(request), _body), key, request_id(request))
    read_query(request.scope["query_string"], ())
    ship, client = ship_of(request), caller(request)
    placed = await place_order(new, client, ship)
    if isinstance(placed, Replayed):
        ship.limits.refund(client, "orders")
        serving(request).metrics.order("replayed")
        view = await read_order(placed.order_id, Asker(client, new.request_id), ship)
        return json_reply(_whole(view), {"Idempotency-Replayed": "true"})
    serving(request).metrics.order("delivered" if placed.units else "pending")
    return json_reply(just_placed(placed.order, placed.units))


def _new_order(body: OrderBody, key: str, asked_in: str) -> NewOrder:
    metadata = _sorted(body.metadata)
    if len(metadata) > _METADATA_BYTES:
        raise invalid("metadata", "length", f"may have at most {_METADATA_BYTES} bytes as JSON")
    info = body.customer_info
    return NewOrder(
        key=key,
        product_id=body.product_id,
        denomination=read_amount(body.denomination, "denomination"),
        quantity=body.quantity,
        wallet_id=body.wallet_id,
        ref=body.ref,
        email=body.email,
        mobile=body.mobile,
        customer_info=None if info is None else _sorted(info).decode(),
        metadata=metadata.decode(),
        quote=body.quote,
        request_id=asked_in,
    )


@get("/orders/{order_id:str}", opt=READ)
async def get_order(request: AnyRequest) -> ASGIApp:
    """One order, whole, with its vouchers; every reveal is audited."""
    return await _read(request, path_id(request.path_params["order_id"], "order"))


@get("/orders/by-reference/{ref:str}", opt=READ_BY_REFERENCE)
async def get_order_by_reference(request: AnyRequest) -> ASGIApp:
    """One order by the client's own reference."""
    ref = request.path_params["ref"]
    if not (ref.isascii() and ref.isprintable()):  # PostgreSQL takes no NUL
        raise NotFound("order", ref)
    return await _read(request, await id_by_reference(ref, caller(request), ship_of(request)))


async def _read(request: AnyRequest, order_id: int) -> ASGIApp:
    query = read_query(request.scope["query_string"], ("vouchers_page",))
    page = whole(query, "vouchers_page")
    asker = Asker(caller(request), request_id(request))
    view = await read_order(order_id, asker, ship_of(request))
    if page is None:
        return json_reply(_whole(view))
    first = (page - 1) * _VOUCHERS_A_PAGE
    part = view._replace(units=view.units[first : first + _VOUCHERS_A_PAGE])
    headers = {"X-Has-More": str(len(view.units) > first + _VOUCHERS_A_PAGE).lower()}
    return json_reply(_whole(part), headers)


def _whole(view: OrderView) -> Any:
    return whole_order(view.order, view.items, view.units)


@get("/orders", opt=LIST)
async def get_orders(request: AnyRequest) -> ASGIApp:
    """The client's orders, newest first, without vouchers."""
    ship = ship_of(request)
    query = read_query(request.scope["query_string"], _PARAMETERS)
    page = read_page(query, default=10, largest=100)
    orders, total = await list_orders(
        _filter(query, ship.now), caller(request), ship, page=page.number, limit=page.limit
    )
    return json_reply([summary(o) for o in orders], page.headers(total=total, size=len(orders)))


_PARAMETERS: Final = (
    "page", "limit", "status", "product_id", "reference_code", "placed_after", "placed_before",
    "older_than",
)  # fmt: skip


def _filter(query: dict[str, str], now: Clock) -> OrderFilter:
    status = query.get("status")
    if status is not None and status.upper() not in STATUSES:
        raise invalid("status", "enum", f"must be one of {', '.join(sorted(STATUSES))}")
    before = [_time(query, "placed_before"), _older_than(query, now)]
    return OrderFilter(
        status=status,
        product_id=whole(query, "product_id"),
        reference_code=query.get("reference_code"),
        placed_after=_time(query, "placed_after"),
        placed_before=min((each for each in before if each), default=None),
    )


def _time(query: dict[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return _in_range(msgspec.convert(text, type=Annotated[datetime, Meta(tz=True)]))
    except (msgspec.ValidationError, OverflowError):
        raise invalid(name, "format", "must be a time such as 2027-06-30T23:59:59Z") from None


def _in_range(instant: datetime) -> datetime:
    micros(instant)
    return instant


def _older_than(query: dict[str, str], now: Clock) -> datetime | None:
    text = query.get("older_than")
    if text is None:
        return None
    found = _AGE.fullmatch(text)
    if not found:
        raise invalid("older_than", "format", "must be a number and s, m, h or d, such as 24h")
    try:
        return now() - timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise invalid("older_than", "range", "is before all time") from None


@get("/orders/{order_id:str}/timeline", opt=TIMELINE)
async def get_timeline(request: AnyRequest) -> ASGIApp:
    """What happened to the order, why, and what is next."""
    read_query(request.scope["query_string"], ())
    wanted = path_id(request.path_params["order_id"], "order")
    return json_reply(await order_timeline(wanted, caller(request), ship_of(request)))


ROUTES: Final = (create_order, get_orders, get_order, get_order_by_reference, get_timeline)
