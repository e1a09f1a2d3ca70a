"""What the author of an inventory source gives its kit, and how its checks pull."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from starship_core import InventorySource, Secret, SourceRegistration, Voucher, Want
from starship_core.testing.plug_case import PlugCase, PlugStage

WANTED: Final = 1_000_000
CODES: Final = ("card_number", "pin_code", "claim_url")
SHORTEST: Final = 6
"""Characters of a code to look for: a PIN of four is found in any number."""


@dataclass(frozen=True, kw_only=True)
class SourceCase(PlugCase):
    """A source, and what can be found there. A `Path` is the toolbox's `folder`."""

    registers: ClassVar = SourceRegistration
    port: ClassVar = InventorySource

    registration: SourceRegistration[Any]
    fill: Callable[[Path], Sequence[Voucher]]
    """Puts units where the source finds them, and says as what they must come: three or more."""
    away: Callable[[Path], Any]
    """Makes that place one that cannot be reached."""
    unreadable: Callable[[Path], str] | None = None
    """Puts one more unit there, which cannot be read, and says its code; for `ReportingSource`."""
    recall: Callable[[Path, str], None] | None = None
    """Takes the unit of this reference back; for `RecallingSource`."""


SourceStage = PlugStage[SourceCase]


def filled(stage: SourceStage) -> Sequence[Voucher]:
    there = stage.case.fill(stage.folder)
    assert len(there) >= 3, "the case has too few units for a check"
    return there


def wanted(there: Sequence[Voucher]) -> list[Want]:
    """Of every sku that is there, more than there is: what the pump asks for."""
    return [Want(sku, WANTED) for sku in sorted({one.sku for one in there})]


async def pulled_from(source: InventorySource, there: Sequence[Voucher]) -> list[Voucher]:
    return await given(source, wanted(there))


async def given(source: InventorySource, wants: Sequence[Want]) -> list[Voucher]:
    async with aclosing(source.pull(wants)) as units:  # type: ignore[type-var]  # a generator
        return [one async for one in units]


async def pulled(stage: SourceStage, there: Sequence[Voucher]) -> list[Voucher]:
    """What comes to a process that has just begun."""
    async with stage.opened() as source:
        return await pulled_from(source, there)


def names_of(vouchers: Sequence[Voucher]) -> set[str]:
    return {one.reference for one in vouchers}


def goods(voucher: Voucher) -> tuple[Any, ...]:
    return (voucher.sku, voucher.voucher_reference_number)


def codes(voucher: Voucher) -> list[str | None]:
    """As text, whatever they are: another check sees to their type."""
    parts = (getattr(voucher, name) for name in CODES)
    return [part.reveal() if isinstance(part, Secret) else part for part in parts]


def long_codes(voucher: Voucher) -> list[str]:
    return [code for code in codes(voucher) if code is not None and len(code) >= SHORTEST]
