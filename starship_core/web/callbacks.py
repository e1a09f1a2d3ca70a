"""POST /vendors/{instance}/callback: a vendor says that something became of a purchase.

The gate lets only vendors in that are configured and read callbacks. Whatever is sent, the answer
is the same 204: it tells nobody which references are ours.
"""

from __future__ import annotations

from typing import Final

from litestar import post
from litestar.types import ASGIApp

from starship_core.flows.hear_callback import hear_callback
from starship_core.http.exchange import AnyRequest, Reply, body_of, ship_of


@post("/vendors/{instance:str}/callback", status_code=200)  # the reply itself says 204
async def called_back(request: AnyRequest) -> ASGIApp:
    instance: str = request.path_params["instance"]
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in request.scope["headers"]
    }
    await hear_callback(instance, headers, body_of(request), ship_of(request))
    return Reply(b"", status=204)


ROUTES: Final = (called_back,)
