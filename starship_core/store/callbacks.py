"""What a vendor's callback does: the purchase that it names is looked up sooner."""

from __future__ import annotations

from typing import Final

from starship_core.ports import Transaction

_HASTEN: Final = """
UPDATE purchases SET due_at = $3, updated_at = $3
WHERE vendor = $1 AND reference = $2 AND state IN ('ACCEPTED', 'UNKNOWN')
    AND (due_at IS NULL OR due_at > $3)
RETURNING id
"""


def hasten(tx: Transaction, vendor: str, reference: str, at: int) -> bool:
    """Make the `find` of that vendor's purchase due now; whether one was waiting for a later one.

    Only of a purchase that is being looked up anyway. One that is SENT has a sender who will say
    how it went; one that is closed, or not ours, is left as it is.
    """
    return bool(tx.execute(_HASTEN, vendor, reference, at))
