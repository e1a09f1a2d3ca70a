"""The sandbox's memory: who may call, what is sold, what became of orders."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from urllib.parse import quote

Layout = Literal["CNPIN", "VOUCHERCODE", "CLAIMCODE", "UBEFLOW"]


@dataclass(frozen=True)
class Outcome:
    """What an order does. A `reply` that is a number is the status of an answer that tells
    nothing; with `made` false the order is not made.
    """

    about: str
    looks: int = 0
    """How often its status is asked until it has ended."""
    end: str = "COMPLETE"
    reply: Literal["order", "slow", "html", "junk", "429", "500", "503"] = "order"
    made: bool = True
    error: int | None = None
    unknown: int = 0
    """How often its status is answered with 5320 first."""


OUTCOMES: Final = {
    "succeed": Outcome("COMPLETE at once if that was asked for, else after two looks"),
    "later": Outcome("PROCESSING, then COMPLETE", looks=2),
    "never": Outcome("stays PROCESSING", looks=10**9),
    "cancel": Outcome("PROCESSING, then CANCELED; the money comes back", looks=2, end="CANCELED"),
    "activate-error": Outcome("a status that is not documented", looks=1, end="Activate Error"),
    "slow": Outcome("made, and answered too late", looks=1, reply="slow"),
    "slow-cancel": Outcome("as slow, then CANCELED", looks=1, reply="slow", end="CANCELED"),
    "hidden": Outcome("made, answered 500, and not found at first", reply="500", unknown=1),
    "html": Outcome("made, and answered 200 with a page of HTML", reply="html"),
    "junk": Outcome("made, and answered 200 with half an object", reply="junk"),
    "error": Outcome("made, and answered 500", reply="500"),
    "unavailable": Outcome("made, and answered 503", reply="503"),
    "error-before": Outcome("not made, and answered 500", reply="500", made=False),
    "too-many": Outcome("not made, and answered 429", reply="429", made=False),
    "disabled": Outcome("refused: 5310", error=5310),
    "fraud": Outcome("refused: 11143", error=11143),
    "try-later": Outcome("6053, which says nothing about the order", error=6053),
}
"""By name: of a product, or in the header `X-Sandbox-Outcome` of an order."""


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    layout: Layout = "CNPIN"
    outcome: str = "succeed"
    least: int = 100
    most: int = 10000
    denominations: tuple[int, ...] = ()
    """Empty: any amount of the range."""


GOODS: Final = (
    Product("CNPIN", "Number and PIN"),
    Product("VOUCHERCODE", "Voucher code", "VOUCHERCODE"),
    Product("CLAIMCODE", "Claim code", "CLAIMCODE", denominations=(100, 500, 1000)),
    Product("UBEFLOW", "Address", "UBEFLOW"),
    Product("GOOGLEPLAYGCB2B", "Always later", outcome="later"),
    Product("DISABLEDSTS", "Not available", outcome="disabled"),
    Product("PROCESSINGSTS", "Never done", outcome="never"),
    Product("testsuccess001", "Late, then done", outcome="slow"),
    Product("APITESTTIMFAIL", "Late, then cancelled", outcome="slow-cancel"),
)
"""The names of the vendor's own sandbox."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Who may call, and how the sandbox behaves."""

    client_id: str = "sandbox-client"
    client_secret: str = "FAKE-FAKE-0001"  # noqa: S105  # a secret that is none
    username: str = "sandbox-user"
    password: str = "FAKE-FAKE-0002"  # noqa: S105
    addresses: frozenset[str] | None = None
    """Who may call; None: everybody."""
    slow_seconds: float = 90.0
    reverse_minutes: int = 15
    seed: str = "sandbox"


@dataclass
class Order:
    """One order; it is paid when it is made."""

    id: str
    refno: str
    body: dict[str, Any]
    product: Product
    price: Decimal
    quantity: int
    outcome: Outcome
    made: datetime
    first_card: int
    sync: bool
    looks: int = 0
    status: str = "PROCESSING"

    @property
    def total(self) -> Decimal:
        return self.price * self.quantity


class Refusal(Exception):
    """HTTP 400 with a code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


@dataclass
class World:
    """All that the sandbox knows; `orders` is the log of purchases."""

    settings: Settings = field(default_factory=Settings)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    goods: dict[str, Product] = field(default_factory=lambda: {one.sku: one for one in GOODS})
    orders: dict[str, Order] = field(default_factory=dict)
    wallet: Decimal = Decimal(1_000_000)
    tokens: set[str] = field(default_factory=set)
    """Those that are good; take one out and it is stale."""
    codes: set[str] = field(default_factory=set)
    issued: int = 0

    def issue(self, kind: str) -> str:
        """A code or a token, never the same one twice."""
        self.issued += 1
        return hashlib.sha256(f"{self.settings.seed}:{kind}:{self.issued}".encode()).hexdigest()

    def order(self, body: dict[str, Any], chosen: str | None) -> tuple[Order | None, Outcome]:
        """Makes and charges an order, unless its outcome says otherwise. Raises Refusal."""
        refno, (line,), (payment,) = body["refno"], body["products"], body["payments"]
        price, quantity = Decimal(str(line["price"])), line["qty"]
        self._acceptable(refno, line, body)
        product = self.goods[line["sku"]]
        outcome = OUTCOMES[chosen or product.outcome]
        if outcome.error:
            raise Refusal(outcome.error)
        if not product.least <= price <= product.most:
            raise Refusal(5307)
        if product.denominations and price not in product.denominations:
            raise Refusal(5318)
        if Decimal(str(payment["amount"])) != price * quantity:
            raise Refusal(5036)
        if price * quantity > self.wallet:
            raise Refusal(5444)
        if not outcome.made:
            return None, outcome
        made = Order(
            id=f"ABF{17 + len(self.orders):010}", refno=refno, body=body, product=product,
            price=price, quantity=quantity, outcome=outcome, made=self.now(),
            first_card=5550001 + sum(one.quantity for one in self.orders.values()),
            sync=bool(body.get("syncOnly")),
        )  # fmt: skip
        self.wallet -= made.total
        self.orders[refno] = made
        if made.sync and outcome.looks == 0:
            made.status = outcome.end
        return made, outcome

    def _acceptable(self, refno: Any, line: dict[str, Any], body: dict[str, Any]) -> None:
        allowed = isinstance(refno, str) and refno.replace("_", "").replace("-", "").isalnum()
        if not allowed or len(refno) > 55:
            raise Refusal(5329)
        if refno in self.orders:
            raise Refusal(5313)
        if line["sku"] not in self.goods:
            raise Refusal(5310)
        if line["currency"] != 356:
            raise Refusal(5316)
        if not isinstance(line["qty"], int) or line["qty"] < 1:
            raise Refusal(5337)
        if body.get("deliveryMode") != "API":
            raise Refusal(5311)
        if not (body.get("billing") or {}).get("email"):
            raise Refusal(5342)

    def look(self, order: Order) -> str:
        """Its status; each look brings it nearer to its end."""
        order.looks += 1
        wait = order.outcome.looks or (0 if order.sync else 2)
        if order.status == "PROCESSING" and order.looks > wait:
            order.status = order.outcome.end
            if order.status == "CANCELED":
                self.wallet += order.total
        return order.status

    def card(self, number: int) -> tuple[str, str, str]:
        """Number, PIN and code of a card; the PIN begins with a zero."""
        digest = int(hashlib.sha256(f"{self.settings.seed}:{number}".encode()).hexdigest(), 16)
        code = f"{digest % 16**12:012X}"
        return f"6{digest % 10**15:015}", f"0{digest % 10**5:05}", f"VC{code[:4]}-{code[4:8]}"


def signature(method: str, url: str, body: bytes, secret: str) -> str:
    """After the vendor's published samples; the body is read and written anew, as there."""
    address, _, query = url.partition("?")
    sorted_url = address + ("?" + "&".join(sorted(query.split("&"))) if query else "")
    base = method.upper() + "&" + quote(sorted_url, safe="")
    if body:
        text = json.dumps(
            json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        base += "&" + quote(text, safe="")
    return hmac.new(secret.encode(), base.encode(), hashlib.sha512).hexdigest()
