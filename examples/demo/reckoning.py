"""How the story ends: is everything right, what happened, and how long did it take."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from shop import Client, percentile
from story import Scene


def reckon(scene: Scene) -> None:
    """Verify from the inside and from the outside; then the tables."""
    teller = scene.teller
    with teller.chapter(
        "Is everything right?",
        "The server's own check of every invariant, and ours with what the clients can see.",
    ):
        broken = scene.server.starship("verify")["violations"]
        teller.check("every invariant holds", broken, [])
        broken = scene.server.starship("ledger verify")["violations"]
        teller.check("the ledger adds up", broken, [])
        twice = [code for code, count in scene.codes.items() if count > 1]
        teller.check(f"{len(scene.codes):,} codes were handed out, none twice", twice, [])
        rows = [_account(scene, name) for name in scene.customers]
    teller.table("What happened", ("client", "orders", "delivered", "parked", "cancelled", "paid",
                                   "refunded", "in the wallet"), rows)  # fmt: skip
    burst = [timed.seconds for timed in scene.burst]
    teller.table(
        "How long an order took, as its client saw it",
        ("", "orders", "p50", "p99", "longest"),
        [
            ("one after another", *_latencies(scene.quiet)),
            ("all at once", *_latencies(burst)),
        ],
    )
    teller.table(
        "How long the chapters took",
        ("chapter", "seconds"),
        [(title, f"{seconds:.1f}") for title, seconds in teller.chapters],
    )


def _account(scene: Scene, name: str) -> tuple[str, ...]:
    """A client's books, from the API alone: what was credited, paid, refunded and is left."""
    client = scene.customers[name].connect()
    orders = _all(client, "/orders", 100)
    wallet = client.get(f"/wallets/{scene.wallets[name]}")
    lines = _all(client, "/transactions", 10_000)
    paid = sum(Decimal(order["amount"]) for order in orders)
    refunded = sum(Decimal(order["refunded_amount"]) for order in orders)
    received = [Decimal(line["amount"]) for line in lines if line["transaction_type"] == "CREDIT"]
    debits = [Decimal(line["amount"]) for line in lines if line["transaction_type"] == "DEBIT"]
    left = Decimal(wallet["amount"])
    scene.teller.check(
        f"{name}: one debit an order, and credits − debits is what the wallet holds",
        (len(debits), sum(debits), sum(received) - sum(debits)),
        (len(orders), paid, left),
    )
    status = Counter(order["status"] for order in orders)
    currency = wallet["currency_code"]
    return (
        name,
        f"{len(orders):,}",
        f"{status['DELIVERED']:,}",
        f"{status['PENDING']:,}",
        f"{status['CANCELLED']:,}",
        f"{paid:,} {currency}",
        f"{refunded:,} {currency}",
        f"{left:,} {currency}",
    )


def _all(client: Client, path: str, limit: int) -> list[dict[str, Any]]:
    """Every page of a collection."""
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = client.send("GET", f"{path}?page={page}&limit={limit}")
        found += answer.body
        if answer.headers["x-has-more"] == "false":
            return found
        page += 1


def _latencies(seconds: list[float]) -> tuple[str, ...]:
    return (
        f"{len(seconds):,}",
        f"{percentile(seconds, 50):.1f} ms",
        f"{percentile(seconds, 99):.1f} ms",
        f"{percentile(seconds, 100):.1f} ms",
    )
