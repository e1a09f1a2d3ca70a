"""acme: vouchers from Acme."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starship_core import VendorRegistration, VendorTraits, hookimpl

from starship_acme.config import AcmeConfig
from starship_acme.vendor import MOST_UNITS, SLOWEST, open_vendor

TRAITS = VendorTraits(
    duplicates="replays",
    lookup=True,
    buy_timeout=SLOWEST,
    max_units=MOST_UNITS,
)


@hookimpl
def register_vendor_fulfillers() -> Iterable[VendorRegistration[Any]]:
    return [
        VendorRegistration(
            name="acme",
            api=1,
            config=AcmeConfig,
            open=open_vendor,
            traits=TRAITS,
        )
    ]
