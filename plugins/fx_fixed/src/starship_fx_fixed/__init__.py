"""fx-fixed: exchange rates that the deployer writes into `starship.toml`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from starship_core import FxProvider, FxRegistration, FxTable, NotFound, Toolbox, hookimpl

PRECISION: Final = 28
"""Significant digits of a rate that had to be divided; the last one is rounded half to even."""

_PLAIN: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_CODE: Final = re.compile(r"[A-Z]{3}")
_ONE: Final = Decimal(1)
_context: Final = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)


class FixedConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[fx] use = "fx-fixed"`: what one unit of `base` buys, as decimal strings."""

    rates: dict[str, str]
    base: str = "USD"
    as_of: Annotated[datetime, Meta(tz=True)] | None = None
    """When the rates were true; left out: they always are, and never go stale."""

    def __post_init__(self) -> None:
        for code in (self.base, *self.rates):
            if not _CODE.fullmatch(code):
                raise ValueError(f"{code!r} is not a currency code such as EUR")
        for code, text in self.rates.items():
            if not _PLAIN.fullmatch(text) or not Decimal(text):
                raise ValueError(
                    f"the rate of {code} is {text!r}; write a positive decimal such as '0.92'"
                )
        if Decimal(self.rates.get(self.base, 1)) != _ONE:
            raise ValueError(f"the rate of {self.base} to itself is 1; leave it out")


class FixedRates:
    """The table of the configuration, seen from any currency in it."""

    def __init__(self, config: FixedConfig, now: Callable[[], datetime]) -> None:
        self._rates = {config.base: _ONE} | {
            code: Decimal(text) for code, text in config.rates.items()
        }
        self._as_of = config.as_of
        self._now = now

    async def rates(self, base: str) -> FxTable:
        """One unit of `base` in every currency of the table. Raises NotFound for one outside it.

        Seen from the configured base the rates are as written. From any other they are quotients,
        exact up to `PRECISION` significant digits.
        """
        own = self._rates.get(base)
        if own is None:
            raise NotFound("exchange rate for", base)
        return FxTable(
            base=base,
            rates={
                code: rate if own == _ONE else _context.divide(rate, own)
                for code, rate in self._rates.items()
            },
            source="fx-fixed",
            as_of=self._as_of or self._now(),
        )


@asynccontextmanager
async def open_fixed(config: FixedConfig, toolbox: Toolbox) -> AsyncIterator[FxProvider]:
    """Nothing to open."""
    yield FixedRates(config, toolbox.now)


@hookimpl
def register_fx_providers() -> Iterable[FxRegistration[Any]]:
    return [FxRegistration(name="fx-fixed", api=1, config=FixedConfig, open=open_fixed)]
