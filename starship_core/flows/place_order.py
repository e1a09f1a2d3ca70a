"""POST /orders: read and lock the facts, decide in a pure function, write the outcome, in one
transaction.

Orders that arrive while a transaction is committing share the next one. No vendor is called here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from msgspec.structs import replace

from starship_core.access import Client
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import (
    InsufficientFunds,
    KeyReused,
    NotFound,
    ReferenceTaken,
    StarshipError,
)
from starship_core.model import Order, Sku
from starship_core.new_order import NewOrder, price
from starship_core.ports import WalletBackend
from starship_core.ship import Ship
from starship_core.store.claim import Lot, OpenCode, Unit
from starship_core.store.facts import Facts, gather
from starship_core.store.orders import find_by_key
from starship_core.store.write import Placed, write_placed
from starship_core.suggestions import suggestions
from starship_core.till import Contended


class Replayed(NamedTuple):
    """The key already has an order: render that one, as it stands now."""

    order_id: int


Outcome = Placed | Replayed | StarshipError | Contended


async def place_order(new: NewOrder, client: Client, ship: Ship) -> Placed | Replayed:
    """Deliver from the pool, or park; exactly one of the two, for each key once.

    Raises KeyReused, ReferenceTaken, InsufficientFunds, InvalidInput or Unavailable: nothing was
    kept.
    """
    try:
        order = await price(new, client, ship)
        await refuse_plainly_short(order, ship)
    except StarshipError:
        # A replay must never meet a refusal that came true after its order was placed.
        if earlier := await ship.database.read(find_by_key, client.id, new.key):
            return replay(*earlier, new.fingerprint)
        raise
    outcome: Placed | Replayed = await ship.till.join(order, partial(settle, ship=ship))
    return outcome


async def refuse_plainly_short(order: Order, ship: Ship) -> None:
    """Who was short a moment ago is asked before any lock: no voucher waits for an empty wallet."""
    if order.account not in ship.short:
        return
    if (await ship.wallet.balance(order.account)).spendable < order.price.total_payable:
        raise InsufficientFunds(_SHORT.format(order.wallet_id, order.charged))
    ship.short.discard(order.account)


# [settle] -- the heart: docs/tour.md shows it from here
async def settle(orders: Sequence[Order], ship: Ship) -> Sequence[Outcome]:
    """One transaction for every order that came while the last one was committing."""
    wanted = Counter[Sku]()
    for order in orders:
        if not order.bulk:
            wanted[order.sku] += order.quantity
    async with suggestions(
        ship.pool, wanted
    ) as hints:  # what is not kept goes back, on every way out
        outcomes, stale = await ship.database.run(
            commit_together, orders, ship.wallet, ship.vault.reveal, meanwhile=hints.popped
        )
        placed = (o for o in outcomes if isinstance(o, Placed))
        hints.keep(frozenset(unit.id for each in placed for unit in each.units), stale)
    pairs = zip(orders, outcomes, strict=True)
    ship.short.update(o.account for o, out in pairs if isinstance(out, InsufficientFunds))
    return outcomes


def commit_together(
    tx: Tx, hints: frozenset[int], orders: Sequence[Order], wallet: WalletBackend, reveal: OpenCode
) -> tuple[Sequence[Outcome], frozenset[int]]:
    """The transaction: synchronous, the same on both databases.

    Also says which hints were stale.
    """
    facts = gather(tx, orders, hints, wallet=wallet, open_code=reveal)
    outcomes = decide(orders, facts)
    placed = [outcome for outcome in outcomes if isinstance(outcome, Placed)]
    written = iter(write_placed(tx, placed, facts.balances, wallet))
    return [next(written) if isinstance(o, Placed) else o for o in outcomes], facts.stale


def decide(orders: Sequence[Order], facts: Facts) -> list[Outcome]:
    """Pure: each order its own outcome, in the order of asking."""
    table = _Table(facts)
    return [table.outcome(order) for order in orders]


class _Table:
    """What is left to give out while a batch is decided, order by order."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.units = {sku: list(units) for sku, units in facts.units.items()}
        self.spendable = {name: b.spendable for name, b in facts.balances.items()}
        self.taken = set(facts.taken)

    def outcome(self, order: Order) -> Outcome:
        if known := self.facts.known.get((order.client_id, order.key)):
            return _replay_or_refusal(known.order_id, known.fingerprint, order.fingerprint)
        if (order.client_id, order.ref) in self.taken:
            return ReferenceTaken(f"ref {order.ref} belongs to another order of this client")
        charge = order.price.total_payable
        spendable = self.spendable.get(order.account)
        if spendable is None:
            return NotFound("wallet", order.wallet_id)
        if spendable < charge:
            return InsufficientFunds(_SHORT.format(order.wallet_id, order.charged))
        units = self._take(order)
        lot = Lot(order.sku, micros(order.min_expiry))
        if not units and not order.bulk and lot in self.facts.timed_out:
            return Contended()
        self.spendable[order.account] = spendable - charge
        self.taken.add((order.client_id, order.ref))
        order_id = self.facts.ids[order.client_id, order.key]
        return Placed(delivered(order, order_id) if units else parked(order, order_id), units)

    def _take(self, order: Order) -> tuple[Unit, ...]:
        """All units or none, first expired first out, none below the order's floor."""
        if order.bulk:
            return ()
        stock = self.units.get(order.sku, [])
        first = bisect_right(stock, micros(order.min_expiry), key=lambda unit: unit.expires_at)
        end = first + order.quantity
        if len(stock) < end:
            return ()
        units = tuple(stock[first:end])
        del stock[first:end]
        return units


# [/settle]
def delivered(order: Order, order_id: int) -> Order:
    """A hit: all of it, now."""
    return replace(
        order, id=order_id,
        status="DELIVERED", sub_status="COMPLETED", delivery_time="INSTANT",
        delivered_quantity=order.quantity, from_cache=order.quantity, delivered_at=order.placed_at,
    )  # fmt: skip


def parked(order: Order, order_id: int) -> Order:
    """A miss waits for an operator or a pump; a bulk order has no items yet."""
    return replace(
        order, id=order_id,
        status="PENDING", sub_status="INITIAL" if order.bulk else "VENDOR_ORDER_PENDING",
        delivery_time="DELAYED", pending_items=0 if order.bulk else order.quantity,
    )  # fmt: skip


_SHORT: Final = "wallet {} does not hold {}"
_REUSED: Final = "this Idempotency-Key was used for a different request"


def _replay_or_refusal(order_id: int, known: str, fingerprint: str) -> Replayed | KeyReused:
    return Replayed(order_id) if known == fingerprint else KeyReused(_REUSED)


def replay(order_id: int, known: str, fingerprint: str) -> Replayed:
    """The order that holds the key. Raises KeyReused when the request was another."""
    if known != fingerprint:
        raise KeyReused(_REUSED)
    return Replayed(order_id)
