"""pinelabs: vouchers from Pine Labs (Woohoo, Qwikcilver REST v3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starship_core import (
    Rate,
    ReferenceRule,
    VendorRegistration,
    VendorTraits,
    hookimpl,
)
from starship_pinelabs.codes import ERRORS, STATUSES
from starship_pinelabs.config import PineLabsConfig
from starship_pinelabs.vendor import MOST_UNITS, SLOWEST, open_vendor

TRAITS = VendorTraits(
    duplicates="rejects",
    lookup=True,
    buy_timeout=SLOWEST,
    delayed_codes=True,
    max_units=MOST_UNITS,
    reference=ReferenceRule(
        form="text", longest=50, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    ),
    rate_limits={"catalogue": Rate(1, 1)},
    abilities=frozenset({"reversal"}),
)


@hookimpl
def register_vendor_fulfillers() -> Iterable[VendorRegistration[Any]]:
    return [
        VendorRegistration(
            name="pinelabs",
            api=1,
            config=PineLabsConfig,
            open=open_vendor,
            traits=TRAITS,
            statuses=STATUSES,
            errors=ERRORS,
        )
    ]
