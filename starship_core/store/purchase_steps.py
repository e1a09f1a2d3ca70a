"""What happened to an order's purchases, as its timeline tells: no vendor, no price, no code."""

from __future__ import annotations

from typing import Final

from starship_core.ports import Transaction

_STEPS: Final = """
SELECT created_at, 0, 'fallback.approved' FROM approvals WHERE order_id = $1
UNION ALL
SELECT created_at, 0, 'fallback.refused' FROM refusals WHERE order_id = $1
UNION ALL
SELECT coalesce(closed_at, waiting_since, sent_at, planned_at), id, state FROM purchases
WHERE order_id = $1
ORDER BY 1, 2
"""
_WHY: Final = {
    "fallback.approved": "buying what is missing from a vendor was approved",
    "fallback.refused": "buying what is missing from a vendor was refused; it waits for stock",
    "PLANNED": "a purchase is planned, and was not sent yet",
    "SENT": "a purchase is with the vendor",
    "ACCEPTED": "the vendor took a purchase, and delivers later",
    "UNKNOWN": "it is being found out what became of a purchase",
    "NEEDS_REVIEW": "an operator has to settle a purchase",
    "BOUGHT": "the vendor sold it; its vouchers came into the stock",
    "REFUSED": "the vendor refused; nothing was bought",
    "NOT_BOUGHT": "a purchase ended, and nothing was bought",
    "VOIDED": "a purchase was voided before it was sent",
}


def purchase_steps(tx: Transaction, order_id: int) -> list[tuple[int, str, str]]:
    """(when, what, why) of each approval, each refusal and each purchase as it stands, in order."""
    return [
        (int(at), what if "." in what else f"purchase.{what.lower()}", _WHY[what])
        for at, _, what in tx.execute(_STEPS, order_id)
    ]
