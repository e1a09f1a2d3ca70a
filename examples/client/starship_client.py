#!/usr/bin/env python3
"""A client of the starship API in plain Python: no package but the standard library.

Where to and as whom comes from the environment:

    export STARSHIP_URL=http://127.0.0.1:8080
    export STARSHIP_API_KEY=sk_test_…  STARSHIP_API_SECRET=…
    export STARSHIP_SIGNING_SECRET=whsec_…        # left out: requests are not signed

    python starship_client.py list [SEARCH]
    python starship_client.py get PRODUCT
    python starship_client.py charges PRODUCT DENOMINATION QUANTITY
    python starship_client.py order PRODUCT DENOMINATION QUANTITY [KEY]
    python starship_client.py read ORDER
    python starship_client.py sign METHOD TARGET TIMESTAMP < BODY
    python starship_client.py verify ID TIMESTAMP SIGNATURE < BODY      # of a webhook

Copy it, or take `canonical` and `signature` out of it: docs/signature-vectors.json proves them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

ATTEMPTS = 5
"""How often a request that may be repeated is sent before we give up."""
TOLERANCE = 300
"""Seconds that a webhook may be old: who recorded one cannot send it again much later."""


def canonical(method: str, target: str, body: bytes, timestamp: str) -> str:
    """The five lines that are signed; `target` is path and query exactly as they are sent."""
    path, _, query = target.partition("?")
    pairs = sorted(
        (_decoded(key), _decoded(value))
        for key, _, value in (part.partition("=") for part in query.split("&") if part)
    )
    sorted_query = "&".join(
        f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs
    )
    body_hash = hashlib.sha256(body).hexdigest()
    return f"{method.upper()}\n{path}\n{sorted_query}\n{body_hash}\n{timestamp}"


def _decoded(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " "))


def signature(signing_secret: str, text: str) -> str:
    """Lower-case hex; the key is the whole `whsec_…` string."""
    return hmac.new(signing_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def webhook_signature(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    """What one entry of `webhook-signature` must be; the key is what follows `whsec_`, decoded."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{event_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()}"


def verify_webhook(secret: str, headers: dict[str, str], body: bytes, now: float) -> Any:
    """The event of a webhook that is ours and fresh; ValueError for every other one.

    `headers` by their lower-case names, `body` the bytes as they came. Remember its `event_id`, as
    it may come again, and let no lower `data.revision` overwrite a higher one.
    """
    event_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE:
        raise ValueError("the webhook is too old, or from the future")
    right = webhook_signature(secret, event_id, timestamp, body)
    given = headers["webhook-signature"].split()  # two while the secret is being rotated
    if not any(hmac.compare_digest(right.encode(), each.encode()) for each in given):
        raise ValueError("the webhook's signature is wrong")
    return json.loads(body)


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is the JSON."""

    status: int
    headers: dict[str, str]
    body: Any


class ApiError(Exception):
    """The server said no. Branch on `code`, show `message`, quote `request_id` to support."""

    def __init__(self, answer: Answer) -> None:
        error = answer.body["error"] if isinstance(answer.body, dict) else {}
        self.status = answer.status
        self.code: str = error.get("code", "UNREADABLE")
        self.message: str = error.get("message", "the answer was not the API's")
        self.request_id: str = error.get("request_id", "")
        self.retry_after = float(answer.headers.get("retry-after", "1"))
        super().__init__(f"{answer.status} {self.code}: {self.message} ({self.request_id})")


class Client:
    """One connection to one server as one client. Not for several threads at once."""

    def __init__(self, url: str, key: str, secret: str, signing_secret: str | None = None) -> None:
        where = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(where.hostname or "", where.port, timeout=30)
        self._key, self._secret, self._signing_secret = key, secret, signing_secret

    def products(self, search: str = "", **query: Any) -> list[dict[str, Any]]:
        """One page of the catalogue."""
        query |= {"search": search} if search else {}
        found: list[dict[str, Any]] = self.get("/products", query)
        return found

    def product(self, product_id: int) -> Any:
        return self.get(f"/products/{product_id}")

    def charges(self, product_id: int, denomination: str, quantity: int = 1) -> Any:
        """What an order would cost, with a `quote` that keeps this price for five minutes."""
        order = {"denomination": denomination, "quantity": quantity}
        return self.send("POST", f"/products/{product_id}/charges", order).body

    def order(self, body: dict[str, Any], key: str | None = None) -> Answer:
        """Place an order, once, whatever the network does.

        Without an answer nobody knows whether the order exists. Sending the *same* body under the
        *same* key settles it: the server answers with the order it has, or places it now. So make
        the key before the first attempt and keep it beside your own record of the purchase.
        """
        return self.send("POST", "/orders", body, {"Idempotency-Key": key or str(uuid.uuid4())})

    def read(self, order_id: int) -> Any:
        """The order with its codes."""
        return self.get(f"/orders/{order_id}")

    def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        return self.send("GET", target).body

    def send(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Repeat what got no answer, 429 or 503; raise `ApiError` for every other refusal."""
        raw = b"" if body is None else json.dumps(body).encode()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self.once(method, target, raw, headers)
            except (OSError, http.client.HTTPException):
                self._connection.close()  # the next request opens a new one
                if attempt == ATTEMPTS:
                    raise
                time.sleep(0.2 * 2**attempt)
                continue
            if answer.status < 400:
                return answer
            error = ApiError(answer)
            if answer.status not in (429, 503) or attempt == ATTEMPTS:
                raise error
            time.sleep(error.retry_after)
        raise AssertionError

    def once(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Sign and send a single request and return whatever came back."""
        target = f"/api/v1{target}"
        sent = {"X-API-Key": self._key, "X-API-Secret": self._secret}
        if body:
            sent["Content-Type"] = "application/json"
        if self._signing_secret:
            timestamp = str(int(time.time()))
            text = canonical(method, target, body, timestamp)
            sent["X-Signature"] = f"t={timestamp},v1={signature(self._signing_secret, text)}"
        self._connection.request(method, target, body or None, sent | (headers or {}))
        response = self._connection.getresponse()
        raw = response.read()
        names = {name.lower(): value for name, value in response.getheaders()}
        is_json = names.get("content-type", "").startswith("application/json")
        return Answer(response.status, names, json.loads(raw) if is_json else None)

    def close(self) -> None:
        self._connection.close()


def from_environment() -> Client:
    """A client as the environment describes it."""
    try:
        return Client(
            os.environ.get("STARSHIP_URL", "http://127.0.0.1:8080"),
            os.environ["STARSHIP_API_KEY"],
            os.environ["STARSHIP_API_SECRET"],
            os.environ.get("STARSHIP_SIGNING_SECRET"),
        )
    except KeyError as missing:
        sys.exit(f"set {missing.args[0]} in the environment")


def run(words: list[str]) -> str:
    """Do what the command line says and return what to print."""
    match words:
        case ["sign", method, target, timestamp]:
            text = canonical(method, target, sys.stdin.buffer.read(), timestamp)
            return f"t={timestamp},v1={signature(os.environ['STARSHIP_SIGNING_SECRET'], text)}"
        case ["verify", event_id, timestamp, given]:
            names = ("webhook-id", "webhook-timestamp", "webhook-signature")
            headers = dict(zip(names, (event_id, timestamp, given), strict=True))
            secret = os.environ["STARSHIP_WEBHOOK_SECRET"]
            made = verify_webhook(secret, headers, sys.stdin.buffer.read(), time.time())
        case ["list", *search]:
            made = from_environment().products(*search[:1])
        case ["get", product]:
            made = from_environment().product(int(product))
        case ["charges", product, denomination, quantity]:
            made = from_environment().charges(int(product), denomination, int(quantity))
        case ["order", product, denomination, quantity, *key]:
            order = int(product), denomination, int(quantity)
            made = quote_and_order(from_environment(), *order, *key[:1])
        case ["read", order_id]:
            made = from_environment().read(int(order_id))
        case _:
            sys.exit(__doc__)
    return json.dumps(made, indent=2, ensure_ascii=False)


def quote_and_order(
    client: Client, product_id: int, denomination: str, quantity: int, key: str | None = None
) -> Any:
    """Ask the price, then order at exactly that price."""
    body = {"product_id": product_id, "denomination": denomination, "quantity": quantity}
    price = client.charges(product_id, denomination, quantity)
    return client.order(body | {"quote": price["quote"]}, key).body


if __name__ == "__main__":
    try:
        print(run(sys.argv[1:]))
    except (ApiError, ValueError) as error:
        sys.exit(str(error))
