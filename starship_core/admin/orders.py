"""Orders in the hands of operators: the same flows as `starship order …`."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import get, post
from litestar.types import ASGIApp

from starship_core.admin.abilities import by
from starship_core.admin.bodies import RefundBody, ReplaceBody, read_body, read_reason
from starship_core.admin.order_answer import queued, shown, whole
from starship_core.admin.order_description import (
    CANCEL,
    EXPLAIN,
    QUEUE,
    REFUND,
    REPLACE,
    RETRY,
    SHOW,
)
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.explain_order import explain_order
from starship_core.flows.list_waiting import list_waiting
from starship_core.flows.refund_order import refund_order
from starship_core.flows.replace_voucher import replace_voucher
from starship_core.flows.retry_order import retry_order
from starship_core.flows.show_order import show_order
from starship_core.http.exchange import AnyRequest, json_reply, ship_of
from starship_core.http.paging import path_id, read_page, read_query
from starship_core.http.paging import whole as whole_number

_refund = msgspec.json.Decoder(RefundBody)
_replace = msgspec.json.Decoder(ReplaceBody)


@get("/queue", opt=QUEUE)
async def get_queue(request: AnyRequest) -> ASGIApp:
    query = read_query(request.scope["query_string"], ("page", "limit", "client_id", "product_id"))
    page = read_page(query, default=50, largest=100)
    waiting, total = await list_waiting(
        ship_of(request),
        client_id=whole_number(query, "client_id"),
        product_id=whole_number(query, "product_id"),
        offset=page.offset,
        limit=page.limit,
    )
    return json_reply(
        [queued(each) for each in waiting], page.headers(total=total, size=len(waiting))
    )


@get("/orders/{order_id:str}", opt=SHOW)
async def get_order(request: AnyRequest) -> ASGIApp:
    read_query(request.scope["query_string"], ())
    return json_reply(whole(*await show_order(order_id(request), ship_of(request))))


@get("/orders/{order_id:str}/explain", opt=EXPLAIN)
async def get_explanation(request: AnyRequest) -> ASGIApp:
    read_query(request.scope["query_string"], ())
    return json_reply(await explain_order(order_id(request), ship_of(request)))


@post("/orders/{order_id:str}/retry", status_code=200, opt=RETRY)
async def retry(request: AnyRequest) -> ASGIApp:
    hand = by(request, read_reason(request))
    return json_reply(shown(await retry_order(order_id(request), hand, ship_of(request))))


@post("/orders/{order_id:str}/cancel", status_code=200, opt=CANCEL)
async def cancel(request: AnyRequest) -> ASGIApp:
    hand = by(request, read_reason(request))
    return json_reply(shown(await cancel_order(order_id(request), hand, ship_of(request))))


@post("/orders/{order_id:str}/refund", status_code=200, opt=REFUND)
async def refund(request: AnyRequest) -> ASGIApp:
    body = read_body(request, _refund)
    hand, ship = by(request, body.reason), ship_of(request)
    return json_reply(shown(await refund_order(order_id(request), hand, ship, items=body.items)))


@post("/orders/{order_id:str}/replace", status_code=200, opt=REPLACE)
async def replace(request: AnyRequest) -> ASGIApp:
    body = read_body(request, _replace)
    hand, ship = by(request, body.reason), ship_of(request)
    return json_reply(shown(await replace_voucher(order_id(request), body.item, hand, ship)))


def order_id(request: AnyRequest) -> int:
    """The one in the path. Raises NotFound when it cannot be one."""
    return path_id(request.path_params["order_id"], "order")


ROUTES: Final = (get_queue, get_order, get_explanation, retry, cancel, refund, replace)
