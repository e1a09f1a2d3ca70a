"""The cascade: pure functions, exact decimals up to the printed line, each line rounded once.

face value × quantity → FX → the client's own discount, else the product's → fees → tax → the debit.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

from msgspec import Struct

from starship_core.config import PricingSection
from starship_core.errors import InvalidInput
from starship_core.model import Money, Price, digits
from starship_core.snapshot import Denomination, Product, Snapshot

LARGEST: Final = 10**17
"""Minor units that one order may come to: far above any, and it fits a 64-bit column."""

# far more digits than any product below has: a step that must round is a fault, not a rounding
_EXACT: Final = Context(prec=500, traps=[Inexact, InvalidOperation, Overflow])
_ROUNDING: Final = Context(prec=500, rounding=ROUND_HALF_UP, traps=[InvalidOperation, Overflow])
_NOTHING: Final = Decimal(0)
_ONE: Final = Decimal(1)
_HUNDRED: Final = Decimal(100)
_SCALE: Final = tuple(Decimal(1).scaleb(places) for places in range(-6, 7))


class Conversion(Struct, frozen=True, kw_only=True):
    """One unit of the product's currency buys `rate` units of the wallet's."""

    rate: Decimal
    source: str
    as_of: datetime
    """With the source it names the table of rates."""


def cascade(  # noqa: PLR0913  # the inputs of a price are these six
    face: Money,
    quantity: int,
    *,
    wallet_currency: str,
    conversion: Conversion | None,
    discount: Decimal | None,
    fees: PricingSection,
) -> Price:
    """Price `quantity` vouchers of `face` for a wallet. Percentages are validated on entry.

    `discount` None: nobody set any (`discount_for`), so the deployment's is given.

    Raises InvalidInput for what comes to less than half a minor unit, or to more than can be kept.
    """
    multiply, divided = _EXACT.multiply, _EXACT.scaleb
    discount = fees.discount if discount is None else discount
    used = None if face.currency == wallet_currency else conversion
    exact = _converted(face, quantity, wallet_currency, used)
    discounted = divided(multiply(exact, _EXACT.subtract(_HUNDRED, discount)), -2)
    hundredth = divided(discounted, -2)
    handling = multiply(hundredth, fees.handling_percent)
    convenience = multiply(hundredth, fees.convenience_percent)
    surcharge = _NOTHING if used is None else multiply(hundredth, fees.conversion_percent)
    taxed = _EXACT.add(_EXACT.add(handling, convenience), surcharge)
    price = Price(
        currency=wallet_currency,
        non_discounted_total=_line(exact),
        discount=format(discount, "f"),
        total_amount=_line(discounted),
        handling_fee=_line(handling),
        convenience_fee=_line(convenience),
        conversion_fee=_line(surcharge),
        tax=_line(divided(multiply(taxed, fees.tax_percent), -2)),
        forex_rate=None if used is None else format(used.rate, "f"),
        forex_source=None if used is None else used.source,
        forex_as_of=None if used is None else used.as_of,
    )
    return _payable(price)


def _converted(
    face: Money, quantity: int, wallet_currency: str, conversion: Conversion | None
) -> Decimal:
    """The face value of all units, exact, in minor units of the wallet's currency."""
    exact = Decimal(face.minor * quantity)
    if conversion is None:
        if face.currency != wallet_currency:
            raise TypeError(f"{face.currency} to {wallet_currency} needs a conversion")
        return exact
    scale = _SCALE[6 + digits(wallet_currency) - digits(face.currency)]
    return _EXACT.multiply(_EXACT.multiply(exact, conversion.rate), scale)


def _line(exact: Decimal) -> int:
    """A printed line: the one place where anything is rounded."""
    return int(exact.quantize(_ONE, context=_ROUNDING)) if exact else 0


def _payable(price: Price) -> Price:
    if not price.non_discounted_total:
        raise InvalidInput(
            f"this comes to less than the smallest unit of {price.currency}", reason="too_small"
        )
    if price.non_discounted_total > LARGEST or price.total_payable > LARGEST:
        raise InvalidInput("this comes to more than one order can be", reason="too_large")
    return price


def discount_for(
    snapshot: Snapshot,
    client_id: int,
    product: Product,
    denomination: Denomination,
) -> Decimal | None:
    """Percent: the client's own; only without one the denomination's, then the product's.

    None: nobody set any, and the deployment's (`[pricing] discount`) is given. A 0 that somebody
    set is a discount.
    """
    own = snapshot.client_discounts.get((client_id, product.id))
    if own is not None:
        return own
    if denomination.discount is not None:
        return denomination.discount
    return product.discount
