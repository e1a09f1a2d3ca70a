"""Whether a purchase stays within the limits: exact, and in doubt an operator is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from msgspec import Struct, field

from starship_core import FallbackCase, Money, Verdict
from starship_policy_limits.windows import DAYS, window

_CODE: Final = re.compile(r"[A-Z]{3}")


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[policies.NAME] use = "policy-limits"`: what may be bought without an operator at most.

    At least one limit is set. A currency that a table of amounts does not name is not unlimited: an
    operator is asked.
    """

    face_per_order: dict[str, Decimal] = field(default_factory=dict)
    """Face value of one order, by the product's currency."""
    face_per_client_day: dict[str, Decimal] = field(default_factory=dict)
    """Face value for one client in one UTC day, by the product's currency."""
    margin_floor_percent: Decimal | None = None
    """Least share of the charge that must remain after the estimated cost."""
    hours: list[str] = field(default_factory=list)
    """When buying without an operator is open, in UTC: `"mon-fri 08:00-18:00"`."""
    beyond: Literal["AskOperator", "Refuse"] = "AskOperator"
    """What is said to a case that is known to be past a limit."""

    def __post_init__(self) -> None:
        for name in ("face_per_order", "face_per_client_day"):
            for currency, amount in getattr(self, name).items():
                if not _CODE.fullmatch(currency):
                    raise ValueError(f"{name}: {currency!r} is not a currency code such as EUR")
                if Money.of(amount, currency).minor < 0:
                    raise ValueError(f"{name}: {amount} {currency} is negative")
        percent = self.margin_floor_percent
        if percent is not None and not -100 <= percent <= 100:
            raise ValueError(f"margin_floor_percent: {percent} is not between -100 and 100")
        for text in self.hours:
            window(text)
        if not (self.face_per_order or self.face_per_client_day or self.hours) and percent is None:
            raise ValueError("sets no limit; write at least one")


class _Objection(NamedTuple):
    text: str
    known: bool = True
    """False: whether a limit is passed cannot be told, and then an operator is always asked."""


class Limits:
    """A `FulfilPolicy` that never says Allow: what is within the limits meets no objection."""

    def __init__(self, config: LimitsConfig) -> None:
        self._order = _moneys(config.face_per_order)
        self._day = _moneys(config.face_per_client_day)
        self._margin = config.margin_floor_percent
        self._windows = [window(text) for text in config.hours]
        self._beyond = config.beyond

    def decide(self, case: FallbackCase) -> Verdict:
        """Every limit is looked at, and the reason names each that stands in the way."""
        objections = [
            *self._face(case),
            *self._client_day(case),
            *self._cost(case),
            *self._closed(case),
        ]
        if not objections:
            return Verdict(says="NoObjection", reason="within the limits")
        passed = any(objection.known for objection in objections)
        return Verdict(
            says=self._beyond if passed else "AskOperator",
            reason="; ".join(objection.text for objection in objections),
        )

    def _face(self, case: FallbackCase) -> Iterator[_Objection]:
        if not self._order:
            return
        face = _face(case)
        limit = self._order.get(face.currency)
        if limit is None:
            yield _Objection(f"face_per_order sets no limit for {face.currency}", known=False)
        elif face.minor > limit.minor:
            yield _Objection(f"face value {face}, at most {limit} an order")

    def _client_day(self, case: FallbackCase) -> Iterator[_Objection]:
        if not self._day:
            return
        face, spent = _face(case), case.spent_today
        limit = self._day.get(face.currency)
        if limit is None:
            yield _Objection(f"face_per_client_day sets no limit for {face.currency}", known=False)
        elif spent.currency != face.currency:
            yield _Objection(
                f"today's total is in {spent.currency}, the order in {face.currency}", known=False
            )
        elif spent.minor + face.minor > limit.minor:
            yield _Objection(
                f"face value {face} after {spent} today, at most {limit} a client and day"
            )

    def _cost(self, case: FallbackCase) -> Iterator[_Objection]:
        if self._margin is None:
            return
        cost, charged = case.estimated_cost, case.charged
        if cost is None:
            yield _Objection("the cost is not known", known=False)
        elif cost.currency != charged.currency:
            yield _Objection(
                f"the cost is in {cost.currency}, the charge in {charged.currency}", known=False
            )
        elif (charged.minor - cost.minor) * 100 < Fraction(self._margin) * charged.minor:
            yield _Objection(
                f"a cost of {cost} leaves less than {self._margin} % of the {charged} charged"
            )

    def _closed(self, case: FallbackCase) -> Iterator[_Objection]:
        if self._windows and not any(each.holds(case.at) for each in self._windows):
            at = case.at.astimezone(UTC)
            yield _Objection(f"{DAYS[at.weekday()]} {at:%H:%M} UTC is outside the hours")


def _face(case: FallbackCase) -> Money:
    return Money(case.sku.denomination * case.quantity, case.sku.currency)


def _moneys(amounts: Mapping[str, Decimal]) -> dict[str, Money]:
    return {currency: Money.of(amount, currency) for currency, amount in amounts.items()}
