"""Purchases as operators see them; the raw reply of one in doubt is opened here, audited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from starship_core.audit import By, record
from starship_core.clock import moment, rfc3339
from starship_core.database import Tx
from starship_core.errors import NotFound
from starship_core.model import Secret
from starship_core.ship import Ship
from starship_core.store.approvals import Approval, find_approval
from starship_core.store.purchases import (
    PurchaseRecord,
    find_purchase,
    list_purchases,
    own_items,
)
from starship_core.store.sealed_secrets import raw_purpose
from starship_core.vault import Unsealable


class PurchaseView(Struct, frozen=True, kw_only=True):
    """A purchase, what allowed it, and the items that wait for it."""

    purchase: PurchaseRecord
    approval: Approval
    items: Sequence[int]

    @property
    def document(self) -> dict[str, Any]:
        """As JSON: everything but what the vendor answered."""
        one, terms = self.purchase, self.approval.terms
        return facts_of(one) | {
            "items_waiting": list(self.items),
            "approved_by": terms.actor,
            "approved_because": terms.reason,
            "approval_expires_at": rfc3339(terms.expires_at),
            "evidence": one.evidence.splitlines(),
            "raw_reply_kept": one.raw_sealed is not None,
        }


def facts_of(one: PurchaseRecord) -> dict[str, Any]:
    """One line of the list."""
    return {
        "id": one.id,
        "order_id": one.order_id,
        "approval_id": one.approval_id,
        "vendor": one.vendor,
        "vendor_product": one.vendor_product,
        "sku": str(one.sku),
        "quantity": one.quantity,
        "received": one.received,
        "state": one.state,
        "reference": one.reference,
        "vendor_reference": one.vendor_reference,
        "ceiling": str(one.ceiling),
        "charged": one.charged and str(one.charged),
        "price_flag": one.price_flag,
        "attempts": one.attempts,
        "looks": one.looks,
        "planned_at": _time(one.planned_at),
        "sent_at": _time(one.sent_at),
        "due_at": _time(one.due_at),
        "closed_at": _time(one.closed_at),
    }


async def find_purchases(  # a filter each
    ship: Ship,
    *,
    state: str | None = None,
    vendor: str | None = None,
    order_id: int | None = None,
    limit: int = 50,
) -> list[PurchaseRecord]:
    """Newest first."""
    return await ship.database.read(
        lambda tx: list_purchases(
            tx, state=state or "", vendor=vendor or "", order_id=order_id or 0, limit=limit
        )
    )


async def read_purchase(purchase_id: int, ship: Ship) -> PurchaseView:
    """Raises NotFound."""
    return await ship.database.read(_view, purchase_id)


async def reveal_reply(purchase_id: int, by: By, ship: Ship) -> Secret:
    """What the vendor answered when nobody could tell what it meant; it may hold codes. Audited.

    Raises NotFound.
    """
    return await ship.database.run(_reveal, purchase_id, by, ship)


def _view(tx: Tx, purchase_id: int) -> PurchaseView:
    one = find_purchase(tx, purchase_id)
    return PurchaseView(
        purchase=one, approval=find_approval(tx, one.approval_id), items=own_items(tx, purchase_id)
    )


def _reveal(tx: Tx, purchase_id: int, by: By, ship: Ship) -> Secret:
    one = find_purchase(tx, purchase_id)
    if one.raw_sealed is None:
        raise NotFound("raw reply of purchase", purchase_id)
    now: datetime = ship.now()
    record(tx, by, "purchase.reveal", f"purchase:{purchase_id}", at=now)
    try:
        return ship.vault.open_secret(raw_purpose(purchase_id), one.raw_sealed)
    except Unsealable:
        raise NotFound("readable raw reply of purchase", purchase_id) from None


def _time(stored: int | None) -> str | None:
    return None if stored is None else rfc3339(moment(stored))
