"""What the description of the client API says of the whole."""

from __future__ import annotations

from typing import Final

from starship_core.http.openapi import Api

API: Final = Api(
    title="Starship client API",
    about=(
        "Amounts are decimal strings with the currency's own number of decimals. Times are RFC "
        "3339 in UTC. Every error has one shape; branch on its `code`. `X-Request-Id` is taken or "
        "made, and always echoed."
    ),
    security=[{"key": [], "secret": [], "signature": []}, {"key": [], "secret": []}],
    schemes={
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "secret": {"type": "apiKey", "in": "header", "name": "X-API-Secret"},
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Signature",
            "description": (
                "`t=<unix seconds>,v1=<hex HMAC-SHA256>` over METHOD, PATH, SORTED_QUERY, "
                "BODY_HASH and TIMESTAMP, joined by line feeds. Required where the credential says "
                "so."
            ),
        },
    },
)
