"""A quote: a price that its holder may have until it expires, as a signed token. Nothing is stored.

`<payload>.<key id>.<signature>`, base64url. It promises a price, not a reservation.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from starship_core.clock import micros
from starship_core.errors import InvalidInput
from starship_core.model import Price
from starship_core.vault import Vault

PURPOSE: Final = "quote"
LONGEST: Final = 2048
"""Characters. A quote of ours has some 700; what is longer is not looked at."""


class _Quote(Struct, frozen=True, array_like=True, tag=1):
    """The payload; its tag is the format's version."""

    client_id: int
    product_id: int
    denomination: int
    """Minor units of the product's currency."""
    quantity: int
    wallet_id: int
    expires_at: int
    price: Price
    """With the rate, its source and its time, which name the table of exchange rates."""

    @property
    def subject(self) -> tuple[int, ...]:
        return (
            self.client_id, self.product_id, self.denomination, self.quantity, self.wallet_id
        )  # fmt: skip


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Quote).decode


def issue(  # noqa: PLR0913  # all that a quote is bound to
    price: Price,
    *,
    client_id: int,
    product_id: int,
    denomination: int,
    quantity: int,
    wallet_id: int,
    expires_at: datetime,
    vault: Vault,
) -> str:
    """A token that `redeem` turns back into exactly this price, for exactly this order."""
    quote = _Quote(
        client_id=client_id, product_id=product_id, denomination=denomination, quantity=quantity,
        wallet_id=wallet_id, expires_at=micros(expires_at), price=price,
    )  # fmt: skip
    payload = base64.urlsafe_b64encode(_encode(quote)).rstrip(b"=")
    return f"{payload.decode()}.{vault.sign(PURPOSE, payload)}"


def redeem(  # noqa: PLR0913  # all that a quote is bound to
    token: str,
    *,
    client_id: int,
    product_id: int,
    denomination: int,
    quantity: int,
    wallet_id: int,
    now: datetime,
    vault: Vault,
) -> Price:
    """The price as quoted, whatever the rates and discounts are by now.

    Raises InvalidInput: `quote_mismatch` for a token that is not ours or is for something else,
    `quote_expired` from the very moment it expires.
    """
    quote = _opened(token, vault)
    asked = (client_id, product_id, denomination, quantity, wallet_id)
    if quote is None or quote.subject != asked:
        raise InvalidInput(
            "the quote is not for this order", field="quote", reason="quote_mismatch"
        )
    if micros(now) >= quote.expires_at:
        raise InvalidInput("the quote has expired", field="quote", reason="quote_expired")
    return quote.price


def _opened(token: str, vault: Vault) -> _Quote | None:
    payload, _, signature = token.partition(".")
    if len(token) > LONGEST or not token.isascii():
        return None
    signed = payload.encode()
    if not vault.check(PURPOSE, signed, signature):
        return None
    try:
        return _decode(base64.urlsafe_b64decode(signed + b"=" * (-len(signed) % 4)))
    except (binascii.Error, msgspec.MsgspecError):  # signed by us, in another release's format
        return None
