"""The source: every file of the folder in order of name, from where it was left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from starship_core import Toolbox, Transaction, Unavailable, Voucher, Want
from starship_source_csv.memory import Memory, Trail
from starship_source_csv.reading import LONGEST_LINE, Line, Reader
from starship_source_csv.rows import Malformed, header, read

LONGEST_REFERENCE: Final = 200
AT_REST: Final = timedelta(seconds=2)
"""A file untouched for this long is finished, though its last line has no end."""
TOLD: Final = 1000
"""So many complaints are kept; the count goes on."""
_PRODUCTS: Final = "SELECT code, id FROM products"

Entry = tuple[Line, Voucher | Malformed | None]


class CsvSource:
    """An inventory source that also tells what it could not read (`passed_over`)."""

    def __init__(self, folder: Path, toolbox: Toolbox) -> None:
        self._folder = folder
        self._toolbox = toolbox
        self._memory: Memory | None = None
        self._trails: list[Trail] = []
        self._offered: dict[str, Trail] = {}
        self._before = 0
        self._unreadable = 0
        self._complaints: list[str] = []

    async def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        """Everything that is not confirmed yet, whatever is wanted most."""
        del wants  # files hold what they hold
        self._trails, self._offered = [], {}
        self._before, self._unreadable, self._complaints = 0, 0, []
        memory = self._memory = await asyncio.to_thread(Memory, self._toolbox.data_dir)
        products = await self._toolbox.database.read(_products)
        paths = await asyncio.to_thread(_paths, self._folder)
        memory.forget_but(paths)
        for path in paths:
            trail = Trail(path, memory.of(path))
            self._trails.append(trail)
            self._before += trail.seen.place.units
            try:
                async for voucher in self._file(trail, products, memory.key):
                    yield voucher
            except OSError as error:
                self._complain(path, 0, f"cannot be read ({type(error).__name__})")
            if memory.knows(path):  # a pull alone, as in a rehearsal, leaves nothing behind
                memory.keep(path, trail.advance())

    async def confirm(self, references: Sequence[str]) -> None:
        """Remember these lines as settled. A name that was not offered is no fault."""
        for reference in references:
            if trail := self._offered.pop(reference, None):
                trail.settle(reference)
        for trail in self._trails:
            if self._memory is not None:
                self._memory.keep(trail.path, trail.advance())

    def passed_over(self) -> tuple[int, int, Sequence[str]]:
        """Of the last pull: vouchers confirmed before it, lines unreadable, and what of them."""
        return self._before, self._unreadable, tuple(self._complaints)

    async def _file(
        self, trail: Trail, products: Mapping[str, int], key: bytes
    ) -> AsyncIterator[Voucher]:
        path = trail.path
        if trail.seen.done(await asyncio.to_thread(path.stat)):
            return
        with await asyncio.to_thread(Reader, path, key) as reader:
            try:
                sheet = await asyncio.to_thread(self._opened, trail, reader, products)
            except Malformed as problem:
                self._complain(path, 1, str(problem))
                return
            while batch := await asyncio.to_thread(sheet.batch, reader):
                for line, found in batch:
                    if isinstance(found, Voucher) and found.reference in self._offered:
                        trail.stuck()
                        reason = "repeats the `reference` of a line above"
                        self._complain(path, line.number, reason)
                    elif isinstance(found, Voucher):
                        if trail.offered(line, found.reference):
                            self._offered[found.reference] = trail
                        yield found
                    elif found is None:
                        trail.blank(line)
                    else:
                        trail.stuck()
                        self._complain(path, line.number, str(found))

    def _opened(self, trail: Trail, reader: Reader, products: Mapping[str, int]) -> _Sheet:
        """The reader at its place, and how to read on. Raises Malformed when there is no header."""
        status = reader.status()
        trail.begin(status, same=reader.resumes(trail.seen.place))
        first = reader.first_line()
        if first is None:
            raise Malformed("is missing: the file is empty")
        rests = self._toolbox.now() - datetime.fromtimestamp(status.st_mtime, UTC)
        return _Sheet(
            name=trail.path.name,
            columns=header(first.text),
            products=products,
            changed=trail.seen.place.changed,
            at_rest=rests >= AT_REST,
        )

    def _complain(self, path: Path, line: int, reason: str) -> None:
        self._unreadable += 1
        if len(self._complaints) < TOLD:
            place = f"{path.name} line {line}" if line else path.name
            self._complaints.append(f"{_printable(place)}: {reason}")


class _Sheet(Struct, frozen=True, kw_only=True):
    """How the lines of one file are read."""

    name: str
    columns: tuple[str, ...]
    products: Mapping[str, int]
    changed: bool
    at_rest: bool

    def batch(self, reader: Reader) -> list[Entry]:
        """The next lines, each with what it holds."""
        return [(line, self._found(line)) for line in reader.lines()]

    def _found(self, line: Line) -> Voucher | Malformed | None:
        try:
            return self._voucher(line)
        except Malformed as problem:
            return problem

    def _voucher(self, line: Line) -> Voucher | None:
        if line.number == 1:
            return None
        if line.too_long:
            raise Malformed(f"is longer than {LONGEST_LINE} bytes")
        if not line.ended and not self.at_rest:
            raise Malformed("has no end, and the file was being written a moment ago")
        row = read(line.text, self.columns, self.products)
        if row is None:
            return None
        if self.changed and row.reference is None:
            raise Malformed(
                "has no `reference`, and the file was changed above what had been taken of it, so "
                "that line numbers name nothing: give the file another name"
            )
        reference = (
            f"{self.name}#{row.reference}" if row.reference else f"{self.name}:{line.number}"
        )
        if len(reference) > LONGEST_REFERENCE or not reference.isprintable():
            raise Malformed("has a name that is too long or not printable, with that of the file")
        return Voucher(
            sku=row.sku,
            reference=reference,
            card_number=row.card_number,
            pin_code=row.pin_code,
            claim_url=row.claim_url,
            voucher_reference_number=row.voucher_reference_number,
            expires_at=row.expires_at,
        )


def _paths(folder: Path) -> list[Path]:
    """The files in order of name; not the hidden ones that programs make while they write."""
    if folder.is_file():
        return [folder.absolute()]
    if not folder.is_dir():
        raise Unavailable(f"there is no folder {folder}", retry_after=60)
    return sorted(
        path.absolute()
        for path in folder.iterdir()
        if path.suffix.lower() == ".csv" and not path.name.startswith(".") and path.is_file()
    )


def _products(tx: Transaction) -> dict[str, int]:
    """By code; by id, written in digits, when no code reads the same."""
    rows = tx.execute(_PRODUCTS)
    return {str(number): number for _, number in rows} | dict(rows)


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)
