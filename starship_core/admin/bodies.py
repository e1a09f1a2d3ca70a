"""What operators send, strictly: unknown fields are refused by name."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from starship_core.http.errors import decode, require_json
from starship_core.http.exchange import AnyRequest, body_of
from starship_core.http.paging import read_query

T = TypeVar("T")
Id = Annotated[int, Meta(gt=0, le=2**63 - 1)]
Reason = Annotated[str, Meta(max_length=500)]


class ReasonBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done."""

    reason: Reason = ""
    """Goes into the audit, for who reads it later."""


_reason = msgspec.json.Decoder(ReasonBody)


class RefundBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which items are refunded, and why."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=10_000)] | None = None
    """Ordinals of delivered items; left out: all that were not refunded before."""


class ReplaceBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which item gets another voucher, and why."""

    item: Id
    """Its ordinal."""


class PumpBody(ReasonBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is pumped."""

    source: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    """Only this one, a section `[sources.NAME]`; left out: all."""
    dry_run: bool = False
    """Tell what would happen, and change nothing."""


def read_reason(request: AnyRequest) -> str:
    """Of a body that is a reason and nothing else. Raises as `read_body`."""
    return read_body(request, _reason).reason


def read_body(request: AnyRequest, decoder: msgspec.json.Decoder[T]) -> T:
    """The body, which must be JSON of its schema; a query is refused. Raises `Problem` 400, 415."""
    require_json(request.scope["headers"])
    body = decode(body_of(request), decoder)
    read_query(request.scope["query_string"], ())
    return body
