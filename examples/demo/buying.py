"""What nobody has in stock is bought from a vendor, once somebody allowed it, and once only."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from receiver import receiving
from shop import Client
from story import Scene

PRODUCTS = Path(__file__).with_name("vendors.csv")
MAPPED = (
    ("ferry-pass", "voucherkart", "DEMO1"),
    ("souk-card", "bamboo", "910001"),
    ("corner-shop", "pinelabs", "CNPIN"),
    ("night-train", "pinelabs", "testsuccess001"),
    ("tea-house", "voucherkart", "SOLDOUT"),
    ("tea-house", "pinelabs", "VOUCHERCODE"),
    ("lighthouse", "voucherkart", "DEMO2"),
    ("lighthouse", "pinelabs", "CNPIN"),
)
"""Ours, the vendor, and what it is there."""
_BUYER = "acme"
_PATIENCE = 90.0


def assortment(scene: Scene) -> None:
    """What is sold and never in stock, and who has it."""
    teller, server = scene.teller, scene.server
    with teller.chapter(
        "Three vendors",
        "Each speaks its own API: basic credentials, signed requests, sealed envelopes.",
    ):
        shutil.copy(PRODUCTS, server.folder)
        server.starship(f"product import {PRODUCTS.name}")
        for product, vendor, theirs in MAPPED:
            server.starship(f"vendor map {product} {vendor} {theirs}")
        listed = {one["name"]: one["mapped"] for one in server.starship("vendor list")}
        expected = Counter(vendor for _, vendor, _ in MAPPED)
        teller.check(
            "each was asked for its catalogue, and has what we map to it",
            {name: listed[name] for name in expected},
            dict(expected),
        )
        offered = server.quietly("product", "list")
        scene.products = {product["code"]: product["id"] for product in offered}


def answered_too_late(scene: Scene) -> None:
    """The worst that a vendor can do, which nothing but time heals: the story goes on meanwhile."""
    teller = scene.teller
    with teller.chapter(
        "A vendor that takes our money and does not answer",
        "Whoever sends it again buys twice. Whoever forgets it has paid for nothing.",
    ):
        client = scene.customers[_BUYER].connect()
        scene.late = _miss(scene, client, "night-train", "100.00")
        _approve(scene, scene.late, "pinelabs", ceiling="100.00")
        _until(lambda: scene.purchase(scene.late)["state"] == "UNKNOWN")
        teller.check("our timeout passed: it is UNKNOWN", scene.purchase(scene.late)["attempts"], 1)
        bought = scene.server.vendors["pinelabs"].purchases()
        teller.check("but the vendor has sold it", len(bought), 1)
        teller.sees("in a minute the worker asks the vendor what became of it; the story goes on")


def approved(scene: Scene) -> None:
    """Miss, yes of an operator, purchase, delivery, webhook."""
    teller, client = scene.teller, scene.customers[_BUYER].connect()
    with receiving() as receiver, teller.chapter(
        "An operator says yes, and a worker buys",
        "The worker buys under the approval's ceiling; the client hears of it by a webhook.",
    ):
        hook = {"name": "orders", "url": receiver.url, "events": ["order.delivered"]}
        teller.does(f"POST /webhooks: {receiver.url}")
        secret = client.send("POST", "/webhooks", hook).body["secret"]
        for product, vendor, denomination, ceiling in (
            ("corner-shop", "pinelabs", "100.00", "200.00"),
            ("souk-card", "bamboo", "50.00", "100.00"),
        ):
            order_id = _miss(scene, client, product, denomination, quantity=2)
            _approve(scene, order_id, vendor, ceiling=ceiling)
            order = _delivered(scene, client, order_id)
            teller.check(
                f"{vendor}: DELIVERED, two codes", len(scene.keep(order)), 2
            )
            event = receiver.wait_for(secret, "order.delivered", order_id, seconds=_PATIENCE)
            teller.check(
                "its webhook came, and the standardwebhooks package verified it",
                event["data"]["delivered_quantity"],
                2,
            )


def refused(scene: Scene) -> None:
    """A no is an answer: the next vendor of the same approval is asked."""
    teller, client = scene.teller, scene.customers[_BUYER].connect()
    with teller.chapter(
        "Sold out at the first vendor, served by the second",
        "A refusal proves that nothing was bought, so another one may be asked.",
    ):
        order_id = _miss(scene, client, "tea-house", "100.00")
        _approve(scene, order_id, "voucherkart", "pinelabs", ceiling="100.00")
        scene.keep(_delivered(scene, client, order_id))
        asked = scene.purchases(order_id)
        teller.check(
            "one refusal, one purchase",
            {one["vendor"]: one["state"] for one in asked},
            {"voucherkart": "REFUSED", "pinelabs": "BOUGHT"},
        )


def outage(scene: Scene) -> None:
    """A vendor's process is killed; its breaker opens; another one serves; it comes back."""
    teller, client, server = scene.teller, scene.customers[_BUYER].connect(), scene.server
    with teller.chapter(
        "A vendor is down",
        "After three failures its breaker opens: nobody waits for it, and nothing gets lost.",
    ):
        before = scene.balance(_BUYER, client)
        waiting = [_miss(scene, client, "lighthouse", "100.00") for _ in range(3)]
        teller.does("kill -9 voucherkart")
        os.kill(server.vendors["voucherkart"].pid, signal.SIGKILL)
        for order_id in waiting:
            _approve(scene, order_id, "voucherkart", ceiling="100.00")
        _until(lambda: _breakers(scene) != [])
        teller.check("the breaker of buying is open", _breakers(scene), ["buy"])
        other = _miss(scene, client, "lighthouse", "100.00")
        _approve(scene, other, "pinelabs", ceiling="100.00")
        scene.keep(_delivered(scene, client, other))
        teller.check("another vendor serves", scene.purchase(other)["vendor"], "pinelabs")
    with teller.chapter(
        "Cancelled under an approval, and the vendor comes back",
        "What was not sent is not bought any more; what still waits is bought once.",
    ):
        *gone, kept = waiting
        for order_id in gone:
            order = client.read(order_id)
            server.starship(f"order cancel {order_id} --reason 'waited too long'")
            found = client.read(order_id)
            teller.check(
                "CANCELLED, all of it refunded",
                (found["status"], found["refunded_amount"]),
                ("CANCELLED", order["amount"]),
            )
        server.start_again("voucherkart")
        scene.keep(_delivered(scene, client, kept))
        teller.check("what waited is delivered, the breaker is closed", _breakers(scene), [])
        bought = server.vendors["voucherkart"].purchases()
        teller.check("bought once; what was cancelled was not", len(bought), 1)
        paid = sum(scene.paid(client, order_id) for order_id in (kept, other))
        left = before - scene.balance(_BUYER, client)
        teller.check("the wallet paid for two of four", left, paid)
    with teller.chapter(
        "The third vendor", "As if nothing had happened: a new token, sealed envelopes, codes."
    ):
        order_id = _miss(scene, client, "ferry-pass", "500.00", quantity=2)
        _approve(scene, order_id, "voucherkart", ceiling="1000.00")
        order = _delivered(scene, client, order_id)
        teller.check("voucherkart: two codes", len(scene.keep(order)), 2)


def found(scene: Scene) -> None:
    """What became of the purchase that nobody knew about."""
    teller, client = scene.teller, scene.customers[_BUYER].connect()
    with teller.chapter(
        "The vendor that did not answer: found",
        "The worker asked for our own reference, and took what had been paid for.",
    ):
        order = _delivered(scene, client, scene.late)
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


def _miss(
    scene: Scene, client: Client, product: str, denomination: str, *, quantity: int = 1
) -> int:
    scene.misses += 1
    key = f"{_BUYER}-miss-{scene.misses}"
    order = client.order(scene.body(product, denomination, quantity), key).body
    scene.teller.does(f"POST /orders: {quantity} × {denomination} of {product}")
    scene.teller.check(f"order {order['id']} waits: PENDING", order["status"], "PENDING")
    return int(order["id"])


def _approve(scene: Scene, order_id: int, *vendors: str, ceiling: str) -> None:
    asked = " ".join(f"--vendor {vendor}" for vendor in vendors)
    scene.server.starship(f"order approve {order_id} {asked} --ceiling {ceiling} --reason demo")


def _delivered(scene: Scene, client: Client, order_id: int) -> dict[str, Any]:
    """As soon as it is. Raises RuntimeError."""
    began = time.monotonic()
    _until(lambda: client.read(order_id)["status"] == "DELIVERED")
    scene.teller.sees(f"order {order_id}: DELIVERED after {time.monotonic() - began:.1f} seconds")
    order: dict[str, Any] = client.read(order_id)
    return order


def _breakers(scene: Scene) -> list[str]:
    listed = scene.server.quietly("vendor", "list")
    return next(list(one["breakers"]) for one in listed if one["name"] == "voucherkart")


def _until(holds: Any) -> None:
    until = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"nothing happened within {_PATIENCE:.0f} seconds")
        time.sleep(0.1)
