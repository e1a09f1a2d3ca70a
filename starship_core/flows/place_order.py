"""POST /orders: read and lock the facts, decide in a pure function, write the outcome, in one
transaction.

Orders that arrive while a transaction is committing share the next one. No vendor is called here.
"""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from starship_core.access import Client, Wallet
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import (
    InsufficientFunds,
    InvalidInput,
    KeyReused,
    NotFound,
    ReferenceTaken,
    StarshipError,
)
from starship_core.model import Money, Order, Price, Sku
from starship_core.ports import WalletBackend
from starship_core.pricing import cascade, discount_for
from starship_core.quotes import redeem
from starship_core.ship import Ship
from starship_core.store.claim import Lot, OpenCode, Unit
from starship_core.store.facts import Facts, gather
from starship_core.store.orders import find_by_key
from starship_core.store.write import Placed, write_placed
from starship_core.suggestions import suggestions
from starship_core.till import Contended


class NewOrder(Struct, frozen=True, kw_only=True):
    """A request that has passed its schema; nothing about it has been looked up yet."""

    key: str
    product_id: int
    denomination: Decimal
    quantity: int
    wallet_id: int | None = None
    ref: str | None = None
    email: str | None = None
    mobile: str | None = None
    customer_info: str | None = None
    metadata: str = "{}"
    quote: str | None = None
    request_id: str = ""

    @property
    def fingerprint(self) -> str:
        """Of what was asked, decimals normalised, without the quote: the same request again is a
        replay.
        """
        asked = (
            self.product_id, str(self.denomination.normalize()), self.quantity, self.wallet_id,
            self.ref, self.email, self.mobile, self.customer_info, self.metadata,
        )  # fmt: skip
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


class Replayed(NamedTuple):
    """The key already has an order: render that one, as it stands now."""

    order_id: int


Outcome = Placed | Replayed | StarshipError | Contended


async def place_order(new: NewOrder, client: Client, ship: Ship) -> Placed | Replayed:
    """Deliver from the pool, or park; exactly one of the two, for each key once.

    Raises KeyReused, ReferenceTaken, InsufficientFunds, InvalidInput or Unavailable: nothing was
    kept.
    """
    fingerprint = new.fingerprint
    try:
        order = await price(new, client, ship)
    except StarshipError:
        # A replay must never meet a refusal that came true after its order was placed.
        if earlier := await ship.database.read(find_by_key, client.id, new.key):
            return replay(*earlier, fingerprint)
        raise
    outcome: Placed | Replayed = await ship.till.join(
        replace(order, fingerprint=fingerprint), partial(settle, ship=ship)
    )
    return outcome


async def price(new: NewOrder, client: Client, ship: Ship) -> Order:
    """The order that this request asks for, priced; reads only.

    Raises InvalidInput, Unavailable.
    """
    snapshot = await ship.catalogue.current()
    product = snapshot.products.get(new.product_id)
    if product is None or not product.is_active:
        raise InvalidInput(f"there is no product {new.product_id}", field="product_id")
    face = face_value(new.denomination, product.currency)
    denomination = product.offers(face.minor)
    if denomination is None:
        raise InvalidInput(
            f"product {product.id} is not offered in {face.text} {face.currency}",
            field="denomination",
        )
    if new.quantity > client.bulk_limit:
        raise InvalidInput(f"quantity may be at most {client.bulk_limit}", field="quantity")
    wallet = paying_wallet(client, new.wallet_id, product.currency)
    now = ship.now()
    if new.quote is None:
        charge = cascade(
            face,
            new.quantity,
            wallet_currency=wallet.currency,
            conversion=await ship.fx.rate(product.currency, wallet.currency),
            discount=discount_for(snapshot, client.id, product, denomination),
            fees=ship.config.pricing,
        )
    else:
        charge = _quoted(new, client, ship, face=face, wallet=wallet)
    return Order(
        client_id=client.id, key=new.key, fingerprint="",
        ref=new.ref or made_ref(client.id, new.key),
        sku=Sku(product.id, face.minor, face.currency), product_name=product.name,
        quantity=new.quantity, wallet_id=wallet.id, account=wallet.account, price=charge,
        min_expiry=earliest_expiry(now, client), email=new.email, mobile=new.mobile,
        customer_info=new.customer_info, metadata=new.metadata, placed_at=now,
        request_id=new.request_id, credential_id=client.credential_id,
    )  # fmt: skip


def _quoted(new: NewOrder, client: Client, ship: Ship, *, face: Money, wallet: Wallet) -> Price:
    return redeem(
        new.quote or "", client_id=client.id, product_id=new.product_id, denomination=face.minor,
        quantity=new.quantity, wallet_id=wallet.id, now=ship.now(), vault=ship.vault,
    )  # fmt: skip


def face_value(denomination: Decimal, currency: str) -> Money:
    """Raises InvalidInput when the currency has fewer decimals than were written."""
    try:
        return Money.of(denomination, currency)
    except ValueError as error:
        raise InvalidInput(str(error), field="denomination") from None


def paying_wallet(client: Client, wallet_id: int | None, currency: str) -> Wallet:
    """The wallet named, else the one in the product's currency, else the default.

    Raises InvalidInput.
    """
    chosen = [
        wallet
        for wallet in client.wallets
        if (wallet.id == wallet_id if wallet_id else wallet.currency == currency)
    ] or [w for w in client.wallets if wallet_id is None and w.id == client.default_wallet_id]
    if not chosen:
        raise InvalidInput("there is no such wallet of this client", field="wallet_id")
    if not chosen[0].is_active:
        raise InvalidInput(f"wallet {chosen[0].id} is not active", field="wallet_id")
    return chosen[0]


def earliest_expiry(now: datetime, client: Client) -> datetime:
    """The client's minimum validity from the next full minute, so that a batch's orders share a
    floor.
    """
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return minute + timedelta(days=client.min_validity_days)


def made_ref(client_id: int, key: str) -> str:
    """A reference for an order that came without one; derived, so that a replay makes the same."""
    digest = hashlib.sha256(f"{client_id}:{key}".encode()).digest()
    return "SR-" + base64.b32encode(digest[:15]).decode()


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
            commit_together, orders, hints.ids, ship.wallet, ship.vault.reveal
        )
        placed = (o for o in outcomes if isinstance(o, Placed))
        hints.keep(frozenset(unit.id for each in placed for unit in each.units), stale)
    return outcomes


def commit_together(
    tx: Tx, orders: Sequence[Order], hints: frozenset[int], wallet: WalletBackend, reveal: OpenCode
) -> tuple[Sequence[Outcome], frozenset[int]]:
    """The transaction: synchronous, the same on both databases.

    Also says which hints were stale.
    """
    facts = gather(tx, orders, hints, wallet=wallet, open_code=reveal)
    outcomes = decide(orders, facts)
    written = iter(write_placed(tx, [o for o in outcomes if isinstance(o, Placed)], wallet))
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
            return InsufficientFunds(f"wallet {order.wallet_id} does not hold {order.charged}")
        units = self._take(order)
        lot = Lot(order.sku, micros(order.min_expiry))
        if not units and not order.bulk and lot in self.facts.timed_out:
            return Contended()
        self.spendable[order.account] = spendable - charge
        self.taken.add((order.client_id, order.ref))
        return Placed(delivered(order), units) if units else Placed(parked(order))

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
def delivered(order: Order) -> Order:
    """A hit: all of it, now."""
    return replace(
        order, status="DELIVERED", sub_status="COMPLETED", delivery_time="INSTANT",
        delivered_quantity=order.quantity, from_cache=order.quantity, delivered_at=order.placed_at,
    )  # fmt: skip


def parked(order: Order) -> Order:
    """A miss waits for an operator or a pump; a bulk order has no items yet."""
    return replace(
        order, status="PENDING", sub_status="INITIAL" if order.bulk else "VENDOR_ORDER_PENDING",
        delivery_time="DELAYED", pending_items=0 if order.bulk else order.quantity,
    )  # fmt: skip


_REUSED: Final = "this Idempotency-Key was used for a different request"


def _replay_or_refusal(order_id: int, known: str, fingerprint: str) -> Replayed | KeyReused:
    return Replayed(order_id) if known == fingerprint else KeyReused(_REUSED)


def replay(order_id: int, known: str, fingerprint: str) -> Replayed:
    """The order that holds the key. Raises KeyReused when the request was another."""
    if known != fingerprint:
        raise KeyReused(_REUSED)
    return Replayed(order_id)
