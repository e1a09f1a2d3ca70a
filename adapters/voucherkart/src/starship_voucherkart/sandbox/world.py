"""The sandbox's memory: who may call, what is sold, what became of orders."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from starship_voucherkart.sandbox.goods import GOODS, OUTCOMES, Outcome, Product

Duplicates = Literal["rejects", "rejects and replays", "replays", "sells again"]
_ALREADY: Final = ("ER048", "Order already processed")
_DIFFERS: Final = ("ER079", "Order id exists with different data")
_PROCESS: Final = ("EROIP", "Order is in process")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Who may call, and how the sandbox behaves."""

    username: str = "sandbox-user"
    password: str = "FAKE-FAKE-0002"  # noqa: S105  # a secret that is none
    aes_key: str = "0000000000facefa0000000000ceaaab"
    aes_iv: str = "facefa0000000002"
    duplicates: Duplicates = "rejects"
    addresses: frozenset[str] | None = None
    """Who may call; None: everybody."""
    token_minutes: float = 30.0
    per_minute: int | None = None
    """Calls that are answered in a minute; None: all."""
    plain_requests: frozenset[str] = frozenset({"getbrands", "getwalletbalance"})
    plain_answers: frozenset[str] = frozenset()
    slow_seconds: float = 90.0
    seed: str = "sandbox"


@dataclass
class Order:
    """One order; it is paid when it is made."""

    id: str
    product: Product
    value: Decimal
    asked: int
    quantity: int
    """How many vouchers were sold."""
    outcome: Outcome
    made: datetime
    first: int
    """The number of its first voucher."""
    looks: int = 0

    @property
    def open(self) -> bool:
        return self.looks <= self.outcome.looks and self.outcome.looks > 0

    @property
    def hidden(self) -> bool:
        return self.looks <= self.outcome.unknown and self.outcome.unknown > 0

    def same(self, product: Product, value: Decimal, asked: int) -> bool:
        return (self.product.code, self.value, self.asked) == (product.code, value, asked)


class Refusal(Exception):
    """A code and its text, with HTTP 200; for a repeated order perhaps with the order."""

    def __init__(self, code: str, text: str, order: Order | None = None) -> None:
        self.code = code
        self.text = text
        self.order = order
        super().__init__(code)


@dataclass
class World:
    """All that the sandbox knows; `orders` is the log of purchases."""

    settings: Settings = field(default_factory=Settings)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    goods: dict[str, Product] = field(default_factory=lambda: {one.code: one for one in GOODS})
    orders: list[Order] = field(default_factory=list)
    wallet: Decimal = Decimal(1_000_000)
    tokens: dict[str, datetime] = field(default_factory=dict)
    """When each ends; take one out and it is stale."""
    calls: list[datetime] = field(default_factory=list)
    issued: int = 0

    def issue(self) -> str:
        """A JSON web token, never the same one twice; nobody looks into it."""
        self.issued += 1
        parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": self.settings.username, "n": self.issued}]
        head = ".".join(_letters(json.dumps(part).encode()) for part in parts)
        mark = hashlib.sha256(f"{self.settings.seed}:{head}".encode()).digest()
        token = f"{head}.{_letters(mark)}"
        self.tokens[token] = self.now() + timedelta(minutes=self.settings.token_minutes)
        return token

    def good(self, token: str) -> bool:
        return token in self.tokens and self.now() < self.tokens[token]

    def crowded(self) -> bool:
        """Notes a call; whether there were too many within a minute."""
        since = self.now() - timedelta(minutes=1)
        self.calls = [call for call in self.calls if call > since]
        limit = self.settings.per_minute
        if limit is not None and len(self.calls) >= limit:
            return True
        self.calls.append(self.now())
        return False

    def find(self, order_id: str) -> Order | None:
        return next((one for one in self.orders if one.id == order_id), None)

    def left(self, product: Product) -> int:
        sold = sum(one.quantity for one in self.orders if one.product.code == product.code)
        return product.stock - sold

    def priced(self, code: str, denomination: str) -> tuple[Product, Decimal]:
        """Raises Refusal."""
        product = self.goods.get(code)
        if product is None:
            raise Refusal("ER076", "Invalid brand product code")
        if not denomination.replace(".", "", 1).isdigit():
            raise Refusal("ER077", "Invalid denomination")
        value = Decimal(denomination)
        allowed = product.denominations
        if value not in allowed if allowed else not 10 <= value <= 10_000:
            raise Refusal("ER077", "Invalid denomination")
        return product, value

    def pull(self, asked: dict[str, str], chosen: str | None) -> tuple[Order | None, Outcome]:
        """Makes and charges an order, unless its outcome says otherwise. Raises Refusal."""
        order_id = asked["ExternalOrderId"]
        if not 1 <= len(order_id) <= 50:
            raise Refusal("ER010", "External order id is required, at most 50 characters")
        quantity = _quantity(asked["Quantity"])
        product, value = self.priced(asked["BrandProductCode"], asked["Denomination"])
        if (earlier := self.find(order_id)) and self.settings.duplicates != "sells again":
            return self._repeated(earlier, same=earlier.same(product, value, quantity))
        outcome = OUTCOMES[chosen or product.outcome]
        if not outcome.made:
            return None, outcome
        if quantity > self.left(product):
            raise Refusal("ER047", "Vouchers not available")
        sold = max(quantity - outcome.short, 1)
        if value * sold > self.wallet:
            raise Refusal("ER1011", "Unable to process the request")
        made = Order(
            id=order_id, product=product, value=value, asked=quantity, quantity=sold,
            outcome=outcome, made=self.now(), first=1 + sum(one.quantity for one in self.orders),
        )  # fmt: skip
        self.wallet -= value * sold
        self.orders.append(made)
        return made, outcome

    def _repeated(self, earlier: Order, *, same: bool) -> tuple[Order, Outcome]:
        if not same:
            raise Refusal(*_DIFFERS)
        if earlier.open:
            raise Refusal(*_PROCESS)
        if self.settings.duplicates == "rejects":
            raise Refusal(*_ALREADY)
        if self.settings.duplicates == "rejects and replays":
            raise Refusal(*_ALREADY, order=earlier)
        return earlier, OUTCOMES["succeed"]

    def status(self, order_id: str) -> Order:
        """An order that has ended; each look brings one nearer to its end. Raises Refusal."""
        order = self.find(order_id)
        if order is None:
            raise Refusal("ER031", "Order not found")
        order.looks += 1
        if order.hidden:
            raise Refusal("ER031", "Order not found")
        if order.open:
            raise Refusal(*_PROCESS)
        return order

    def voucher(self, number: int) -> tuple[str, str, str, str]:
        """Number, PIN, code and GUID of a voucher; the PIN begins with a zero."""
        digest = hashlib.sha256(f"{self.settings.seed}:{number}".encode()).hexdigest()
        figure = int(digest, 16)
        guid = f"{digest[:8]}-{digest[8:12]}-4{digest[12:15]}-8{digest[15:18]}-{digest[18:30]}"
        code = digest[30:42].upper()
        return f"VK{figure % 10**14:014}", f"0{figure % 10**5:05}", f"GC{code}", guid


def _quantity(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise Refusal("ER022", "Invalid quantity")
    if int(text) > 10:
        raise Refusal("ER059", "Quantity exceeds the maximum")
    return int(text)


def _letters(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
