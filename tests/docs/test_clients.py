"""The example clients sign, list, get, quote, order and read against a real server over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starship_notify_webhook.signing import headers

from starship_core import Secret
from tests.docs.demo_shop import Shop, starship

EXAMPLES = Path(__file__).parents[2] / "examples" / "client"
CLIENTS = {
    "python": [sys.executable, str(EXAMPLES / "starship_client.py")],
    "shell": ["bash", str(EXAMPLES / "starship_client.sh")],
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Caller:
    """One of the two clients, with its environment."""

    def __init__(self, client: str, shop: Shop) -> None:
        self.client, self.shop = client, shop
        self.environment = {
            "PATH": os.environ["PATH"],
            "STARSHIP_URL": shop.url,
            "STARSHIP_API_KEY": shop.key,
            "STARSHIP_API_SECRET": shop.secret,
            "STARSHIP_SIGNING_SECRET": shop.signing_secret,
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLIENTS[self.client], *words],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def __call__(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def call(client: str, shop: Shop) -> Caller:
    return Caller(client, shop)


def test_lists_and_gets(call: Caller) -> None:
    """A search with blanks and more travels in the query, and so in what is signed."""
    assert [product["id"] for product in call("list")] == [1, 2, 3]
    assert [product["id"] for product in call("list", "always there")] == [1]
    assert call("list", "~é+ &=%") == []
    assert call("get", "1")["name"] == "Always There Card"


def test_quotes_orders_and_reads(call: Caller) -> None:
    """A hit: paid, delivered, its codes the same in the answer and when read again."""
    charges = call("charges", "1", "10.00", "2")
    assert (charges["total_payable"], charges["delivery_time"]) == ("20.00", "INSTANT")
    order = call("order", "1", "10.00", "2", f"key-of-{call.client}")
    assert (order["status"], order["amount"], len(order["vouchers"])) == ("DELIVERED", "20.00", 2)
    read = call("read", str(order["id"]))
    assert read == order


def test_same_key_is_the_same_order(call: Caller) -> None:
    """Whatever the network does: sent twice, bought once."""
    words = ("order", "2", "10.00", "1", f"twice-{call.client}")
    first, second = call(*words), call(*words)
    assert first == second
    assert first["status"] == "PENDING"


def test_without_a_key_every_order_is_another(call: Caller) -> None:
    """Left out, the key is made: two calls are two purchases."""
    first, second = (call("order", "1", "10.00", "1") for _ in range(2))
    assert first["id"] != second["id"]


def test_refusal_ends_with_status_1_and_its_code(call: Caller) -> None:
    """A denomination that is not offered, and an order that does not exist."""
    done = call.run("order", "1", "11.00", "1")
    assert done.returncode == 1
    assert "INVALID_INPUT" in done.stdout + done.stderr
    done = call.run("read", "999999")
    assert done.returncode == 1
    assert "NOT_FOUND" in done.stdout + done.stderr


def test_signature_is_what_lets_them_in(call: Caller, shop: Shop) -> None:
    """With another signing secret it is a 401; without any, a test deployment takes it."""
    call.environment["STARSHIP_SIGNING_SECRET"] = shop.signing_secret[:-4] + "AAA="
    done = call.run("list")
    assert done.returncode == 1
    assert "E_UNAUTHORIZED_ACCESS" in done.stdout + done.stderr
    del call.environment["STARSHIP_SIGNING_SECRET"]
    assert len(call("list")) == 3


def test_everything_adds_up_afterwards(shop: Shop) -> None:
    """`starship verify`, after all that the clients did."""
    assert starship("verify", folder=shop.folder) == {"violations": []}


def _signed(secret: str, timestamp: int, body: bytes) -> list[str]:
    """As the server signs: the arguments of `verify` for a webhook of this time."""
    at = datetime.fromtimestamp(timestamp, UTC)
    made = dict(headers("evt_7_1_order.delivered", body, [Secret(secret)], at=at))
    return [made["webhook-id"], made["webhook-timestamp"], made["webhook-signature"]]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_webhook_is_verified(name: str) -> None:
    """What the server signs is ours; altered, old, or signed by another it is not."""
    secret, now = "whsec_c3RhcnNoaXAtdGVzdC1zZWNyZXQtMzItYnl0ZXMhISE=", int(time.time())
    body = b'{"event_id":"evt_7_1_order.delivered","data":{"id":7}}'

    def verify(arguments: list[str], content: bytes = body) -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": os.environ["PATH"], "STARSHIP_WEBHOOK_SECRET": secret}
        command = [*CLIENTS[name], "verify", *arguments]
        return subprocess.run(
            command, env=environment, input=content, check=False, capture_output=True
        )

    event_id, timestamp, signature = _signed(secret, now, body)
    other = _signed("whsec_" + "A" * 43 + "=", now, body)[2]
    good = verify([event_id, timestamp, f"{other} {signature}"])
    assert (good.returncode, json.loads(good.stdout)) == (0, json.loads(body)), good.stderr
    for wrong, content in (
        ([event_id, timestamp, signature], body + b" "),
        ([event_id, timestamp, other], body),
        (["evt_8", timestamp, signature], body),
        (_signed(secret, now - 400, body), body),
        ([event_id, "now", signature], body),
    ):
        refused = verify(wrong, content)
        assert (refused.returncode, refused.stdout) == (1, b""), wrong
