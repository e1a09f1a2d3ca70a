"""What an operator can do now with an order: from the pool, from a vendor, with the money. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from starship_core.model import Money, Order, digits
from starship_core.routing import Offer
from starship_core.store.change import WAITING
from starship_core.store.purchases import PurchaseRecord

_BECAUSE: Final = '--reason "…"'


class Stock(Struct, frozen=True, kw_only=True):
    """What there is of the order's sku now, and belongs to no order."""

    servable: int
    """In the pool, and valid for as long as this order's client must be given."""
    too_short: int
    """In the pool, and not valid for long enough."""
    received: int
    """Ours, and not on sale before the next pump."""
    held_back: int
    """Blocked or quarantined."""


class Advice(Struct, frozen=True, kw_only=True):
    """Something that can be done now."""

    what: str
    command: str


class Trade(Struct, frozen=True, kw_only=True):
    """What is being bought for the order, and who could sell more."""

    purchases: Sequence[PurchaseRecord] = ()
    """Open ones."""
    held: int = 0
    """Units that wait for them: nothing else serves these."""
    offers: Sequence[Offer] = ()
    """The first choice first; none when buying was refused."""


def missing(order: Order) -> int:
    """Units that still wait: a bulk order's, too, that has no items before its first retry."""
    return order.quantity - order.delivered_quantity if order.status in WAITING else 0


def advice(order: Order, stock: Stock, trade: Trade) -> list[Advice]:
    """What can be done now, the best first."""
    told = [*_settle(trade), *_serve(order, stock, missing(order) - trade.held)]
    told += _buy(order, missing(order) - trade.held - stock.servable - stock.received, trade)
    if missing(order) and all(one.state == "PLANNED" for one in trade.purchases):
        what = f"give the money for the {missing(order)} that wait back, and close it"
        told.append(Advice(what=what, command=f"starship order cancel {order.id} {_BECAUSE}"))
    if trade.purchases and all(one.state == "PLANNED" for one in trade.purchases):
        what = "or have nothing bought for it, and let it wait for stock"
        told.append(Advice(what=what, command=f"starship order refuse {order.id} {_BECAUSE}"))
    return [*told, *_mend(order)]


def _settle(trade: Trade) -> list[Advice]:
    told = []
    for one in trade.purchases:
        show = f"starship purchase show {one.id}"
        if one.state != "NEEDS_REVIEW":
            told.append(Advice(what=f"see how purchase {one.id} stands: {one.state}", command=show))
            continue
        told.append(Advice(what=f"see why purchase {one.id} needs you", command=show))
        what = "say what the vendor says became of it (or --bought FILE)"
        settle = f'starship purchase resolve {one.id} --not-bought --evidence "…"'
        told.append(Advice(what=what, command=settle))
    return told


def _serve(order: Order, stock: Stock, free: int) -> list[Advice]:
    told = []
    if free and stock.servable:
        what = (
            "deliver it: the pool holds enough"
            if stock.servable >= free
            else f"deliver the {stock.servable} that the pool holds; the rest goes on waiting"
        )
        told.append(Advice(what=what, command=f"starship order retry {order.id}"))
    if stock.servable < free and stock.received:
        what = f"put {stock.received} received ones on sale, then retry"
        told.append(Advice(what=what, command="starship pump"))
    return told


def _buy(order: Order, short: int, trade: Trade) -> list[Advice]:
    if short <= 0:
        return []
    what = f"bring in {short} more, then retry"
    told = [Advice(what=what, command="starship stock import FILE.csv")]
    if trade.offers:
        first = trade.offers[0]
        ceiling, known = _ceiling(order, short, first)
        what = f"let {short} be bought from {first.vendor}; {known}"
        command = (
            f"starship order approve {order.id} --vendor {first.vendor} "
            f"--ceiling {ceiling.text} {_BECAUSE}"
        )
        told.append(Advice(what=what, command=command))
    return told


def _ceiling(order: Order, short: int, offer: Offer) -> tuple[Money, str]:
    """An estimate, rounded up: what was last seen, else the face value."""
    currency = order.sku.currency
    if offer.worth is None:
        face = Money(order.sku.denomination * short, currency)
        return face, "what it costs is not known, so the ceiling is the face value"
    minor = -(-offer.worth * short * 10 ** digits(currency) // 1)
    return Money(int(minor), currency), "the ceiling is what it cost when it was last looked at"


def _mend(order: Order) -> list[Advice]:
    if missing(order) or not order.delivered_quantity:
        return []
    item = "1" if order.quantity == 1 else "ITEM"
    does = f"starship order {{}} {order.id}"
    replace = f"{does.format('replace')} {item} {_BECAUSE}"
    told = [Advice(what="give an item whose code is bad another voucher", command=replace)]
    if order.refunded < order.charged.minor:
        refund = f"{does.format('refund')} --item {item} {_BECAUSE}"
        told.append(Advice(what="or give the money for it back", command=refund))
    return told
