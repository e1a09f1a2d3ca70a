"""VoucherKart's codes as data: what each says of an order, and the text that must come with it.

Such vendors use one code for several things with different texts, so a code counts only together
with a word of its text. What is not in the table, or comes with another text, says nothing.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from starship_core import Saying

Says = Literal["no", "door", "stale", "used", "open", "absent", "unknown"]
"""Of an order: no; we are not let in, and nothing was looked at; the token is old, likewise; the
order id was used; the order is in process; there is no such order; nothing that helps.
"""


class Code(NamedTuple):
    """What one code means."""

    meaning: str
    says: Says
    words: tuple[str, ...] = ()
    """One of them must begin a word of the text, or be all of it; none: any text will do."""

    def fits(self, text: str) -> bool:
        found = (re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE) for word in self.words)
        return not self.words or any(found)


OK: Final = "0000"

CODES: Final[dict[str, Code]] = {
    "ER001": Code("the user name is not known", "door", ("user",)),
    "ER002": Code("the password is wrong", "door", ("password",)),
    "ER083": Code("the token is no longer valid", "stale", ("token",)),
    "ER057": Code("this address is not on VoucherKart's list", "door", ("ip",)),
    "ER024": Code("we are not authorised", "door", ("authori", "unauthori")),
    "ER025": Code("our account is not active", "door", ("inactive", "not active")),
    "ER082": Code("it cannot be decrypted", "no", ("decrypt",)),
    "1007": Code("it cannot be read", "no", ("json",)),
    "ER010": Code("there is no order id", "no", ("order id", "external")),
    "ER022": Code("the quantity is wrong", "no", ("quantity",)),
    "ER023": Code("the quantity is wrong", "no", ("quantity",)),
    "ER059": Code("too many units", "no", ("quantity", "max")),
    "ER032": Code("the product is not active", "no", ("inactive", "not active")),
    "ER076": Code("there is no such brand", "no", ("brand",)),
    "ER077": Code("the brand has no such denomination", "no", ("denomination",)),
    "ER047": Code("there are no vouchers", "no", ("not available", "stock")),
    "ER1006": Code("there are no vouchers", "no", ("not available", "stock")),
    "ER1011": Code("the balance is too low", "no"),  # its text is known to be a general one
    "ER1012": Code("the balance is too low", "no"),
    "ER048": Code("the order id was used before", "used", ("already", "duplicate")),
    "ER079": Code("the order id was used for another order", "unknown"),
    "EROIP": Code("the order is in process", "open", ("process", "progress")),
    "ER031": Code("there is no such order", "absent", ("not found",)),
    "ER061": Code("there is no such order", "absent", ("not found",)),
    "1051": Code("whoever is behind VoucherKart gave no answer", "unknown"),
}
"""Others are documented without saying whether an order was made: they are not here."""

_BECOMES: Final[dict[Says, Literal["Accepted", "Refused", "None", "Unavailable", "Ambiguous"]]] = {
    "no": "Refused",
    "door": "Unavailable",
    "stale": "Unavailable",
    "used": "Ambiguous",
    "open": "Accepted",
    "absent": "None",
    "unknown": "Ambiguous",
}
_THEN: Final[dict[Says, str]] = {
    "stale": "a new token is asked for, once",
    "used": "look it up; answered with the vouchers, it is Bought",
    "unknown": "look it up",
}


def _saying(code: str, one: Code) -> Saying:
    words = f", with a word of: {', '.join(one.words)}" if one.words else ""
    return Saying(code + words, one.meaning, _BECOMES[one.says], _THEN.get(one.says, ""))


ERRORS: Final = tuple(
    _saying(code, one) for code, one in CODES.items() if one.says not in ("open", "absent")
)
STATUSES: Final = (
    Saying("SUCCESS", "sold; without a voucher it is unclear", "Bought"),
    *(_saying(code, one) for code, one in CODES.items() if one.says in ("open", "absent")),
)
"""Of a look-up. The answer to a pull that is in process, or not there, is unclear."""
