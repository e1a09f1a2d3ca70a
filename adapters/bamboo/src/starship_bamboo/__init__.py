"""bamboo: vouchers from Bamboo Card Portal, and its exchange rates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starship_bamboo.config import BambooConfig, RatesConfig
from starship_bamboo.vendor import MOST_CARDS, SLOWEST, open_rates, open_vendor
from starship_bamboo.wire import ERRORS, OPEN, STATUSES
from starship_core import (
    FxRegistration,
    Rate,
    ReferenceRule,
    VendorRegistration,
    VendorTraits,
    hookimpl,
)

TRAITS = VendorTraits(
    duplicates="rejects",
    lookup=True,
    buy_timeout=SLOWEST,
    delayed_codes=True,
    partial=True,
    max_units=MOST_CARDS,
    reference=ReferenceRule(form="guid"),
    rate_limits={
        "buy": Rate(2, 1),
        "find": Rate(120, 60),
        "catalogue": Rate(1, 1),
        "balance": Rate(1, 1),
        "orders": Rate(1, 1),
        "rates": Rate(20, 60),
        "transactions": Rate(4, 3600),
    },
    abilities=frozenset({"balance", "callbacks", "orders"}),
)


@hookimpl
def register_vendor_fulfillers() -> Iterable[VendorRegistration[Any]]:
    return [
        VendorRegistration(
            name="bamboo",
            api=1,
            config=BambooConfig,
            open=open_vendor,
            traits=TRAITS,
            statuses=(*STATUSES, OPEN),
            errors=ERRORS,
        )
    ]


@hookimpl
def register_fx_providers() -> Iterable[FxRegistration[Any]]:
    return [FxRegistration(name="bamboo-rates", api=1, config=RatesConfig, open=open_rates)]
