"""voucherkart: vouchers from VoucherKart, after the shape of the documented Indian aggregators.

What the same order id does a second time is not known. A deployer who has it in writing chooses the
registration that says so; until then the cautious one, which the core never sends a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Literal

from starship_core import ReferenceRule, VendorRegistration, VendorTraits, hookimpl
from starship_voucherkart.codes import ERRORS, STATUSES
from starship_voucherkart.config import VoucherKartConfig
from starship_voucherkart.vendor import MOST_UNITS, SLOWEST, open_vendor
from starship_voucherkart.wire import CURRENCY

TRAITS = VendorTraits(
    lookup=True,
    buy_timeout=SLOWEST,
    partial=True,
    max_units=MOST_UNITS,
    reference=ReferenceRule(
        form="text", longest=50, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    ),
    currencies=frozenset({CURRENCY}),
    abilities=frozenset({"balance"}),
)
DUPLICATES: Final[dict[str, Literal["unsafe", "rejects", "replays"]]] = {
    "voucherkart": "unsafe",
    "voucherkart-rejects": "rejects",
    "voucherkart-replays": "replays",
}


@hookimpl
def register_vendor_fulfillers() -> Iterable[VendorRegistration[Any]]:
    return [
        VendorRegistration(
            name=name,
            api=1,
            config=VoucherKartConfig,
            open=open_vendor,
            traits=replace(TRAITS, duplicates=duplicates),
            statuses=STATUSES,
            errors=ERRORS,
        )
        for name, duplicates in DUPLICATES.items()
    ]
