"""POST /signature/explain: in a test deployment, what the server would have signed."""

from __future__ import annotations

import hashlib
from typing import Final

from litestar import post
from litestar.types import ASGIApp
from msgspec import Struct

from starship_core.http.errors import header
from starship_core.http.exchange import AnyRequest, body_of, json_reply, ship_of
from starship_core.http.openapi import Operation, documented
from starship_core.signature import Request, canonical, parse


class Explanation(Struct, frozen=True, kw_only=True):
    """Compare it line by line with your own."""

    canonical: str
    """What the HMAC is made of; TIMESTAMP is that of your signature, or the server's time."""
    body_sha256: str
    server_time: int
    timestamp: int | None
    """As your signature has it; null when there is none to read."""
    accepted: bool
    reason: str | None
    """Why not; told here and nowhere else."""


_EXAMPLE: Final = {
    "canonical": "POST\n/api/v1/signature/explain\n\n"
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n1767225600",
    "body_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "server_time": 1767225601,
    "timestamp": 1767225600,
    "accepted": False,
    "reason": "signature does not match",
}


@post(
    "/signature/explain",
    status_code=200,
    opt=documented(
        Operation(
            tag="Signature",
            summary="What the server would have signed",
            about=(
                "Test deployments only. Send any body and query with the signature in question; "
                "key and secret must be right. The right signature is never shown."
            ),
            answer=Explanation,
            example=_EXAMPLE,
        )
    ),
)
async def explain_signature(request: AnyRequest) -> ASGIApp:
    scope, body = request.scope, body_of(request)
    signature = parse(header(scope["headers"], b"x-signature") or b"")
    now = int(ship_of(request).now().timestamp())
    timestamp = signature.timestamp if signature else str(now)
    path = scope.get("raw_path") or scope["path"].encode()
    text = canonical(Request(scope["method"], path, scope["query_string"], body), timestamp)
    fault: str | None = scope["state"]["starship_signature_fault"]
    return json_reply(
        Explanation(
            canonical=text.decode("latin-1"),
            body_sha256=hashlib.sha256(body).hexdigest(),
            server_time=now,
            timestamp=int(signature.timestamp) if signature else None,
            accepted=fault is None,
            reason=fault,
        )
    )


ROUTES: Final = (explain_signature,)
