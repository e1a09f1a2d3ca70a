"""Vendors for tests of what stands around them: two that do nothing by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from msgspec import structs

from starship_core.breaker import Rule
from starship_core.config import BuyingSection
from starship_core.registration import VendorTraits
from starship_core.ship import Ship, Vendor

RULE: Final = Rule.of(BuyingSection())


class Counter:
    """A call that is counted: answers how many there were, or raises."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.made = 0

    async def __call__(self) -> int:
        self.made += 1
        if self.error is not None:
            raise self.error
        return self.made


def with_vendors(
    ship: Ship, traits: VendorTraits | None = None, *, patience: float = 5, **buying: Any
) -> Ship:
    """The ship with vendors `north` and `south`, whose ports nobody calls."""
    section = BuyingSection(limit_patience_seconds=patience, **buying)
    vendors = {
        name: Vendor(
            name=name, plugin="none", port=cast("Any", None), traits=traits or VendorTraits()
        )
        for name in ("north", "south")
    }
    config = structs.replace(ship.config, buying=section)
    return replace(ship, config=config, vendors=vendors)
