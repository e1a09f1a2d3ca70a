"""Judge what a source handed over: what each unit is, before anything is written.

A plugin's word is checked against the catalogue: a unit that is not what we sell is never put on
sale, whatever its source says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from starship_core.clock import micros
from starship_core.model import Secret, Sku, Voucher
from starship_core.snapshot import DeliveryType, Product, Snapshot
from starship_core.stock.table import Known
from starship_core.vault import Code, Vault

Outcome = Literal[
    "taken", "already here", "duplicate", "expired", "recalled", "quarantined", "refused", "surplus"
]
"""What became of a unit. One that is refused, or more than its target wants (`surplus`), is not
confirmed to its source, and so is offered again.
"""
LEFT: Final[tuple[Outcome, ...]] = ("refused", "surplus")
"""They stay with their source."""

HERE: Final = "already here"
LONGEST_REFERENCE: Final = 200
PARTS: Final[Mapping[DeliveryType, tuple[str, ...]]] = {
    "code": ("card_number",),
    "code_with_pin": ("card_number", "pin_code"),
    "claim_url": ("claim_url",),
}
"""What a client of each kind of product is promised."""
_FARTHEST: Final = 2**53
"""A denomination above this is no denomination, and JSON numbers would not hold it exactly."""


class Refused(Struct, frozen=True, gc=False):
    """What cannot be kept at all."""

    reference: str
    """The source's own; `?` when it has none that could be told."""
    reason: str
    outcome: Outcome = "refused"


class Unit(Struct, frozen=True, kw_only=True, gc=False):
    """One unit as judged: what it is, and what becomes of it."""

    reference: str
    """The source's own; with the instance's name in front it is the origin."""
    origin: str
    outcome: Outcome
    reason: str | None = None
    sku: Sku
    code: Code
    number: str | None
    """`voucher_reference_number`"""
    expires_at: int
    fingerprint: str

    @property
    def state(self) -> str:
        """Of the row that it gets in the stock."""
        if self.outcome in ("expired", "quarantined"):
            return self.outcome
        return "blocked" if self.outcome == "recalled" else "pooled"


Judged = Unit | Refused


class Judge:
    """What one pump holds the units of one source against."""

    def __init__(self, instance: str, *, catalogue: Snapshot, vault: Vault, now: datetime) -> None:
        self.instance = instance
        self.recalled: frozenset[str] = frozenset()
        self._catalogue = catalogue
        self._vault = vault
        self._now = micros(now)

    def origin(self, reference: str) -> str:
        return f"{self.instance}:{reference}"

    def all(self, vouchers: Sequence[Voucher]) -> list[Judged]:
        """Each of them, in order."""
        return [self.judge(voucher) for voucher in vouchers]

    def judge(self, voucher: Voucher) -> Judged:
        """Everything that can be said without the stock. Never raises, never tells a code."""
        try:
            return self._judged(voucher)
        except Exception as error:  # noqa: BLE001  # a plugin may hand over anything at all
            reference = getattr(voucher, "reference", None)
            told = reference if isinstance(reference, str) and not _unfit(reference) else "?"
            return Refused(told, f"not a voucher ({type(error).__name__})")

    def _judged(self, voucher: Voucher) -> Judged:
        reference, sku = voucher.reference, voucher.sku
        if problem := _unfit(reference):
            return Refused("?", f"reference {problem}")
        code = Code.of(voucher)
        product = self._catalogue.products.get(sku.product_id)
        problem = _misshapen(voucher) or code.fault
        if problem or product is None:
            return Refused(reference, problem or f"there is no product {sku.product_id}")
        outcome, reason = self._fate(voucher, code, product)
        return Unit(
            reference=reference,
            origin=self.origin(reference),
            outcome=outcome,
            reason=reason,
            sku=sku,
            code=code,
            number=voucher.voucher_reference_number,
            expires_at=micros(voucher.expires_at),
            fingerprint=self._vault.fingerprint(product.brand or product.code, code),
        )

    def _fate(self, voucher: Voucher, code: Code, product: Product) -> tuple[Outcome, str | None]:
        sku = voucher.sku
        if sku.currency != product.currency:
            return "quarantined", f"{product.code} is sold in {product.currency}"
        if product.offers(sku.denomination) is None:
            return "quarantined", f"{product.code} is not offered in {sku.face}"
        if missing := missing_part(code, product):
            return "quarantined", f"{product.code} needs a {missing}"
        if voucher.reference in self.recalled:
            return "recalled", f"recalled by {self.instance}"
        if micros(voucher.expires_at) <= self._now:
            return "expired", "had expired when it came"
        return "taken", None


class Stocked(Struct, frozen=True):
    """What the stock has of some units, by origin and by fingerprint."""

    origins: Mapping[str, Known]
    prints: Mapping[str, Known]


def compare(units: Sequence[Judged], stocked: Stocked) -> list[Judged]:
    """The same units, told apart by what the stock has, and by each other."""
    origins, prints = dict(stocked.origins), dict(stocked.prints)
    compared: list[Judged] = []
    for unit in units:
        if isinstance(unit, Refused):
            compared.append(unit)
            continue
        compared.append(met(unit, origins.get(unit.origin), prints.get(unit.fingerprint)))
        mine = Known(0, unit.origin, unit.fingerprint)
        origins.setdefault(unit.origin, mine)
        prints.setdefault(unit.fingerprint, mine)
    return compared


def met(unit: Unit, origin: Known | None, print_: Known | None) -> Judged:
    """What a unit is once it has met what the stock has under its origin or its fingerprint."""
    if origin is not None and origin.fingerprint == unit.fingerprint:
        return replace(unit, outcome="already here", reason=None)
    if origin is not None:
        reason = "this reference came before, with another code; nothing was taken"
        return Refused(unit.reference, reason)
    if print_ is not None:
        return replace(unit, outcome="duplicate", reason=f"the same code as {print_.origin}")
    return unit


def _unfit(text: object) -> str | None:
    """Why a source's own name for something cannot be kept."""
    if not isinstance(text, str) or not text:
        return "is missing"
    if len(text) > LONGEST_REFERENCE:
        return f"is longer than {LONGEST_REFERENCE} characters"
    return None if text.isprintable() else "has characters that cannot be printed"


def _misshapen(voucher: Voucher) -> str | None:
    """What a plugin in a language without types at run time may get wrong."""
    sku = voucher.sku
    if type(sku) is not Sku or not isinstance(sku.currency, str):
        return "has no sku"
    if not (_counts(sku.product_id) and _counts(sku.denomination)):
        return "has a product or denomination that is not a positive whole number"
    for part in (voucher.card_number, voucher.pin_code, voucher.claim_url):
        if part is not None and not isinstance(part, Secret):
            return "has a code that is not a Secret"
    number = voucher.voucher_reference_number
    if number is not None and (problem := _unfit(number)):
        return f"voucher_reference_number {problem}"
    if voucher.expires_at.tzinfo is None:
        return "has an expiry without a time zone"
    return None


def _counts(number: object) -> bool:
    return type(number) is int and 0 < number < _FARTHEST


def missing_part(code: Code, product: Product) -> str | None:
    """The part that the product promises and the code lacks."""
    missing = (name for name in PARTS[product.delivery_type] if getattr(code, name) is None)
    return next(missing, None)
