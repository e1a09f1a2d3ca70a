"""What nobody has in stock is bought from a vendor, once somebody allowed it, and once only."""

from __future__ import annotations

import base64
import json
import shutil
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from receiver import receiving
from shop import Client
from story import Scene

from starship_core.config import load

PRODUCTS = Path(__file__).with_name("vendors.csv")
MAPPED = (
    ("souk-card", "bamboo", "910001"),
    ("arcade-pass", "bamboo", "920010"),
    ("night-train", "pinelabs", "CNPIN"),
    ("tea-house", "voucherkart", "SOLDOUT"),
    ("tea-house", "pinelabs", "VOUCHERCODE"),
    ("lighthouse", "voucherkart", "DEMO2"),
    ("lighthouse", "pinelabs", "CNPIN"),
)
"""Ours, the vendor, and what it is there."""
BUYER = "acme"
PATIENCE = 90.0
"""Nothing takes nearly as long, but on a machine that has other things to do."""
_CALLBACK_SECRET = "demo-callback-secret"


def configured(scene: Scene) -> None:
    """Before the server starts: what is bought, and how patient we are with who sells it."""
    server = scene.server
    shutil.copy(PRODUCTS, server.folder)
    server.starship(f"product import {PRODUCTS.name}")
    scene.products = {one["code"]: one["id"] for one in server.quietly("product", "list")}
    server.sets("vendors.bamboo", "timeout", 2.0)
    server.sets("vendors.bamboo", "callback_secret", _CALLBACK_SECRET)
    server.sets("buying", "breaker_failures", 2)
    server.sets("buying", "breaker_rest_seconds", 2)


def assortment(scene: Scene) -> None:
    """What is sold and never in stock, and who has it."""
    teller, server = scene.teller, scene.server
    with teller.chapter(
        "Three vendors",
        "Each speaks its own API: basic credentials, signed requests, sealed envelopes.",
    ):
        server.starships(
            *(f"vendor map {product} {vendor} {theirs}" for product, vendor, theirs in MAPPED)
        )
        listed = {one["name"]: one["mapped"] for one in server.starship("vendor list")}
        expected = Counter(vendor for _, vendor, _ in MAPPED)
        teller.check(
            "each was asked for its catalogue, and has what we map to it",
            {name: listed[name] for name in expected},
            dict(expected),
        )


def answered_too_late(scene: Scene) -> None:
    """The worst that a vendor can do, which only the vendor heals: the story goes on meanwhile."""
    teller = scene.teller
    with teller.chapter(
        "A vendor that takes our money and does not answer",
        "Whoever sends it again buys twice. Whoever forgets it has paid for nothing.",
    ):
        _call_us_back(scene)
        client = scene.customers[BUYER].connect()
        scene.late = miss(scene, client, "arcade-pass", "25.00")
        approve(scene, scene.late, "bamboo", ceiling="25.00")
        until(lambda: scene.purchase(scene.late)["state"] not in {"PLANNED", "SENT"})
        shown = scene.server.quietly("purchase", "show", str(scene.purchase(scene.late)["id"]))
        teller.check(
            "our timeout passed, and nobody knew: it was UNKNOWN",
            any(line.endswith("ambiguous") for line in shown["evidence"]),
            expected=True,
        )
        bought = scene.server.vendors["bamboo"].purchases()
        teller.check("but the vendor has sold it", len(bought), 1)
        teller.sees("a callback, or else a minute, has the worker ask; the story goes on")


def _call_us_back(scene: Scene) -> None:
    """Tell the vendor where, and with which secret."""
    vendor = load(scene.server.folder / "starship.toml").vendors["bamboo"]
    where = f"{scene.server.url}/vendors/bamboo/callback"
    scene.teller.does(f"to Bamboo: call {where} when an order has ended")
    credential = f"{vendor['client_id']}:{vendor['client_secret']}".encode()
    body = {"notificationUrlSandbox": where, "secretKey": _CALLBACK_SECRET}
    request = urllib.request.Request(
        f"{vendor['base_url']}/api/integration/v1.0/notification",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Basic {base64.b64encode(credential).decode()}"},
    )
    urllib.request.urlopen(request, timeout=5).close()


def approved(scene: Scene) -> None:
    """Miss, yes of an operator, purchase, delivery, webhook."""
    teller, client = scene.teller, scene.customers[BUYER].connect()
    with (
        receiving() as receiver,
        teller.chapter(
            "An operator says yes, and a worker buys",
            "The worker buys under the approval's ceiling; the client hears of it by a webhook.",
        ),
    ):
        hook = {"name": "orders", "url": receiver.url, "events": ["order.delivered"]}
        teller.does(f"POST /webhooks: {receiver.url}")
        secret = client.send("POST", "/webhooks", hook).body["secret"]
        waiting = {}
        for product, vendor, denomination, ceiling in (
            ("souk-card", "bamboo", "50.00", "100.00"),
            ("lighthouse", "pinelabs", "100.00", "200.00"),
        ):
            waiting[vendor] = miss(scene, client, product, denomination, quantity=2)
            approve(scene, waiting[vendor], vendor, ceiling=ceiling)
        for vendor, order_id in reversed(waiting.items()):  # Bamboo takes some seconds
            codes = scene.keep(delivered(scene, client, order_id))
            teller.check(f"{vendor}: DELIVERED, two codes", len(codes), 2)
            event = receiver.wait_for(secret, "order.delivered", order_id, seconds=PATIENCE)
            teller.check(
                "its webhook came, and the standardwebhooks package verified it",
                event["data"]["delivered_quantity"],
                2,
            )


def refused(scene: Scene) -> None:
    """A no is an answer: the next vendor of the same approval is asked."""
    teller, client = scene.teller, scene.customers[BUYER].connect()
    with teller.chapter(
        "Sold out at the first vendor, served by the second",
        "A refusal proves that nothing was bought, so another one may be asked.",
    ):
        order_id = miss(scene, client, "tea-house", "100.00")
        approve(scene, order_id, "voucherkart", "pinelabs", ceiling="100.00")
        scene.keep(delivered(scene, client, order_id))
        asked = scene.purchases(order_id)
        teller.check(
            "one refusal, one purchase",
            {one["vendor"]: one["state"] for one in asked},
            {"voucherkart": "REFUSED", "pinelabs": "BOUGHT"},
        )


def found(scene: Scene) -> None:
    """What became of the purchase that nobody knew about."""
    teller, client = scene.teller, scene.customers[BUYER].connect()
    with teller.chapter(
        "The vendor that did not answer: found",
        "It called back: only a hint to ask it for our reference, and to take what was paid for.",
    ):
        order = delivered(scene, client, scene.late)
        scene.keep(order)
        teller.check("DELIVERED", order["status"], "DELIVERED")
        one = scene.purchase(scene.late)
        teller.check("sent once", (one["state"], one["attempts"]), ("BOUGHT", 1))


def counted(scene: Scene) -> None:
    """The vendors' own logs against our approvals."""
    teller, server = scene.teller, scene.server
    with teller.chapter(
        "What the vendors say that we bought",
        "Their logs, not ours: each approved purchase is there once, and nothing else is.",
    ):
        ours = server.starship("purchase list --state BOUGHT --limit 1000")
        for vendor in ("bamboo", "pinelabs", "voucherkart"):
            references = sorted(one["reference"] for one in ours if one["vendor"] == vendor)
            teller.check(
                f"{vendor}: {len(references)} approved, {len(references)} bought",
                sorted(one["reference"] for one in server.vendors[vendor].purchases()),
                references,
            )


def miss(
    scene: Scene, client: Client, product: str, denomination: str, *, quantity: int = 1
) -> int:
    """Order what is not in stock; the order's id."""
    scene.misses += 1
    key = f"{BUYER}-bought-{scene.misses}"
    order = client.order(scene.body(product, denomination, quantity), key).body
    scene.teller.does(f"POST /orders: {quantity} × {denomination} of {product}")
    scene.teller.check(f"order {order['id']} waits: PENDING", order["status"], "PENDING")
    return int(order["id"])


def approve(scene: Scene, order_id: int, *vendors: str, ceiling: str) -> None:
    """As an operator; after a refusal of the first vendor the next one is asked."""
    asked = " ".join(f"--vendor {vendor}" for vendor in vendors)
    scene.server.starship(f"order approve {order_id} {asked} --ceiling {ceiling} --reason demo")


def delivered(scene: Scene, client: Client, order_id: int) -> dict[str, Any]:
    """As soon as it is. Raises RuntimeError."""
    began = time.monotonic()
    until(lambda: client.read(order_id)["status"] == "DELIVERED")
    scene.teller.sees(f"order {order_id}: DELIVERED after {time.monotonic() - began:.1f} seconds")
    order: dict[str, Any] = client.read(order_id)
    return order


def until(holds: Callable[[], bool]) -> None:
    """Raises RuntimeError when it takes too long."""
    last = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > last:
            raise RuntimeError(f"nothing happened within {PATIENCE:.0f} seconds")
        time.sleep(0.1)
