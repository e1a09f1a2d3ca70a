"""A vendor's process is killed; its breaker opens; another one serves; it comes back."""

from __future__ import annotations

import os
import signal
from decimal import Decimal

from buying import BUYER, approve, delivered, miss, until
from shop import Client
from story import Scene

_DOWN, _OTHER = "voucherkart", "pinelabs"


def outage(scene: Scene) -> None:
    """Down, cancelled, back; and in the end the wallet has paid for what was delivered."""
    client = scene.customers[BUYER].connect()
    before = scene.balance(BUYER, client)
    cancelled, waiting, served = _down(scene, client)
    _cancelled(scene, client, cancelled)
    _back(scene, client, waiting)
    paid = sum(Decimal(client.read(each)["amount"]) for each in (waiting, served))
    left = before - scene.balance(BUYER, client)
    scene.teller.check("the wallet paid for what was delivered, and for nothing else", left, paid)


def _down(scene: Scene, client: Client) -> tuple[int, int, int]:
    """Two orders that wait for a vendor that is down, and one that another vendor served."""
    teller = scene.teller
    with teller.chapter(
        "A vendor is down",
        "After two failures its breaker opens: it is left alone, and nothing gets lost.",
    ):
        waiting = [miss(scene, client, "lighthouse", "100.00") for _ in range(2)]
        teller.does(f"kill -9 {_DOWN}")
        os.kill(scene.server.vendors[_DOWN].pid, signal.SIGKILL)
        for order_id in waiting:
            approve(scene, order_id, _DOWN, ceiling="100.00")
        until(lambda: _breakers(scene) != [])
        teller.check("the breaker of buying is open", _breakers(scene), ["buy"])
        other = miss(scene, client, "lighthouse", "100.00")
        approve(scene, other, _OTHER, ceiling="100.00")
        scene.keep(delivered(scene, client, other))
        teller.check("another vendor serves", scene.purchase(other)["vendor"], _OTHER)
    return waiting[0], waiting[1], other


def _cancelled(scene: Scene, client: Client, order_id: int) -> None:
    teller = scene.teller
    with teller.chapter(
        "Cancelled under an approval", "What has not been sent is not bought any more."
    ):
        order = client.read(order_id)
        teller.does(f"starship order cancel {order_id} --reason 'waited too long'")
        until(lambda: _cancel(scene, order_id))
        after = client.read(order_id)
        teller.check(
            "CANCELLED, all of it refunded",
            (after["status"], after["refunded_amount"]),
            ("CANCELLED", order["amount"]),
        )


def _cancel(scene: Scene, order_id: int) -> bool:
    """False while its purchase is on its way to the vendor: a 409 says so."""
    try:
        scene.server.quietly("order", "cancel", str(order_id), "--reason", "waited too long")
    except RuntimeError:
        return False
    return True


def _back(scene: Scene, client: Client, order_id: int) -> None:
    teller, server = scene.teller, scene.server
    with teller.chapter(
        "The vendor comes back", "Its breaker lets one call try; what has waited is bought, once."
    ):
        server.start_again(_DOWN)
        scene.keep(delivered(scene, client, order_id))
        teller.check("what waited is delivered, the breaker is closed", _breakers(scene), [])
        bought = server.vendors[_DOWN].purchases()
        teller.check("bought once; what was cancelled was not", len(bought), 1)


def _breakers(scene: Scene) -> list[str]:
    """The operations of the vendor that are left alone now."""
    listed = scene.server.quietly("vendor", "list")
    return next(list(one["breakers"]) for one in listed if one["name"] == _DOWN)
