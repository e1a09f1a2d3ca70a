"""Pine Labs' error codes as data: was money taken, and may the same order succeed later."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from starship_core import Saying


class Code(NamedTuple):
    """What one code means."""

    meaning: str
    money: Literal["no", "unknown"]
    retry: str = ""
    """When the same order may succeed; empty: not by trying again."""


def _all(meaning: str, *codes: int, retry: str = "") -> dict[int, Code]:
    return dict.fromkeys(codes, Code(meaning, "no", retry))


def _unknown(meaning: str, *codes: int) -> dict[int, Code]:
    return dict.fromkeys(codes, Code(meaning, "unknown", "look it up"))


ABSENT: Final = 5320
"""Of a read: there is no such order."""

CODES: Final[dict[int, Code]] = (
    _unknown("the order could not be processed just now", 6053)
    | _unknown("the reference was used before", 5313, 8232)
    | _unknown("the order cannot be processed", 5321, 6050, 8212)
    | _unknown("the order is in the archive", 11429)
    | _unknown("no such order", ABSENT)
    | _all("the order's data cannot be read", 400)
    | _all("the payment failed", 5327)
    | _all("the wallet is short", 5444, 6063, retry="after a top-up")
    | _all("this way to pay is not set up for us", 5035, 5037, 5440)
    | _all("the payment does not fit the order", 5036, 5081, 5331, 5332, 5350, 11144, 11145)
    | _all("the payment's amount is not allowed", 5038, 6590)
    | _all("this way to pay is restricted", 5080, 5348, 5349, 5351, 11153)
    | _all("customer or store is inactive, or products are restricted", 5046, 5305, 5308)
    | _all("no such product, or not available to us", 5306, 5310, 1303)
    | _all("the product does not have this value", 5307, 5318)
    | _all("the product is configured wrongly at the vendor", 5315, 5104)
    | _all("the currency is not supported", 5316, 5317, 6058, 6059, 6674, 6675)
    | _all("the way of delivery is not allowed", 5311, 5328, 5334, 5352, 5353)
    | _all("there is no address, or none is allowed", 5312, 5342, 5341)
    | _all("the theme does not fit", 5322)
    | _all("products or values cannot be combined in one order", 5326, 5336, retry="in parts")
    | _all("the reference has a wrong form", 5329, 5330)
    | _all("the order has a status that does not allow it", 5333, 5205)
    | _all("type of order, external number or login", 5335, 5339, 5340, 5343, 5344, 5346)
    | _all("too few or too many units", 5337, 6591, 11151, 11152, 11159, retry="in parts")
    | _all("the order is over the amount allowed", 5338, 6682, retry="in parts")
    | _all("data of a card to reload", 5102, 5103, 5441, 5442, 5443)
    | _all("a one-time password is needed", 6051, 6052, *range(5143, 5151))
    | _all("a field is wrong", 10450, 10460, 10461, 10462, 10710, 10730)
    | _all("an approver at the vendor is needed", 8213, 8214, 8215, 8216)
    | _all("the customer's identity is incomplete", 10910, 11147)
    | _all("a month's limit is reached", 10911, 10913, 10914, 11138, 11142, retry="next month")
    | _all("the store's limit is reached", 11133, retry="later")
    | _all("not for an hour", 11135, 11139, retry="after an hour")
    | _all("not today", 11136, 11140, retry="tomorrow")
    | _all("not this week", 11137, 11141, retry="next week")
    | _all("blocked against fraud", 11143, 11146)
    | _all("rules of payouts", 11273, 11292)
)
"""Codes of HTTP 400 on an order. One that is not here is not known to be a refusal."""

ERRORS: Final = tuple(
    Saying(
        ", ".join(str(code) for code, one in CODES.items() if one is known),
        known.meaning,
        "Refused" if known.money == "no" else "Ambiguous",
        known.retry,
    )
    for known in dict.fromkeys(CODES.values())
)
STATUSES: Final = (
    Saying("COMPLETE", "sold; its cards are asked for", "Bought"),
    Saying("CANCELED", "the money was returned", "Refused"),
    Saying("PROCESSING", "debited, and not ended", "Accepted"),
    Saying("PENDING, and any other", "not ended", "Accepted"),
    Saying(str(ABSENT), "of a look-up: there is no such order", "None"),
)

STAYS: Final = frozenset({4201, 10466, 10467, 10468, 10469, 10470, 6043, 6044, 6045, 6046})
"""Codes of HTTP 400 on a reversal that say: it stays bought."""

NO_CARD: Final = frozenset({6047, 6048, 6049})
"""Codes of HTTP 400 on a card's balance: the card, or its PIN, is not known, or it has expired."""
