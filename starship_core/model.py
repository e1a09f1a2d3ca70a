"""Nouns: frozen data that travels between plugins, flows and wires. Nothing here acts.

`gc=False` stands on what there are a hundred thousand of in one pump, and what cannot be part of a
cycle: walking them was a third of its time.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any, Final, Literal, NoReturn

from msgspec import Struct, field

# ISO 4217 currencies whose minor unit is not a hundredth; every other one has two decimals.
# (A test holds this table against CLDR's.)
_NO_DECIMALS: Final = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV",
    "XAF", "XOF", "XPF",
)  # fmt: skip
_THREE_DECIMALS: Final = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DIGITS: Final = dict.fromkeys(_NO_DECIMALS, 0) | dict.fromkeys(_THREE_DECIMALS, 3)
# nothing is rounded on the way to minor units, and a huge exponent makes no huge number
_EXACT: Final = Context(prec=40, Emax=39, traps=[InvalidOperation, Inexact, Overflow])

NO_EXPIRY: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""How "never expires" is stored, so that first-expired-first-out needs no special case."""


def digits(currency: str) -> int:
    """How many decimals `currency` has: 0 for JPY, 2 for EUR, 3 for KWD."""
    return _DIGITS.get(currency, 2)


class Secret:
    """A voucher code, a password, a key: neither prints nor serialises; `reveal()` is the one way
    out.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The plaintext. Whoever calls this owns the leak."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self._value.encode(), other._value.encode()
        )

    def __repr__(self) -> str:
        return "Secret(•••)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        msg = "a Secret cannot be pickled"
        raise TypeError(msg)


class Token(Struct, frozen=True, kw_only=True):
    """What a vendor lets us in with for a while."""

    value: Secret
    expires_at: datetime | None = None
    """None: it holds until the vendor refuses it."""


class Money(Struct, frozen=True, order=True, gc=False):
    """An exact amount: integer minor units (pence, yen, fils) of one ISO 4217 currency."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str) -> Money:
        """`Money.of("12.50", "EUR")`. Raises ValueError for more decimals than the currency has,
        and for what is no amount at all.
        """
        try:
            scaled = Decimal(amount).scaleb(digits(currency), _EXACT)
            minor = int(scaled)
        except (ArithmeticError, ValueError):
            msg = f"{amount} is not an amount of {currency}"
            raise ValueError(msg) from None
        if minor != scaled:
            msg = f"{amount} has more than the {digits(currency)} decimals of {currency}"
            raise ValueError(msg)
        return cls(minor, currency)

    @property
    def amount(self) -> Decimal:
        return Decimal(self.minor).scaleb(-digits(self.currency))

    def __str__(self) -> str:
        return f"{self.text} {self.currency}"

    @property
    def text(self) -> str:
        """The amount with exactly the currency's decimals, as the API writes it: `127.50`."""
        return minor_text(self.minor, self.currency)


def minor_text(minor: int, currency: str) -> str:
    """12750 EUR → "127.50"; 127 JPY → "127"; 1250 KWD → "1.250"."""
    places = digits(currency)
    if not places:
        return str(minor)
    sign, whole = ("-", -minor) if minor < 0 else ("", minor)
    return f"{sign}{whole // 10**places}.{whole % 10**places:0{places}d}"


class Sku(Struct, frozen=True, order=True, gc=False):
    """What a pool holds: one product in one denomination (minor units) of one currency."""

    product_id: int
    denomination: int
    currency: str

    @property
    def face(self) -> Money:
        return Money(self.denomination, self.currency)

    def __str__(self) -> str:
        return f"{self.product_id}/{self.face.text}/{self.currency}"


class Voucher(Struct, frozen=True, kw_only=True, gc=False):
    """One voucher on its way from a source or a vendor into the stock; its code is secret."""

    sku: Sku
    reference: str
    """The source's own name for this unit, or its ordinal in a purchase: unique within that source.
    """
    card_number: Secret | None = None
    pin_code: Secret | None = None
    claim_url: Secret | None = None
    voucher_reference_number: str | None = None
    expires_at: datetime = NO_EXPIRY


class Want(Struct, frozen=True):
    """How many units of a sku the pump would like a source to hand over now."""

    sku: Sku
    quantity: int


Status = Literal["PLACED", "PENDING", "PARTIALLY_DELIVERED", "DELIVERED", "CANCELLED", "FAILED"]
SubStatus = Literal[
    "INITIAL",
    "VENDOR_ORDER_PENDING",
    "VENDOR_VOUCHER_FETCHED",
    "VENDOR_ORDER_FAILED",
    "NEEDS_REVIEW",
    "PARTIAL",
    "COMPLETED",
]
DeliveryTime = Literal["INSTANT", "DELAYED"]
Environment = Literal["live", "test"]

BULK_ABOVE: Final = 50
"""Above this quantity an order is bulk: no items at creation (fulfilment model, *Async Orders*)."""


class Price(Struct, frozen=True, kw_only=True):
    """The cascade's result: every printed line in minor units of the wallet's `currency`."""

    currency: str
    non_discounted_total: int
    discount: str
    """Percent, as a decimal string."""
    total_amount: int
    """After the discount."""
    handling_fee: int = 0
    convenience_fee: int = 0
    conversion_fee: int = 0
    tax: int = 0
    forex_rate: str | None = None
    forex_source: str | None = None
    forex_as_of: datetime | None = None

    @property
    def discount_amount(self) -> int:
        return self.non_discounted_total - self.total_amount

    @property
    def net_amount(self) -> int:
        return self.total_amount + self.handling_fee + self.convenience_fee + self.conversion_fee

    @property
    def total_payable(self) -> int:
        """The debit."""
        return self.net_amount + self.tax


class Order(Struct, frozen=True, kw_only=True):
    """An order as it stands.

    A step that changes it makes the next one (`msgspec.structs.replace`).
    """

    id: int = 0
    """0 until it has been written."""
    client_id: int
    key: str
    fingerprint: str
    ref: str
    sku: Sku
    product_name: str
    quantity: int
    wallet_id: int
    account: str
    """The wallet backend's name of the account that pays."""
    price: Price
    min_expiry: datetime
    """Vouchers that expire before this are not for this order (the client's minimum validity)."""
    status: Status = "PLACED"
    sub_status: SubStatus | None = "INITIAL"
    delivery_time: DeliveryTime = "DELAYED"
    transaction_id: int = 0
    refunded: int = 0
    delivered_quantity: int = 0
    pending_items: int = 0
    from_cache: int = 0
    revision: int = 1
    email: str | None = None
    mobile: str | None = None
    customer_info: str | None = None
    """JSON text, as the client sent it."""
    metadata: str = "{}"
    """JSON text, as the client sent it."""
    placed_at: datetime
    delivered_at: datetime | None = None
    request_id: str = ""
    credential_id: int = 0

    @property
    def charged(self) -> Money:
        return Money(self.price.total_payable, self.price.currency)

    @property
    def bulk(self) -> bool:
        return self.quantity > BULK_ABOVE


def share(total: int, ordinal: int, count: int) -> int:
    """Item `ordinal` (from 1) of `count`: its part of `total` minor units; the parts sum to
    `total`.
    """
    return total * ordinal // count - total * (ordinal - 1) // count


class OrderEvent(Struct, frozen=True, kw_only=True):
    """Something that happened to an order, as clients are told: never a code."""

    event_id: str
    event_type: str
    created_at: datetime
    client_id: int
    data: dict[str, Any]


class Target(Struct, frozen=True, kw_only=True):
    """Where a notifier delivers to: an address and the secrets that sign."""

    address: str
    secrets: tuple[Secret, ...] = ()
    """One; while they are being rotated, two, the older first; none where nothing is signed."""
    options: dict[str, Any] = field(default_factory=dict)


class FxTable(Struct, frozen=True, kw_only=True):
    """Rates of one base currency: one unit of base buys `rates[currency]` units."""

    base: str
    rates: dict[str, Decimal]
    source: str
    as_of: datetime


class Balance(Struct, frozen=True, kw_only=True):
    """What an account holds and how far below zero it may go, in minor units."""

    account: str
    currency: str
    minor: int
    floor: int = 0

    @property
    def spendable(self) -> int:
        return self.minor - self.floor


class Entry(Struct, frozen=True, kw_only=True):
    """One movement asked of a wallet backend; the same `key` again is a no-op."""

    key: str
    account: str
    minor: int
    """Signed minor units: negative takes from the account."""
    currency: str
    kind: Literal["debit", "refund", "credit", "reversal"]
    of: str | None = None
    """For a refund or reversal: the key of the entry it gives back, which bounds it."""
    at: datetime


class Purchase(Struct, frozen=True, kw_only=True):
    """One buy at one vendor: the reference was committed before anyone sends it."""

    reference: str
    sku: Sku
    quantity: int
    vendor_product: str
    ceiling: Money
    vendor_reference: str | None = None
    planned_at: datetime
    sent_at: datetime | None = None


class Bought(Struct, frozen=True, kw_only=True):
    """The vendor sold these; `final` says no more will come under this reference."""

    vouchers: tuple[Voucher, ...]
    charged: Money | None
    final: bool = True
    vendor_reference: str | None = None


class Accepted(Struct, frozen=True, kw_only=True):
    """The vendor took the order and will deliver later; ask `find`."""

    vendor_reference: str | None


class Refused(Struct, frozen=True, kw_only=True):
    """The vendor said no, by status *and* body: nothing was bought, nothing charged."""

    reason: str


VendorReply = Bought | Accepted | Refused


class VendorProduct(Struct, frozen=True, kw_only=True):
    """One line of a vendor's catalogue, in the vendor's own terms."""

    vendor_product: str
    name: str
    currency: str
    country: str | None = None
    minimum: Decimal
    maximum: Decimal
    cost: Money | None = None
    stock: int | None = None
    """None: unlimited or not told."""


class VendorOrder(Struct, frozen=True, kw_only=True):
    """One order of ours in a vendor's own list."""

    reference: str
    """Ours, in our spelling."""
    quantity: int
    charged: Money | None
    """In all; None: not told."""
    failed: bool = False
    """Nothing was sold, and nothing will be."""


class FallbackCase(Struct, frozen=True, kw_only=True):
    """What a policy sees: an order that misses, what it would cost, what was spent already."""

    order_id: int
    client_id: int
    sku: Sku
    quantity: int
    charged: Money
    estimated_cost: Money | None
    spent_today: Money
    at: datetime


class Verdict(Struct, frozen=True, kw_only=True):
    """A policy's answer, with the reason an auditor will read."""

    says: Literal["Allow", "NoObjection", "AskOperator", "Refuse"]
    reason: str
