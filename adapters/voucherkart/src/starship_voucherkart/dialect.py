"""How VoucherKart writes: paths, names, what is sealed, which codes refuse. All that a deployer may
have to change once VoucherKart's own documentation is there; `wire` knows the documented names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from starship_voucherkart.codes import CODES, Code
from starship_voucherkart.seal import Seal

Call = Literal["token", "brands", "stock", "pull", "status", "balance"]

PATHS: Final[dict[str, str]] = {
    "token": "API/v1/gettoken",
    "brands": "API/v1/getbrands",
    "stock": "API/v1/getstock",
    "pull": "API/v1/pullvoucher",
    "status": "API/v1/pullvoucher/checkstatus",
    "balance": "API/v1/getwalletbalance",
}
PLAIN_REQUESTS: Final = ("brands", "balance")
PLAIN_ANSWERS: Final[tuple[str, ...]] = ()
NAMES: Final = (
    "token", "username", "password",
    "payload", "status", "code", "desc", "data",
    "BrandProductCode", "Denomination", "Quantity", "ExternalOrderId", "sv_ex_order_id",
    "AvailableQuantity", "Balance",
    "BrandName", "denominationList", "MinValue", "MaxValue", "DenomType", "stockAvailable",
    "ServiceType",
    "ResultType", "ExternalOrderIdOut", "PullVouchers", "Vouchers",
    "VoucherNo", "Voucherpin", "VoucherGCcode", "VoucherGuid", "EndDate", "Value",
)  # fmt: skip
"""Headers, the envelope's fields, those of a request, and those of answers that are read."""


def unknown(given: Iterable[str], known: Iterable[str]) -> str | None:
    """What of this is not known, and what is; None: all is."""
    known = tuple(known)
    wrong = [name for name in given if name not in known]
    return f"there is no `{wrong[0]}`; there are {', '.join(known)}" if wrong else None


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The documented shape, with what is different at one vendor."""

    seal: Seal = field(repr=False)
    paths: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    plain_requests: tuple[str, ...] = PLAIN_REQUESTS
    plain_answers: tuple[str, ...] = PLAIN_ANSWERS
    refusals: Mapping[str, str] = field(default_factory=dict)

    def path(self, call: Call) -> str:
        return self.paths.get(call, PATHS[call]).strip("/")

    def name(self, ours: str) -> str:
        return self.names.get(ours, ours)

    def body(self, call: Call, fields: Mapping[str, str]) -> bytes:
        """A request as it is sent."""
        written = msgspec.json.encode({self.name(key): value for key, value in fields.items()})
        if call in self.plain_requests:
            return written
        return msgspec.json.encode({self.name("payload"): self.seal.seal(written)})

    def read(self, document: Any) -> Any:
        """A decoded answer under the documented names."""
        theirs = {other: ours for ours, other in self.names.items()}
        return _renamed(document, theirs) if theirs else document

    def opened(self, call: Call, data: Any) -> Any:
        """What an answer's `data` holds, under the documented names: text, or decoded JSON.

        Raises ValueError for what cannot be opened or read.
        """
        if call not in self.plain_answers:
            if not isinstance(data, str):
                raise ValueError("data that is not sealed")
            data = self.seal.open(data)
        text = data.encode() if isinstance(data, str) else data
        if not isinstance(text, bytes):
            return self.read(data)
        if call == "token":
            return text.decode()
        return self.read(msgspec.json.decode(text))

    def meaning(self, code: str, text: str) -> Code | None:
        """Of a code with its text; None: nothing is known of the two together."""
        if words := self.refusals.get(code):
            found = Code(words, "no", (words,))
        elif code in CODES:
            found = CODES[code]
        else:
            return None
        return found if found.fits(text) else None


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return value
