"""From an approval to purchases: which vendor, split how, for at most how much.

Everything happens on the caller's transaction, so a plan commits with what it rests on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from starship_core.breaker import Rule
from starship_core.buying.references import Derive, reference_of
from starship_core.clock import micros
from starship_core.errors import InvalidInput, WrongState
from starship_core.model import Money, Sku
from starship_core.ports import Transaction
from starship_core.ship import Ship, Vendor
from starship_core.store.approvals import Approval, find_approval, use
from starship_core.store.breakers import find_breaker
from starship_core.store.purchase_items import asked_vendors
from starship_core.store.purchases import (
    draw_purchase_ids,
    hold_items,
    insert_purchases,
)
from starship_core.store.switches import blocking
from starship_core.store.vendor_products import find_offers


class Market(NamedTuple):
    """What a plan is made with, besides the database."""

    vendors: Mapping[str, Vendor]
    derive: Derive
    rule: Rule
    """Of breakers: whose is open is passed over."""

    @classmethod
    def of(cls, ship: Ship) -> Market:
        return cls(ship.vendors, ship.vault.derive, Rule.of(ship.config.buying))


class _Lot(NamedTuple):
    """What is to be bought at one vendor."""

    vendor: Vendor
    vendor_product: str
    quantity: int
    items: Sequence[int]
    """Ordinals; none under a standing approval."""
    ceiling: Money


def check_vendors(tx: Transaction, market: Market, sku: Sku, names: Sequence[str]) -> None:
    """Every one is configured, and sells it. Raises InvalidInput."""
    if not names:
        raise InvalidInput("name a vendor to buy from", field="vendor")
    sold_by = _sold_by(tx, sku)
    for name in names:
        if name not in market.vendors:
            known = ", ".join(sorted(market.vendors)) or "none"
            raise InvalidInput(f"there is no vendor {name}; configured: {known}", field="vendor")
        if name not in sold_by:
            raise InvalidInput(
                f"{name} is not mapped to {sku}; see `starship vendor map`", field="vendor"
            )
        currencies = market.vendors[name].traits.currencies
        if currencies and sku.currency not in currencies:
            raise InvalidInput(f"{name} sells nothing in {sku.currency}", field="vendor")


def plan(tx: Transaction, approval: Approval, market: Market, now: datetime) -> list[int]:
    """The purchases of an order's approval, once: ids. Its items wait and belong to no purchase,
    and the order's row is locked. Raises WrongState: it is used or over, or nobody can sell it.
    """
    ceiling = approval.terms.ceiling
    if not use(tx, approval, ceiling.minor, micros(now)):
        raise WrongState(
            f"approval {approval.id} has planned its purchases, or is over", found=approval.state
        )
    lot = _lot(tx, approval, market, items=approval.items, ceiling=ceiling, now=now)
    if lot is None:
        raise WrongState("none of the vendors that were approved sells this now", found="no vendor")
    return _planned(tx, approval, lot, market, now)


def plan_next(  # noqa: PLR0913  # who refused what, and who is asked now
    tx: Transaction,
    approval: Approval,
    market: Market,
    *,
    refused_by: str,
    items: Sequence[int],
    ceiling: Money,
    now: datetime,
) -> list[int]:
    """After a refusal: the same items at the next vendor of the approval that was not asked for
    them; none when there is none or it does not hold any more. The refused purchase has let its
    items go.
    """
    if not items or not approval.holds(now):
        return []
    asked = asked_vendors(tx, approval.id, items) | {refused_by}
    lot = _lot(tx, approval, market, items=items, ceiling=ceiling, now=now, asked=asked)
    return [] if lot is None else _planned(tx, approval, lot, market, now)


def another_can_be_asked(  # noqa: PLR0913  # for what, where, and when
    tx: Transaction,
    approval: Approval,
    market: Market,
    *,
    items: Sequence[int],
    but: str,
    now: datetime,
) -> bool:
    """Whether a vendor of the approval was not asked for these items, and does not stand still."""
    asked = asked_vendors(tx, approval.id, items) | {but}
    able = _able(tx, approval, market, asked)
    return any(not stands_still(tx, name, approval.sku, market, now) for name in able)


def plan_standing(  # noqa: PLR0913  # under what, what, where and for how much
    tx: Transaction,
    approval_id: int,
    market: Market,
    *,
    vendor: str,
    quantity: int,
    ceiling: Money,
    now: datetime,
) -> list[int]:
    """Purchases for the stock, their ceilings taken from the standing approval's budget in this
    transaction. Raises NotFound, InvalidInput, WrongState (its budget or its time is over).
    """
    approval = find_approval(tx, approval_id)
    terms = approval.terms
    if vendor not in terms.vendors or ceiling.currency != terms.ceiling.currency:
        raise InvalidInput(
            f"approval {approval_id} is for {', '.join(terms.vendors)} in {terms.ceiling.currency}"
        )
    check_vendors(tx, market, approval.sku, [vendor])
    if quantity < 1 or ceiling.minor < 1:
        raise InvalidInput("a purchase is of at least one unit, for more than nothing")
    if not use(tx, approval, ceiling.minor, micros(now)):
        raise WrongState(
            f"approval {approval_id} is over, or less than {ceiling} of its budget is left",
            found=approval.state,
        )
    product = _sold_by(tx, approval.sku)[vendor]
    lot = _Lot(market.vendors[vendor], product, quantity, (), ceiling)
    return _planned(tx, approval, lot, market, now)


def _lot(  # noqa: PLR0913  # what a lot is made of
    tx: Transaction,
    approval: Approval,
    market: Market,
    *,
    items: Sequence[int],
    ceiling: Money,
    now: datetime,
    asked: Collection[str] = (),
) -> _Lot | None:
    """At the first of the vendors that is still configured, sells it and may be bought from now.

    While none may, at the first that sells it: its purchase waits until it may be sent.
    """
    able = _able(tx, approval, market, asked)
    free = (name for name in able if not stands_still(tx, name, approval.sku, market, now))
    name = next(free, next(iter(able), None))
    if name is None:
        return None
    return _Lot(market.vendors[name], able[name], len(items), items, ceiling)


def _able(
    tx: Transaction, approval: Approval, market: Market, asked: Collection[str]
) -> dict[str, str]:
    """Its vendors that are configured, sell it and were not asked, and their product for it."""
    sold_by = _sold_by(tx, approval.sku)
    return {
        name: sold_by[name]
        for name in approval.terms.vendors
        if name in market.vendors and name in sold_by and name not in asked
    }


def stands_still(tx: Transaction, vendor: str, sku: Sku, market: Market, now: datetime) -> bool:
    """Not configured any more, switched off, or its breaker is open."""
    if vendor not in market.vendors:
        return True
    if blocking(tx, vendor=vendor, product_id=sku.product_id) is not None:
        return True
    breaker = find_breaker(tx, vendor, "buy")
    return breaker is not None and breaker.state(market.rule, micros(now)) == "open"


def _sold_by(tx: Transaction, sku: Sku) -> dict[str, str]:
    return {offer.vendor: offer.vendor_product for offer in find_offers(tx, sku)}


def _planned(
    tx: Transaction, approval: Approval, lot: _Lot, market: Market, now: datetime
) -> list[int]:
    """Split by what the vendor sells at once; the parts' ceilings sum to the lot's."""
    traits, sku, total = lot.vendor.traits, approval.sku, lot.ceiling.minor
    starts = range(0, lot.quantity, max(traits.max_units, 1))
    ids = draw_purchase_ids(tx, len(starts))
    rows, held = [], []
    for purchase_id, start in zip(ids, starts, strict=True):
        end = min(start + starts.step, lot.quantity)
        part = total * end // lot.quantity - total * start // lot.quantity
        reference = reference_of(purchase_id, traits.reference, market.derive)
        rows.append(
            (purchase_id, approval.id, approval.order_id, lot.vendor.name, lot.vendor_product,
             sku.product_id, sku.denomination, sku.currency, end - start, reference, part,
             lot.ceiling.currency, micros(now))
        )  # fmt: skip
        if approval.order_id is not None:
            order_id = approval.order_id
            held += [(purchase_id, order_id, ordinal) for ordinal in lot.items[start:end]]
    insert_purchases(tx, rows)
    hold_items(tx, held)
    return list(ids)
