"""Requests signed by a real client with anything in them, and answers held against the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, NamedTuple

from starship_core.signature import Request, sign
from tests.e2e.servers import Caller, Shop
from tests.security.raw import Answer, exchange, problem_in, request

HEADERS = list[tuple[bytes, bytes]]
JSON = (b"Content-Type", b"application/json")
KEY = (b"Idempotency-Key", b"fuzzed-0001")
GOOD = b'{"product_id":1,"denomination":"20.00","quantity":1}'


class Fuzzer:
    """Signs anything, sends it, and holds the answer against the contract."""

    def __init__(self, shop: Shop, caller: Caller) -> None:
        self.shop, self.caller = shop, caller

    def headers(self, method: str, target: bytes, body: bytes) -> HEADERS:
        path, _, query = target.partition(b"?")
        credential = self.caller.credential
        signature = sign(
            credential.signing.encode(),
            Request(method, path, query, body),
            int(self.shop.clock().timestamp()),
        )
        return [
            (b"X-API-Key", credential.key.encode()),
            (b"X-API-Secret", credential.secret.encode()),
            (b"X-Signature", signature.encode()),
        ]

    async def send(
        self, method: str, target: bytes, headers: HEADERS, body: bytes = b"", **options: bool
    ) -> Answer:
        """The answer: not a 5xx, and if it is an error, whole."""
        signed = self.headers(method, target, body) if options.get("signed", True) else []
        if options.get("length", bool(body)):
            signed.append((b"Content-Length", b"%d" % len(body)))
        answer = await exchange(self.shop.url, request(method, target, [*signed, *headers], body))
        assert answer.status < 500, (method, target[:200], headers, body[:200], answer)
        assert answer.headers["x-request-id"], answer
        if answer.status >= 400 and method != "HEAD":
            problem_in(answer)
        return answer

    async def refused(self, method: str, target: bytes, headers: HEADERS, body: bytes = b"") -> str:
        answer = await self.send(method, target, headers, body)
        assert 400 <= answer.status < 500, (method, target[:200], headers, body[:200], answer)
        return problem_in(answer)


class Route(NamedTuple):
    """An operation of the description, with ids that lead somewhere."""

    method: str
    path: bytes
    query: tuple[str, ...]
    body: bytes | None


HOOK = b'{"name":"mine","url":"https://shop.example.com/hooks","events":["order.*"]}'
BODIES = {
    "/api/v1/orders": GOOD,
    "/api/v1/webhooks": HOOK,
    "/api/v1/webhooks/{webhook_id}": b'{"is_active":true}',
    "/api/v1/webhooks/{webhook_id}/redeliver": b'{"since":"2027-01-01T00:00:00Z"}',
    "/api/v1/products/{product_id}/availability": b'{"denomination":"20.00","quantity":1}',
    "/api/v1/products/{product_id}/charges": b'{"denomination":"20.00","quantity":1}',
}
PATHS = {
    "product_id": "1", "category_id": "1", "subcategory_id": "3", "order_id": "1",
    "ref": "acme-ref", "wallet_id": "1", "transaction_id": "1",
    "webhook_id": "1", "delivery_id": "1",
}  # fmt: skip


async def routes(fuzzer: Fuzzer) -> list[Route]:
    """All that is described; a new operation with a body must say here what a good one is."""
    description = (await fuzzer.caller.http.get("/openapi.json")).json()
    found = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            query = tuple(p["name"] for p in operation["parameters"] if p["in"] == "query")
            body = BODIES[path] if "requestBody" in operation else None
            found.append(Route(method.upper(), path.format(**PATHS).encode(), query, body))
    assert len(found) >= 31
    return sorted(found, key=lambda route: route.method == "DELETE")


async def all_of(coroutines: Iterable[Coroutine[Any, Any, Any]], width: int = 8) -> list[Any]:
    """The results, in order; so many at once."""
    gate = asyncio.Semaphore(width)

    async def one(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async with gate:
            return await coroutine

    return await asyncio.gather(*map(one, coroutines))
