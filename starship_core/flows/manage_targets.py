"""Targets of the pump, and the standing approvals that let it buy what its sources do not have.

A target says how much there should be and names vendors; it buys nothing. A standing approval is an
operator's yes to spending: a budget, an end, and vendors out of the target's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from starship_core.audit import By, record, require_reason
from starship_core.buying.ahead import price_of
from starship_core.buying.planning import Market, check_vendors
from starship_core.clock import micros, rfc3339
from starship_core.database import Tx
from starship_core.errors import InvalidInput, NotFound
from starship_core.model import Money, Sku
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.snapshot import Product
from starship_core.store.approvals import Approval, Terms, find_approval, insert_approval
from starship_core.store.standing import end_all_standing, end_standing, standing
from starship_core.store.targets import (
    StockTarget,
    find_target,
    lock_target,
    remove_target,
    set_target,
)
from starship_core.store.vendor_products import (
    currency_of,
    find_offers,
    product_code,
    product_id_of,
)

MOST: Final = 1_000_000
"""Vouchers of one sku."""
LONGEST: Final = timedelta(days=92)
"""A standing approval; whoever gave it looks again after a quarter at the latest."""

SAME_FOR: Final = timedelta(minutes=10)


class Wish(Struct, frozen=True, kw_only=True):
    """A target as an operator writes it: the whole of it, so what is left out is no more."""

    product: str | int
    """Its code, or its id in digits; a number is an id only."""
    denomination: str
    minimum: int
    maximum: int
    budget: str | None = None
    """At most this is planned in one run; None: what the approvals hold."""
    currency: str | None = None
    """Of the budget; None: the product's."""
    vendors: tuple[str, ...] = ()


class Grant(Struct, frozen=True, kw_only=True):
    """A yes to buying ahead, as an operator gives it."""

    product: str | int
    """Its code, or its id in digits; a number is an id only."""
    denomination: str
    budget: str
    expires_at: datetime
    currency: str | None = None
    """Of the budget; None: the product's."""
    vendors: tuple[str, ...] = ()
    """In order of preference; none named: the target's."""


class TargetTerms(Struct, frozen=True, kw_only=True):
    """A target as an operator wrote it."""

    sku: str
    minimum: int
    maximum: int
    budget: str | None
    vendors: Sequence[str]


async def keep_target(wish: Wish, by: By, ship: Ship) -> StockTarget:
    """From the next pump on. The same again changes nothing; another one takes its place, and its
    approvals hold on. Raises NotFound (product), InvalidInput (what is asked).
    """
    products = (await ship.catalogue.current()).products
    return await ship.database.run(_keep, wish, by, Market.of(ship), (products, ship.now()))


async def drop_target(product: str | int, denomination: str, by: By, ship: Ship) -> StockTarget:
    """The pump takes all there is again, and buys none: its standing approvals end. Raises
    NotFound.
    """
    return await ship.database.run(_drop, product, denomination, by, ship.now())


async def approve_ahead(grant: Grant, by: By, ship: Ship) -> Approval:
    """Let the pump buy for the stock. Each one is another budget; but the same yes by the same
    operator within `SAME_FOR` is a request repeated, and answers the first as it stands. Raises
    NotFound (product, target), InvalidInput (vendors, budget, reason, expiry).
    """
    return await ship.database.run(_approve, grant, by, Market.of(ship), ship.now())


async def revoke_ahead(approval_id: int, by: By, ship: Ship) -> Approval:
    """Nothing more is planned or sent under it; what was sent is looked up as ever. Again: the
    same. Raises NotFound (there is none, or it is an order's).
    """
    return await ship.database.run(_revoke, approval_id, by, ship.now())


def terms_of(target: StockTarget) -> TargetTerms:
    """As the audit keeps it."""
    return TargetTerms(
        sku=str(target.sku),
        minimum=target.minimum,
        maximum=target.maximum,
        budget=None if target.budget is None else str(target.budget),
        vendors=target.vendors,
    )


def _sku(tx: Transaction, product: str | int, denomination: str) -> Sku:
    if isinstance(product, int) and product_code(tx, product) is None:
        raise NotFound("product", product)
    product_id = product if isinstance(product, int) else product_id_of(tx, product)
    face = _amount(denomination, currency_of(tx, product_id), "denomination")
    return Sku(product_id, face.minor, face.currency)


def _keep(
    tx: Tx, wish: Wish, by: By, market: Market, context: tuple[dict[int, Product], datetime]
) -> StockTarget:
    products, at = context
    sku = _sku(tx, wish.product, wish.denomination)
    _check_offered(sku, products)
    if not 1 <= wish.minimum <= wish.maximum <= MOST:
        raise InvalidInput(
            f"the minimum is at least 1, the maximum at least the minimum and at most {MOST}",
            field="minimum",
        )
    _check_named(tx, market, sku, wish.vendors)
    target = StockTarget(
        sku=sku, minimum=wish.minimum, maximum=wish.maximum, vendors=wish.vendors,
        budget=_budget(wish.budget, wish.currency or sku.currency) if wish.budget is not None
        else None,
    )  # fmt: skip
    before = find_target(tx, sku)
    if before == target:
        return target
    set_target(tx, target, micros(at))
    record(
        tx, by, "target.set", f"sku:{sku}", at=at, before=before and terms_of(before),
        after=terms_of(target),
    )  # fmt: skip
    return target


def _drop(tx: Tx, product: str | int, denomination: str, by: By, now: datetime) -> StockTarget:
    sku = _sku(tx, product, denomination)
    lock_target(tx, sku)
    before = _found(tx, sku)
    remove_target(tx, sku)
    ended = end_all_standing(tx, sku, micros(now))
    record(
        tx, by, "target.remove", f"sku:{sku}", at=now, before=terms_of(before),
        after={"approvals_ended": ended},
    )  # fmt: skip
    return before


def _approve(tx: Tx, grant: Grant, by: By, market: Market, now: datetime) -> Approval:
    sku = _sku(tx, grant.product, grant.denomination)
    lock_target(tx, sku)
    target = _found(tx, sku)
    vendors = grant.vendors or target.vendors
    budget = _budget(grant.budget, grant.currency or sku.currency)
    _check_approval(target, vendors, budget)
    _check_named(tx, market, sku, vendors)
    _check_prices(tx, sku, vendors, budget)
    require_reason(by, "an approval")
    if not now < grant.expires_at <= now + LONGEST:
        raise InvalidInput(
            f"a standing approval ends after now and within {LONGEST.days} days", field="until"
        )
    terms = Terms(
        vendors=vendors, ceiling=budget, expires_at=grant.expires_at, actor=by.actor,
        reason=by.reason,
    )  # fmt: skip
    for earlier in standing(tx, sku, micros(now)):
        if _said(earlier.terms) == _said(terms) and earlier.created_at > now - SAME_FOR:
            return earlier
    approval = insert_approval(tx, terms, sku, now, order=None)
    after = {
        "approval": approval.id, "vendors": vendors, "budget": str(budget),
        "expires_at": rfc3339(grant.expires_at),
    }  # fmt: skip
    record(tx, by, "target.approve", f"sku:{sku}", at=now, after=after)
    return approval


def _said(terms: Terms) -> tuple[object, ...]:
    return terms.actor, terms.reason, terms.vendors, terms.ceiling


def _revoke(tx: Tx, approval_id: int, by: By, now: datetime) -> Approval:
    approval = find_approval(tx, approval_id)
    if approval.order_id is not None:
        raise NotFound("standing approval", approval_id)
    if end_standing(tx, approval_id, micros(now)):
        left = Money(
            approval.terms.ceiling.minor - approval.planned, approval.terms.ceiling.currency
        )
        record(
            tx, by, "target.revoke", f"sku:{approval.sku}", at=now,
            before={"approval": approval_id, "left": str(left)},
        )  # fmt: skip
    return find_approval(tx, approval_id)


def _found(tx: Transaction, sku: Sku) -> StockTarget:
    target = find_target(tx, sku)
    if target is None:
        raise NotFound("target", f"of {sku}; set one with `starship target set`")
    return target


def _amount(text: str, currency: str, field: str) -> Money:
    try:
        found = Money.of(text, currency)
    except ValueError as error:
        raise InvalidInput(str(error), field=field) from None
    if found.minor <= 0:
        raise InvalidInput(f"the {field} must be more than nothing", field=field)
    return found


def _budget(text: str, currency: str) -> Money:
    return _amount(text, currency, "budget")


def _check_offered(sku: Sku, products: dict[int, Product]) -> None:
    product = products.get(sku.product_id)
    if product is None or product.offers(sku.denomination) is None:
        raise InvalidInput(f"this product is not offered in {sku.face}", field="denomination")


def _check_named(tx: Transaction, market: Market, sku: Sku, vendors: Sequence[str]) -> None:
    if len(set(vendors)) != len(vendors):
        raise InvalidInput("a vendor is named twice", field="vendor")
    if vendors:
        check_vendors(tx, market, sku, vendors)


def _check_approval(target: StockTarget, vendors: Sequence[str], budget: Money) -> None:
    if not target.vendors:
        raise InvalidInput(
            f"the target of {target.sku} names no vendor: name one with `starship target set`",
            field="vendor",
        )
    if strange := [name for name in vendors if name not in target.vendors]:
        raise InvalidInput(
            f"{strange[0]} is none of the target's vendors: {', '.join(target.vendors)}",
            field="vendor",
        )
    if target.budget is not None and target.budget.currency != budget.currency:
        raise InvalidInput(
            f"the target's budget for one run is in {target.budget.currency}, so this one must be",
            field="currency",
        )


def _check_prices(tx: Transaction, sku: Sku, vendors: Sequence[str], budget: Money) -> None:
    """Whatever is approved can be reckoned with."""
    for offer in find_offers(tx, sku):
        if offer.vendor in vendors and price_of(offer, sku, budget.currency) is None:
            cost = offer.unit_cost(sku.denomination)
            asked = cost.currency if cost else sku.currency
            raise InvalidInput(
                f"{offer.vendor} asks for it in {asked}: give the budget in {asked}",
                field="currency",
            )
