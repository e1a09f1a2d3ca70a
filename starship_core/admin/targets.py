"""Targets and standing approvals over HTTP: the same flows as `starship target …`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import delete, get, post, put
from litestar.types import ASGIApp
from msgspec import Meta, Raw, field

from starship_core.admin.abilities import by, does, reads
from starship_core.admin.bodies import ReasonBody, read_body, read_reason
from starship_core.errors import NotFound
from starship_core.flows.manage_targets import (
    MOST,
    Grant,
    TargetTerms,
    Wish,
    approve_ahead,
    drop_target,
    keep_target,
    revoke_ahead,
    terms_of,
)
from starship_core.flows.read_targets import (
    StandingFacts,
    TargetFacts,
    list_targets,
    standing_facts,
)
from starship_core.http.amounts import Amount, read_amount
from starship_core.http.errors import Problem, invalid
from starship_core.http.exchange import AnyRequest, json_reply, ship_of
from starship_core.http.openapi import Operation, Parameter
from starship_core.http.paging import path_id, read_query

_TAG: Final = "Targets"
_LONGEST_REASON: Final = 500
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Names = Annotated[list[Name], Meta(max_length=20)]
Count = Annotated[int, Meta(gt=0, le=MOST)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]


class TargetBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of a target: what is left out is no more."""

    minimum: Count
    """Once less is on sale, the pump fills up."""
    maximum: Count
    """To which it fills up."""
    budget: Amount = field(default_factory=Raw)  # a Raw cannot be part of a union
    """At most this for all of it; of a target, for what one run plans."""
    currency: Currency | None = None
    """Of the ceiling or budget; left out: the product's."""
    vendors: Names = field(default_factory=list)
    """Instances in order: the next one is asked after a refusal."""


class StandingBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A yes to buying ahead of orders; without a reason it is refused."""

    budget: Amount
    """At most this for all of it; of a target, for what one run plans."""
    currency: Currency | None = None
    """Of the ceiling or budget; left out: the product's."""
    expires_hours: Annotated[int, Meta(gt=0, le=2208)]
    """Nothing is sent after that."""
    vendors: Names = field(default_factory=list)
    """Instances in order: the next one is asked after a refusal."""


_STANDING: Final = {
    "id": 9, "sku": "310/20.00/GBP", "state": "STANDING", "vendors": ["bamboo-eu"],
    "budget": "2000.00 GBP", "left": "1088.00 GBP", "expires_at": "2027-02-01T00:00:00Z",
    "approved_by": "operator:ana", "approved_because": "sale in January",
}  # fmt: skip
_TARGET: Final = {
    "product": "sample-store-gb", "product_id": 310, "denomination": "20.00",
    "sku": "310/20.00/GBP", "minimum": 50, "maximum": 60, "on_sale": 12, "under_way": 48,
    "budget": "1000.00 GBP", "vendors": ["bamboo-eu"], "approvals": [_STANDING],
}  # fmt: skip
_DENOMINATION: Final = Parameter(
    "denomination",
    "The face value, such as `20.00`.",
    {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,3})?$"},
    required=True,
)
LIST: Final = reads(
    Operation(
        tag=_TAG,
        summary="How much is kept on sale, how it stands, and what may be bought for it",
        answer=list[TargetFacts],
        example=[_TARGET],
    )
)
SET: Final = does(
    "pump",
    Operation(
        tag=_TAG,
        summary="Keep so many on sale, from the next pump on",
        about=(
            "Takes the place of the target that there was. A target buys nothing: vendors are only "
            "asked under a standing approval. Again: the same."
        ),
        body=TargetBody,
        body_example={"minimum": 50, "maximum": 60, "vendors": ["bamboo-eu"], "budget": "1000.00"},
        answer=TargetFacts,
        example=_TARGET,
        path=(_DENOMINATION,),
        errors=("INVALID_INPUT",),
    ),
)
REMOVE: Final = does(
    "pump",
    Operation(
        tag=_TAG,
        summary="Take all that the sources have again, and buy none",
        about="Its standing approvals end. Again: 404.",
        query=(Parameter("reason", "Goes into the audit, for who reads it later."),),
        answer=TargetTerms,
        example={
            "sku": "310/20.00/GBP",
            "minimum": 50,
            "maximum": 60,
            "budget": "1000.00 GBP",
            "vendors": ["bamboo-eu"],
        },
        path=(_DENOMINATION,),
        errors=("INVALID_INPUT",),
    ),
)
APPROVE: Final = does(
    "approve",
    Operation(
        tag=_TAG,
        summary="Let the pump buy what its sources do not have, within a budget",
        about=(
            "Again, word for word within ten minutes: the same one as it stands. Otherwise each is "
            "another budget."
        ),
        body=StandingBody,
        body_example={"budget": "2000.00", "expires_hours": 720, "reason": "sale in January"},
        answer=StandingFacts,
        example=_STANDING | {"left": "2000.00 GBP"},
        path=(_DENOMINATION,),
        errors=("INVALID_INPUT",),
    ),
)
REVOKE: Final = does(
    "approve",
    Operation(
        tag=_TAG,
        summary="End a standing approval: nothing more is planned or sent under it",
        about="What was sent is looked up until it is known. Again: the same.",
        body=ReasonBody,
        body_example={"reason": "found a better price"},
        answer=StandingFacts,
        example=_STANDING | {"state": "ENDED"},
    ),
)
_target = msgspec.json.Decoder(TargetBody)
_standing = msgspec.json.Decoder(StandingBody)
_PATH: Final = "/targets/{product_id:str}/{denomination:str}"


@get("/targets", opt=LIST)
async def get_targets(request: AnyRequest) -> ASGIApp:
    read_query(request.scope["query_string"], ())
    return json_reply(await list_targets(ship_of(request)))


@put(_PATH, status_code=200, opt=SET)
async def put_target(request: AnyRequest) -> ASGIApp:
    body, ship = read_body(request, _target), ship_of(request)
    product, denomination = _sku(request)
    wish = Wish(
        product=product, denomination=denomination, minimum=body.minimum, maximum=body.maximum,
        budget=_budget(body.budget), currency=body.currency, vendors=tuple(body.vendors),
    )  # fmt: skip
    kept = await keep_target(wish, by(request, body.reason), ship)
    (found,) = await list_targets(ship, kept.sku)
    return json_reply(found)


@delete(_PATH, status_code=200, opt=REMOVE)
async def delete_target(request: AnyRequest) -> ASGIApp:
    reason = read_query(request.scope["query_string"], ("reason",)).get("reason", "")
    if len(reason) > _LONGEST_REASON:
        raise invalid("reason", "length", f"at most {_LONGEST_REASON} characters")
    gone = await drop_target(*_sku(request), by(request, reason), ship_of(request))
    return json_reply(terms_of(gone))


@post(f"{_PATH}/approve", status_code=200, opt=APPROVE)
async def approve(request: AnyRequest) -> ASGIApp:
    body, ship = read_body(request, _standing), ship_of(request)
    product, denomination = _sku(request)
    grant = Grant(
        product=product, denomination=denomination, budget=str(read_amount(body.budget, "budget")),
        currency=body.currency, vendors=tuple(body.vendors),
        expires_at=ship.now() + timedelta(hours=body.expires_hours),
    )  # fmt: skip
    return json_reply(standing_facts(await approve_ahead(grant, by(request, body.reason), ship)))


@post("/standing-approvals/{approval_id:str}/revoke", status_code=200, opt=REVOKE)
async def revoke(request: AnyRequest) -> ASGIApp:
    reason = read_reason(request)
    approval_id = path_id(request.path_params["approval_id"], "standing approval")
    hand, ship = by(request, reason), ship_of(request)
    return json_reply(standing_facts(await revoke_ahead(approval_id, hand, ship)))


def _sku(request: AnyRequest) -> tuple[int, str]:
    """By the product's id; what cannot be a face value is not found."""
    product_id = path_id(request.path_params["product_id"], "product")
    denomination = request.path_params["denomination"]
    try:
        read_amount(Raw(f'"{denomination}"'.encode()), "denomination")
    except Problem:
        raise NotFound("denomination", denomination[:32]) from None
    return product_id, denomination


def _budget(raw: Raw) -> str | None:
    """None: it was left out; a null is no amount."""
    return str(read_amount(raw, "budget")) if bytes(raw) else None


ROUTES: Final = (get_targets, put_target, delete_target, approve, revoke)
