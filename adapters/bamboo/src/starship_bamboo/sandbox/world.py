"""The sandbox's memory: accounts, stock, what became of orders, and who called how often."""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from starship_bamboo.sandbox.goods import GOODS, OUTCOMES, RATES, Outcome, Product

LIMITS: Final = {
    "catalog": (2, 3600),
    "order": (120, 60),
    "checkout": (2, 1),
    "exchange-rates": (20, 60),
    "transactions": (4, 3600),
}
"""Calls in so many seconds; whatever is not here: one a second."""
_FOUR: Final = Decimal("0.0001")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Who may call, and how the sandbox behaves."""

    client_id: str = "sandbox-client"
    client_secret: str = "FAKE-FAKE-0001"  # noqa: S105  # a secret that is none
    limits: bool = True
    addresses: frozenset[str] | None = None
    """Who may call; None: everybody."""
    unknown: int = 400
    """The status of `OrderNotFound`: documented as 400, seen as 404."""
    steps: int = 2
    """How often an order is looked at before it ends…"""
    step_seconds: float = 2.0
    """… or how long each step takes when nobody looks."""
    slow_seconds: float = 30.0
    seed: str = "sandbox"
    """Makes the codes."""


@dataclass
class Account:
    id: int
    currency: str
    balance: Decimal
    active: bool = True
    sandbox: bool = True


@dataclass
class Order:
    """One order, which was paid for when it was made."""

    id: int
    reference: str
    account: Account
    product: Product
    face: Decimal
    quantity: int
    cost: Decimal
    """Of one card, in the account's currency."""
    outcome: Outcome
    made: datetime
    first_card: int
    looks: int = 0
    settled: bool = False

    @property
    def failing(self) -> int:
        """How many of its cards will fail."""
        return {"failed": self.quantity, "partial": 1}.get(self.outcome.life, 0)

    @property
    def charged(self) -> Decimal:
        return self.cost * (self.quantity - self.failing)


class Refusal(Exception):
    """HTTP 400 with a word."""


@dataclass
class World:
    """All that the sandbox knows; `orders` is the log of purchases."""

    settings: Settings = field(default_factory=Settings)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    accounts: dict[int, Account] = field(
        default_factory=lambda: {
            4001: Account(4001, "USD", Decimal(12500)),
            4002: Account(4002, "USD", Decimal(1)),
            4003: Account(4003, "EUR", Decimal(100), active=False),
        }
    )
    goods: dict[int, Product] = field(default_factory=lambda: {one.id: one for one in GOODS})
    orders: dict[str, Order] = field(default_factory=dict)
    notification: dict[str, str] = field(default_factory=dict)
    checkouts: list[str] = field(default_factory=list)
    """Every reference that a checkout came with, refused ones included."""

    def __post_init__(self) -> None:
        self.stock = {one.id: one.count for one in self.goods.values()}
        self._cards = 3300001
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def wait(self, route: str) -> int:
        """Counts a call; the seconds that the caller has to wait instead, or 0."""
        if not self.settings.limits:
            return 0
        calls, seconds = LIMITS.get(route, (1, 1))
        moment = self.now().timestamp()
        made = self._calls[route]
        while made and made[0] <= moment - seconds:
            made.popleft()
        if len(made) >= calls:
            return max(1, round(made[0] + seconds - moment))
        made.append(moment)
        return 0

    def price(self, product: Product, face: Decimal) -> Decimal:
        """Of one card in US dollars, to the ten-thousandth."""
        return (face * product.share / RATES[product.brand.currency]).quantize(_FOUR)

    def buy(
        self, reference: str, account: int, line: tuple[int, int, Decimal], outcome: str | None
    ) -> Order:
        """Makes and charges an order. Raises Refusal."""
        number, quantity, face = line
        payer = self.accounts.get(account)
        if payer is None or not payer.active:
            raise Refusal("WrongAccount")
        if reference in self.orders:
            raise Refusal("OrderAlreadyExists")
        if quantity > 500:
            raise Refusal("CardsLimitExceeded")
        product = self.goods.get(number)
        if product is None or product.deleted:
            raise Refusal("InvalidProductIds")
        script = OUTCOMES[outcome or product.outcome]
        self._sellable(product, quantity, face, script)
        cost = self.price(product, face)
        if cost * quantity > payer.balance:
            raise Refusal("InsufficientBalance")
        payer.balance -= cost * quantity
        self.orders[reference] = Order(
            id=778900 + len(self.orders), reference=reference, account=payer, product=product,
            face=face, quantity=quantity, cost=cost, outcome=script, made=self.now(),
            first_card=self._cards,
        )  # fmt: skip
        self._cards += quantity
        return self.orders[reference]

    def _sellable(self, product: Product, quantity: int, face: Decimal, script: Outcome) -> None:
        if not product.least <= face <= product.most:
            raise Refusal("InvalidDenomination")
        if script.refusal:
            raise Refusal(script.refusal)
        left = self.stock[product.id]
        if left is not None:
            if left < quantity:
                raise Refusal("ProductIsOutOfStock")
            self.stock[product.id] = left - quantity

    def step(self, order: Order) -> int:
        """How far an order has come: 0 is Created, `steps` is its end."""
        passed = (self.now() - order.made).total_seconds()
        come = max(order.looks, int(passed // self.settings.step_seconds))
        last = self.settings.steps
        if order.outcome.life == "endless":
            last -= 1
        come = min(come, last)
        if come == self.settings.steps and not order.settled:
            order.settled = True
            order.account.balance += order.cost * order.failing
        return come

    def status(self, order: Order) -> str:
        """The order's word at this moment."""
        come = self.step(order)
        if come < self.settings.steps:
            return "Created" if come == 0 else "Processing"
        if not order.failing:
            return "Succeeded"
        return "Failed" if order.failing == order.quantity else "PartialFailed"

    def code(self, card: int) -> tuple[str, str, str]:
        """Code, PIN and serial of a card; the PIN begins with a zero."""
        digest = hashlib.sha256(f"{self.settings.seed}:{card}".encode()).hexdigest().upper()
        serial = str(uuid.UUID(digest[:32])).replace("-", "")
        return (
            f"DEMO-{digest[32:36]}-{digest[36:40]}",
            f"0{int(digest[40:46], 16) % 1000:03}",
            serial,
        )
