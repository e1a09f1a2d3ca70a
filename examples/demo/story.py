"""The story, chapter by chapter. What is claimed is checked; the first untruth ends it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

from burst import Burst, Timed, room_for
from server import Deployment
from shop import ApiError, Client, Customer, percentile
from telling import Teller

CATALOGUE = Path(__file__).resolve().parents[1] / "catalogue"
ORDERS, POOL = 2_000, 1_500


@dataclass
class Scene:
    """Everybody on stage."""

    teller: Teller
    server: Deployment
    customers: dict[str, Customer] = field(default_factory=dict)
    wallets: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    quiet: list[float] = field(default_factory=list)
    burst: list[Timed] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    """Every code that any answer held, and how many orders it was in."""
    misses: int = 0
    late: int = 0
    """The order whose vendor did not answer."""

    def body(self, code: str, denomination: str, quantity: int = 1) -> dict[str, Any]:
        product = self.products[code]
        return {"product_id": product, "denomination": denomination, "quantity": quantity}

    def balance(self, name: str, client: Client) -> Decimal:
        return Decimal(client.get(f"/wallets/{self.wallets[name]}")["amount"])

    def purchases(self, order_id: int) -> list[dict[str, Any]]:
        """Of an order, as an operator sees them."""
        found: list[dict[str, Any]] = self.server.quietly("purchase", "list", "--order",
                                                          str(order_id))  # fmt: skip
        return found

    def purchase(self, order_id: int) -> dict[str, Any]:
        """The only one."""
        (one,) = self.purchases(order_id)
        return one

    def keep(self, order: dict[str, Any]) -> list[str]:
        """Count the codes of an order, once for each order."""
        codes = [voucher["card_number"] or voucher["claim_url"] for voucher in order["vouchers"]]
        self.codes.update(codes)
        return codes


def stock_and_clients(scene: Scene) -> None:
    """From nothing to a shop: products, vouchers, clients with money."""
    teller, server = scene.teller, scene.server
    with teller.chapter(
        "A catalogue and 20,000 vouchers, from files",
        "What is sold was bought beforehand. The pump takes it in, encrypts it, puts it on sale.",
    ):
        shutil.copy(CATALOGUE / "products.csv", server.folder)
        done = server.starship("product import products.csv")
        teller.check("200 products were added", done["added"], 200)
        offered = server.quietly("product", "list")
        scene.products = {product["code"]: product["id"] for product in offered}
        teller.check("in 8 currencies", len({product["currency"] for product in offered}), 8)
        for file in sorted((CATALOGUE / "vouchers").glob("*.csv")):
            shutil.copy(file, server.folder / "vouchers")
        began = perf_counter()
        pumped = server.starship("pump")
        teller.check("20,000 vouchers are on sale", pumped["pooled"], 20_000)
        teller.sees(f"{20_000 / (perf_counter() - began):,.0f} vouchers a second, encrypted")
    with teller.chapter(
        "Three clients", "Each has a key, a secret, a signing secret, and a wallet with money."
    ):
        money = {
            "acme": ("EUR", "50000.00"),
            "borealis": ("USD", "50000.00"),
            "calypso": ("JPY", "9000000"),
        }
        for made, wallet in server.new_customers(money):
            scene.customers[made.name], scene.wallets[made.name] = made, wallet
            currency, amount = money[made.name]
            teller.check(
                f"{made.name} sees {amount} {currency}",
                str(scene.balance(made.name, made.connect())),
                amount,
            )


def hit_and_replay(scene: Scene) -> None:
    """An order that is delivered at once, and what happens when it is sent again."""
    teller, client = scene.teller, scene.customers["borealis"].connect()
    wanted = scene.body("umber-art-supply-kw", "2.500", 2)
    with teller.chapter(
        "A signed order, delivered at once",
        "Dinars with three decimals, paid from a wallet in dollars, at a price that was quoted.",
    ):
        before = scene.balance("borealis", client)
        teller.does("POST /products/…/charges: 2 × 2.500 KWD")
        charges = client.charges(wanted["product_id"], "2.500", 2)
        details = charges["charges_details"]
        teller.sees(
            f"{charges['total_payable']} USD: at {Decimal(details['forex_rate']):.6f} dollars, "
            f"less {charges['discount']} % ({charges['discount_amount']}), "
            f"{charges['delivery_time']}"
        )
        teller.does("POST /orders with that quote, Idempotency-Key: borealis-1")
        quoted = wanted | {"quote": charges["quote"]}
        order = client.order(quoted, "borealis-1").body
        codes = scene.keep(order)
        teller.sees(
            f"order {order['id']}: {order['status']}, codes {codes[0][:8]}…, {codes[1][:8]}…"
        )
        teller.check("delivered in the same request", order["status"], "DELIVERED")
        teller.check("charged what was quoted", order["amount"], charges["total_payable"])
        after = scene.balance("borealis", client)
        teller.check("and exactly that left the wallet", before - after, Decimal(order["amount"]))
    with teller.chapter(
        "The answer got lost: the same request again",
        "One key, one order. Nobody pays twice, and nobody's key buys something else.",
    ):
        teller.does("POST /orders, the same body under the same key")
        again = client.order(quoted, "borealis-1")
        teller.check("the same order, the same codes", again.body, order)
        replayed = again.headers.get("idempotency-replayed")
        teller.check("marked Idempotency-Replayed", replayed, "true")
        teller.check("nothing was debited", scene.balance("borealis", client), after)
        teller.does("POST /orders, quantity 3 under the same key")
        _refused(scene, client, wanted | {"quantity": 3}, "borealis-1", "IDEMPOTENCY_KEY_REUSED")


def miss_and_retry(scene: Scene) -> None:
    """An order that nothing is there for, until something is."""
    teller, server = scene.teller, scene.server
    client = scene.customers["acme"].connect()
    wanted = scene.body("lantern-games-gb", "20.00", 3)
    with teller.chapter(
        "Nothing in stock: parked, paid, no vendor called",
        "PENDING is an answer, not an error. It waits for stock or for an operator.",
    ):
        before = scene.balance("acme", client)
        charges = client.charges(wanted["product_id"], "20.00", 3)
        teller.check("charges announce it", charges["delivery_time"], "DELAYED")
        teller.does("POST /orders: 3 × 20.00 GBP from a wallet in euro")
        order = client.order(wanted, "acme-miss").body
        teller.check("PENDING", (order["status"], order["vouchers"]), ("PENDING", []))
        paid = before - scene.balance("acme", client)
        teller.check("paid at acceptance", paid, Decimal(order["amount"]))
    with teller.chapter(
        "A delivery arrives: pump, then retry", "The operator's two steps; the client only reads."
    ):
        shutil.copy(CATALOGUE / "later" / "restock.csv", server.folder / "vouchers")
        pumped = server.starship("pump")
        teller.check("the pump found the 100 new ones and only those", pumped["pooled"], 100)
        server.starship(f"order retry {order['id']}")
        order = client.read(order["id"])
        teller.check("DELIVERED", (order["status"], len(scene.keep(order))), ("DELIVERED", 3))


def bulk(scene: Scene) -> None:
    """Five hundred at once."""
    teller, client = scene.teller, scene.customers["calypso"].connect()
    with teller.chapter(
        "A bulk order of 500",
        "Above 50 an order is accepted at once and allocated by a retry, in steps of 500.",
    ):
        teller.does("POST /orders: 500 × 1000 JPY")
        order = client.order(scene.body("kestrel-and-thyme-jp", "1000", 500), "calypso-bulk").body
        teller.check("PENDING, no items yet", (order["status"], order["items"]), ("PENDING", []))
        scene.server.starship(f"order retry {order['id']}")
        order = client.read(order["id"])
        teller.check("DELIVERED", order["status"], "DELIVERED")
        teller.check("500 different codes", len(set(scene.keep(order))), 500)


def cancel(scene: Scene) -> None:
    """What cannot be had is given back."""
    teller, client = scene.teller, scene.customers["acme"].connect()
    with teller.chapter(
        "Cancelled and refunded", "Exactly what was paid for what was not delivered comes back."
    ):
        before = scene.balance("acme", client)
        teller.does("POST /orders: 4 × 5.000 KWD, of which there are none")
        order = client.order(scene.body("saltmarsh-outdoor-kw", "5.000", 4), "acme-cancel").body
        scene.server.starship(f"order cancel {order['id']} --reason 'out of print'")
        order = client.read(order["id"])
        teller.check("CANCELLED", order["status"], "CANCELLED")
        teller.check("all of it was refunded", order["refunded_amount"], order["amount"])
        teller.check("the wallet is as before", scene.balance("acme", client), before)


def strangers(scene: Scene) -> None:
    """Who may not, and what they are told."""
    teller, acme = scene.teller, scene.customers["acme"]
    wanted = scene.body("bluefin-coffee-de", "10.00")
    with teller.chapter(
        "A bad signature", "Whatever is wrong with a credential, the answer is the same 401."
    ):
        for what, client in (
            ("signed with another secret", acme.connect(signing_secret="whsec_" + "A" * 44)),
            ("not signed at all", Client(acme.url, acme.key, acme.secret)),
            ("with a wrong X-API-Secret", Client(acme.url, acme.key, "x", acme.signing_secret)),
        ):
            teller.does(f"POST /orders {what}")
            _refused(scene, client, wanted, "acme-forged", "E_UNAUTHORIZED_ACCESS")


def one_after_another(scene: Scene) -> None:
    """What an order takes when nobody else wants anything."""
    teller, client = scene.teller, scene.customers["calypso"].connect()
    with teller.chapter("A hundred orders, one after another", "How long does one take at rest?"):
        wanted = scene.body("kestrel-and-thyme-jp", "1000")
        for number in range(100):
            began = perf_counter()
            order = client.order(wanted, f"calypso-quiet-{number}").body
            scene.quiet.append(perf_counter() - began)
            scene.keep(order)
        teller.sees(f"half of them within {percentile(scene.quiet, 50):.1f} ms")


def rush(scene: Scene) -> None:
    """More wanted than there is, all at once, and Redis forgets everything in the middle."""
    teller, server = scene.teller, scene.server
    connections = room_for(ORDERS)
    with teller.chapter(
        f"{ORDERS:,} orders at once on a pool of {POOL:,}, and Redis flushed in the middle",
        f"Three clients in three currencies, {connections:,} connections.",
    ):
        lost: list[int] = []
        buyers = list(scene.customers.values())
        burst = Burst(buyers, scene.body("bluefin-coffee-de", "10.00"), orders=ORDERS)
        began = perf_counter()
        scene.burst = asyncio.run(
            burst.run(connections=connections, halfway=lambda: lost.append(server.flush_redis()))
        )
        rate = ORDERS / (perf_counter() - began)
        teller.check("Redis was flushed halfway, and held something", any(lost), expected=True)
        teller.sees(f"{rate:,.0f} orders a second; FLUSHALL took {lost[0]:,} keys away")
        outcome = Counter(timed.order["status"] for timed in scene.burst)
        expected = {"DELIVERED": POOL, "PENDING": ORDERS - POOL}
        teller.check(f"{POOL:,} delivered, the rest parked, none lost", dict(outcome), expected)
        for timed in scene.burst:
            scene.keep(timed.order)
        pumped = server.starship("pump")
        teller.check("the pump gave Redis back what it forgot", pumped["pool"], "repaired")


def _refused(scene: Scene, client: Client, body: dict[str, Any], key: str, code: str) -> None:
    try:
        found = client.order(body, key).body["status"]
    except ApiError as error:
        scene.teller.sees(f"{error.status}: {error.message}")
        found = error.code
    scene.teller.check(f"refused with {code}", found, code)


def wait_until_seen(scene: Scene) -> None:
    """A change by an operator is seen by every server process within two seconds."""
    client = next(iter(scene.customers.values())).connect()
    until = time.monotonic() + 5
    while len(client.products(limit=1000)) < len(scene.products) and time.monotonic() < until:
        time.sleep(0.1)
