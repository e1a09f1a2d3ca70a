"""What the sandbox sells, and what an order can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Reply = Literal["order", "slow", "html", "junk", "garbage", "empty", "429", "500", "503"]
Layout = Literal["number and pin", "gc code", "pin only", "address"]


@dataclass(frozen=True)
class Outcome:
    """What an order does. With `made` false it is not made, whatever is answered."""

    about: str
    reply: Reply = "order"
    """How a pull is answered; a number: by that status, and nothing that tells."""
    code: tuple[str, str] | None = None
    """Answered instead, with its text."""
    made: bool = True
    looks: int = 0
    """How often its status is `EROIP` until it has ended."""
    unknown: int = 0
    """How often its status is `ER031` first."""
    short: int = 0
    """How many vouchers fewer than asked for."""


_PROCESS: Final = ("EROIP", "Order is in process")
OUTCOMES: Final = {
    "succeed": Outcome("sold at once"),
    "partial": Outcome("one voucher fewer than asked for", short=1),
    "later": Outcome("in process, sold after two looks", code=_PROCESS, looks=2),
    "never": Outcome("stays in process", code=_PROCESS, looks=10**9),
    "slow": Outcome("sold, and answered too late", reply="slow"),
    "hidden": Outcome("sold, answered 500, and not found at first", reply="500", unknown=1),
    "html": Outcome("sold, and answered 200 with a page of HTML", reply="html"),
    "junk": Outcome("sold, and answered 200 with half an object", reply="junk"),
    "garbage": Outcome("sold, and sealed with another key", reply="garbage"),
    "empty": Outcome("sold, and answered without its vouchers", reply="empty"),
    "error": Outcome("sold, and answered 500", reply="500"),
    "unavailable": Outcome("sold, and answered 503", reply="503"),
    "error-before": Outcome("not sold, and answered 500", reply="500", made=False),
    "too-many": Outcome("not sold, and answered 429", reply="429", made=False),
    "upstream": Outcome("sold, and answered 1051", code=("1051", "Request timeout")),
    "upstream-before": Outcome(
        "not sold, and answered 1051", code=("1051", "Request timeout"), made=False
    ),
    "another-text": Outcome(
        "sold, and answered with a known code and another text",
        code=("ER047", "Please check the order later"),
    ),
    "assorted": Outcome(
        "not sold: a code that tells nothing", code=("ER1056", "Something went wrong"), made=False
    ),
    "inactive": Outcome(
        "refused: ER032", code=("ER032", "Product is inactive"), made=False
    ),
    "drops": Outcome(
        "in stock when asked, gone when ordered",
        code=("ER047", "Vouchers not available"),
        made=False,
    ),
}  # fmt: skip
"""By name: of a product, or in the header `X-Sandbox-Outcome` of an order."""


@dataclass(frozen=True)
class Product:
    """One brand."""

    code: str
    name: str
    outcome: str = "succeed"
    denominations: tuple[int, ...] = (100, 500, 1000)
    """Empty: any amount from 10 to 10000."""
    stock: int = 1000
    layout: Layout = "number and pin"
    service: Literal["V", "E"] = "V"
    expires: bool = True


GOODS: Final = (
    Product("DEMO1", "Demo"),
    Product("DEMO2", "Demo of any amount", denominations=()),
    Product("GCCODE", "The code in another field", layout="gc code"),
    Product("PINONLY", "A PIN and no number", layout="pin only", expires=False),
    Product("ADDRESS", "An address to claim it", layout="address"),
    Product("PARTIAL", "One fewer", outcome="partial"),
    Product("LATER", "In process first", outcome="later"),
    Product("DROPS", "Gone when ordered", outcome="drops"),
    Product("INACTIVE", "Not sold any more", outcome="inactive"),
    Product("SCARCE", "Three are left", stock=3),
    Product("SOLDOUT", "None is left", stock=0),
    Product("EPAY", "No voucher", service="E"),
)
