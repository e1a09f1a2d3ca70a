"""What does not agree or runs low, and the commands that mend it: those that the findings name."""

from __future__ import annotations

from typing import Any

from commands import OPERATOR
from story import Scene

_FORGOTTEN = ("bluefin-coffee-us", 2500, "USD")
_FILLED_IN = {"AMOUNT": "2000000", "REFERENCE": "BANK-CALYPSO-2", "NAME": OPERATOR}
"""What stands in capitals in a command is the operator's to say."""


def reconciled(scene: Scene) -> None:
    """Twice: before and after."""
    teller, server = scene.teller, scene.server
    with teller.chapter(
        "Reconciliation",
        "Orders, purchases, money, stock, Redis, webhooks, vendors' lists of our orders.",
    ):
        code, denomination, currency = _FORGOTTEN
        sku = f"{scene.products[code]}:{denomination}:{currency}"
        teller.does(f"redis-cli DEL shop:pool:{sku}")
        teller.check("Redis forgets a set", server.flush_redis(f"shop:pool:{sku}"), 1)
        found = _findings(scene, ends=1)
        for each in found:
            teller.sees(f"{each['subject']}: {each['problem']}")
            teller.sees(f"what mends it: {each['command']}")
        teller.check(
            "two findings: Redis lacks what is on sale, and a client runs out of money",
            sorted(each["kind"] for each in found),
            ["balance.low", "pool.unlike"],
        )
        for each in found:
            server.starship(_completed(each["command"]))
        teller.check("so typed, it is mended: nothing is found", _findings(scene, ends=0), [])


def _findings(scene: Scene, *, ends: int) -> list[dict[str, Any]]:
    """As `starship reconcile` tells them, and by its status: 1 when there are any."""
    scene.teller.does("starship reconcile")
    parts = scene.server.quietly("reconcile", ends=ends)["parts"]
    return [finding for part in parts for finding in part["findings"]]


def _completed(command: str) -> str:
    """Without `starship`, and with words for those in capitals."""
    _, *words = command.split()
    return " ".join(_FILLED_IN.get(word, word) for word in words)
