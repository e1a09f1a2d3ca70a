"""The pump, by hand: the same flow as `starship pump`."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from starship_core.admin.abilities import by, does
from starship_core.admin.bodies import PumpBody, read_body
from starship_core.errors import InvalidInput
from starship_core.flows.pump_inventory import pump, rehearse
from starship_core.http.exchange import AnyRequest, json_reply, ship_of
from starship_core.http.openapi import Operation
from starship_core.ports import InventorySource
from starship_core.ship import Ship
from starship_core.stock.report import Pumped

_body = msgspec.json.Decoder(PumpBody)

PUMP: Final = does(
    "pump",
    Operation(
        tag="Stock",
        summary="Fetch vouchers from the sources and load the pool",
        about=(
            "Answers when it is done. A source that could not be read to its end has a `fault`; "
            "the others went on. What `targets` still miss after all sources is planned to be "
            "bought, under standing approvals; a worker sends it. Again: takes what is new. 409 "
            "while another pump runs."
        ),
        body=PumpBody,
        body_example={"source": "incoming", "reason": "a delivery came"},
        answer=Pumped,
        example={
            "sources": [{"source": "incoming", "counts": {"taken": 3}}],
            "skus": [{"sku": "310/20.00/GBP", "taken": 3, "on_sale": 12}],
            "pooled": 3, "expired": 0, "recalled": 0, "blocked_as_duplicates": 0,
            "pool": "equal", "repaired": 0,
            "targets": [
                {
                    "sku": "310/20.00/GBP", "product": "sample-store-gb", "minimum": 50,
                    "maximum": 60, "had": 9, "pulled": 3, "under_way": 0, "why": None,
                    "ahead": [
                        {
                            "vendor": "bamboo-eu", "quantity": 48, "ceiling": "912.00 GBP",
                            "approval_id": 9, "purchases": [13, 14],
                        }
                    ],
                }
            ],
        },
        errors=("INVALID_INPUT", "WRONG_STATE"),
    ),
)  # fmt: skip


@post("/pump", status_code=200, opt=PUMP)
async def run_pump(request: AnyRequest) -> ASGIApp:
    body, ship = read_body(request, _body), ship_of(request)
    sources = None if body.source is None else {body.source: _chosen(ship, body.source)}
    if body.dry_run:
        return json_reply(await rehearse(ship, sources=sources))
    return json_reply(await pump(ship, by=by(request, body.reason), sources=sources))


def _chosen(ship: Ship, name: str) -> InventorySource:
    if name not in ship.sources:
        known = ", ".join(ship.sources) or "none"
        raise InvalidInput(f"there is no source {name}; configured are: {known}", field="source")
    return ship.sources[name]


ROUTES: Final = (run_pump,)
