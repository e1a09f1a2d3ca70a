"""Kill switches and breakers: the same flows as `starship switch …`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Final, TypeVar

import msgspec
from litestar import get, post
from litestar.types import ASGIApp
from msgspec import Meta

from starship_core.admin.abilities import by, does, reads
from starship_core.admin.bodies import ReasonBody, read_body
from starship_core.errors import InvalidInput, NotFound
from starship_core.flows.switch_buying import (
    Stops,
    close_breaker,
    list_stops,
    switch_off,
    switch_on,
)
from starship_core.http.exchange import AnyRequest, json_reply, ship_of
from starship_core.http.openapi import Operation
from starship_core.http.paging import read_query
from starship_core.store.switches import Switch

T = TypeVar("T")
_TAG: Final = "Switches"
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class SwitchBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is switched, and why: without a reason it is refused."""

    scope: Name
    """`global`, `vendor:NAME` or `product:CODE`."""


class BreakerBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which breaker is closed, and why."""

    vendor: Name
    """An instance."""
    operation: Name
    """`buy`, `find`, …"""


_SWITCHED: Final = {
    "scope": "vendor:bamboo-eu", "off": True, "reason": "sells used codes",
    "actor": "operator:ana", "at": "2027-01-01T09:30:00Z",
}  # fmt: skip
_STOP: Final = {
    "vendor": "bamboo-eu", "operation": "buy", "state": "open", "cause": "Ambiguous",
    "opened_at": "2027-01-01T09:30:00Z", "next_try": "2027-01-01T09:31:00Z",
}  # fmt: skip


def _change(summary: str, about: str, body: Any, sent: Any, answer: Any) -> dict[str, Any]:
    return does(
        "switch",
        Operation(
            tag=_TAG,
            summary=summary,
            about=about,
            body=body,
            body_example=sent,
            answer=answer,
            example=_SWITCHED if answer is Switch else _STOP | {"state": "closed"},
            errors=("INVALID_INPUT",),
        ),
    )


_SENT: Final = {"scope": "vendor:bamboo-eu", "reason": "sells used codes"}
LIST: Final = reads(
    Operation(
        tag=_TAG,
        summary="What stops buying now, and what did",
        answer=Stops,
        example={"switches": [_SWITCHED], "breakers": [_STOP]},
    )
)
OFF: Final = _change(
    "STOP buying in a scope, at once and in every process",
    "What was sent is still looked up. Again: the same.",
    SwitchBody,
    _SENT,
    Switch,
)
ON: Final = _change(
    "Let buying go on in a scope, as far as no other switch is off",
    "Purchases that waited are sent while their approval holds. Again: the same.",
    SwitchBody,
    _SENT,
    Switch,
)


class ClosedBreaker(msgspec.Struct, frozen=True, kw_only=True):
    """The breaker that counts anew."""

    vendor: str
    operation: str
    state: str


CLOSE: Final = _change(
    "Let calls of a vendor's operation pass at once",
    "Only when you know that the vendor is well: the breaker counts anew. Again: the same.",
    BreakerBody,
    {"vendor": "bamboo-eu", "operation": "buy", "reason": "they say it is mended"},
    ClosedBreaker,
)
_switch = msgspec.json.Decoder(SwitchBody)
_breaker = msgspec.json.Decoder(BreakerBody)


@get("/switches", opt=LIST)
async def get_switches(request: AnyRequest) -> ASGIApp:
    read_query(request.scope["query_string"], ())
    return json_reply(await list_stops(ship_of(request)))


@post("/switches/off", status_code=200, opt=OFF)
async def stop(request: AnyRequest) -> ASGIApp:
    body = read_body(request, _switch)
    hand, ship = by(request, body.reason), ship_of(request)
    return json_reply(await _named("scope", switch_off(body.scope, hand, ship)))


@post("/switches/on", status_code=200, opt=ON)
async def go_on(request: AnyRequest) -> ASGIApp:
    body = read_body(request, _switch)
    hand, ship = by(request, body.reason), ship_of(request)
    return json_reply(await _named("scope", switch_on(body.scope, hand, ship)))


@post("/breakers/close", status_code=200, opt=CLOSE)
async def close(request: AnyRequest) -> ASGIApp:
    body = read_body(request, _breaker)
    hand, ship = by(request, body.reason), ship_of(request)
    await _named("vendor", close_breaker(body.vendor, body.operation, hand, ship))
    return json_reply(ClosedBreaker(vendor=body.vendor, operation=body.operation, state="closed"))


async def _named(field: str, done: Awaitable[T]) -> T:
    """What a body names and is not there is the body's fault: 400, where a path's is 404."""
    try:
        return await done
    except NotFound as error:
        raise InvalidInput(str(error), field=field) from None


ROUTES: Final = (get_switches, stop, go_on, close)
