"""From a request to a priced order: everything is looked up, nothing is locked or written."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec import Struct

from starship_core.access import Client, Wallet
from starship_core.errors import InvalidInput
from starship_core.model import Money, Order, Price, Sku
from starship_core.pricing import cascade, discount_for
from starship_core.quotes import redeem
from starship_core.ship import Ship


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


async def price(new: NewOrder, client: Client, ship: Ship) -> Order:
    """The order that is asked for, priced; reads only. Raises InvalidInput, Unavailable."""
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
        converts = wallet.currency != product.currency
        charge = cascade(
            face,
            new.quantity,
            wallet_currency=wallet.currency,
            conversion=await ship.fx.rate(product.currency, wallet.currency) if converts else None,
            discount=discount_for(snapshot, client.id, product, denomination),
            fees=ship.config.pricing,
        )
    else:
        charge = _quoted(new, client, ship, face=face, wallet=wallet)
    return Order(
        client_id=client.id, key=new.key, fingerprint=new.fingerprint,
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
