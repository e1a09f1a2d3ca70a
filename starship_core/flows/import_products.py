"""Import a catalogue file: the whole of it in one transaction, or nothing and every problem in it.

Products are known by `code`. Columns that the file does not have stay as they are, and nothing is
deleted, so that orders keep their products.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.audit import By, record
from starship_core.catalogue import touch
from starship_core.catalogue_columns import Offer
from starship_core.catalogue_file import Line, read_lines
from starship_core.errors import InvalidInput
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.store.products import COLUMNS, DEFAULTS, Stored, find_products, write_products
from starship_core.store.shelves import add_categories, add_countries, add_currencies

LISTED: Final = 100
"""Problems that one refusal lists; the rest are counted."""


class Imported(Struct, frozen=True):
    """What an import did."""

    added: int
    changed: int
    unchanged: int


class Refused(InvalidInput):
    """Do: correct the file; nothing was written. `problems` has each with its line."""

    def __init__(self, problems: Sequence[str]) -> None:
        rest = len(problems) - LISTED
        self.problems = [*problems[:LISTED], *([f"… and {rest} more"] if rest > 0 else [])]
        super().__init__("\n".join(self.problems), reason="file_refused")


async def import_products(
    path: Path,
    by: By,
    ship: Ship,
    *,
    advance: Callable[[int], None] = lambda _rows: None,
) -> Imported:
    """Add or change every product of the file. Raises Refused with all problems, InvalidInput."""
    lines, digest = await asyncio.to_thread(_read, path, advance)
    source = {"file": path.name, "sha256": digest}
    return await ship.database.run(_write, lines, source, by, ship.now())


def _read(path: Path, advance: Callable[[int], None]) -> tuple[Sequence[Line], str]:
    lines: list[Line] = []
    problems: list[str] = []
    for found in read_lines(path):
        if isinstance(found, str):
            problems.append(found)
        else:
            lines.append(found)
        advance(1)
    if problems:
        raise Refused(problems)
    return lines, hashlib.sha256(path.read_bytes()).hexdigest()


def _write(
    tx: Transaction, lines: Sequence[Line], source: dict[str, str], by: By, now: datetime
) -> Imported:
    touch(tx)  # first: a second import waits for this row, and then sees our products
    known = find_products(tx, [line.code for line in lines])
    if moved := [problem for line in lines if (problem := _moved(line, known.get(line.code)))]:
        raise Refused(moved)
    resolve = _Resolver(tx, lines, now)
    wanted = {line.code: resolve(line, known.get(line.code)) for line in lines}
    added = {code: each for code, each in wanted.items() if code not in known}
    changed = {c: each for c, each in wanted.items() if c in known and each != known[c]}
    write_products(tx, added, changed, now)
    record(
        tx, by, "product.import", "catalogue", at=now,
        before={code: _difference(known[code], each) for code, each in changed.items()},
        after={
            **source,
            "added": sorted(added),
            "changed": {code: _difference(each, known[code]) for code, each in changed.items()},
        },
    )  # fmt: skip
    return Imported(len(added), len(changed), len(lines) - len(added) - len(changed))


def _moved(line: Line, known: Stored | None) -> str | None:
    """Vouchers and orders hold the currency, so a product keeps its own for life."""
    if known is None or known.values["currency"] == line.currency:
        return None
    return (
        f"line {line.number}: currency: {line.code} is in {known.values['currency']}, and that "
        f"cannot change; give the {line.currency} one a code of its own"
    )


class _Resolver:
    """Lines, with names in them, into what the tables hold; makes shelves that are missing."""

    def __init__(self, tx: Transaction, lines: Sequence[Line], now: datetime) -> None:
        add_currencies(tx, {line.currency for line in lines}, now)
        countries = {line.given.get("country") for line in lines} - {None}
        self._countries = add_countries(tx, {str(code) for code in countries}, now)
        shelves = [(line.category, line.given.get("subcategory")) for line in lines]
        self._shelves = add_categories(tx, shelves, now)

    def __call__(self, line: Line, known: Stored | None) -> Stored:
        values = dict(known.values if known else DEFAULTS)
        given = dict(line.given)
        category, subcategory = self._shelves[line.category, given.pop("subcategory", None)]
        if "subcategory" in line.given or category != values.get("category_id"):
            values["subcategory_id"] = subcategory
        if "country" in given:
            values["country_id"] = self._countries.get(given.pop("country"))
        if "vendors" in given:
            values["vendors"] = msgspec.json.encode(given.pop("vendors")).decode()
        if "active" in given:
            values["is_active"] = int(given.pop("active"))
        values |= given
        values |= {"name": line.name, "category_id": category, "currency": line.currency}
        return Stored({column: values[column] for column in COLUMNS}, line.offers)


def _difference(one: Stored, other: Stored) -> Mapping[str, Any]:
    """The facts of `one` that `other` does not share."""
    facts: dict[str, Any] = {
        column: value for column, value in one.values.items() if value != other.values[column]
    }
    if one.offers != other.offers:
        facts["denominations"] = [_plain(offer) for offer in one.offers]
    return facts


def _plain(offer: Offer) -> list[Any]:
    return list(offer)
