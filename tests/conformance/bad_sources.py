"""Sources that are wrong in one thing each, made from source-csv, which is right."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import starship_source_csv

from starship_core import NO_EXPIRY, Secret, Sku, Toolbox, Transaction, Unavailable, Voucher, Want
from starship_core.testing.source_case import SourceCase

HEAD = "product,denomination,currency,card_number,pin_code,claim_url,reference,expires_at\n"
LONG = "-" + 200 * "x"
(CSV,) = starship_source_csv.register_inventory_sources()


def catalogue(tx: Transaction) -> None:
    """A product for the files to name."""
    tx.execute(
        "INSERT INTO categories (id, name, slug, created_at, updated_at) VALUES (1, 'c', 'c', 0, 0)"
    )
    tx.execute(
        "INSERT INTO products (id, code, name, category_id, currency, created_at, updated_at)"
        " VALUES (7, 'coffee', 'coffee', 1, 'EUR', 0, 0)"
    )


def fill(folder: Path) -> Sequence[Voucher]:
    """Three cards in a file."""
    (folder / "incoming").mkdir()
    cards = {"R1": "6330 1111", "R2": "6330 2222", "R3": "6330 3333"}
    rows = [f"coffee,10.00,EUR,{card},4711,,{name},\n" for name, card in cards.items()]
    (folder / "incoming" / "a.csv").write_text(HEAD + "".join(rows))
    return [
        Voucher(
            sku=Sku(7, 1000, "EUR"),
            reference=f"a.csv#{name}",
            card_number=Secret(card),
            pin_code=Secret("4711"),
        )
        for name, card in cards.items()
    ]


def unreadable(folder: Path) -> str:
    (folder / "incoming" / "c.csv").write_text(HEAD + "tea,10.00,EUR,6330 4444,4713,,,\n")
    return "6330 4444"


def recall(folder: Path, reference: str) -> None:
    (folder / "recalled.txt").write_text(reference)


class Around:
    """source-csv, with a file of what is recalled; a bad one replaces a method."""

    def __init__(self, inner: Any, toolbox: Toolbox) -> None:
        self.inner = inner
        self.toolbox = toolbox

    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        async with aclosing(self.inner.pull(wants)) as units:
            async for voucher in units:
                yield voucher

    async def confirm(self, references: Sequence[str]) -> None:
        await self.inner.confirm(references)

    async def recalled(self) -> Sequence[str]:
        file = self.toolbox.folder / "recalled.txt"
        return file.read_text().split() if file.exists() else []

    def passed_over(self) -> tuple[int, int, Sequence[str]]:
        known, unreadable, told = self.inner.passed_over()
        return known, unreadable, told


def acting(cls: type[Around], **changed: Any) -> SourceCase:
    """The case with a source of this class."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Toolbox) -> AsyncIterator[Any]:
        async with CSV.open(config, toolbox) as inner:
            yield cls(inner, toolbox)

    case = SourceCase(
        registration=replace(CSV, open=opened),
        section={"folder": "incoming"},
        fill=fill,
        away=lambda folder: shutil.rmtree(folder / "incoming"),
        unreadable=unreadable,
        recall=recall,
    )
    return replace(case, **changed)


def each(other: Callable[[Voucher], Voucher | None]) -> SourceCase:
    """A source whose units come otherwise, or not at all."""

    class Changed(Around):
        async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
            async with aclosing(super().pull(wants)) as units:
                async for voucher in units:
                    if (changed := other(voucher)) is not None:
                        yield changed

    return acting(Changed)


def changed(voucher: Voucher, **fields: Any) -> Voucher:
    return msgspec.structs.replace(voucher, **fields)


def without_blanks(voucher: Voucher) -> Voucher:
    card = voucher.card_number
    assert card is not None
    return changed(voucher, card_number=Secret(card.reveal().replace(" ", "")))


class LongNames(Around):
    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        async with aclosing(super().pull(wants)) as units:
            async for voucher in units:
                yield changed(voucher, reference=voucher.reference + LONG)

    async def confirm(self, references: Sequence[str]) -> None:
        await super().confirm([one.removesuffix(LONG) for one in references])

    async def recalled(self) -> Sequence[str]:
        return [one + LONG for one in await super().recalled()]


def fill_long(folder: Path) -> Sequence[Voucher]:
    return [changed(one, reference=one.reference + LONG) for one in fill(folder)]


def recall_long(folder: Path, reference: str) -> None:
    recall(folder, reference.removesuffix(LONG))


class Obliging(Around):
    """Has whatever is wanted."""

    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        async with aclosing(super().pull(wants)) as units:
            async for voucher in units:
                yield voucher
        for want in wants:
            if want.sku.product_id != 7:
                yield Voucher(sku=want.sku, reference="made-up", pin_code=Secret("0000"))


class Hopeful(Around):
    """Takes a folder that is not there for an empty one."""

    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        try:
            async with aclosing(super().pull(wants)) as units:
                async for voucher in units:
                    yield voucher
        except Unavailable:
            return


class Talkative(Around):
    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        async with aclosing(super().pull(wants)) as units:
            async for voucher in units:
                if voucher.card_number is not None:
                    logging.getLogger("bad").debug("read %s", voucher.card_number.reveal())
                yield voucher


class Quoting(Around):
    """Says what it cannot read by quoting it."""

    def passed_over(self) -> tuple[int, int, Sequence[str]]:
        known, unreadable, told = super().passed_over()
        return known, unreadable, [f"{line}: 6330 4444" for line in told]


class Restless(Around):
    """Names units by the order in which it happens to meet them: in a second process, another."""

    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        async with aclosing(super().pull(wants)) as units:
            found = [voucher async for voucher in units]
        mark = self.toolbox.folder / "met"
        names = [one.reference for one in found]
        for name, voucher in zip(names[::-1] if mark.exists() else names, found, strict=True):
            yield changed(voucher, reference=name)
        mark.touch()


def forgetful() -> SourceCase:
    """Remembers what is confirmed until it is closed."""
    case = acting(Around)

    @asynccontextmanager
    async def opened(config: Any, toolbox: Toolbox) -> AsyncIterator[Any]:
        folder = Path(tempfile.mkdtemp(dir=toolbox.folder))
        async with case.registration.open(config, replace(toolbox, data_dir=folder)) as source:
            yield source

    return replace(case, registration=replace(CSV, open=opened))


class Sweeping(Around):
    """Settles all that it handed over as soon as one of it is confirmed."""

    def __init__(self, inner: Any, toolbox: Toolbox) -> None:
        super().__init__(inner, toolbox)
        self.handed: list[str] = []

    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        async with aclosing(super().pull(wants)) as units:
            async for voucher in units:
                self.handed.append(voucher.reference)
                yield voucher

    async def confirm(self, references: Sequence[str]) -> None:
        await super().confirm(self.handed if set(references) & set(self.handed) else references)


class Busy(Around):
    """Is still pulling when a pull was stopped."""

    pulling = False

    async def pull(self, wants: Sequence[Want]) -> AsyncGenerator[Voucher, None]:
        if self.pulling:
            return
        self.pulling = True
        async with aclosing(super().pull(wants)) as units:
            async for voucher in units:
                yield voucher
        self.pulling = False


class Strict(Around):
    async def confirm(self, references: Sequence[str]) -> None:
        if "nobody's" in references:
            raise KeyError("nobody's")
        await super().confirm(references)


class TellsOnce(Around):
    told = False

    async def recalled(self) -> Sequence[str]:
        found = [] if self.told else await super().recalled()
        self.told = bool(found)
        return found


class Boasting(Around):
    def passed_over(self) -> tuple[int, int, Sequence[str]]:
        known, unreadable, told = super().passed_over()
        return known + 1, unreadable, told


CASE = acting(Around)
BAD: dict[str, SourceCase] = {
    "every_unit_comes": each(lambda one: None if one.reference.endswith("R3") else one),
    "a_unit_is_what_it_is_there": each(lambda one: changed(one, sku=Sku(7, 10, "EUR"))),
    "codes_come_whole": each(without_blanks),
    "codes_are_secrets": each(lambda one: changed(one, pin_code="4711")),
    "expiries_are_aware": each(lambda one: changed(one, expires_at=NO_EXPIRY.replace(tzinfo=None))),
    "references_name_one_unit_each": acting(LongNames, fill=fill_long, recall=recall_long),
    "wants_invent_nothing": acting(Obliging),
    "a_place_that_is_away_is_unavailable": acting(Hopeful),
    "a_pull_tells_no_code": acting(Talkative),
    "a_pull_tells_no_code in a complaint": acting(Quoting),
    "a_unit_keeps_its_name": acting(Restless),
    "what_is_confirmed_does_not_come_again": forgetful(),
    "what_is_not_confirmed_comes_again": acting(Sweeping),
    "a_pull_that_stops_loses_nothing": acting(Busy),
    "confirming_again_changes_nothing": acting(Strict),
    "what_is_recalled_is_named": acting(TellsOnce),
    "what_is_passed_over_is_told": acting(Boasting),
}
"""The check's name (and, where there are two, what is wrong) → the source that only it fails."""
